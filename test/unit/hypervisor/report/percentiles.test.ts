import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { distribution, SampleLog } from "../../../../src/hypervisor/report/percentiles.ts";

function logOf(samples: readonly number[]): SampleLog {
  const log = new SampleLog();
  for (const sample of samples) log.push(sample);
  return log;
}

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

describe("distribution", () => {
  it("of nothing has no percentiles", () => {
    const nothing = { count: 0, p50: null, p90: null, p99: null, max: null };
    expect(distribution([])).toEqual(nothing);
    expect(distribution([new SampleLog(), new SampleLog()])).toEqual(nothing);
  });

  it("of one sample is that sample everywhere", () => {
    expect(distribution([logOf([7])])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, max: 7 });
  });

  it("of 1 to 100 has its 99th percentile at 99, where a rank of 0.99 * 100 in floating point could give 100", () => {
    expect(distribution([logOf(upTo(100))])).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  });

  it("of 1 to 101 takes the next rank up, not an average", () => {
    expect(distribution([logOf(upTo(101))])).toEqual({ count: 101, p50: 51, p90: 91, p99: 100, max: 101 });
  });

  it("sorts by value, not as text, and keeps negative numbers in their place", () => {
    expect(distribution([logOf([10, 9, 100, -1])])).toMatchObject({ p50: 9, max: 100 });
  });

  it("of several logs is that of all samples together, across the borders of their chunks", () => {
    const [a, b] = [upTo(20_000), upTo(8192).map((n) => n + 20_000)];
    expect(distribution([logOf(b), new SampleLog(), logOf(a)])).toEqual({
      count: 28_192,
      p50: 14_096,
      p90: 25_373,
      p99: 27_911,
      max: 28_192,
    });
  });

  it("keeps to the definition: at least p % of the samples are at most the percentile, fewer at most any smaller sample", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 300 }), (samples) => {
        const found = distribution([logOf(samples)]);
        for (const [percent, value] of [
          [50, found.p50],
          [90, found.p90],
          [99, found.p99],
        ] as const) {
          if (value === null) throw new Error("no percentile");
          const atMost = samples.filter((sample) => sample <= value).length;
          const below = samples.filter((sample) => sample < value).length;
          expect(samples).toContain(value);
          expect(atMost * 100).toBeGreaterThanOrEqual(percent * samples.length);
          expect(below * 100).toBeLessThan(percent * samples.length);
        }
      }),
    );
  });
});

describe("SampleLog", () => {
  it("copies its samples in the order in which they came, to where it is told", () => {
    const samples = upTo(8193);
    const target = new Float64Array(8195);
    expect(logOf(samples).copyTo(target, 1)).toBe(8194);
    expect([...target]).toEqual([0, ...samples, 0]);
  });
});
