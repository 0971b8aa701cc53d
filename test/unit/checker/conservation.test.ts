import { describe, expect, it } from "vitest";
import { checkEvents } from "../../checker/check.ts";
import {
  activate,
  at,
  broken,
  check,
  deactivate,
  dropped,
  frame,
  header,
  notify,
  off,
  poll,
  script,
} from "./script.ts";

const arrive = (t: number, id: number) => at(t, "arrive", { id, queue: 0, len: 60 });
const deliver = (t: number, id: number, free: number) => at(t, "deliver", { id, queue: 0, buffers: 1, free });
const drain = (t: number, first: number, last: number, count: number) =>
  at(t, "drain", { queue: 0, first, last, count });
const latch = (t: number) => at(t, "cause", { vector: 0, queue: 0, kind: "rx" });

async function rules(...args: Parameters<typeof check>): Promise<string[]> {
  return Object.keys((await check(...args)).counts);
}

describe("B: every frame once", () => {
  it("accepts frames that are delivered, dropped and read in order", async () => {
    const start = { free: 2 };
    const events = [frame(100, 1, 1, true), notify(100), frame(110, 2, 0), dropped(120, 3), poll(200, 1, 2)];
    expect(await broken(start, events)).toEqual([]);
  });

  it("flags an id that comes twice", async () => {
    expect(await rules({}, [frame(100, 1, 15, true), notify(100), poll(110, 1, 1), dropped(120, 1)])).toEqual([
      "B.ids",
    ]);
  });

  it("flags a frame that waits in front of the ring, or stays there", async () => {
    const waits = [arrive(100, 1), deliver(101, 1, 15), latch(101), notify(101), poll(110, 1, 1)];
    expect(await broken({}, waits)).toEqual(["B.wire deliver at 101"]);
    expect(await broken({}, [arrive(100, 1)])).toEqual(["B.wire neither, until the run's end at 1000000"]);
    expect(await broken({}, [arrive(100, 1), dropped(200, 2)])).toEqual([
      "B.wire still on the wire at 200",
      "B.balance 2 arrived, 0 delivered, 1 dropped",
    ]);
  });

  it("flags a frame that was both delivered and dropped, and one that never arrived", async () => {
    const both = [frame(100, 1, 15, true), at(100, "drop", { id: 1, queue: 0, why: "no-buffer" }), notify(100)];
    expect(await rules({}, [...both, poll(110, 1, 1)])).toEqual(["B.balance", "B.wire"]);
    expect(await rules({}, [deliver(100, 1, 15), latch(100), notify(100), poll(110, 1, 1)])).toEqual([
      "B.balance",
      "B.wire",
    ]);
  });

  it("flags frames read out of order, twice, skipped, or not delivered", async () => {
    const before = [frame(100, 1, 15, true), notify(100), off(100), frame(100, 2, 14), frame(100, 3, 13)];
    expect(await rules({}, [...before, drain(200, 1, 3, 3)])).toEqual([]);
    expect(await rules({}, [...before, at(200, "drain", { queue: 0, ids: [1, 2, 3] })])).toEqual([]);
    expect(await rules({}, [...before, at(200, "drain", { queue: 0, ids: [1, 3, 2] })])).toEqual(["B.drain"]);
    expect(await rules({}, [...before, drain(200, 1, 3, 2)])).toContain("B.drain");
    expect(await broken({}, [...before, drain(200, 1, 3, 3), drain(201, 3, 3, 1)])).toEqual([
      "B.drain 1 frames, 3 to 3, read from an empty ring",
    ]);
    expect(await broken({}, [...before, drain(200, 2, 3, 2)])).toEqual([
      "B.drain 2 frames, 2 to 3, read from 3 frames from 1",
    ]);
  });

  it("flags a wrong count of free buffers", async () => {
    expect(await rules({}, [frame(100, 1, 14, true), notify(100), poll(110, 1, 1)])).toEqual(["B.free"]);
    const twice = [frame(100, 1, 15, true), notify(100), poll(110, 1, 1), at(120, "refill", { queue: 0, n: 1 })];
    expect(await broken({}, twice)).toEqual(["B.free 17 after a refill"]);
  });

  it("flags time that goes back", async () => {
    expect(await rules({}, [dropped(100, 1), dropped(99, 2)])).toEqual(["B.time"]);
  });

  it("flags notifications switched off twice", async () => {
    expect(await broken({}, [off(100), off(200)])).toEqual(["B.poll notify-off twice on queue 0"]);
  });

  it("flags a guest that works without a CPU, and a CPU with two guests", async () => {
    expect(await rules({ state: "preempted" }, [off(100)])).toEqual(["B.cpu"]);
    expect(await rules({}, [activate(100)])).toEqual(["B.cpu"]);
    expect(await rules({}, [deactivate(100), deactivate(200)])).toEqual(["B.cpu"]);
    const guests = ["g", "h"].map((name) => ({ name, ring: 16, cpu: 0, vectors: 1, free: 16, state: "preempted" }));
    const lines = [{ ...header({}), guests }, activate(100), { ...activate(200), guest: "h" }, { ev: "end", t: 300 }];
    const report = await checkEvents(lines.map((line) => JSON.stringify(line)));
    expect(report.violations.map((v) => v.seen)).toEqual(["held by g"]);
  });
});

describe("the format", () => {
  it("flags what is not an event, and goes on", async () => {
    const lines = script({}, [dropped(100, 1)], 200);
    lines.splice(2, 0, "{", '{"t":1,"guest":"g","ev":"nap"}', '{"t":1,"guest":"g","ev":"notify","vector":0,"why":"x"}');
    const report = await checkEvents(lines);
    expect(report.counts).toEqual({ format: 3 });
    expect(report.runs).toHaveLength(1);
  });

  it("flags a run without an end, and events without a run", async () => {
    const lines = script({}, [], 200).slice(0, -1);
    expect((await checkEvents(lines)).counts).toEqual({ format: 1 });
    expect((await checkEvents(lines.slice(1))).counts).toEqual({ format: 1 });
  });

  it("lists at most so many violations of a rule, and counts them all", async () => {
    const report = await check(
      {},
      Array.from({ length: 50 }, (_, i) => notify(100 * (i + 1))),
    );
    expect(report.violations).toHaveLength(20);
    expect(report.counts).toEqual({ R1: 50 });
  });
});

describe("D: no wake is missed", () => {
  const read = (t: number) => [frame(100, 1, 15, true), notify(100), poll(t, 1, 1)];

  it("wants every ring empty 50 ms after the last arrival", async () => {
    expect(await rules({}, read(50_000_100), 60_000_000)).toEqual([]);
    expect(await rules({}, read(50_000_101), 60_000_000)).toEqual(["D"]);
    expect(await rules({}, read(0).slice(0, -1), 60_000_000)).toEqual(["D"]);
  });

  it("leaves it open if the run ends before", async () => {
    const report = await check({}, [frame(100, 1, 15, true), notify(100)], 40_000_000);
    expect(report.counts).toEqual({});
    expect(report.notes.some((note) => note.includes("D is open"))).toBe(true);
  });
});

describe("E: threads", () => {
  const threads = { engine: "threads" } as const;

  it("allows a little time between arrival and delivery, and a read reported before the delivery", async () => {
    const events = [arrive(100, 1), drain(200, 1, 1, 1), deliver(300, 1, 15)];
    expect(await broken(threads, events)).toEqual([]);
    expect(await rules(threads, [arrive(100, 1), deliver(1_000_101, 1, 15), drain(1_000_200, 1, 1, 1)], 9e6)).toEqual([
      "B.wire",
    ]);
  });

  it("flags a read that no delivery follows, and frames that stay", async () => {
    expect(await rules(threads, [drain(200, 1, 1, 1)])).toEqual(["B.drain"]);
    expect(await rules(threads, [frame(100, 1, 15)], 200_000_000)).toEqual(["D"]);
  });

  it("does not ask for exact deadlines", async () => {
    const events = [frame(100, 1, 15, true), notify(150), poll(200, 1, 1), frame(300, 2, 15, true), notify(1200)];
    expect(await broken(threads, [...events, poll(1300, 2, 2)])).toEqual([]);
  });
});
