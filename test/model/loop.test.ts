import { describe, expect, it } from "vitest";
import { ASK, PENDING, STATE_ECHO, VCPU_DOORBELL } from "../../src/device/spec/control-block.ts";
import { controlOffset, type LoopOptions, loopExperiment } from "./loop-experiment.ts";
import { explore } from "./preemption.ts";

/** A side that looks about for so long is spinning: the others get their turn. */
const PATIENCE = 60;

/** ASK and PENDING are looked at in turn by a vCPU that spins: to be switched away from there is as good as before. */
const SPUN_ON = new Set([ASK, PENDING].map(controlOffset));

function wakesMax(options: LoopOptions): number {
  const outcomes = loopExperiment(options);
  const bounds = { preemptions: 1, patience: PATIENCE, focus: (offset: number) => !SPUN_ON.has(offset) };
  expect(explore(outcomes.experiment, bounds).interleavings).toBeGreaterThan(1000);
  return outcomes.wakesMax;
}

describe("the real loop of a vCPU, between host and card", () => {
  it("leaves no frame unread when the CPU is taken from a busy guest, wherever one preemption falls", () => {
    expect(wakesMax({ load: "busy", frames: 1, parks: 1, wakeSlices: true, size: 2, eventIdx: true })).toBe(1);
  });

  it("leaves none unread when an idle guest takes itself back or is claimed, wherever one preemption falls", () => {
    expect(wakesMax({ load: "idle", frames: 1, parks: 1, wakeSlices: true, size: 1, eventIdx: false })).toBe(2);
  });

  it("raises no wake for nothing when an idle guest gets natural slices, wherever one preemption falls", () => {
    expect(wakesMax({ load: "idle", frames: 1, parks: 1, wakeSlices: false, size: 1, eventIdx: true })).toBe(2);
  });

  // VcpuLoop.#idle looks at PENDING last: what the device sets before it stores STATE_ECHO must be seen before the vCPU
  // says that it is idle, when the host may claim it, and the wake have been for nothing.
  it("lets no idle guest give up the CPU with its interrupt pending, wherever three preemptions fall", () => {
    const options: LoopOptions = { load: "idle", frames: 1, parks: 0, wakeSlices: false, size: 1, eventIdx: true };
    const focus = new Set([PENDING, STATE_ECHO, VCPU_DOORBELL].map(controlOffset));
    const bounds = { preemptions: 3, patience: PATIENCE, focus: (offset: number) => focus.has(offset) };
    expect(explore(loopExperiment(options).experiment, bounds).interleavings).toBeGreaterThan(1000);
  });
});
