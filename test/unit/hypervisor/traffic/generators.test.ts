import { describe, expect, it } from "vitest";
import {
  BurstSource,
  ConstantSource,
  OnOffSource,
  onMeanNsMin,
  PoissonSource,
  SilentSource,
  wireTimeNs,
} from "../../../../src/hypervisor/traffic/generators.ts";
import type { PacketSource } from "../../../../src/hypervisor/traffic/packet-source.ts";
import { Random } from "../../../../src/hypervisor/traffic/random.ts";
import { packetsOf } from "./capture-files.ts";

function timesOf(source: PacketSource, count: number): number[] {
  return packetsOf(source, count).map(([timeNs]) => timeNs);
}

function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((timeNs, i) => timeNs - times[i]!);
}

const made: readonly (readonly [string, (seed: number) => PacketSource])[] = [
  ["constant", () => new ConstantSource(3e6, 60)],
  ["poisson", (seed) => new PoissonSource(1e6, 60, new Random(seed))],
  ["on-off", (seed) => new OnOffSource(1e6, 60, 50_000, 200_000, new Random(seed))],
  ["burst", () => new BurstSource(7, 100_000, 60, 1e9)],
];

describe.each(made)("%s traffic", (name, make) => {
  it("begins at 0, and its times are integers that never decrease", () => {
    const times = timesOf(make(1), 20_000);
    expect(times[0]).toBe(0);
    expect(times.every(Number.isSafeInteger)).toBe(true);
    expect(Math.min(...gapsOf(times))).toBeGreaterThanOrEqual(0);
  });

  it("is the same for the same seed", () => {
    expect(timesOf(make(5), 1000)).toEqual(timesOf(make(5), 1000));
  });

  it.runIf(name === "poisson" || name === "on-off")("is another for another seed", () => {
    expect(timesOf(make(5), 1000)).not.toEqual(timesOf(make(6), 1000));
  });
});

describe("ConstantSource", () => {
  it("rounds each time by itself, so that the rate is exact in the long run", () => {
    expect(packetsOf(new ConstantSource(3, 100), 7)).toEqual([
      [0, 100],
      [333_333_333, 100],
      [666_666_667, 100],
      [1_000_000_000, 100],
      [1_333_333_333, 100],
      [1_666_666_667, 100],
      [2_000_000_000, 100],
    ]);
    expect(timesOf(new ConstantSource(3e6, 100), 300_001).at(-1)).toBe(1e8);
  });
});

describe("PoissonSource", () => {
  it("has the rate asked for, and gaps whose deviation is as large as their mean", () => {
    const gaps = gapsOf(timesOf(new PoissonSource(10_000, 60, new Random(3)), 100_001));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(mean / 100_000).toBeCloseTo(1, 1);
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
  });
});

describe("OnOffSource", () => {
  it("sends at its constant rate while on", () => {
    const gaps = gapsOf(timesOf(new OnOffSource(1e6, 60, 50_000, 200_000, new Random(4)), 10_000));
    const regular = gaps.filter((gap) => Math.abs(gap - 1000) <= 1);
    expect(regular.length / gaps.length).toBeGreaterThan(0.9);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(999);
  });

  it("has the mean rate framesPerS · on / (on + off), on times shorter than a gap included", () => {
    // Pareto times of shape 1.5 converge slowly: the mean of n of them is off by about n^(-1/3), here 5 %.
    const rateOf = (source: PacketSource, count: number) => {
      for (let i = 0; i < count; i++) source.next();
      return count / (source.timeNs / 1e9);
    };
    const long = rateOf(new OnOffSource(1e6, 60, 100_000, 300_000, new Random(2)), 1_000_000);
    expect(long).toBeGreaterThan(0.85 * 250_000);
    expect(long).toBeLessThan(1.15 * 250_000);
    const short = rateOf(new OnOffSource(1e6, 60, 100, 300, new Random(2)), 100_000);
    expect(short).toBeGreaterThan(0.85 * 250_000);
    expect(short).toBeLessThan(1.15 * 250_000);
  });

  it("has off times with a heavy tail: some are a hundred times the smallest", () => {
    const gaps = gapsOf(timesOf(new OnOffSource(1e6, 60, 50_000, 200_000, new Random(4)), 300_000));
    const off = gaps.filter((gap) => gap > 2000);
    expect(Math.min(...off)).toBeGreaterThanOrEqual(200_000 / 3);
    expect(Math.max(...off)).toBeGreaterThan((100 * 200_000) / 3);
  });

  it("refuses on times in which next to never a frame would be sent", () => {
    expect(onMeanNsMin(1e6)).toBe(1);
    expect(onMeanNsMin(1)).toBe(1e6);
    expect(() => new OnOffSource(1, 60, 999_999, 1, new Random(1))).toThrow(
      "onMeanNs: got 999999, allowed is at least 1000000 at this rate",
    );
  });
});

describe("BurstSource", () => {
  it("sends its frames back to back, 24 bytes between them on the wire, and one burst each period", () => {
    // (100 + 24) · 8 bits at 1 Gbit/s are 992 ns.
    expect(timesOf(new BurstSource(3, 10_000, 100, 1e9), 7)).toEqual([0, 992, 1984, 10_000, 10_992, 11_984, 20_000]);
    expect(wireTimeNs(1514, 10e9)).toBeCloseTo(1230.4);
  });

  it("sends at link rate without a pause if a burst is longer than the period", () => {
    expect(timesOf(new BurstSource(2, 1000, 101, 1e9), 6)).toEqual([0, 1000, 2000, 3000, 4000, 5000]);
    expect(timesOf(new BurstSource(2, 1, 101, 8e9), 6)).toEqual([0, 125, 250, 375, 500, 625]);
  });
});

describe("SilentSource", () => {
  it("has no packet", () => {
    expect(new SilentSource().next()).toBe(false);
  });
});

describe("a generator", () => {
  it("refuses rates, lengths and times that are not above 0", () => {
    expect(() => new ConstantSource(0, 60)).toThrow("framesPerS: got 0, allowed is a finite number above 0");
    expect(() => new ConstantSource(1, Number.NaN)).toThrow(RangeError);
    expect(() => new PoissonSource(-1, 60, new Random(1))).toThrow(RangeError);
    expect(() => new OnOffSource(1e6, 60, 1000, 0, new Random(1))).toThrow("offMeanNs: got 0");
    expect(() => new BurstSource(1, Number.POSITIVE_INFINITY, 60, 1e9)).toThrow("periodNs: got Infinity");
    expect(() => new BurstSource(1, 1, 60, 0)).toThrow("linkRateBps: got 0");
  });
});
