import { describe, expect, it } from "vitest";
import { Random } from "../../../../src/hypervisor/traffic/random.ts";

function take(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uint32());
}

function meanOf(count: number, draw: () => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += draw();
  return sum / count;
}

describe("Random", () => {
  it("is xoshiro128**: it gives the published numbers for the state 1, 2, 3, 4", () => {
    expect(take(Random.fromState(1, 2, 3, 4), 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it("gives the same numbers for the same seed and stream, on every machine and in every version", () => {
    expect(take(new Random(1), 3)).toEqual(take(new Random(1, 0), 3));
    expect(take(new Random(1), 3)).toEqual([1000447639, 1819228046, 1990737779]);
  });

  it("gives unlike numbers for neighbouring seeds and streams, and for a seed and stream exchanged", () => {
    const firsts = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      for (let stream = 0; stream < 20; stream++) firsts.add(new Random(seed, stream).uint32());
    }
    expect(firsts.size).toBe(400);
  });

  it("draws units evenly from (0, 1]", () => {
    const random = new Random(7);
    const units = Array.from({ length: 100_000 }, () => random.unit());
    expect(units.filter((unit) => !(unit > 0 && unit <= 1))).toEqual([]);
    const counts = new Array<number>(10).fill(0);
    for (const unit of units) counts[Math.min(9, Math.floor(unit * 10))]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it("draws exponentials with the mean asked for, and a standard deviation as large", () => {
    const random = new Random(8);
    const draws = Array.from({ length: 100_000 }, () => random.exponential(250));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(250, -1);
    expect(Math.sqrt(variance)).toBeCloseTo(250, -1);
  });

  it("draws Pareto times with the mean asked for, none shorter than mean · (shape − 1) / shape", () => {
    const random = new Random(9);
    let smallest = Number.POSITIVE_INFINITY;
    // Shape 3 has a finite variance, so that the mean of a sample can be judged.
    const mean = meanOf(200_000, () => {
      const time = random.pareto(300, 3);
      smallest = Math.min(smallest, time);
      return time;
    });
    expect(mean).toBeCloseTo(300, -1);
    expect(smallest).toBeGreaterThanOrEqual(200);
    expect(smallest).toBeLessThan(200.1);
  });

  it("draws Pareto times with the tail of shape 1.5: a hundred times the smallest, once in a thousand", () => {
    const random = new Random(10);
    const share = meanOf(200_000, () => (random.pareto(300, 1.5) > 100 * 100 ? 1 : 0));
    expect(share).toBeGreaterThan(0.0008);
    expect(share).toBeLessThan(0.0012);
  });
});
