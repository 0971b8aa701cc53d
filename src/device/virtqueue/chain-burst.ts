/**
 * Chains taken ahead of the frames that they are for: taking many in one go, and using many in one go, costs a fraction
 * of doing it frame by frame. Only plain chains are taken ahead, those of one descriptor without a fault; the first
 * other one ends the burst, and is left for `take`.
 *
 * Entries before `next` are used, and the queue does not know yet; those from `next` to `end` are taken and free. Both
 * count words: all of an entry lies side by side in one array, for what hot code pays for is the number of arrays.
 * Whatever else is done with the queue comes after `settle`.
 */

import type { Virtqueue } from "./virtqueue.ts";

/** Words of an entry, and where in it they are. */
export const BURST_ENTRY = 4;
export const BURST_ID = 0;
/** Byte offset in the guest's buffer, and length, of the one segment. */
export const BURST_OFFSET = 1;
export const BURST_LENGTH = 2;
/**
 * Index in the memory's u32 view of the word where the length of what is written to the chain belongs: whoever writes
 * to it stores it there before moving `next`. The ring has put a 0 there for chains that are only read.
 */
export const BURST_USED_WORD = 3;

const CHAINS_MAX = 128;

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const ENTRY = BURST_ENTRY;

export class ChainBurst {
  next = 0;
  end = 0;
  readonly words = new Uint32Array(CHAINS_MAX * ENTRY);
  /** True if the chains are device-writable. */
  writable = false;

  /** Chains that are used, and not settled yet. */
  get used(): number {
    return this.next / ENTRY;
  }

  /** Takes at most `max` plain chains, all device-writable or all readable; false if there is none. To be called when settled. */
  fill(queue: Virtqueue, max: number, writable: boolean): boolean {
    this.next = 0;
    this.writable = writable;
    this.end = queue.takeBurst(this, Math.min(max, CHAINS_MAX), writable) * ENTRY;
    return this.end !== 0;
  }

  /** Tells the queue what was used, and gives back the rest; returns how many chains were used. */
  settle(queue: Virtqueue): number {
    const { next, end } = this;
    this.forget();
    if (next !== 0) queue.pushBurst(this, next / ENTRY);
    if (next !== end) queue.rewind((end - next) / ENTRY);
    return next / ENTRY;
  }

  /** The queue was reset: it knows nothing of these chains any more. */
  forget(): void {
    this.next = 0;
    this.end = 0;
  }
}

/** `pushBurst` for a ring that has nothing quicker. */
export function pushOneByOne(queue: Virtqueue, burst: ChainBurst, count: number): void {
  const { words, writable } = burst;
  const { u32 } = queue.memory;
  for (let at = 0; at < count * ENTRY; at += ENTRY) {
    // A driver that changes the length before it is published deceives only itself.
    queue.pushUsed(words[at + BURST_ID]!, writable ? u32[words[at + BURST_USED_WORD]!]! : 0);
  }
}
