import { describe, expect, it } from "vitest";
import {
  ArmsAndSleeps,
  AsksBeforeKicking,
  AsksBeforePublishing,
  AsksFlagsBeforePublishing,
  EnablesAndSleeps,
  ForgetsTheWrap,
  LooksThenEnables,
  PublishesTooEarly,
} from "./broken-rings.ts";
import { type Bounds, explore, InterleavingError, replay } from "./preemption.ts";
import { RaceWatch } from "./races.ts";
import { type ReceiveOptions, receiveExperiment } from "./receive-experiment.ts";
import { MEMORY_BYTES, nameIn, type RingOptions } from "./ring-world.ts";
import { type TransmitOptions, transmitExperiment } from "./transmit-experiment.ts";

const SIZES = [1, 2, 4];
const ALL: Bounds = { preemptions: Number.POSITIVE_INFINITY };
/** Six entries before all indices go from 65535 to 0. */
const BEFORE_WRAP = 65_530;

/** Both kinds of suppression, as test cases. */
const KINDS = [
  { kind: "with event indices", eventIdx: true },
  { kind: "with flags", eventIdx: false },
];

function failureOf(run: () => unknown): InterleavingError {
  try {
    run();
  } catch (error) {
    if (error instanceof InterleavingError) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

const receive = (options: ReceiveOptions, bounds: Bounds) => {
  const { experiment, ...outcomes } = receiveExperiment(options);
  const explored = explore(experiment, bounds);
  return { ...explored, seen: outcomes.seen };
};

const transmit = (options: TransmitOptions, bounds: Bounds) => {
  const { experiment, seen } = transmitExperiment(options);
  return { ...explore(experiment, bounds), seen };
};

describe.each(KINDS)("a receive ring $kind", ({ eventIdx }) => {
  it.each(SIZES)("of size %i loses no notification and no buffer in any interleaving of two batches", (size) => {
    const { interleavings, seen } = receive({ size, eventIdx, batches: [1, 1] }, ALL);
    expect(interleavings).toBeGreaterThan(100);
    // One interrupt for both frames, and one for each: both ends of the race were seen.
    expect(seen).toContain("1/2/0");
    expect(seen).toContain("2/2/0");
  });

  it("loses none in three batches, with whatever four preemptions", () => {
    const { interleavings } = receive({ size: 2, eventIdx, batches: [1, 2, 1] }, { preemptions: 4 });
    expect(interleavings).toBeGreaterThan(500);
  });

  it("loses none when the interrupt is held back and suppression is looked at again before it is sent", () => {
    const options = { size: 4, eventIdx, batches: [1, 1, 1], latencyNs: 150 };
    const { seen } = receive(options, { preemptions: 3 });
    expect(seen.size).toBeGreaterThan(1);
  });

  it("loses none when the driver reads one frame at a time", () => {
    receive({ size: 2, eventIdx, batches: [2, 1], budget: 1 }, { preemptions: 3 });
  });

  it("shows a frame that takes two buffers whole or not at all", () => {
    receive({ size: 4, eventIdx, batches: [1, 1], spread: 2 }, { preemptions: 3 });
  });

  it("loses none if plain stores are seen at once", () => {
    receive({ size: 2, eventIdx, batches: [1, 2] }, { preemptions: 3, plainStores: "early" });
  });

  it("loses none where all indices wrap from 65535 to 0", () => {
    const options = { size: 4, eventIdx, batches: [3, 2, 3], startIndex: BEFORE_WRAP };
    expect(receive(options, { preemptions: eventIdx ? 2 : 1 }).interleavings).toBeGreaterThan(10);
  });
});

describe.each(KINDS)("a transmit ring $kind", ({ eventIdx }) => {
  it.each(SIZES)("of size %i loses no kick, no interrupt of a full ring and no frame", (size) => {
    const bounds = size === 1 ? { preemptions: 2 } : { preemptions: 3 };
    const { interleavings, seen } = transmit({ size, eventIdx, flushes: [1, 2] }, bounds);
    expect(interleavings).toBeGreaterThan(50);
    expect(seen.size).toBeGreaterThan(1);
  });

  it("loses no kick in any interleaving of two flushes", () => {
    const { interleavings, seen } = transmit({ size: 4, eventIdx, flushes: [1, 1] }, ALL);
    expect(interleavings).toBeGreaterThan(100);
    // Not every flush kicks, and some interleaving needs no kick at all.
    expect(seen).toContain("0/0");
    expect(seen).toContain("1/0");
    expect(seen).toContain("2/0");
  });

  it("loses no kick if plain stores are seen at once", () => {
    transmit({ size: 2, eventIdx, flushes: [1, 2] }, { preemptions: 3, plainStores: "early" });
  });

  it("loses no kick where all indices wrap from 65535 to 0", () => {
    const options = { size: 4, eventIdx, flushes: [3, 2, 3], startIndex: BEFORE_WRAP };
    expect(transmit(options, { preemptions: 1 }).interleavings).toBeGreaterThan(10);
  });
});

describe.each(KINDS)("plain accesses of a ring $kind", ({ eventIdx }) => {
  const watched = (size: number) => {
    const watch = new RaceWatch(MEMORY_BYTES, ["guest", "card"], nameIn(size));
    const options: RingOptions & { watch: RaceWatch } = {
      size,
      eventIdx,
      watch,
      watched: (view, side) => watch.watched(view, side),
    };
    return { watch, options };
  };

  it("are all ordered by Atomics but one: the hint that forbids kicks", () => {
    for (const size of SIZES) {
      const receiving = watched(size);
      receive({ ...receiving.options, batches: [1, 2, 1] }, { preemptions: 2 });
      const sending = watched(size);
      transmit({ ...sending.options, flushes: [1, 2] }, { preemptions: 2 });
      const races = new Set([...receiving.watch.races, ...sending.watch.races]);
      const hint = eventIdx ? "avail_event" : "used.flags";
      expect(races).toEqual(new Set([`${hint}: Atomics load by guest, plain store by card`]));
    }
  });

  it("would be found to race if used elements were written after the index that shows them", () => {
    const { watch, options } = watched(2);
    failureOf(() => receive({ ...options, batches: [1, 1], Queue: PublishesTooEarly }, { preemptions: 2 }));
    expect([...watch.races].join()).toContain("used.ring: plain load by guest, plain store by card");
  });
});

describe("the explorer", () => {
  const bounds = { preemptions: 3 };
  const found = (options: Partial<ReceiveOptions>) =>
    failureOf(() => receive({ size: 2, eventIdx: true, batches: [1, 1], ...options }, bounds)).message;
  const foundSending = (options: Partial<TransmitOptions>) =>
    failureOf(() => transmit({ size: 1, eventIdx: true, flushes: [1, 1], ...options }, bounds)).message;

  it("finds a card that looks at suppression before it stores used.idx", () => {
    expect(found({ Queue: AsksBeforePublishing })).toContain("the driver sleeps");
    expect(found({ eventIdx: false, Queue: AsksFlagsBeforePublishing })).toContain("the driver sleeps");
    expect(foundSending({ Queue: AsksBeforePublishing })).toContain("the driver sleeps");
  });

  it("finds a driver that does not re-read the ring after it has enabled notifications", () => {
    for (const Driver of [EnablesAndSleeps, LooksThenEnables]) {
      for (const { eventIdx } of KINDS) {
        expect(found({ eventIdx, Driver })).toContain("the driver sleeps");
        expect(foundSending({ eventIdx, Driver })).toContain("the driver sleeps");
      }
    }
  });

  it("finds a card that does not re-read the ring after it has armed the kick", () => {
    for (const { eventIdx } of KINDS) expect(foundSending({ eventIdx, Queue: ArmsAndSleeps })).toContain("sleeps");
  });

  it("finds a driver that looks whether a kick is wanted before it stores avail.idx", () => {
    for (const { eventIdx } of KINDS) expect(foundSending({ eventIdx, Driver: AsksBeforeKicking })).toContain("sleeps");
  });

  it("finds used elements that are written after the index that shows them", () => {
    expect(found({ Queue: PublishesTooEarly })).toContain("is not exposed");
  });

  it("finds event indices compared as if they never wrapped, but only at the wrap", () => {
    receive({ size: 4, eventIdx: true, batches: [3, 2, 3], Queue: ForgetsTheWrap }, { preemptions: 1 });
    const options = { size: 4, eventIdx: true, batches: [3, 2, 3], startIndex: BEFORE_WRAP, Queue: ForgetsTheWrap };
    expect(failureOf(() => receive(options, { preemptions: 1 })).message).toContain("the driver sleeps");
  });

  it("names the interleaving that failed, and plays it again", () => {
    const options = { size: 2, eventIdx: true, batches: [1, 1], Driver: EnablesAndSleeps };
    const { schedule, message } = failureOf(() => receive(options, bounds));
    expect(schedule).toMatch(/^([gc]\d+ )+[gc]\d+$/);
    expect(message).toContain("guest: store used_event");
    expect(() => replay(receiveExperiment(options).experiment, schedule)).toThrow("the driver sleeps");
    expect(replay(receiveExperiment({ size: 2, eventIdx: true, batches: [1, 1] }).experiment, schedule)).not.toEqual(
      [],
    );
  });

  it("gives the global Atomics back", () => {
    const { load } = Atomics;
    receive({ size: 1, eventIdx: true, batches: [1] }, { preemptions: 0 });
    expect(Atomics.load).toBe(load);
  });
});
