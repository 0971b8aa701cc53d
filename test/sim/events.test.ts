import { describe, expect, it } from "vitest";
import { CAPTURES, capture, check, play, sum } from "./play.ts";

const THREE_POLICIES = ["fixed", "cooperative", "cooperative-adaptive"];

function threeGuests(traffic: unknown, more: object = {}): object {
  return { guests: [0, 1, 2].map((i) => ({ name: `g${i}`, traffic, ...more })) };
}

describe("an independent reader of the events", () => {
  for (const name of CAPTURES) {
    it(`recomputes every figure and finds R1 to R8 kept on ${name}, twenty times as fast`, async () => {
      const played = await play({
        ...threeGuests(capture(name)),
        speed: 20,
        policies: ["unmoderated", ...THREE_POLICIES],
      });
      const report = await check(played);
      expect(report.violations).toEqual([]);
      expect(report.tested["A"]).toBeGreaterThan(100);
    });
  }

  it("does so for small rings that overflow, where every drop is in the events", async () => {
    const played = await play({ ...threeGuests(capture("tumblr"), { ring: 64 }), speed: 20, policies: THREE_POLICIES });
    const report = await check(played);
    expect(report.violations).toEqual([]);
    expect(sum(played.runs[0]!, (guest) => guest.dropped)).toBeGreaterThan(0);
  });

  it("does so for the credit scheduler, two CPUs, the learned mode and slice ends", async () => {
    const adaptive = { name: "cooperative-adaptive", mode: "learned", sliceEnd: true };
    const json = {
      guests: [0, 1, 2, 3, 4].map((i) => ({ name: `g${i}`, weight: 100 * (i + 1), traffic: capture("reddit") })),
      pcpus: 2,
      speed: 10,
      scheduler: { kind: "credit", sliceNs: 5e6 },
      policies: [adaptive, "fixed"],
    };
    expect((await check(await play(json))).violations).toEqual([]);
  });

  it("does so for guests that idle, echo, answer requests and send in bulk", async () => {
    const json = {
      guests: [
        { name: "idle", load: "idle", traffic: { kind: "poisson", framesPerS: 3000, lengthBytes: 200 } },
        {
          name: "echo",
          app: "echo",
          load: "idle",
          traffic: { kind: "burst", burstFrames: 40, periodNs: 3e6, lengthBytes: 900 },
        },
        {
          name: "answers",
          app: "request-response",
          traffic: { kind: "requests", outstanding: 4, thinkNs: 50_000, lengthBytes: 100 },
        },
        {
          name: "bulk",
          app: "bulk",
          sendCount: 20_000,
          traffic: { kind: "on-off", framesPerS: 50_000, lengthBytes: 64, onMeanNs: 1e6, offMeanNs: 4e6 },
        },
      ],
      durationS: 0.5,
      policies: ["fixed", "cooperative-adaptive"],
    };
    const played = await play(json);
    expect((await check(played)).violations).toEqual([]);
    for (const run of played.runs) {
      for (const guest of run.guests) {
        expect(guest.violations).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
        expect(guest.transmitted.corrupted).toBe(0);
      }
      const [, echo, answers, bulk] = run.guests;
      expect(echo!.transmitted.frames).toBe(echo!.read);
      expect(answers!.transmitted.frames).toBe(answers!.read);
      expect(bulk!.transmitted.frames).toBe(20_000);
    }
  });

  it("finds frames that arrive conserved exactly, in every policy", async () => {
    const { runs } = await play(
      { ...threeGuests(capture("quic-33"), { ring: 128 }), speed: 5, policies: THREE_POLICIES },
      false,
    );
    for (const run of runs) {
      for (const guest of run.guests) {
        expect(guest.arrived).toBe(992);
        expect(guest.delivered + guest.dropped).toBe(guest.arrived);
        expect(guest.read + guest.unread).toBe(guest.delivered);
      }
    }
  });
});

describe("virtual time", () => {
  it("gives the same bytes of events and result for the same scenario and seed", async () => {
    const json = {
      guests: [0, 1, 2].map((i) => ({
        name: `g${i}`,
        traffic: { kind: "poisson", framesPerS: 40_000, lengthBytes: 300, count: 4_000 },
      })),
      seed: 7,
      policies: THREE_POLICIES,
    };
    const [first, second] = [await play(json), await play(json)];
    expect(second.events === first.events).toBe(true);
    expect(second.runs).toEqual(first.runs);
    const other = await play({ ...json, seed: 8 });
    expect(other.events === first.events).toBe(false);
  });

  it("gives the same result whether or not anybody listens to the events", async () => {
    const json = { ...threeGuests(capture("chrome"), { ring: 256 }), speed: 20, policies: THREE_POLICIES };
    expect((await play(json, false)).runs).toEqual((await play(json)).runs);
  });
});
