import { describe, expect, it } from "vitest";
import { CAPTURES, capture, play, sum } from "./play.ts";

const FIXED = { name: "fixed", intervalNs: 125_000 };
const STRICT = { name: "cooperative-adaptive", mode: "strict", latencyIntervalNs: 125_000 };
/** Wakes at the first frame of each inactive period: what no policy can better, as far as loss goes. */
const FIRST_FRAME = { name: "cooperative", latencyIntervalNs: 125_000, overflowIntervalNs: 0 };
const MAX_INACTIVE_DELAY_NS = 10e6;

function guests(count: number, name: (typeof CAPTURES)[number], ring: number): object {
  return { guests: Array.from({ length: count }, (_, i) => ({ name: `g${i}`, ring, traffic: capture(name) })) };
}

describe("cooperative-adaptive, strict, on a ring of 1024", () => {
  for (const name of CAPTURES) {
    for (const speed of [1, 5, 20]) {
      it(`${name}, ×${speed}: drops nothing, and needs at most a tenth of the wakes of fixed 125 µs`, async () => {
        const { runs } = await play({ ...guests(3, name, 1024), speed, policies: [FIXED, STRICT] }, false);
        const [fixed, strict] = runs;
        expect(sum(strict!, (guest) => guest.dropped)).toBe(0);
        const wakes = sum(strict!, (guest) => guest.wakes.total);
        // A capture that fixed needs no twenty wakes for says nothing about tenths.
        expect(wakes).toBeLessThanOrEqual(Math.max(2, sum(fixed!, (guest) => guest.wakes.total) / 10));
      });
    }

    it(`${name}, ×20: p99 while active stays within 10 % of an always active guest's`, async () => {
      const shared = await play({ ...guests(3, name, 1024), speed: 20, policies: [STRICT, FIXED] }, false);
      const alone = await play({ ...guests(1, name, 1024), speed: 20, policies: [STRICT, FIXED] }, false);
      const aloneP99 = alone.runs[0]!.guests[0]!.latencyNs.p99!;
      for (const guest of shared.runs[0]!.guests) {
        if (guest.latencyNs.p99 !== null) expect(guest.latencyNs.p99).toBeLessThanOrEqual(1.1 * aloneP99);
      }
    });
  }
});

describe("every policy", () => {
  const policies = [FIXED, FIRST_FRAME, STRICT, { ...STRICT, mode: "learned" }];

  it("notifies an active guest of a frame within the latency interval, always", async () => {
    const { runs } = await play({ ...guests(3, "tumblr", 1024), speed: 10, policies }, false);
    for (const run of runs) for (const guest of run.guests) expect(guest.notifyNs.max).toBeLessThanOrEqual(125_000);
  });

  it("keeps no cut-off frame longer than maxInactiveDelayNs and the wait for the CPU", async () => {
    const { runs, scenario } = await play({ ...guests(4, "zoom2", 1024), speed: 5, policies }, false);
    const cpuNs = 3 * (scenario.scheduler.wakeSliceNs + scenario.costs.wakeLatencyNs);
    for (const run of runs) {
      for (const guest of run.guests) {
        expect(guest.latencyCutNs.max ?? 0).toBeLessThanOrEqual(MAX_INACTIVE_DELAY_NS + cpuNs);
        expect(guest.latencyInactiveNs.max ?? 0).toBeLessThanOrEqual(MAX_INACTIVE_DELAY_NS + cpuNs);
      }
    }
  });

  it("has every ring empty 50 ms after the last arrival, without the help of a natural slice", async () => {
    // Slices of 10 s: after the first one nobody's turn comes by itself.
    const json = {
      guests: [0, 1, 2].map((i) => ({
        name: `g${i}`,
        traffic: { kind: "poisson", framesPerS: 2_000, lengthBytes: 100, count: 500 },
      })),
      scheduler: { sliceNs: 10e9 },
      policies,
    };
    for (const run of (await play(json, false)).runs) expect(sum(run, (guest) => guest.unread)).toBe(0);
  });
});

describe("cooperative-adaptive, strict, on rings that are smaller than its reserve", () => {
  for (const [name, ring, speed] of [
    ["tumblr", 256, 5],
    ["reddit", 256, 20],
    ["tumblr", 64, 20],
    ["quic-33", 256, 1],
    ["chrome", 128, 20],
  ] as const) {
    it(`${name}, ring ${ring}, ×${speed}: drops no more than waking at the first frame does`, async () => {
      const { runs } = await play({ ...guests(3, name, ring), speed, policies: [FIRST_FRAME, STRICT] }, false);
      const [first, strict] = runs.map((run) => sum(run, (guest) => guest.dropped));
      expect(strict).toBeLessThanOrEqual(first!);
    });
  }
});
