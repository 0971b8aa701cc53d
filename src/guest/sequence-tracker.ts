/** Remembers which of so many newest sequence numbers have come; older ones cannot be told apart. */
export const SEQUENCE_WINDOW = 4096;

/**
 * Follows the sequence numbers of one flow. Numbers are u32 and wrap; the first one expected is 0 unless told otherwise.
 *
 * `lost` counts numbers that are missing below the highest one seen. The receiver cannot know where they were lost:
 * whoever knows what the card dropped compares.
 */
export class SequenceTracker {
  lost = 0;
  duplicated = 0;
  /** Came after a higher number had come; such a number is no longer lost. */
  reordered = 0;

  /** One past the highest number seen. */
  #next: number;
  /** One bit per number of the window. All set at first: what lies before the first number is not missing. */
  readonly #seen = new Int32Array(SEQUENCE_WINDOW >>> 5).fill(-1);

  constructor(firstSequence = 0) {
    this.#next = firstSequence >>> 0;
  }

  see(sequence: number): void {
    const ahead = (sequence - this.#next) | 0;
    if (ahead !== 0) {
      if (ahead < 0) {
        this.#late(sequence, -ahead);
        return;
      }
      this.#skip(ahead);
    }
    this.#seen[(sequence & (SEQUENCE_WINDOW - 1)) >>> 5]! |= 1 << (sequence & 31);
    this.#next = (sequence + 1) >>> 0;
  }

  #skip(count: number): void {
    this.lost += count;
    if (count >= SEQUENCE_WINDOW) {
      this.#seen.fill(0);
      return;
    }
    // The skipped numbers take the places of numbers that leave the window.
    for (let i = 0; i < count; i++) {
      const skipped = this.#next + i;
      this.#seen[(skipped & (SEQUENCE_WINDOW - 1)) >>> 5]! &= ~(1 << (skipped & 31));
    }
  }

  #late(sequence: number, age: number): void {
    const word = (sequence & (SEQUENCE_WINDOW - 1)) >>> 5;
    const bit = 1 << (sequence & 31);
    // Beyond the window nothing is known: a copy is the likelier fault.
    if (age > SEQUENCE_WINDOW || (this.#seen[word]! & bit) !== 0) {
      this.duplicated++;
      return;
    }
    this.#seen[word]! |= bit;
    this.reordered++;
    this.lost--;
  }
}
