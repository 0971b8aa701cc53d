import { performance } from "node:perf_hooks";

const CALIBRATION_TRIES = 1000;

/**
 * Nanoseconds since a base that all threads of a run share, read without allocating.
 *
 * `process.hrtime.bigint()` is common to all threads but makes a bigint; `performance.now()` makes none but counts from
 * the thread's own beginning. Each reading of one between two of the other bounds their difference from both sides;
 * a thousand such brackets, intersected, leave a few ten nanoseconds.
 */
export class WorkerClock {
  /** Half the width of what the difference can be: the clock's error at most. */
  readonly errorNs: number;
  readonly #offsetNs: number;

  constructor(base: bigint) {
    let lowNs = Number.NEGATIVE_INFINITY;
    let highNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CALIBRATION_TRIES; i++) {
      const before = process.hrtime.bigint();
      const ownNs = performance.now() * 1e6;
      const after = process.hrtime.bigint();
      lowNs = Math.max(lowNs, Number(before - base) - ownNs);
      highNs = Math.min(highNs, Number(after - base) - ownNs);
    }
    this.#offsetNs = (lowNs + highNs) / 2;
    this.errorNs = Math.abs(highNs - lowNs) / 2;
  }

  nowNs(): number {
    return Math.round(performance.now() * 1e6 + this.#offsetNs);
  }
}
