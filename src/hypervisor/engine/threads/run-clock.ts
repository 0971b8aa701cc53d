import { performance } from "node:perf_hooks";

/**
 * One clock for all threads: nanoseconds of the monotonic clock since a base that the main thread chose.
 *
 * `process.hrtime.bigint()` is common to all threads but allocates at every reading; `performance.now()` does not, but
 * counts from the thread's own start. Both read the same clock, so they differ by a constant, which is found once: each
 * pair of readings bounds it from both sides, and many pairs narrow it down to a few nanoseconds.
 */
export type RunClock = () => number;

const CALIBRATION_ROUNDS = 2_000;

/** The base for a run: now, as a bigint, which `postMessage` can carry. */
export function chooseClockBase(): bigint {
  return process.hrtime.bigint();
}

export function startRunClock(base: bigint): RunClock {
  const offsetNs = runClockOffsetNs(base);
  return () => Math.round(performance.now() * 1e6 + offsetNs);
}

/** The run's clock less the calling thread's `performance.now()`, ns. */
export function runClockOffsetNs(base: bigint): number {
  let lowNs = Number.NEGATIVE_INFINITY;
  let highNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < CALIBRATION_ROUNDS; round++) {
    const before = Number(process.hrtime.bigint() - base);
    const ownNs = performance.now() * 1e6;
    const after = Number(process.hrtime.bigint() - base);
    lowNs = Math.max(lowNs, before - ownNs);
    highNs = Math.min(highNs, after - ownNs);
  }
  return (lowNs + highNs) / 2;
}
