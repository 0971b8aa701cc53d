import type { InterruptSink } from "../interrupts.ts";
import type { FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { CardObserver } from "../observer.ts";
import { QUEUE_SIZE_MAX } from "../spec/split-ring.ts";
import { ETHERNET_HEADER_BYTES } from "../spec/virtio-net.ts";
import type { FeatureName } from "./features.ts";
import type { StagingArea } from "./transmit-staging.ts";

export interface NetCardOptions {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly interrupts: InterruptSink;
  /** Six bytes of a unicast address. */
  readonly mac: ArrayLike<number>;
  /** Largest payload of a frame, 68…65535 bytes; default 1500. */
  readonly mtu?: number;
  /** Largest size that the driver may give a queue, a power of two up to 32768; default 1024. */
  readonly queueSizeMax?: number;
  /** Features not to offer; what needs them is withheld too. */
  readonly withhold?: readonly FeatureName[];
  readonly observer?: CardObserver;
  /** vCPUs of the guest; default 1. */
  readonly vcpus?: number;
  /** Interrupt vectors; default 1, as MMIO has. */
  readonly vectors?: number;
  /** Where transmitted frames are gathered; by default memory of the card's own. */
  readonly txStaging?: StagingArea;
}

export const MTU_DEFAULT = 1500;
export const QUEUE_SIZE_DEFAULT = 1024;

/** Throws RangeError unless `sizeMax` is a queue size, and `port` takes the frames that the card must forward (NCFG-6). */
export function checkNetCardOptions(port: FramePort, mtu: number, sizeMax: number): void {
  if (!Number.isInteger(sizeMax) || sizeMax < 1 || sizeMax > QUEUE_SIZE_MAX || (sizeMax & (sizeMax - 1)) !== 0) {
    throw new RangeError(`queueSizeMax is ${sizeMax}; it must be a power of two from 1 to ${QUEUE_SIZE_MAX}`);
  }
  const owedBytes = mtu + ETHERNET_HEADER_BYTES;
  if (!(port.maxFrameBytes >= owedBytes)) {
    throw new RangeError(
      `port.maxFrameBytes is ${port.maxFrameBytes}; with mtu ${mtu} it must be at least ${owedBytes}`,
    );
  }
}
