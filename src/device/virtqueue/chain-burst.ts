/**
 * Chains taken ahead of the frames that they are for: taking many in one go, and using many in one go, costs a fraction
 * of doing it frame by frame. Only plain chains are taken ahead, those of one descriptor without a fault; the first
 * other one ends the burst, and is left for `take`.
 *
 * Entries before `next` are used, and the queue does not know yet; those from `next` to `end` are taken and free.
 * Whatever else is done with the queue comes after `settle`.
 */

import type { DescriptorChain } from "./descriptor-chain.ts";
import { TAKE_CHAIN, TAKE_FAULT, type Virtqueue } from "./virtqueue.ts";

export const BURST_CHAINS_MAX = 128;

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const CHAIN = TAKE_CHAIN;
const FAULT = TAKE_FAULT;

export class ChainBurst {
  next = 0;
  end = 0;
  readonly ids = new Uint16Array(BURST_CHAINS_MAX);
  /** Byte offset in the guest's buffer, and length, of the one segment. */
  readonly offsets = new Uint32Array(BURST_CHAINS_MAX);
  readonly lengths = new Uint32Array(BURST_CHAINS_MAX);
  /** What was written to the chain; its user sets it before it moves `next`. */
  readonly usedBytes = new Uint32Array(BURST_CHAINS_MAX);
  /** Scratch for a ring that takes chains one by one. */
  readonly chain: DescriptorChain;

  constructor(chain: DescriptorChain) {
    this.chain = chain;
  }

  /** Takes at most `max` plain chains, all device-writable or all readable; false if there is none. To be called when settled. */
  fill(queue: Virtqueue, max: number, writable: boolean): boolean {
    this.next = 0;
    this.end = queue.takeBurst(this, Math.min(max, BURST_CHAINS_MAX), writable);
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

/** `takeBurst` for a ring that has nothing quicker. */
export function takeOneByOne(queue: Virtqueue, burst: ChainBurst, max: number, writable: boolean): number {
  const { chain } = burst;
  const readableCount = writable ? 0 : 1;
  let count = 0;
  while (count < max) {
    const taken = queue.take(chain);
    if (taken !== CHAIN || chain.count !== 1 || chain.descriptors !== 1 || chain.readableCount !== readableCount) {
      if (taken === CHAIN || taken === FAULT) queue.rewind(1);
      return count;
    }
    burst.ids[count] = chain.head;
    burst.offsets[count] = chain.offsets[0]!;
    burst.lengths[count] = chain.lengths[0]!;
    count++;
  }
  return count;
}
