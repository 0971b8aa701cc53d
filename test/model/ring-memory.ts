/** The shared memory of the ring experiments: two words, one small ring, its buffers. And how to start near the wrap. */

import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import {
  AVAIL_FLAGS,
  AVAIL_IDX,
  availEventOffset,
  USED_FLAGS,
  USED_IDX,
  usedEventOffset,
} from "../../src/device/spec/split-ring.ts";
import { SplitQueue } from "../../src/device/virtqueue/split-queue.ts";
import { type RingAreas } from "../../src/guest/ram-layout.ts";
import { RamViews } from "../../src/guest/ram-views.ts";
import { SplitRingDriver } from "../../src/guest/split-ring-driver.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { Throttle } from "../../src/device/throttle/throttle.ts";
import { GUEST_ACTIVE } from "../../src/device/spec/throttle-registers.ts";
import { NOTIFY_LATENCY, type InterruptSink } from "../../src/device/interrupts.ts";
import { QueueStatistics } from "../../src/device/net/statistics.ts";
import type { FaultSink, PathContext } from "../../src/device/net/queue-path.ts";

/** Int32 indices: the interrupt, taken by exchange as from a control block, and the kick, a posted write. */
export const PENDING = 0;
export const KICK = 1;

const DESC = 64;
const AVAIL = 128;
const USED = 144;
export const BUFFERS = 192;
export const MEMORY_BYTES = 320;

export interface RingOptions {
  readonly size: number;
  readonly eventIdx: boolean;
  /** All indices begin here instead of at 0. */
  readonly startIndex?: number;
  readonly latencyNs?: number;
  readonly Queue?: typeof SplitQueue;
  readonly Driver?: typeof SplitRingDriver;
  /** Told of every plain access: returns what is used in place of a view. */
  readonly watched?: (view: WatchedView) => WatchedView;
}
export type WatchedView = Uint8Array | Uint16Array | Uint32Array;

export function areasOf(size: number): RingAreas {
  return { entries: size, descAddress: DESC, availAddress: AVAIL, usedAddress: USED };
}

/** What lies at a byte offset. */
export function nameIn(size: number): (offset: number) => string {
  const names = new Map([
    [4 * PENDING, "pending"],
    [4 * KICK, "kick"],
    [AVAIL + AVAIL_FLAGS, "avail.flags"],
    [AVAIL + AVAIL_IDX, "avail.idx"],
    [AVAIL + usedEventOffset(size), "used_event"],
    [USED + USED_FLAGS, "used.flags"],
    [USED + USED_IDX, "used.idx"],
    [USED + availEventOffset(size), "avail_event"],
  ]);
  return (offset) => names.get(offset) ?? (offset >= USED + 4 && offset < BUFFERS ? "used.ring" : `@${offset}`);
}
