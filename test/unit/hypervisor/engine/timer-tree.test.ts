import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TimerTree } from "../../../../src/hypervisor/engine/virtual/timer-tree.ts";

describe("the timer tree", () => {
  it("names the earliest timer, and among equals the one of lowest index, whatever was set in whatever order", () => {
    const settings = fc.array(fc.tuple(fc.nat(12), fc.oneof(fc.nat(20), fc.constant(Number.POSITIVE_INFINITY))), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(settings, (sets) => {
        const tree = new TimerTree(13);
        const plain = new Array<number>(13).fill(Number.POSITIVE_INFINITY);
        for (const [index, timeNs] of sets) {
          tree.set(index, timeNs);
          plain[index] = timeNs;
          const earliest = Math.min(...plain);
          expect(tree.firstNs).toBe(earliest);
          if (earliest < Number.POSITIVE_INFINITY) expect(tree.first).toBe(plain.indexOf(earliest));
        }
      }),
    );
  });

  it("works with a single timer", () => {
    const tree = new TimerTree(1);
    tree.set(0, 5);
    expect([tree.first, tree.firstNs]).toEqual([0, 5]);
  });

  it("refuses a number of timers that makes no sense", () => {
    expect(() => new TimerTree(0)).toThrow("timers: got 0, allowed are 1 to 65536");
  });
});
