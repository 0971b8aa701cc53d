import { describe, expect, it } from "vitest";
import { activate, at, broken, check, deactivate, dropped, frame, notify, off, on, poll, throttle } from "./script.ts";

const active = { state: "active" } as const;
const preempted = { state: "preempted" } as const;

describe("R1: no cause, no interrupt", () => {
  it("flags a notification that nobody asked for", async () => {
    expect(await broken(active, [notify(100)])).toEqual(["R1 notify(latency)"]);
  });

  it("flags a second notification for one cause", async () => {
    const events = [frame(100, 1, 15, true), notify(100), notify(1100), poll(1200, 1, 1)];
    expect(await broken(active, events)).toEqual(["R1 notify(latency)"]);
  });
});

describe("R2: an inactive guest is not notified", () => {
  it("flags a notification after the deactivation", async () => {
    const events = [deactivate(50), frame(100, 1, 15, true), notify(100), activate(200), poll(300, 1, 1)];
    expect(await broken(active, events)).toEqual(["R2 notify(latency)"]);
  });
});

describe("R3: an active guest's cause is notified at max(now, last notification + latency)", () => {
  const first = [frame(100, 1, 15, true), notify(100), poll(150, 1, 1)];

  it("accepts the first at once and the second after the interval", async () => {
    const events = [...first, frame(300, 2, 15, true), notify(1100), poll(1200, 2, 2)];
    const report = await check(active, events);
    expect(report.violations).toEqual([]);
    expect(report.tested["R3"]).toBe(2);
  });

  it("flags one that comes too early", async () => {
    const events = [...first, frame(300, 2, 15, true), notify(1099), poll(1200, 2, 2)];
    expect(await broken(active, events)).toEqual(["R3 too early: at 1099"]);
  });

  it("flags one that comes too late, once", async () => {
    const events = [...first, frame(300, 2, 15, true), notify(1101), poll(1200, 2, 2)];
    expect(await broken(active, events)).toEqual(["R3 too late: notify(latency) at 1101"]);
  });

  it("flags one that never comes", async () => {
    const events = [...first, frame(300, 2, 15, true), deactivate(2000, "preempted"), activate(2100)];
    const found = await broken(active, [...events, notify(2100), poll(2200, 2, 2)]);
    expect(found).toEqual(["R3 none until the deactivation at 2000"]);
  });

  it("flags one that is missing when the driver polls by itself, and when the run ends", async () => {
    const polled = [...first, frame(300, 2, 15, true), poll(1200, 2, 2)];
    expect(await broken(active, polled)).toEqual(["R3 none until the notify-off at 1200"]);
    const ended = [...first, frame(300, 2, 15, true)];
    expect(await broken(active, ended, 1_500)).toEqual(["R3 none until the run's end"]);
  });

  it("does not ask for one that falls due in the instant of the deactivation", async () => {
    const events = [
      ...first,
      frame(300, 2, 15, true),
      deactivate(1100),
      activate(1100),
      notify(1100),
      poll(1200, 2, 2),
    ];
    expect(await broken(active, events)).toEqual([]);
  });
});

describe("R5: the guard of an active guest", () => {
  const guarded = { state: "active", free: 3, freeMin: 1 } as const;
  const first = [frame(100, 1, 2, true), notify(100), poll(150, 1, 1)];

  it("accepts a notification inside the interval when the buffers run low", async () => {
    const events = [...first, frame(300, 2, 2, true), frame(400, 3, 1), notify(400, "guard"), poll(500, 2, 3)];
    expect(await broken(guarded, events)).toEqual([]);
  });

  it("flags it missing", async () => {
    const events = [...first, frame(300, 2, 2, true), frame(400, 3, 1), poll(500, 2, 3)];
    expect(await broken(guarded, events)).toEqual(["R5 none until the notify-off at 500"]);
  });

  it("flags it late", async () => {
    const events = [...first, frame(300, 2, 2, true), frame(400, 3, 1), notify(401, "guard"), poll(500, 2, 3)];
    expect(await broken(guarded, events)).toEqual(["R5 too late: notify(guard) at 401"]);
  });

  it("flags it with buffers left", async () => {
    const events = [...first, frame(300, 2, 2, true), notify(300, "guard"), poll(500, 2, 2)];
    expect(await broken(guarded, events)).toEqual(["R5 neither"]);
  });

  it("does not ask for it while the driver has notifications off", async () => {
    const events = [
      frame(100, 1, 2, true),
      notify(100),
      off(150),
      frame(200, 2, 1),
      frame(210, 3, 0),
      dropped(220, 4),
      at(300, "drain", { queue: 0, first: 1, last: 3, count: 3 }),
      at(300, "refill", { queue: 0, n: 3 }),
      on(300),
    ];
    expect(await broken(guarded, events)).toEqual([]);
  });

  it("looks at a write of RX_FREE_MIN", async () => {
    const plain = { state: "active", free: 3 } as const;
    const before = [...first, frame(300, 2, 2, true), throttle(400, { freeMin: 2 })];
    expect(await broken(plain, [...before, notify(400, "guard"), poll(500, 2, 2)])).toEqual([]);
    expect(await broken(plain, [...before, poll(500, 2, 2)])).toEqual(["R5 none until the notify-off at 500"]);
  });
});

describe("R6: activation", () => {
  const woken = [frame(100, 1, 15, true), at(5100, "wake", { why: "overflow" })];

  it("accepts notify(wake) at the activation that ends the wake", async () => {
    expect(
      await broken(preempted, [...woken, activate(5200, "wake", true), notify(5200, "wake"), poll(5300, 1, 1)]),
    ).toEqual([]);
  });

  it("flags it late, and missing", async () => {
    const late = [...woken, activate(5200, "wake", true), notify(5201, "wake"), poll(5300, 1, 1)];
    expect(await broken(preempted, late)).toEqual(["R6 too late: notify(wake) at 5201"]);
    const missing = [...woken, activate(5200, "wake", true), poll(5300, 1, 1)];
    expect(await broken(preempted, missing)).toEqual(["R6 none until the notify-off at 5300"]);
  });

  it("flags notify(wake) at an activation that ended none", async () => {
    const events = [frame(100, 1, 15, true), activate(200), notify(200, "wake"), poll(300, 1, 1)];
    expect(await broken(preempted, events)).toEqual(["R6 no such activation at this time"]);
  });

  it("flags it missing though the driver polls in the same instant, and under another name", async () => {
    const before = [...woken, activate(5200, "wake", true)];
    expect(await broken(preempted, [...before, poll(5200, 1, 1)])).toEqual(["R6 none until the notify-off at 5200"]);
    expect(await broken(preempted, [...before, notify(5200), poll(5300, 1, 1)])).toEqual(["R6 notify(latency)"]);
  });

  it("holds R3 against an activation that ends no wake", async () => {
    const before = [frame(100, 1, 15, true), notify(100), poll(120, 1, 1), deactivate(150), frame(160, 2, 15, true)];
    expect(await broken({}, [...before, activate(200), notify(1100), poll(1200, 2, 2)])).toEqual([]);
    const early = [...before, activate(200), notify(200), poll(1200, 2, 2)];
    expect(await broken({}, early)).toEqual(["R3 too early: at 200"]);
  });

  it("drops the cause of a driver that was cut off in mid-poll", async () => {
    const events = [frame(100, 1, 15, true), notify(100), at(110, "notify-off", { queue: 0 }), deactivate(120)];
    const back = [at(5120, "wake", { why: "overflow" }), activate(5200, "wake", true)];
    const rest = [at(5300, "drain", { queue: 0, first: 1, last: 1, count: 1 }), at(5300, "notify-on", { queue: 0 })];
    expect(await broken({}, [...events, ...back, ...rest])).toEqual([]);
    expect(await broken({}, [...events, ...back, notify(5200, "wake"), ...rest])).toEqual(["R1 notify(wake)"]);
  });
});

describe("R7: a notification is brought forward to before the planned end of the slice", () => {
  const start = { state: "active", sliceEndNs: 900 } as const;
  const first = [frame(100, 1, 15, true), notify(100), poll(150, 1, 1), frame(300, 2, 15, true)];
  const rest = [activate(2000), poll(2100, 2, 2)];

  it("accepts it anywhere before the end", async () => {
    for (const t of [300, 700, 900])
      expect(await broken(start, [...first, notify(t), deactivate(900), ...rest])).toEqual([]);
  });

  it("flags it missing when the slice ends", async () => {
    const events = [...first, deactivate(900), activate(2000), notify(2000), poll(2100, 2, 2)];
    expect(await broken(start, events)).toEqual(["R7 none until the deactivation at 900"]);
  });

  it("flags one that is early without a planned end, or that falls due before it", async () => {
    const events = [...first, notify(700), deactivate(900), ...rest];
    expect(await broken({}, events)).toEqual(["R3 too early: at 700"]);
    expect(await broken({ sliceEndNs: 5000 }, events)).toEqual(["R3 too early: at 700"]);
  });
});

describe("R8: writing an interval re-evaluates it", () => {
  const before = [frame(100, 1, 15, true), notify(100), poll(150, 1, 1), frame(300, 2, 15, true)];

  it("fires at once if it is already due, and later if it is not", async () => {
    expect(await broken({}, [...before, throttle(500, { latencyNs: 200 }), notify(500), poll(600, 2, 2)])).toEqual([]);
    expect(await broken({}, [...before, throttle(500, { latencyNs: 600 }), notify(700), poll(800, 2, 2)])).toEqual([]);
    expect(await broken({}, [...before, throttle(500, { latencyNs: 2000 }), notify(2100), poll(2200, 2, 2)])).toEqual(
      [],
    );
  });

  it("flags a notification that goes by the old interval", async () => {
    const shorter = [...before, throttle(500, { latencyNs: 200 }), notify(1100), poll(1200, 2, 2)];
    expect(await broken({}, shorter)).toEqual(["R3 too late: notify(latency) at 1100"]);
    const longer = [...before, throttle(500, { latencyNs: 2000 }), notify(1100), poll(1200, 2, 2)];
    expect(await broken({}, longer)).toEqual(["R3 too early: at 1100"]);
  });
});

describe("R9: suppression", () => {
  const polling = [frame(100, 1, 15, true), notify(100), off(110)];
  const read = [at(2000, "drain", { queue: 0, first: 1, last: 2, count: 2 }), on(2000)];

  it("wants no cause while notifications are off", async () => {
    expect(await broken({}, [...polling, frame(300, 2, 14), ...read])).toEqual([]);
    expect(await broken({}, [...polling, frame(300, 2, 14, true), ...read])).toEqual(["R9 cause(rx)"]);
  });

  it("wants a cause for the first frame after they are on again", async () => {
    const events = [...polling, frame(300, 2, 14), ...read, frame(3000, 3, 13), poll(3100, 3, 3)];
    expect(await broken({}, events)).toEqual(["R9 none"]);
  });

  it("drops a cause that is suppressed when it falls due", async () => {
    const latched = [frame(100, 1, 15, true), notify(100), poll(110, 1, 1), frame(300, 2, 15, true), off(500)];
    const rest = [at(2000, "drain", { queue: 0, first: 2, last: 2, count: 1 }), on(2000)];
    expect(await broken({}, [...latched, ...rest])).toEqual([]);
    expect(await broken({}, [...latched, notify(1100), ...rest])).toEqual(["R9 notify(latency)"]);
    expect(await broken({}, [...latched, ...rest, notify(2000)])).toEqual(["R1 notify(latency)"]);
  });

  it("wants an rx cause at its batch", async () => {
    const events = [at(100, "cause", { vector: 0, queue: 0, kind: "rx" }), notify(100)];
    expect(await broken({}, events)).toEqual(["R9 no frame on queue 0 at this time"]);
  });
});

describe("R13: configuration changes", () => {
  const config = (t: number) => at(t, "cause", { vector: 0, queue: -1, kind: "config" });
  const first = [frame(100, 1, 15, true), notify(100), poll(150, 1, 1), frame(300, 2, 15, true)];

  it("go out at once, start no interval and leave throttled causes pending", async () => {
    const events = [...first, config(500), notify(500, "config"), notify(1100), poll(1200, 2, 2)];
    expect(await broken({}, events)).toEqual([]);
    const counted = [...first, config(500), notify(500, "config"), notify(1500), poll(1600, 2, 2)];
    expect(await broken({}, counted)).toEqual(["R3 too late: notify(latency) at 1500"]);
  });

  it("are flagged when late, missing or unasked for", async () => {
    expect(await broken({}, [config(500), notify(501, "config")])).toEqual(["R13 none"]);
    expect(await broken({}, [config(500), frame(600, 1, 15, true), notify(600), poll(700, 1, 1)])).toEqual([
      "R13 none",
    ]);
    expect(await broken({}, [notify(500, "config")])).toEqual(["R13 none is pending"]);
  });
});

describe("R12: the guest's own coalescing", () => {
  const asked = (maxUsecs: number, maxPackets: number) => ({
    schema: 1,
    scenario: { guests: [{ name: "g", coalesce: { maxUsecs, maxPackets } }] },
    runs: [],
  });
  const found = async (
    events: Parameters<typeof check>[1],
    settings: unknown,
    start: Parameters<typeof check>[0] = {},
  ) => {
    const { violations } = await check(start, events, 1_000_000, settings);
    return violations.filter((v) => v.rule !== "A").map((v) => `${v.rule} ${v.seen}`);
  };
  const one = (t: number) => [frame(100, 1, 15, true), notify(t), poll(t + 10, 1, 1)];
  const two = (t: number) => [frame(100, 1, 15, true), frame(1500, 2, 14), notify(t), poll(t + 10, 1, 2)];

  it("waits for max_usecs after the first frame, or for max_packets", async () => {
    expect(await found(one(3100), asked(3, 2))).toEqual([]);
    expect(await found(two(1500), asked(3, 2))).toEqual([]);
    expect(await found(two(3100), asked(3, 3))).toEqual([]);
    expect(await found(one(100), asked(0, 3))).toEqual([]);
  });

  it("is flagged early and late", async () => {
    expect(await found(one(100), asked(3, 2))).toEqual(["R3 too early: at 100"]);
    expect(await found(two(3100), asked(3, 2))).toEqual(["R12 too late: notify(latency) at 3100"]);
    expect(await found(one(3101), asked(3, 2))).toEqual(["R12 too late: notify(latency) at 3101"]);
  });

  it("cannot be called late under notf-coal if nobody says what the guest asked for, but early it can", async () => {
    const start = { extra: { policy: "notf-coal" } };
    expect(await found(one(3100), undefined, start)).toEqual([]);
    const again = [...one(200), frame(300, 2, 15, true), notify(1199), poll(1300, 2, 2)];
    expect(await found(again, undefined, start)).toEqual(["R3 too early: at 1199"]);
  });
});
