/** Frames more than this behind the newest are not told apart any more; a power of two. */
const WINDOW = 65536;

/**
 * What became of a numbered stream: frames lost, duplicated, reordered. Numbers are u32 and wrap around. A frame that was
 * skipped counts as lost until it comes after all, which makes it reordered.
 */
export class SequenceTracker {
  lost = 0;
  duplicated = 0;
  /** Came after one with a higher number. */
  reordered = 0;
  /** The lowest number above all that were seen. */
  #next: number;
  /** One bit for each of the last WINDOW numbers: set if it was seen. Before the first, all count as seen. */
  readonly #seen = new Int32Array(WINDOW / 32).fill(-1);

  constructor(firstSequence = 0) {
    this.#next = firstSequence | 0;
  }

  see(sequence: number): void {
    const ahead = (sequence - this.#next) | 0;
    if (ahead >= 0) {
      this.#skip(ahead);
      this.lost += ahead;
      this.#next = (sequence + 1) | 0;
    } else if (ahead < -WINDOW || this.#isSeen(sequence)) {
      this.duplicated++;
      return;
    } else {
      this.reordered++;
      this.lost--;
    }
    this.#seen[(sequence & (WINDOW - 1)) >>> 5]! |= 1 << (sequence & 31);
  }

  #isSeen(sequence: number): boolean {
    return (this.#seen[(sequence & (WINDOW - 1)) >>> 5]! & (1 << (sequence & 31))) !== 0;
  }

  /** Marks the next `count` numbers as not seen. */
  #skip(count: number): void {
    if (count >= WINDOW) {
      this.#seen.fill(0);
      return;
    }
    for (let i = 0; i < count; i++) {
      const sequence = this.#next + i;
      this.#seen[(sequence & (WINDOW - 1)) >>> 5]! &= ~(1 << (sequence & 31));
    }
  }
}
