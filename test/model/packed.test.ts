import { describe, expect, it } from "vitest";
import { type PackedExperimentOptions, packedReceive, packedTransmit } from "./packed-experiment.ts";
import {
  ArmsAndSleeps,
  AsksBeforeOffering,
  AsksBeforePublishing,
  EnablesAndSleeps,
  PACKED_MEMORY_BYTES,
  packedNameOf,
  ShowsTooEarly,
} from "./packed-world.ts";
import { type Bounds, explore, InterleavingError } from "./preemption.ts";
import { RaceWatch } from "./races.ts";

const ALL: Bounds = { preemptions: Number.POSITIVE_INFINITY };
const SOME: Bounds = { preemptions: 3 };

/** Both kinds of suppression, and both ways to take a chain, as test cases. */
const KINDS = [
  { kind: "with events at a slot", eventIdx: true, stretches: false },
  { kind: "with events on or off", eventIdx: false, stretches: false },
  { kind: "with events at a slot, in stretches", eventIdx: true, stretches: true },
  { kind: "with events on or off, in stretches", eventIdx: false, stretches: true },
];

function receive(options: PackedExperimentOptions, bounds: Bounds) {
  const { experiment, seen } = packedReceive(options);
  return { ...explore(experiment, bounds), seen };
}

function transmit(options: PackedExperimentOptions, bounds: Bounds) {
  const { experiment, seen } = packedTransmit(options);
  return { ...explore(experiment, bounds), seen };
}

function failureOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InterleavingError) return error.message;
    throw error;
  }
  throw new Error("nothing failed");
}

describe.each(KINDS)("a packed receive ring $kind", ({ eventIdx, stretches }) => {
  it.each([1, 2, 3, 4])("of size %i loses no interrupt and no buffer in any interleaving of two batches", (size) => {
    const { interleavings, seen } = receive({ size, eventIdx, stretches, batches: [1, 1] }, ALL);
    expect(interleavings).toBeGreaterThan(50);
    // One interrupt for both frames, and one for each: both ends of the race were seen.
    expect(seen).toContain("1/0/2");
    expect(seen).toContain("2/0/2");
  });

  it.each([2, 3])("of size %i loses none over the ring's end, again and again", (size) => {
    receive({ size, eventIdx, stretches, batches: [2, 1, 2, 2] }, SOME);
  });

  it("loses none if a buffer is two descriptors", () => {
    receive({ size: 3, slots: 2, eventIdx, batches: [1, 1, 1] }, SOME);
    receive({ size: 4, slots: 2, eventIdx, batches: [1, 2, 1] }, SOME);
  });

  it("loses none if plain stores are seen at once", () => {
    receive({ size: 2, eventIdx, stretches, batches: [1, 2, 1] }, { ...SOME, plainStores: "early" });
  });
});

describe.each(KINDS)("a packed transmit ring $kind", ({ eventIdx, stretches }) => {
  it.each([1, 2, 3, 4])("of size %i loses no kick, no interrupt of a full ring and no frame", (size) => {
    const { interleavings, seen } = transmit({ size, eventIdx, stretches, batches: [1, 2, 1] }, { preemptions: 2 });
    expect(interleavings).toBeGreaterThan(50);
    expect(seen.size).toBeGreaterThan(1);
  });

  it("loses no kick in any interleaving of two flushes", () => {
    const { seen } = transmit({ size: 4, eventIdx, stretches, batches: [1, 1] }, ALL);
    // Not every flush kicks, and some interleaving needs no kick at all.
    const kicks = new Set([...seen].map((outcome) => outcome.split("/")[1]));
    expect(kicks).toEqual(new Set(["0", "1", "2"]));
  });

  it("loses none if a buffer is two descriptors, or if plain stores are seen at once", () => {
    transmit({ size: 3, slots: 2, eventIdx, batches: [1, 2] }, SOME);
    transmit({ size: 2, eventIdx, stretches, batches: [1, 2] }, { ...SOME, plainStores: "early" });
  });
});

describe.each(KINDS)("plain accesses of a packed ring $kind", ({ eventIdx, stretches }) => {
  const watched = () => {
    const watch = new RaceWatch(PACKED_MEMORY_BYTES, ["guest", "card"], packedNameOf);
    return { watch, watched: watch.watched.bind(watch) };
  };

  it("are all ordered by Atomics but one: the hint that forbids kicks", () => {
    const races = new Set<string>();
    for (const size of [1, 2, 3]) {
      for (const slots of size === 3 ? [1, 2] : [1]) {
        const receiving = watched();
        receive(
          { size, slots, eventIdx, stretches: stretches && slots === 1, batches: [1, 2, 1], ...receiving },
          { preemptions: 2 },
        );
        const sending = watched();
        transmit(
          { size, slots, eventIdx, stretches: stretches && slots === 1, batches: [1, 2], ...sending },
          { preemptions: 2 },
        );
        for (const race of [...receiving.watch.races, ...sending.watch.races]) races.add(race);
      }
    }
    expect(races).toEqual(new Set(["device.flags: Atomics load by guest, plain store by card"]));
  });
});

describe("the explorer finds in packed rings", () => {
  const found = (options: Partial<PackedExperimentOptions>) =>
    failureOf(() => receive({ size: 2, eventIdx: true, batches: [1, 1], ...options }, SOME));
  const foundSending = (options: Partial<PackedExperimentOptions>) =>
    failureOf(() => transmit({ size: 1, eventIdx: true, batches: [1, 1], ...options }, SOME));

  it("a card that looks at suppression before it shows the batch", () => {
    for (const kind of KINDS) {
      expect(found({ ...kind, Queue: AsksBeforePublishing })).toContain("the driver sleeps");
      expect(foundSending({ ...kind, Queue: AsksBeforePublishing })).toContain("the driver sleeps");
    }
  });

  it("a card that does not look at the ring again after it has armed the kick", () => {
    for (const kind of KINDS) expect(foundSending({ ...kind, Queue: ArmsAndSleeps })).toContain("sleeps");
  });

  it("a card that shows a used descriptor before it is written", () => {
    for (const stretches of [false, true]) {
      expect(found({ size: 3, stretches, batches: [2, 1], Queue: ShowsTooEarly })).toContain("came back with length 2");
    }
  });

  it("a driver that does not look at the ring again after it has asked for interrupts", () => {
    for (const { eventIdx } of KINDS) {
      expect(found({ eventIdx, Driver: EnablesAndSleeps })).toContain("the driver sleeps");
      expect(foundSending({ eventIdx, Driver: EnablesAndSleeps })).toContain("the driver sleeps");
    }
  });

  it("a driver that looks whether a kick is wanted before it shows the buffer", () => {
    for (const { eventIdx } of KINDS)
      expect(foundSending({ eventIdx, Driver: AsksBeforeOffering })).toContain("sleeps");
  });
});
