/**
 * R15: how much of the last 100 ms one vCPU spent in wake slices, and hence how much more it may. The spans themselves
 * are kept, so that the bound holds for every window and not only for windows of some fixed grid.
 */

export const BOOST_WINDOW_NS = 100e6;

/** More wake slices than this in one window, and neighbours are merged. */
const SPANS = 64;

export class BoostWindow {
  readonly #budgetNs: number;
  readonly #leastPieceNs: number;
  readonly #starts = new Float64Array(SPANS);
  readonly #ends = new Float64Array(SPANS);
  #size = 0;

  constructor(shareMax: number, wakeSliceNs: number) {
    this.#budgetNs = shareMax * BOOST_WINDOW_NS;
    // A wake slice costs two switches that no budget counts. Without a least size, a flooded guest whose budget is used
    // up would go on to be let in for the crumbs that fall out of the window, and cost the host more than its share.
    this.#leastPieceNs = Math.min(wakeSliceNs / 4, this.#budgetNs);
  }

  /** What may still be run in a wake slice that begins now. */
  remainingNs(nowNs: number): number {
    const fromNs = nowNs - BOOST_WINDOW_NS;
    this.#forget(fromNs);
    let usedNs = 0;
    for (let i = 0; i < this.#size; i++) usedNs += this.#ends[i]! - Math.max(this.#starts[i]!, fromNs);
    return Math.max(0, this.#budgetNs - usedNs);
  }

  /** A wake slice is worth its switches: a quarter of one, or the whole budget where that is less. */
  allows(nowNs: number): boolean {
    return this.#budgetNs > 0 && this.remainingNs(nowNs) >= this.#leastPieceNs;
  }

  /** Spans come in time order and do not overlap. */
  add(startNs: number, endNs: number): void {
    if (this.#size === SPANS) this.#mergeClosest();
    this.#starts[this.#size] = startNs;
    this.#ends[this.#size] = endNs;
    this.#size++;
  }

  #forget(beforeNs: number): void {
    let gone = 0;
    while (gone < this.#size && this.#ends[gone]! <= beforeNs) gone++;
    if (gone > 0) this.#drop(0, gone);
  }

  /** Joins two neighbours where the later one ends: used time leaves the window later than it should, never sooner. */
  #mergeClosest(): void {
    let closest = 0;
    for (let i = 1; i < this.#size - 1; i++) if (this.#reach(i) < this.#reach(closest)) closest = i;
    const firstNs = this.#ends[closest]! - this.#starts[closest]!;
    this.#starts[closest + 1]! -= firstNs;
    this.#drop(closest, 1);
  }

  /** From the start of a span to the end of the next: merging by gaps alone would let one lump swallow the window. */
  #reach(index: number): number {
    return this.#ends[index + 1]! - this.#starts[index]!;
  }

  #drop(index: number, count: number): void {
    this.#starts.copyWithin(index, index + count, this.#size);
    this.#ends.copyWithin(index, index + count, this.#size);
    this.#size -= count;
  }
}
