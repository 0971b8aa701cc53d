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

  /** All samples, in the order in which they came. */
  toArray(): Float64Array {
    const samples = new Float64Array(this.count);
    this.copyTo(samples, 0);
    return samples;
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
  const samples = new Float64Array(logs.reduce((sum, log) => sum + log.count, 0));
  let offset = 0;
  for (const log of logs) offset = log.copyTo(samples, offset);
  return distributionOf(samples);
}

/** The distribution of `samples`, which it reorders. */
export function distributionOf(samples: Float64Array): Distribution {
  const count = samples.length;
  // Each selection leaves all larger samples behind the one selected, where the next one looks.
  const p50 = nearestRank(samples, 50, 0);
  const p90 = nearestRank(samples, 90, rankOf(count, 50));
  const p99 = nearestRank(samples, 99, rankOf(count, 90));
  const max = nearestRank(samples, 100, rankOf(count, 99));
  return { count, p50, p90, p99, max };
}

/** Index of the smallest sample that at least `percent` % of `count` samples do not exceed, if they were sorted. */
function rankOf(count: number, percent: number): number {
  // Multiplied before it is divided: 0.99 × 100 could round to above 99, and the rank up to 100.
  return Math.max(0, Math.ceil((count * percent) / 100) - 1);
}

function nearestRank(samples: Float64Array, percent: number, from: number): number | null {
  return samples.length === 0 ? null : select(samples, rankOf(samples.length, percent), from);
}

/**
 * The sample that would be at index `rank` if samples[from …] were sorted (Hoare's selection, in place): a few passes
 * instead of a sort, which for millions of samples would take longer than the run they come from.
 */
function select(samples: Float64Array, rank: number, from: number): number {
  let low = from;
  let high = samples.length - 1;
  while (low < high) {
    const pivot = medianOfThree(samples[low]!, samples[(low + high) >>> 1]!, samples[high]!);
    let left = low;
    let right = high;
    while (left <= right) {
      while (samples[left]! < pivot) left++;
      while (samples[right]! > pivot) right--;
      if (left > right) break;
      const sample = samples[left]!;
      samples[left] = samples[right]!;
      samples[right] = sample;
      left++;
      right--;
    }
    if (rank <= right) high = right;
    else if (rank >= left) low = left;
    else break;
  }
  return samples[rank]!;
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
