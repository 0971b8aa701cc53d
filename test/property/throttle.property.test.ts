import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ACTIVE, IDLE, PREEMPTED, ThrottleRig } from "../unit/device/throttle/throttle-rig.ts";

type Step =
  | { readonly do: "wait"; readonly ns: number }
  | {
      readonly do:
        | "frame"
        | "completion"
        | "take"
        | "finish"
        | "starve"
        | "config"
        | "suspend"
        | "resume"
        | "mask"
        | "unmask";
    }
  | { readonly do: "state"; readonly state: number }
  | { readonly do: "program"; readonly latencyNs: number; readonly overflowNs: number; readonly freeMin: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ns: fc.nat(200) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "frame" as const,
        "frame" as const,
        "completion" as const,
        "take" as const,
        "finish" as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "starve" as const,
        "config" as const,
        "suspend" as const,
        "resume" as const,
        "mask" as const,
        "unmask" as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("state" as const), state: fc.constantFrom(ACTIVE, PREEMPTED, IDLE) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("program" as const),
      latencyNs: fc.nat(300),
      overflowNs: fc.nat(600),
      freeMin: fc.nat(6),
    }),
  },
);

/** Runs the steps, and after each holds what must be true of any throttle against what this one did. */
function play(steps: readonly Step[]): void {
  const rig = new ThrottleRig().program(100, 300, 2);
  const { throttle, rx, vector } = rig;
  rx.free = 8;
  let nowNs = 0;
  let state = ACTIVE;
  let suspended = false;
  let lastNotifyNs = Number.NEGATIVE_INFINITY;
  let wakeOutstanding = false;
  let seen = 0;

  const checkLog = (fromNs: number, flushing: boolean): void => {
    for (; seen < rig.log.length; seen++) {
      const [time, kind, why] = rig.log[seen]!.split(" ");
      const atNs = Number(time);
      expect(atNs).toBeGreaterThanOrEqual(fromNs);
      expect(suspended && !flushing, "R17: nothing is sent while suspended").toBe(false);
      if (kind === "notify") {
        expect(state, "only an active guest is notified").toBe(ACTIVE);
        expect(vector.masked, "R9: a masked vector keeps its cause").toBe(false);
        if (why === "config") continue;
        if (why === "latency" && !flushing)
          expect(atNs, "R3").toBeGreaterThanOrEqual(lastNotifyNs + Math.min(vector.latencyNs, 300));
        lastNotifyNs = atNs;
      } else {
        expect(state, "only an inactive guest is woken").not.toBe(ACTIVE);
        expect(wakeOutstanding, "R2: one wake at a time").toBe(false);
        wakeOutstanding = true;
      }
    }
  };

  for (const move of steps) {
    const fromNs = nowNs;
    switch (move.do) {
      case "wait": {
        const untilNs = nowNs + move.ns;
        while (throttle.nextDeadlineNs() <= untilNs) {
          nowNs = Math.max(nowNs, throttle.nextDeadlineNs());
          throttle.expire(nowNs);
          checkLog(fromNs, false);
        }
        nowNs = untilNs;
        break;
      }
      case "frame":
        if (suspended) break;
        if (rx.free > 0) rig.frame(nowNs);
        else throttle.starved(0, nowNs);
        break;
      case "starve":
        if (!suspended) throttle.starved(0, nowNs);
        break;
      case "completion":
        if (!suspended) rig.completion(nowNs);
        break;
      case "take":
        if (state === ACTIVE) rx.takeInterrupt();
        break;
      case "finish":
        if (state === ACTIVE) {
          rx.finishPoll(8);
          rig.tx.armedAt = rig.tx.usedIdx;
        }
        break;
      case "config":
        throttle.configChanged(nowNs);
        break;
      case "suspend":
        throttle.suspend(nowNs);
        checkLog(fromNs, true);
        suspended = true;
        break;
      case "resume":
        suspended = false;
        throttle.resume(nowNs);
        break;
      case "mask":
      case "unmask":
        vector.maskedByDriver = move.do === "mask";
        throttle.reprogrammed(vector, false, nowNs);
        break;
      case "state":
        state = move.state;
        if (state === ACTIVE) wakeOutstanding = false;
        rig.state(state, nowNs);
        break;
      case "program":
        vector.latencyNs = move.latencyNs;
        vector.overflowNs = move.overflowNs;
        vector.freeMin = move.freeMin;
        throttle.reprogrammed(vector, true, nowNs);
        break;
    }
    checkLog(fromNs, move.do === "suspend");
    expect(throttle.vcpus[0]!.wakeOutstanding).toBe(wakeOutstanding);
    const deadlineNs = throttle.nextDeadlineNs();
    const waits = state === ACTIVE ? vector.hasPendingQueue() : vector.waitingSinceNs() < Number.POSITIVE_INFINITY;
    const held = suspended || (state === ACTIVE ? vector.masked : wakeOutstanding);
    // R1 one way, and that nothing is forgotten the other: a deadline exactly when something waits that is not held back.
    expect(deadlineNs < Number.POSITIVE_INFINITY, `deadline ${deadlineNs} after ${move.do}`).toBe(waits && !held);
    if (deadlineNs < Number.POSITIVE_INFINITY) expect(deadlineNs).toBeGreaterThanOrEqual(nowNs);
  }
}

describe("the throttle under any sequence of frames, polls, states, masks, suspensions and reprogramming", () => {
  it("keeps R1, R2, R3, R9 and R17, and has a deadline exactly when something waits that nothing holds back", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), play), { numRuns: 2_000 });
  });
});
