import { FAULTS } from "../faults.ts";
import { flag, integerIn, record, word16 } from "../saved-value.ts";

/** State of a virtqueue between two batches, besides its setup: numbers that JSON keeps. */
export interface QueueSnapshot {
  /** Running count of used entries, mod 2^16. */
  readonly usedIdx: number;
  /**
   * Where the ring goes on, for available and used buffers alike. Split ring: the index, mod 2^16. Packed ring: the
   * slot, plus the queue size if the wrap counter is 0.
   */
  readonly position: number;
  /** True if anything was ever used. */
  readonly everUsed: boolean;
  /** Code of the last fault, and whether it broke the ring. */
  readonly fault: number;
  readonly broken: boolean;
}

/** @throws RangeError unless the snapshot's numbers are possible in a ring that has `positions` of them */
export function checkSnapshot(snapshot: QueueSnapshot, positions: number): void {
  record({
    usedIdx: word16,
    position: integerIn(0, positions - 1),
    everUsed: flag,
    fault: integerIn(0, FAULTS.length - 1),
    broken: flag,
  })("queue snapshot", snapshot);
}
