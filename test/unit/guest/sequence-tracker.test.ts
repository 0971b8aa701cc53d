import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SEQUENCE_WINDOW, SequenceTracker } from "../../../src/guest/sequence-tracker.ts";

function follow(sequences: Iterable<number>, first = 0): [number, number, number] {
  const tracker = new SequenceTracker(first);
  for (const sequence of sequences) tracker.see(sequence);
  return [tracker.lost, tracker.duplicated, tracker.reordered];
}

describe("following sequence numbers", () => {
  it("finds nothing in an unbroken sequence, across the wrap at 2^32 too", () => {
    const first = 2 ** 32 - 6000;
    const sequences = Array.from({ length: 12_000 }, (_, i) => (first + i) >>> 0);
    expect(follow(sequences, first)).toEqual([0, 0, 0]);
  });

  it("counts a gap as lost, and a number that comes late as reordered and no longer lost", () => {
    expect(follow([0, 1, 4, 5])).toEqual([2, 0, 0]);
    expect(follow([0, 1, 4, 5, 2])).toEqual([1, 0, 1]);
    expect(follow([0, 1, 4, 5, 2, 3, 6])).toEqual([0, 0, 2]);
    expect(follow([3])).toEqual([3, 0, 0]);
  });

  it("counts copies, also of what came late", () => {
    expect(follow([0, 1, 1, 2, 0])).toEqual([0, 2, 0]);
    expect(follow([0, 3, 1, 1])).toEqual([1, 1, 1]);
  });

  it("takes what lies before the first number, or beyond its window, for a copy", () => {
    expect(follow([100, 99, 5], 100)).toEqual([0, 2, 0]);
    expect(follow([0, 2, SEQUENCE_WINDOW + 2, 1])).toEqual([SEQUENCE_WINDOW, 1, 0]);
  });

  it("agrees with a plain list of all numbers as long as nothing is older than the window", () => {
    const jumps = fc.array(fc.integer({ min: -200, max: 300 }), { maxLength: 400 });
    fc.assert(
      fc.property(jumps, fc.integer({ min: 0, max: 0xffffffff }), (steps, first) => {
        const seen = new Set<number>();
        let highest = -1;
        let duplicated = 0;
        let reordered = 0;
        const sequences: number[] = [];
        for (const step of steps) {
          const offset = Math.max(0, highest + step);
          if (seen.has(offset)) duplicated++;
          else if (offset < highest) reordered++;
          seen.add(offset);
          highest = Math.max(highest, offset);
          sequences.push((first + offset) >>> 0);
        }
        expect(follow(sequences, first)).toEqual([highest + 1 - seen.size, duplicated, reordered]);
      }),
    );
  });
});
