/** What the ring experiments share: the memory's layout, both ends of one queue, and the way to the wrap of the indices. */

import type { InterruptSink } from "../../src/device/interrupts.ts";
import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import type { FaultSink, PathContext } from "../../src/device/net/queue-path.ts";
import { QueueStatistics } from "../../src/device/net/statistics.ts";
import { Steering } from "../../src/device/net/steering.ts";
import {
  AVAIL_FLAGS,
  AVAIL_IDX,
  availEventOffset,
  USED_FLAGS,
  USED_IDX,
  USED_RING,
  usedEventOffset,
} from "../../src/device/spec/split-ring.ts";
import { Throttle } from "../../src/device/throttle/throttle.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { SplitQueue } from "../../src/device/virtqueue/split-queue.ts";
import type { RingAreas } from "../../src/guest/ram-layout.ts";
import { RamViews } from "../../src/guest/ram-views.ts";
import { SplitRingDriver } from "../../src/guest/split-ring-driver.ts";
import type { SideProgram } from "./preemption.ts";

/** Int32 indices: the interrupt, taken by exchange as from a control block, and the kick, a posted write. */
export const PENDING = 0;
export const KICK = 1;

const DESC = 64;
const AVAIL = 128;
const USED = 144;
export const BUFFERS = 192;
export const AVAIL_FLAGS_AT = AVAIL + AVAIL_FLAGS;
export const USED_FLAGS_AT = USED + USED_FLAGS;
export const USED_RING_AT = USED + USED_RING;
export const MEMORY_BYTES = 320;
/** Most entries that fit. */
export const SIZE_MAX = 4;

export type AnyView = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

export interface RingOptions {
  readonly size: number;
  readonly eventIdx: boolean;
  /** Where all indices begin; 0 if left out. */
  readonly startIndex?: number;
  readonly latencyNs?: number;
  /** Where the guest's memory begins in the buffer. */
  readonly ramOffset?: number;
  readonly Queue?: typeof SplitQueue;
  readonly Driver?: typeof SplitRingDriver;
  /** Returns what a side is to use in place of a view, see races.ts. */
  readonly watched?: <V extends AnyView>(view: V, side: string) => V;
}

export function areasOf(size: number): RingAreas {
  return { entries: size, descAddress: DESC, availAddress: AVAIL, usedAddress: USED };
}

export function usedEventAt(size: number): number {
  return AVAIL + usedEventOffset(size);
}

export function availEventAt(size: number): number {
  return USED + availEventOffset(size);
}

/** What lies at a byte offset. */
export function nameIn(size: number): (offset: number) => string {
  const names = new Map([
    [4 * PENDING, "pending"],
    [4 * KICK, "kick"],
    [AVAIL_FLAGS_AT, "avail.flags"],
    [AVAIL + AVAIL_IDX, "avail.idx"],
    [usedEventAt(size), "used_event"],
    [USED_FLAGS_AT, "used.flags"],
    [USED + USED_IDX, "used.idx"],
    [availEventAt(size), "avail_event"],
  ]);
  const areas: [end: number, name: string][] = [
    [AVAIL, "descriptors"],
    [USED, "avail.ring"],
    [BUFFERS, "used.ring"],
  ];
  return (offset) => names.get(offset) ?? areas.find(([end]) => offset < end)?.[1] ?? "buffers";
}

/** The device's end: real ring and real throttle, whose interrupts set PENDING. */
export class DeviceEnd {
  readonly words: Int32Array;
  readonly memory: GuestMemory;
  readonly queue: SplitQueue;
  readonly throttle: Throttle;
  readonly context: PathContext;
  notifications = 0;

  /** `kind` is CAUSE_KIND_RX or CAUSE_KIND_TX. */
  constructor(
    buffer: SharedArrayBuffer,
    kind: number,
    wantsKicks: boolean,
    options: RingOptions,
    sink: InterruptSink = this.#pendingSink(),
  ) {
    const { size, eventIdx, Queue = SplitQueue, startIndex = 0, ramOffset = 0, watched } = options;
    this.words = new Int32Array(buffer);
    this.memory = new GuestMemory(buffer, [{ guestAddress: 0, sizeBytes: MEMORY_BYTES, byteOffset: ramOffset }]);
    if (watched !== undefined) {
      this.memory.u8 = watched(this.memory.u8, "card");
      this.memory.u16 = watched(this.memory.u16, "card");
      this.memory.u32 = watched(this.memory.u32, "card");
      this.memory.i32 = watched(this.memory.i32, "card");
    }
    this.queue = new Queue(this.memory, wantsKicks);
    const fault = this.queue.enable({
      size,
      descAddress: DESC,
      driverAddress: AVAIL,
      deviceAddress: USED,
      indirect: false,
      eventIdx,
    });
    if (fault !== 0) throw new Error(`the queue was refused: fault ${fault}`);
    this.queue.start();
    if (startIndex > 0) this.#advanceTo(startIndex);
    this.throttle = new Throttle(1, 1, sink, null);
    this.throttle.vectors[0]!.latencyNs = options.latencyNs ?? 0;
    this.throttle.attachQueue(0, kind, this.queue, 0);
    this.context = {
      index: 0,
      queue: this.queue,
      statistics: new QueueStatistics(),
      memory: this.memory,
      chain: new DescriptorChain(SIZE_MAX),
      throttle: this.throttle,
      steering: new Steering(1, () => true),
      observer: null,
      faults: STRICT,
    };
  }

  #pendingSink(): InterruptSink {
    return {
      notify: (vector) => {
        this.notifications++;
        Atomics.or(this.words, PENDING, 1 << vector);
        Atomics.notify(this.words, PENDING);
      },
      wake: () => {
        throw new Error("a guest that is active was woken");
      },
    };
  }

  /** Time passes until no interval runs any more. */
  expireAll(): void {
    for (let dueNs = this.throttle.nextDeadlineNs(); dueNs < Number.POSITIVE_INFINITY; ) {
      this.throttle.expire(dueNs);
      dueNs = this.throttle.nextDeadlineNs();
    }
  }

  /** As after `index` chains that were taken, used and published. */
  #advanceTo(index: number): void {
    const { queue, memory } = this;
    queue.rewind(0x10000 - index);
    // Forgets the available index that it has cached.
    queue.stop();
    queue.start();
    const { u32 } = memory;
    memory.u32 = new Uint32Array(u32.length);
    for (let i = 0; i < index; i++) queue.pushUsed(0, 0);
    memory.u32 = u32;
    queue.publish();
  }
}

/** A fault of either end is a failure of the experiment. */
const STRICT: FaultSink = {
  guestFault: (code) => {
    throw new Error(`guest fault ${code}`);
  },
  chainFault: (_queue, code) => {
    throw new Error(`chain fault ${code}`);
  },
  ringFault: (_queue, code) => {
    throw new Error(`ring fault ${code}`);
  },
};

/** A side of an experiment, which `make` sets up. */
export function sideOf(name: string, make: (buffer: SharedArrayBuffer) => { run(): void }): SideProgram {
  return {
    name,
    setUp: (buffer) => {
      const side = make(buffer);
      return () => side.run();
    },
  };
}

export function ramOf(buffer: SharedArrayBuffer, { watched, ramOffset = 0 }: RingOptions): RamViews {
  const ram = new RamViews({ buffer, byteOffset: ramOffset, sizeBytes: MEMORY_BYTES });
  if (watched === undefined) return ram;
  return { ...ram, u8: watched(ram.u8, "guest"), u16: watched(ram.u16, "guest"), u32: watched(ram.u32, "guest") };
}

export function driverRing(ram: RamViews, options: RingOptions): SplitRingDriver {
  const { size, eventIdx, Driver = SplitRingDriver, startIndex = 0 } = options;
  const ring = new Driver(ram, areasOf(size), eventIdx);
  if (startIndex > 0) advanceDriver(ring, ram, startIndex);
  return ring;
}

/** As after `index` chains that were published and came back used. */
function advanceDriver(ring: SplitRingDriver, ram: RamViews, index: number): void {
  const usedIdx16 = (USED + USED_IDX) >>> 1;
  // An index that moves by more than half its range would seem to go back.
  for (let taken = 0; taken < index; ) {
    const step = Math.min(0x7fff, index - taken);
    taken += step;
    ram.u16[usedIdx16] = taken;
    ring.exposed = step;
    ring.refreshUsed();
    // Head 0 comes back each time, and is given out again.
    for (let i = 0; i < step; i++) {
      ring.recycle(0, 1, 0);
      ring.takeUsed();
    }
    ring.publish();
    ring.exposed = 0;
  }
  ring.enableNotifications();
}
