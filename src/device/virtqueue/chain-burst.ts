/**
 * Chains taken ahead of the frames that they are for: taking many in one go, and using many in one go, costs a fraction
 * of doing it frame by frame. Only plain chains are taken ahead, those of one descriptor without a fault; the first
 * other one ends the burst, and is left for `take`. So does the end of the ring: used elements of a burst lie side by side.
 *
 * Chains before `next` are used, and the queue does not know yet; those from `next` to `end` are taken and free.
 * Whatever else is done with the queue comes after `settle`.
 */

import type { Virtqueue } from "./virtqueue.ts";

const CHAINS_MAX = 128;

export class ChainBurst {
  next = 0;
  end = 0;
  /** Of each chain, the byte offset of its segment in the guest's buffer. */
  readonly offsets = new Uint32Array(CHAINS_MAX);
  /** Of each chain, the length of its segment, which is its only one; and the least of them, at most 2^31 - 1. */
  readonly lengths = new Uint32Array(CHAINS_MAX);
  leastBytes = 0;
  /** True if the chains are device-writable. */
  writable = false;
  /**
   * Index in the memory's u32 view of the word where the length of what is written to chain 0 belongs, and the distance to
   * the next chain's, as a shift. Whoever writes to a chain, at least one byte, stores the length there before moving `next`.
   */
  usedWord = 0;
  usedShift = 0;

  /** Takes at most `max` plain chains, all device-writable or all readable; false if there is none. To be called when settled. */
  fill(queue: Virtqueue, max: number, writable: boolean): boolean {
    this.next = 0;
    this.writable = writable;
    this.end = queue.takeBurst(this, Math.min(max, CHAINS_MAX), writable);
    return this.end !== 0;
  }

  /** Tells the queue what was used, and gives back the rest; returns how many chains were used. */
  settle(queue: Virtqueue): number {
    const { next, end } = this;
    this.forget();
    if (next !== 0) queue.pushBurst(this, next);
    if (next !== end) queue.rewind(end - next);
    return next;
  }

  /** The queue was reset: it knows nothing of these chains any more. */
  forget(): void {
    this.next = 0;
    this.end = 0;
  }
}
