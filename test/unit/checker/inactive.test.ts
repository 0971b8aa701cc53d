import { describe, expect, it } from "vitest";
import {
  activate,
  at,
  broken,
  check,
  deactivate,
  dropped,
  frame,
  notify,
  off,
  on,
  poll,
  throttle,
  wake,
} from "./script.ts";

const preempted = { state: "preempted" } as const;

/** The host follows a wake: activation, the notification that R6 wants, and the driver's poll. */
function served(t: number, first: number, last: number) {
  return [activate(t, "wake", true), notify(t, "wake"), poll(t + 100, first, last)];
}

describe("R1 and R2: wakes", () => {
  it("are flagged without a waiting frame", async () => {
    expect(await broken(preempted, [wake(100), activate(200, "wake", true)])).toEqual(["R1 wake(overflow)"]);
  });

  it("are flagged for an active guest", async () => {
    expect(await broken({}, [wake(100)])).toEqual(["R2 wake(overflow)"]);
  });

  it("are flagged while another is outstanding", async () => {
    const events = [frame(100, 1, 15, true), wake(5100), wake(5200), ...served(5300, 1, 1)];
    expect(await broken(preempted, events)).toEqual(["R2 another wake(overflow)"]);
  });

  it("do not start a new interval while one is outstanding", async () => {
    const events = [frame(100, 1, 15, true), wake(5100), frame(5200, 2, 14), ...served(20_000, 1, 2)];
    expect(await broken(preempted, events)).toEqual([]);
  });
});

describe("R4: the overflow interval starts at the first frame since the deactivation", () => {
  it("accepts the wake exactly then, whatever comes after the first frame", async () => {
    const events = [frame(100, 1, 15, true), frame(4000, 2, 14), wake(5100), ...served(5200, 1, 2)];
    const report = await check(preempted, events);
    expect(report.violations).toEqual([]);
    expect(report.tested["R4"]).toBe(1);
  });

  it("flags it early, late and missing", async () => {
    const around = (t: number) => [frame(100, 1, 15, true), wake(t), ...served(6000, 1, 1)];
    expect(await broken(preempted, around(5099))).toEqual(["R4 too early: wake(overflow) at 5099"]);
    expect(await broken(preempted, around(5101))).toEqual(["R4 too late: wake(overflow) at 5101"]);
    const missing = [frame(100, 1, 15, true), activate(6000), notify(6000), poll(6100, 1, 1)];
    expect(await broken(preempted, missing)).toEqual(["R4 none until the activation at 6000"]);
    expect(await broken(preempted, [frame(100, 1, 15, true)], 6_000)).toEqual(["R4 none until the run's end"]);
  });

  it("asks for none if a natural slice comes first, be it in the same instant", async () => {
    for (const t of [5000, 5100]) {
      const events = [frame(100, 1, 15, true), activate(t), notify(t), poll(t + 100, 1, 1)];
      expect(await broken(preempted, events)).toEqual([]);
    }
  });

  it("wakes a guest whose driver has notifications off", async () => {
    const cut = [frame(100, 1, 15, true), notify(100), off(110), at(120, "drain", { queue: 0, first: 1, last: 1 })];
    const events = [...cut, deactivate(200), frame(300, 2, 14)];
    const back = [activate(5400, "wake", true), at(5500, "drain", { queue: 0, first: 2, last: 2 })];
    expect(await broken({}, [...events, wake(5300), ...back])).toEqual([]);
    const natural = [activate(5400), ...back.slice(1)];
    expect(await broken({}, [...events, ...natural])).toEqual(["R4 none until the activation at 5400"]);
  });

  it("never expires if the interval is off", async () => {
    const events = [frame(100, 1, 15, true), activate(600_000), notify(600_000), poll(600_100, 1, 1)];
    expect(await broken({ ...preempted, overflowNs: null }, events)).toEqual([]);
  });
});

describe("R5: the guard of an inactive guest", () => {
  const guarded = { state: "preempted", free: 3, freeMin: 1 } as const;
  const frames = [frame(100, 1, 2, true), frame(200, 2, 1)];

  it("accepts the wake at the frame that leaves too few buffers", async () => {
    expect(await broken(guarded, [...frames, wake(200, "guard"), ...served(300, 1, 2)])).toEqual([]);
  });

  it("flags it late, and missing", async () => {
    const late = [...frames, wake(201, "guard"), ...served(300, 1, 2)];
    expect(await broken(guarded, late)).toEqual(["R5 too late: wake(guard) at 201"]);
    const missing = [...frames, activate(300), notify(300), poll(400, 1, 2)];
    expect(await broken(guarded, missing)).toEqual(["R5 none until the activation at 300"]);
  });

  it("flags it with buffers left", async () => {
    const events = [frame(100, 1, 2, true), wake(100, "guard"), ...served(300, 1, 1)];
    expect(await broken(guarded, events)).toEqual(["R5 neither"]);
  });

  it("looks at a deactivation, a drop and a write of RX_FREE_MIN", async () => {
    const cut = [frame(100, 1, 2, true), notify(100), off(110), frame(120, 2, 1), deactivate(150)];
    const back = [activate(300, "wake", true), at(400, "drain", { queue: 0, first: 1, last: 2, count: 2 })];
    const active = { ...guarded, state: "active" } as const;
    expect(await broken(active, [...cut, wake(150, "guard"), ...back])).toEqual([]);
    const late = await broken(active, [...cut, wake(160, "guard"), ...back]);
    expect(late).toEqual(["R5 too late: wake(guard) at 160"]);

    const full = { state: "preempted", free: 1 } as const;
    const raised = [frame(100, 1, 0, true), throttle(200, { freeMin: 1 })];
    expect(await broken(full, [...raised, wake(200, "guard"), ...served(300, 1, 1)])).toEqual([]);
    const missed = [...raised, dropped(250, 2), wake(250, "guard"), ...served(300, 1, 1)];
    expect(await broken(full, missed)).toEqual(["R5 too late: wake(guard) at 250"]);
  });

  it("asks for nothing while a wake is outstanding", async () => {
    const events = [...frames, wake(200, "guard"), frame(210, 3, 0), dropped(220, 4), ...served(300, 1, 3)];
    expect(await broken(guarded, events)).toEqual([]);
  });
});

describe("R7: unread frames count from the deactivation", () => {
  const cut = [frame(100, 1, 15, true), notify(100), off(110), frame(120, 2, 14), deactivate(200)];
  const back = [activate(6000, "wake", true), at(6100, "drain", { queue: 0, first: 1, last: 2, count: 2 })];

  it("accepts the wake exactly then", async () => {
    const report = await check({}, [...cut, frame(1000, 3, 13), wake(5200), ...back, on(6200)]);
    expect(report.violations).toEqual([]);
    expect(report.tested["R7"]).toBe(1);
  });

  it("flags it early, late and missing", async () => {
    expect(await broken({}, [...cut, wake(5100), ...back])).toEqual(["R7 too early: wake(overflow) at 5100"]);
    expect(await broken({}, [...cut, wake(5201), ...back])).toEqual(["R7 too late: wake(overflow) at 5201"]);
    const natural = [activate(6000), ...back.slice(1)];
    expect(await broken({}, [...cut, ...natural])).toEqual(["R7 none until the activation at 6000"]);
  });

  it("asks for nothing if all was read, and calls a wake for it spurious", async () => {
    const read = [frame(100, 1, 15, true), notify(100), poll(110, 1, 1), deactivate(200)];
    expect(await broken({}, [...read, activate(9000)])).toEqual([]);
    const woken = [...read, wake(5200), activate(9000, "wake", true)];
    expect(await broken({}, woken)).toEqual(["R1 wake(overflow)"]);
  });
});

describe("R8: writing the overflow interval while it runs", () => {
  const before = [frame(100, 1, 15, true)];

  it("fires at once if it is due by then, and later if it is not", async () => {
    const wakeAt = (overflowNs: number, t: number) => [
      ...before,
      throttle(3000, { overflowNs }),
      wake(t),
      ...served(9000, 1, 1),
    ];
    expect(await broken(preempted, wakeAt(1000, 3000))).toEqual([]);
    expect(await broken(preempted, wakeAt(4000, 4100))).toEqual([]);
    expect(await broken(preempted, wakeAt(8000, 8100))).toEqual([]);
    expect(await broken(preempted, wakeAt(1000, 5100))).toEqual(["R4 too late: wake(overflow) at 5100"]);
    expect(await broken(preempted, wakeAt(8000, 5100))).toEqual(["R4 too early: wake(overflow) at 5100"]);
  });
});

describe("R13: a configuration change wakes at once", () => {
  const config = at(100, "cause", { vector: 0, queue: -1, kind: "config" });

  it("and is flagged late, missing and unasked for", async () => {
    const rest = [activate(200, "wake", true), notify(200, "config")];
    expect(await broken(preempted, [config, wake(100, "config"), ...rest])).toEqual([]);
    expect(await broken(preempted, [config, wake(101, "config"), ...rest])).toEqual([
      "R13 too late: wake(config) at 101",
    ]);
    const natural = [activate(200), notify(200, "config")];
    expect(await broken(preempted, [config, ...natural])).toEqual(["R13 none until the activation at 200"]);
    expect(await broken(preempted, [wake(100, "config"), activate(200)])).toEqual(["R13 none is pending"]);
    expect(await broken(preempted, [config, wake(100, "config"), activate(200, "wake")])).toEqual(["R13 none"]);
  });
});

describe("R16: idle is not preempted", () => {
  const idle = { state: "idle" } as const;

  it("goes by the latency interval", async () => {
    const around = (t: number) => [frame(100, 1, 15, true), wake(t), ...served(6000, 1, 1)];
    expect(await broken(idle, around(1100))).toEqual([]);
    expect(await broken(idle, around(1000))).toEqual(["R16 too early: wake(overflow) at 1000"]);
    expect(await broken(idle, around(5100))).toEqual(["R16 too late: wake(overflow) at 5100"]);
  });

  it("is woken by transmit completions, and a preempted guest is not", async () => {
    const sent = at(100, "cause", { vector: 0, queue: 1, kind: "tx" });
    const rest = [activate(2000, "wake", true), notify(2000, "wake")];
    expect(await broken(idle, [sent, wake(1100), ...rest])).toEqual([]);
    expect(await broken(idle, [sent, wake(1200), ...rest])).toEqual(["R16 too late: wake(overflow) at 1200"]);
    const later = [activate(6000, "wake", true), notify(6000, "wake")];
    expect(await broken(preempted, [sent, wake(5100), ...later])).toEqual(["R1 wake(overflow)"]);
  });

  it("bounds ITR_OVERFLOW", async () => {
    const report = await check({ overflowNs: 10_000_001 }, []);
    expect(report.counts).toEqual({ R16: 1 });
    const allowed = await check({ overflowNs: 10_000_001, extra: { maxInactiveDelayNs: 20_000_000 } }, []);
    expect(allowed.counts).toEqual({});
  });
});
