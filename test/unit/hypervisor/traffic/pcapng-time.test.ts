import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TimestampUnit } from "../../../../src/hypervisor/traffic/pcapng-time.ts";

const u32 = fc.nat({ max: 0xffff_ffff });

/** By its definition, on integers of any size. */
function exact(resolution: number, high: number, low: number): bigint {
  const units = (BigInt(high) << 32n) | BigInt(low);
  const exponent = BigInt(resolution & 0x7f);
  const unitsPerSecond = resolution & 0x80 ? 1n << exponent : 10n ** exponent;
  return (units * 1_000_000_000n) / unitsPerSecond;
}

function split(resolution: number, high: number, low: number): bigint {
  const unit = new TimestampUnit(resolution);
  unit.split(high, low);
  expect(Number.isInteger(unit.seconds)).toBe(true);
  expect(unit.nanoseconds).toBeGreaterThanOrEqual(0);
  expect(unit.nanoseconds).toBeLessThan(1e9);
  return BigInt(unit.seconds) * 1_000_000_000n + BigInt(unit.nanoseconds);
}

describe("TimestampUnit", () => {
  it("splits 64-bit counts of 10^-n seconds exactly, for every n from 0 to 127", () => {
    fc.assert(
      fc.property(fc.nat({ max: 127 }), u32, u32, (n, high, low) => {
        // With n from 4 on every 64-bit count has fewer than 2^53 seconds; below, keep it so.
        const bounded = n < 4 ? high & 0xf_ffff : high;
        expect(split(n, bounded, low)).toBe(exact(n, bounded, low));
      }),
      { numRuns: 2000 },
    );
  });

  it("splits 64-bit counts of 2^-n seconds to within a nanosecond, and exactly up to n = 32", () => {
    fc.assert(
      fc.property(fc.nat({ max: 127 }), u32, u32, (n, high, low) => {
        const bounded = n < 12 ? high & 0xf_ffff : high;
        const difference = split(0x80 | n, bounded, low) - exact(0x80 | n, bounded, low);
        expect(difference).toBeGreaterThanOrEqual(0n);
        expect(difference).toBeLessThanOrEqual(n <= 32 ? 0n : 1n);
      }),
      { numRuns: 2000 },
    );
  });

  it("counts microseconds if nothing else is said", () => {
    const unit = new TimestampUnit();
    unit.split(0, 1_000_001);
    expect([unit.seconds, unit.nanoseconds]).toEqual([1, 1000]);
  });

  it("adds the offset to the seconds", () => {
    const unit = new TimestampUnit(9, -1000);
    unit.split(0, 1);
    expect([unit.seconds, unit.nanoseconds]).toEqual([-1000, 1]);
  });
});
