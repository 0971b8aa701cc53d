import type { DriverOptions } from "../../../src/guest/driver-options.ts";
import { NetDriver } from "../../../src/guest/net-driver.ts";
import type { DriverObserver } from "../../../src/guest/ports.ts";
import { guestRamBytes } from "../../../src/guest/ram-layout.ts";
import type { FrameHandler, ReceivedFrame } from "../../../src/guest/received-frame.ts";
import { ALL_FEATURES, FakeDevice } from "./fake-device.ts";

/** Keeps a copy of each frame. */
export class FrameCollector implements FrameHandler {
  readonly frames: Uint8Array[] = [];
  readonly segments: number[] = [];

  frame(frame: ReceivedFrame): number {
    const bytes: number[] = [];
    for (let i = 0; i < frame.segments; i++) {
      const address = frame.segmentAddress[i]!;
      bytes.push(...frame.u8.slice(address, address + frame.segmentBytes[i]!));
    }
    this.frames.push(new Uint8Array(bytes));
    this.segments.push(frame.segments);
    return this.frames.length - 1;
  }
}

export interface Machine {
  readonly device: FakeDevice;
  readonly driver: NetDriver;
  readonly collector: FrameCollector;
  readonly relaxes: { count: number };
}

/** A driver over a fake device that offers `features`; not initialised. */
export function makeMachine(
  options: Partial<DriverOptions> = {},
  features: bigint = ALL_FEATURES,
  observer: DriverObserver | null = null,
): Machine {
  const { ring = 16, mtu = 1500, mergeableBufferBytes = 1536 } = options;
  const device = new FakeDevice(guestRamBytes({ ring, mtu, mergeableBufferBytes }));
  device.offered = features;
  const relaxes = { count: 0 };
  const patience = { relax: () => void relaxes.count++, relaxMax: 10 };
  const driver = new NetDriver(device, device.ram, { ring, ...options }, patience, observer);
  const collector = new FrameCollector();
  driver.attach(collector);
  return { device, driver, collector, relaxes };
}

export function makeLiveMachine(
  options: Partial<DriverOptions> = {},
  features: bigint = ALL_FEATURES,
  observer: DriverObserver | null = null,
): Machine {
  const machine = makeMachine(options, features, observer);
  if (!machine.driver.initialise()) throw new Error("no device");
  return machine;
}

/** A frame of `lengthBytes` whose bytes depend on `seed`. */
export function patternFrame(lengthBytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed * 57) & 0xff);
}
