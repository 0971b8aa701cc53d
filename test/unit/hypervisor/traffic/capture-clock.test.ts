import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CaptureClock } from "../../../../src/hypervisor/traffic/capture-clock.ts";

const DAY_NS = 86_400e9;

describe("CaptureClock", () => {
  it("is exact to the nanosecond for times since 1970, which exceed 2^53", () => {
    const clock = new CaptureClock();
    expect(clock.at(1_712_020_992, 999_999_999)).toBe(0);
    expect(clock.at(1_712_020_993, 0)).toBe(1);
    expect(clock.at(1_712_107_392, 2)).toBe(DAY_NS - 1e9 + 3 + 0);
  });

  it("takes a step back of more than a minute for a clock that was set: time goes on from there", () => {
    const clock = new CaptureClock();
    clock.at(1000, 0);
    expect(clock.at(1100, 5)).toBe(100e9 + 5);
    expect(clock.at(1039, 0)).toBe(100e9 + 5);
    expect(clock.at(1040, 0)).toBe(101e9 + 5);
    expect(clock.notes()).toHaveLength(1);
    expect(clock.notes()[0]).toContain("the clock was set 1 time ");
  });

  it("lets a day pass at most where the clock goes forward", () => {
    const clock = new CaptureClock();
    clock.at(0, 7);
    expect(clock.at(1_700_000_000, 0)).toBe(DAY_NS);
    expect(clock.at(1_700_000_000, 250)).toBe(DAY_NS + 250);
  });

  it("answers integers that never decrease, whatever the timestamps", () => {
    const seconds = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: -(2 ** 62), max: 2 ** 62 }));
    const times = fc.array(fc.tuple(seconds, fc.nat({ max: 4_294_967_295_000 })));
    fc.assert(
      fc.property(times, (stamps) => {
        const clock = new CaptureClock();
        let lastNs = 0;
        for (const [s, ns] of stamps) {
          const timeNs = clock.at(s, ns);
          expect(Number.isInteger(timeNs)).toBe(true);
          expect(timeNs).toBeGreaterThanOrEqual(lastNs);
          lastNs = timeNs;
        }
      }),
    );
  });
});
