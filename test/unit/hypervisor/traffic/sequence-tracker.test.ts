import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SequenceTracker } from "../../../../src/hypervisor/traffic/sequence-tracker.ts";

describe("SequenceTracker", () => {
  const tally = (sequences: readonly number[], first = 0) => {
    const tracker = new SequenceTracker(first);
    for (const sequence of sequences) tracker.see(sequence);
    const { lost, duplicated, reordered } = tracker;
    return { lost, duplicated, reordered };
  };

  it("counts nothing for an unbroken stream", () => {
    expect(tally([0, 1, 2, 3])).toEqual({ lost: 0, duplicated: 0, reordered: 0 });
  });

  it("counts what was skipped as lost, before the first frame too", () => {
    expect(tally([2, 3, 7])).toEqual({ lost: 5, duplicated: 0, reordered: 0 });
    expect(tally([2, 3, 7], 2)).toEqual({ lost: 3, duplicated: 0, reordered: 0 });
  });

  it("takes a late frame for reordered, and no longer for lost", () => {
    expect(tally([0, 2, 3, 1, 4])).toEqual({ lost: 0, duplicated: 0, reordered: 1 });
  });

  it("takes a frame that was seen for a duplicate, also after others and after it came late", () => {
    expect(tally([0, 0, 2, 1, 1, 2, 0])).toEqual({ lost: 0, duplicated: 4, reordered: 1 });
  });

  it("takes what was numbered below the first for a duplicate", () => {
    expect(tally([100, 99], 100)).toEqual({ lost: 0, duplicated: 1, reordered: 0 });
  });

  it("goes on behind 2^32 − 1 with 0", () => {
    expect(tally([0xffff_fffe, 0xffff_ffff, 1, 0, 0], 0xffff_fffe)).toEqual({ lost: 0, duplicated: 1, reordered: 1 });
  });

  it("forgets what is 65536 numbers behind: such a frame counts as a duplicate", () => {
    expect(tally([0, 65_536, 1])).toEqual({ lost: 65_534, duplicated: 0, reordered: 1 });
    expect(tally([0, 65_538, 1])).toEqual({ lost: 65_537, duplicated: 1, reordered: 0 });
    expect(tally([0, 1_000_000, 999_999, 999_999])).toEqual({ lost: 999_998, duplicated: 1, reordered: 1 });
  });

  it("agrees with a plain set of what was seen, for any order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 })), (sequences) => {
        const seen = new Set<number>();
        let duplicated = 0;
        let reordered = 0;
        for (const sequence of sequences) {
          if (seen.has(sequence)) duplicated++;
          else if (sequence < Math.max(-1, ...seen)) reordered++;
          seen.add(sequence);
        }
        const lost = Math.max(-1, ...sequences) + 1 - seen.size;
        expect(tally(sequences)).toEqual({ lost, duplicated, reordered });
      }),
    );
  });
});
