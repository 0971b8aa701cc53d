import type { InterruptSink } from "../interrupts.ts";
import type { CardObserver } from "../observer.ts";
import type { InterruptSource } from "./interrupt-source.ts";

/** SKELETON of the public face; the body is being written. */
export class Throttle {
  constructor(_vectors: number, _vcpus: number, _sink: InterruptSink, _observer: CardObserver | null) {}
  /** Free receive buffers at or below which interrupts of queue `queue` are not held back. */
  guardOf(_queue: number): number {
    return 0;
  }
  /** Tells the throttle of a queue: `kind` is CAUSE_KIND_RX, _TX or _CTRL. */
  attachQueue(_queue: number, _kind: number, _source: InterruptSource, _vector: number): void {}
  /** The queue was reset or disabled, or its vector changed: nothing of its old life survives (R10). */
  detachQueue(_queue: number): void {}
  /** A batch of `frames` used entries `fromUsedIdx … source.usedIdx` was published on `queue`; `urgent` if a filter matched one. */
  published(_queue: number, _fromUsedIdx: number, _frames: number, _urgent: boolean, _nowNs: number): void {}
  /** A frame was dropped for want of a buffer on receive queue `queue`. */
  starved(_queue: number, _nowNs: number): void {}
  /** The guest's own coalescing settings (virtio 1.4 §5.1.6.5.9). */
  setCoalescing(_queue: number, _maxUsecs: number, _maxPackets: number, _nowNs: number): void {}
  configChanged(_nowNs: number): void {}
  /** Guest's device reset: causes, counters and pending bits go; GUEST_STATE, intervals, RX_FREE_MIN, MASK stay. */
  reset(): void {}
  /** R17: sends what is due, then holds everything back. */
  suspend(_nowNs: number): void {}
  resume(_nowNs: number): void {}
  /** Fires what is due. */
  expire(_nowNs: number): void {}
  nextDeadlineNs(): number {
    return Number.POSITIVE_INFINITY;
  }
  /** True if the urgent filter of the queue's vector matches. */
  isUrgent(
    _queue: number,
    _frame: { bytes: Uint8Array; offset: number; lengthBytes: number; urgent: boolean },
  ): boolean {
    return false;
  }
}
