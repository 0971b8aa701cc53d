import type { Distribution } from "./result.ts";

/**
 * Samples and their exact percentiles. All samples are kept, eight bytes each: every figure of a result can then be
 * recomputed from the event file to the last digit, which a histogram with its bins would not allow.
 */

const CHUNK_SAMPLES = 8192;

export class SampleLog {
  readonly #full: Float64Array[] = [];
  #chunk = new Float64Array(CHUNK_SAMPLES);
  #used = 0;

  get count(): number {
    return this.#full.length * CHUNK_SAMPLES + this.#used;
  }

  /** Allocates once in 8192 calls, and never copies what is there. */
  push(value: number): void {
    if (this.#used === CHUNK_SAMPLES) {
      this.#full.push(this.#chunk);
      this.#chunk = new Float64Array(CHUNK_SAMPLES);
      this.#used = 0;
    }
    this.#chunk[this.#used++] = value;
  }

  /** Writes all samples to `target` from `offset` on, in the order in which they came; returns the offset behind them. */
  copyTo(target: Float64Array, offset: number): number {
    for (const chunk of this.#full) {
      target.set(chunk, offset);
      offset += CHUNK_SAMPLES;
    }
    target.set(this.#chunk.subarray(0, this.#used), offset);
    return offset + this.#used;
  }
}

/** The distribution of all samples of all logs together. */
export function distribution(logs: readonly SampleLog[]): Distribution {
  const count = logs.reduce((sum, log) => sum + log.count, 0);
  const sorted = new Float64Array(count);
  let offset = 0;
  for (const log of logs) offset = log.copyTo(sorted, offset);
  sorted.sort();
  return {
    count,
    p50: nearestRank(sorted, 50),
    p90: nearestRank(sorted, 90),
    p99: nearestRank(sorted, 99),
    max: sorted.at(-1) ?? null,
  };
}

/** The smallest sample that at least `percent` % of all do not exceed; null without samples. */
function nearestRank(sorted: Float64Array, percent: number): number | null {
  // Multiplied before it is divided: 0.99 × 100 could round to above 99, and the rank up to 100.
  const rank = Math.ceil((sorted.length * percent) / 100);
  return sorted[rank - 1] ?? null;
}
