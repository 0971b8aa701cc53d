import { describe, expect, it } from "vitest";
import { ArrivalRateEstimator, WakeLatencyEstimator } from "../../../../src/hypervisor/governor/estimators.ts";
import { programFor } from "../../../../src/hypervisor/governor/governor.ts";
import type { Observation, ThrottleProgram } from "../../../../src/hypervisor/governor/observation.ts";
import type { PolicySpec } from "../../../../src/hypervisor/scenario/scenario.ts";

const PREEMPTED = 0;
const ACTIVE = 1;

const OBSERVATION: Observation = {
  state: PREEMPTED,
  nowNs: 1_000_000,
  ring: 1024,
  free: 1024,
  peakFramesPerS: 0,
  wakeLatencyNs: 20_000,
  firstRefillNs: 4_000,
  nextActivationNs: 100_000_000,
  sliceEndNs: 4_000_000,
  linkRateBps: 1e9,
  buffersPerFrameMax: 1,
  maxInactiveDelayNs: 10_000_000,
  guestCoalesceNs: 125_000,
};

function program(policy: PolicySpec, change: Partial<Observation> = {}): ThrottleProgram {
  const filled: ThrottleProgram = { latencyNs: -1, overflowNs: -1, freeMin: -1, sliceEndNs: -1 };
  programFor(policy, { ...OBSERVATION, ...change }, filled);
  return filled;
}

const strict: PolicySpec = { name: "cooperative-adaptive", mode: "strict", latencyIntervalNs: 50_000, sliceEnd: false };
const learned: PolicySpec = { ...strict, mode: "learned" };

describe("governors", () => {
  it("unmoderated holds nothing back", () => {
    expect(program({ name: "unmoderated" })).toMatchObject({ latencyNs: 0, overflowNs: 0, freeMin: 0 });
  });

  it("fixed programs one interval for both states", () => {
    for (const state of [PREEMPTED, ACTIVE]) {
      expect(program({ name: "fixed", intervalNs: 125_000 }, { state })).toMatchObject({
        latencyNs: 125_000,
        overflowNs: 125_000,
        freeMin: 0,
      });
    }
  });

  it("notf-coal leaves the active guest to its own settings, and keeps to them while it is inactive", () => {
    expect(program({ name: "notf-coal" })).toMatchObject({ latencyNs: 0, overflowNs: 125_000, freeMin: 0 });
  });

  it("cooperative programs the patent's two intervals", () => {
    expect(program({ name: "cooperative", latencyIntervalNs: 50_000, overflowIntervalNs: 2_000_000 })).toMatchObject({
      latencyNs: 50_000,
      overflowNs: 2_000_000,
    });
  });

  it("R16: no policy leaves a frame alone for longer than maxInactiveDelayNs", () => {
    const long: PolicySpec = { name: "cooperative", latencyIntervalNs: 0, overflowIntervalNs: 4_000_000_000 };
    for (const policy of [long, strict, learned]) expect(program(policy).overflowNs).toBeLessThanOrEqual(10_000_000);
  });

  it("strict reserves what a link full of shortest frames can use up from the wake to the first refill", () => {
    // 1 Gbit/s of 84-byte wire frames is 1.488 frames per µs; 24 µs make 36, and one frame on top.
    expect(program(strict).freeMin).toBe(37);
    expect(program(strict, { linkRateBps: 10e9 }).freeMin).toBe(359);
  });

  it("strict reserves less while the guest runs, for nobody need be woken", () => {
    expect(program(strict, { state: ACTIVE }).freeMin).toBe(7);
  });

  it("a ring that is smaller than the reserve: every first frame wakes, and half the ring interrupts", () => {
    expect(program(strict, { ring: 32 }).freeMin).toBe(32);
    expect(program(strict, { ring: 4, state: ACTIVE }).freeMin).toBe(2);
  });

  it("learned reserves for twice the highest rate seen, and never for more than the link can carry", () => {
    expect(program(learned, { peakFramesPerS: 200_000 }).freeMin).toBe(11);
    expect(program(learned, { peakFramesPerS: 1e9 }).freeMin).toBe(37);
  });

  it("learned sets the overflow interval to when the usable buffers run out", () => {
    // 1024 − 11 buffers at 2 × 200,000 frames/s last 2.5325 ms.
    expect(program(learned, { peakFramesPerS: 200_000 }).overflowNs).toBe(2_532_500);
  });

  it("with the next natural slice in sight no timer is needed, only the guard", () => {
    expect(program(learned, { peakFramesPerS: 200_000, nextActivationNs: 6_000_000 }).overflowNs).toBe(10_000_000);
  });

  it("sliceEnd tells the card by when a notification is still of use", () => {
    expect(program({ ...strict, sliceEnd: true }, { state: ACTIVE }).sliceEndNs).toBe(3_996_000);
    expect(program(strict, { state: ACTIVE }).sliceEndNs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("the estimators", () => {
  it("the arrival rate is the highest seen, and fades by half in a second", () => {
    const rate = new ArrivalRateEstimator();
    rate.look(1_000, 1_000_000);
    expect(rate.peakFramesPerS).toBe(1_000_000);
    rate.look(1_000, 1_001_000_000);
    expect(rate.peakFramesPerS).toBe(500_000);
  });

  it("a look too soon after the last one is left for the next", () => {
    const rate = new ArrivalRateEstimator();
    rate.look(10, 1_000_000);
    rate.look(20, 1_000_010);
    rate.look(30, 2_000_000);
    expect(rate.peakFramesPerS).toBeCloseTo(20_000, 0);
  });

  it("the wake latency starts with what it is told, and grows with its spread", () => {
    const steady = new WakeLatencyEstimator(20_000);
    expect(steady.estimateNs).toBe(20_000);
    for (let i = 0; i < 100; i++) steady.observe(30_000);
    expect(steady.estimateNs).toBeCloseTo(30_000, -2);
    const noisy = new WakeLatencyEstimator(20_000);
    for (let i = 0; i < 100; i++) noisy.observe(i % 2 === 0 ? 10_000 : 50_000);
    expect(noisy.estimateNs).toBeGreaterThan(50_000);
  });
});
