import { describe, expect, it } from "vitest";
import { checkEvents } from "../../checker/check.ts";
import { parseLine } from "../../checker/parse.ts";
import { IdSet, Samples } from "../../checker/samples.ts";
import {
  activate,
  at,
  check,
  deactivate,
  dropped,
  frame,
  type Line,
  notify,
  off,
  on,
  poll,
  script,
  wake,
} from "./script.ts";

const START = { state: "active", free: 4, freeMin: 1 } as const;

/** One frame read while active, one cut off, one that came while inactive, a dropped one; a wake, and a natural slice. */
const EVENTS: (Line | Line[])[] = [
  at(0, "state", { seq: 1, postedAt: 0 }),
  frame(100, 1, 3, true),
  notify(100),
  poll(150, 1, 1),
  frame(300, 2, 3, true),
  deactivate(400),
  at(410, "state", { seq: 2, postedAt: 400 }),
  frame(500, 3, 2),
  frame(600, 4, 1),
  wake(600, "guard"),
  frame(700, 5, 0),
  dropped(800, 6),
  activate(1000, "wake", true),
  notify(1000, "wake"),
  off(1000),
  at(1100, "drain", { queue: 0, first: 2, last: 4, count: 3 }),
  at(1100, "refill", { queue: 0, n: 3 }),
  deactivate(1200, "preempted"),
  wake(6200),
  activate(6300, "slice"),
  at(6400, "drain", { queue: 0, first: 5, last: 5 }),
  at(6400, "refill", { queue: 0, n: 1 }),
  on(6400),
  frame(6500, 7, 3, true),
  notify(6500),
  off(6500),
];
const END = 10_000;

const none = { count: 0, p50: null, p90: null, p99: null, max: null };

/** The result that belongs to EVENTS, worked out by hand. */
function result() {
  return {
    schema: 1,
    runs: [
      {
        policy: "cooperative",
        engine: "virtual",
        durationNs: END,
        stateChangeNs: { p50: 0, p99: 10 },
        guests: [
          {
            name: "g",
            arrived: 7,
            delivered: 6,
            dropped: 1,
            read: 5,
            unread: 1,
            violations: { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 },
            notifications: { total: 3, latency: 2, guard: 0, urgent: 0, wake: 1, config: 0 },
            // Coalesced: frame 5, which leaves 0 free, and the drop; frame 4 raised the wake itself.
            wakes: { total: 2, overflow: 1, guard: 1, urgent: 0, config: 0, coalesced: 2, unboosted: 1 },
            activations: 2,
            activeNs: 400 + 200 + 3700,
            notifyNs: { count: 2, p50: 0, p90: 0, p99: 0, max: 0 },
            latencyNs: { count: 1, p50: 50, p90: 50, p99: 50, max: 50 },
            latencyCutNs: { count: 1, p50: 800, p90: 800, p99: 800, max: 800 },
            latencyInactiveNs: { count: 3, p50: 600, p90: 5700, p99: 5700, max: 5700 },
          },
        ],
        host: { interrupts: 5, switches: 2, cpuNs: 2 * 20 + 3 * 3 + 5 * 5 + 2 * 7 },
      },
    ],
  };
}

type Changed = Record<string, unknown>;

/** The same result with one number changed, named by its path from the run. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(result());
  const names = path.split(".");
  let node = copy.runs[0] as unknown as Changed;
  for (const name of names.slice(0, -1)) node = node[name] as Changed;
  node[names.at(-1)!] = value;
  return copy;
}

describe("A: the figures of the result", () => {
  it("agree with the events", async () => {
    const report = await check(START, EVENTS, END, result());
    expect(report.violations).toEqual([]);
    expect(report.tested["A"]).toBeGreaterThan(40);
  });

  const slips: [string, unknown][] = [
    ["policy", "fixed"],
    ["durationNs", 10_001],
    ["stateChangeNs.p99", 0],
    ["guests.0.arrived", 8],
    ["guests.0.unread", 0],
    ["guests.0.notifications.latency", 3],
    ["guests.0.notifications.total", 4],
    ["guests.0.wakes.guard", 2],
    ["guests.0.wakes.coalesced", 3],
    ["guests.0.wakes.unboosted", 0],
    ["guests.0.activations", 3],
    ["guests.0.activeNs", 4299],
    ["guests.0.notifyNs", none],
    ["guests.0.latencyNs.p50", 51],
    ["guests.0.latencyCutNs.max", 801],
    ["guests.0.latencyInactiveNs.p90", 600],
    ["guests.0.violations.reordered", 1],
    ["host.interrupts", 6],
    ["host.switches", 3],
    ["host.cpuNs", 89],
  ];
  it.each(slips)("flag %s = %j", async (path, value) => {
    const report = await check(START, EVENTS, END, changed(path, value));
    expect(Object.keys(report.counts)).toEqual(["A"]);
  });

  it("flag a guest or a run that is missing, and a run too many", async () => {
    expect((await check(START, EVENTS, END, changed("guests", []))).counts["A"]).toBe(2);
    expect((await check(START, EVENTS, END, { schema: 1, runs: [] })).counts["A"]).toBe(1);
    const two = { schema: 1, runs: [...result().runs, ...result().runs] };
    expect((await check(START, EVENTS, END, two)).counts["A"]).toBe(1);
  });

  it("leave cpuNs of the threads engine alone", async () => {
    const threads = { ...START, engine: "threads" } as const;
    const measured = structuredClone(result());
    measured.runs[0]!.engine = "threads";
    measured.runs[0]!.host.cpuNs = 123_456;
    expect((await check(threads, EVENTS, END, measured)).violations).toEqual([]);
  });

  it("compare each run of a file with its own result", async () => {
    const lines = [...script(START, EVENTS, END), ...script(START, EVENTS, END)];
    const wrong = changed("host.switches", 9) as ReturnType<typeof result>;
    const report = await checkEvents(lines, { schema: 1, runs: [result().runs[0], wrong.runs[0]] });
    expect(report.violations.map((v) => [v.rule, v.run])).toEqual([["A", 1]]);
    expect(report.runs.map((run) => run.violations)).toEqual([0, 1]);
  });
});

describe("notifyNs", () => {
  const sample = async (events: (Line | Line[])[], count: number, max: number | null) => {
    const want = structuredClone(result());
    Object.assign(want.runs[0]!.guests[0]!, { notifyNs: { count, p50: max, p90: max, p99: max, max } });
    const report = await check({}, events, 1_000_000, want);
    return report.violations.filter((v) => v.expected.startsWith("notifyNs") || v.rule !== "A");
  };

  it("counts from the first cause of the batch", async () => {
    const first = [frame(100, 1, 15, true), notify(100, "latency"), poll(150, 1, 1)];
    const events = [...first, frame(300, 2, 15, true), frame(400, 3, 14, true), notify(1100), poll(1200, 2, 3)];
    const violations = await sample(events, 2, 800);
    // Two samples, 0 and 800: only the median is not 800.
    expect(violations.map((v) => v.expected)).toEqual(["notifyNs.p50 = 0, from the events"]);
  });

  it("leaves out notifications after an activation in between, and those of configuration changes", async () => {
    const config = at(50, "cause", { vector: 0, queue: -1, kind: "config" });
    const cut = [config, notify(50, "config"), deactivate(90), frame(100, 1, 15, true)];
    expect(await sample([...cut, activate(200), notify(200), poll(250, 1, 1)], 0, null)).toEqual([]);
  });
});

describe("R15: wakes are bounded", () => {
  const slices = (n: number, lengthNs: number): Line[] =>
    Array.from({ length: n }, (_, i) => i * 10_000_000 + 1000).flatMap((t, i) => [
      ...frame(t, i + 1, 15, true),
      wake(t),
      activate(t, "wake", true),
      notify(t, "wake"),
      ...poll(t, i + 1, i + 1),
      deactivate(t + lengthNs, "preempted"),
    ]);
  const start = { state: "preempted", overflowNs: 0, extra: { scheduler: { boostShareMax: 0.1 } } } as const;

  it("accepts a tenth of any 100 ms, and flags more", async () => {
    expect((await check(start, [slices(20, 1_000_000)], 1e9)).violations).toEqual([]);
    const report = await check(start, [slices(20, 1_000_001)], 1e9);
    expect(report.counts).toEqual({ R15: 11 });
    expect(report.violations[0]).toMatchObject({ seen: "10000010 ns" });
  });

  it("takes a span that is longer than a wake slice as absorbed by a natural slice that began inside it", async () => {
    const limits = { ...start.extra, wakeSliceNs: 500_000, sliceNs: 6_000_000 };
    const short = { ...start, extra: limits };
    expect((await check(short, [slices(20, 6_500_000)], 1e9)).violations).toEqual([]);
    expect((await check(short, [slices(20, 9_500_000)], 1e9)).counts).toHaveProperty("R15");
  });

  it("flags a boost without a wake", async () => {
    expect((await check({ state: "preempted" }, [activate(100, "wake", true)])).counts).toEqual({ R15: 1 });
    expect((await check({ state: "preempted" }, [activate(100, "slice", true)])).counts).toEqual({ R15: 1 });
  });
});

describe("the tools", () => {
  it("take nearest ranks", () => {
    const samples = new Samples();
    expect(samples.distribution()).toEqual(none);
    for (let i = 300; i > 0; i--) samples.add(i);
    expect(samples.distribution()).toEqual({ count: 300, p50: 150, p90: 270, p99: 297, max: 300 });
  });

  it("remember ids", () => {
    const ids = new IdSet();
    expect([0, 31, 32, 32767, 32768, 1e9, 31, 1e9].map((id) => ids.add(id))).toEqual([
      true,
      true,
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it("say which field is wrong", () => {
    expect(() => parseLine('{"t":1,"guest":"g","ev":"deliver","id":1,"queue":0,"buffers":"1","free":2}')).toThrow(
      'deliver.buffers: a number expected, "1" seen',
    );
  });
});
