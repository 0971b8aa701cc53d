/**
 * The virtual engine's clockwork: a fixed number of timers, the next of which is found at once.
 *
 * A winner tree on typed arrays. Each timer is a leaf; each inner node names the earlier of its two children. Setting a
 * timer replays the matches on its path to the root: log2(n) compares, no allocation. Among equal times the lowest index
 * wins, so the order of timers is the order of happening.
 */
export class TimerTree {
  readonly #timesNs: Float64Array;
  readonly #winners: Int32Array;
  readonly #leaves: number;

  /** Throws RangeError unless `timers` is a whole number from 1 to 65536. */
  constructor(timers: number) {
    if (!Number.isInteger(timers) || timers < 1 || timers > 65536) {
      throw new RangeError(`timers: got ${timers}, allowed are 1 to 65536`);
    }
    let leaves = 1;
    while (leaves < timers) leaves *= 2;
    this.#leaves = leaves;
    this.#timesNs = new Float64Array(leaves).fill(Number.POSITIVE_INFINITY);
    this.#winners = new Int32Array(2 * leaves);
    for (let leaf = 0; leaf < leaves; leaf++) this.#winners[leaves + leaf] = leaf;
    for (let node = leaves - 1; node > 0; node--) this.#winners[node] = this.#winners[2 * node]!;
  }

  /** Sets timer `index` to go off at `timeNs`; Infinity turns it off. */
  set(index: number, timeNs: number): void {
    const times = this.#timesNs;
    if (times[index] === timeNs) return;
    times[index] = timeNs;
    const winners = this.#winners;
    for (let node = (this.#leaves + index) >>> 1; node > 0; node >>>= 1) {
      const left = winners[2 * node]!;
      const right = winners[2 * node + 1]!;
      winners[node] = times[left]! <= times[right]! ? left : right;
    }
  }

  timeOf(index: number): number {
    return this.#timesNs[index]!;
  }

  /** The timer that goes off next. */
  get first(): number {
    return this.#leaves === 1 ? 0 : this.#winners[1]!;
  }

  /** When it does; Infinity if all are off. */
  get firstNs(): number {
    return this.#timesNs[this.first]!;
  }
}
