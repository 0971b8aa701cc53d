import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LimitedSource, PacedSource, ShortenedGaps } from "../../../../src/hypervisor/traffic/pacing.ts";
import { RepeatedSource } from "../../../../src/hypervisor/traffic/repeated-source.ts";
import { ListSource, type Packet, packetsOf } from "./capture-files.ts";

const FOREVER = Number.POSITIVE_INFINITY;

describe("ShortenedGaps", () => {
  it("makes each gap that is longer than the longest allowed as long as that, and counts it", () => {
    const source = new ShortenedGaps(
      new ListSource([
        [0, 60],
        [100, 61],
        [201, 62], // 101
        [5000, 63], // 4799
        [5040, 64],
      ]),
      100,
    );
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [100, 61],
      [200, 62],
      [300, 63],
      [340, 64],
    ]);
    expect(source.notes).toEqual(["2 gaps shortened to 100 ns, 4.70 µs in all left out"]);
  });

  it("says nothing if there is nothing to shorten, and passes on the notes of its source", () => {
    const source = new ShortenedGaps(new ListSource([[0, 60]], ["truncated after 1 packet"]), 1);
    packetsOf(source);
    expect(source.notes).toEqual(["truncated after 1 packet"]);
  });

  it("keeps every other gap", () => {
    const gaps = fc.array(fc.nat({ max: 300 }), { minLength: 1 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 200 }), (given, maxGapNs) => {
        const packets: Packet[] = [[0, 1]];
        for (const gap of given) packets.push([packets.at(-1)![0] + gap, 1]);
        const list = new ListSource(packets);
        const times = packetsOf(new ShortenedGaps(list, maxGapNs)).map(([time]) => time);
        expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual(given.map((gap) => Math.min(gap, maxGapNs)));
      }),
    );
  });

  it("refuses a longest gap below 1 ns", () => {
    expect(() => new ShortenedGaps(new ListSource([]), 0)).toThrow("maxGapNs: got 0, allowed is at least 1");
  });
});

describe("PacedSource", () => {
  it("divides times by the speed, rounds them, and adds the offset, which the speed does not change", () => {
    const list = new ListSource([
      [0, 60],
      [10, 61],
      [11, 62],
      [1000, 63],
    ]);
    expect(packetsOf(new PacedSource(list, 4, 500))).toEqual([
      [500, 60],
      [503, 61],
      [503, 62],
      [750, 63],
    ]);
    expect(packetsOf(new PacedSource(new ListSource([[7, 60]]), 0.5, 0))).toEqual([[14, 60]]);
  });

  it("refuses speeds that are not above 0, and negative offsets", () => {
    expect(() => new PacedSource(new ListSource([]), 0, 0)).toThrow("speed: got 0, allowed is a finite number above 0");
    expect(() => new PacedSource(new ListSource([]), Number.NaN, 0)).toThrow(RangeError);
    expect(() => new PacedSource(new ListSource([]), 1, -1)).toThrow("offsetNs: got -1");
  });
});

describe("LimitedSource", () => {
  const packets = [
    [0, 60],
    [10, 61],
    [20, 62],
  ] as const;

  it("ends before the first packet at or after its end", () => {
    expect(packetsOf(new LimitedSource(new ListSource(packets), FOREVER, 20))).toEqual(packets.slice(0, 2));
    expect(packetsOf(new LimitedSource(new ListSource(packets), FOREVER, 21))).toEqual(packets);
    expect(packetsOf(new LimitedSource(new ListSource(packets), FOREVER, 0))).toEqual([]);
  });

  it("ends after its count", () => {
    expect(packetsOf(new LimitedSource(new ListSource(packets), 2, FOREVER))).toEqual(packets.slice(0, 2));
    expect(packetsOf(new LimitedSource(new ListSource(packets), 9, FOREVER))).toEqual(packets);
  });

  it("closes its source when it ends, and then stays at its end", () => {
    const list = new ListSource(packets);
    const source = new LimitedSource(list, 1, FOREVER);
    packetsOf(source);
    expect(list.closed).toBe(1);
    expect(source.next()).toBe(false);
    expect(list.closed).toBe(1);
  });
});

describe("RepeatedSource", () => {
  it("plays its source again, one mean gap behind its last packet, without end", () => {
    const opened: ListSource[] = [];
    const source = new RepeatedSource(() => {
      const list = new ListSource(
        [
          [0, 60],
          [5, 61],
          [20, 62], // mean gap 10: the period is 30
        ],
        ["a note"],
      );
      opened.push(list);
      return list;
    });
    expect(source.notes).toEqual(["a note"]);
    expect(packetsOf(source, 8)).toEqual([
      [0, 60],
      [5, 61],
      [20, 62],
      [30, 60],
      [35, 61],
      [50, 62],
      [60, 60],
      [65, 61],
    ]);
    expect(source.notes).toEqual(["a note", "played 3 times over"]);
    expect(opened.map((list) => list.closed)).toEqual([1, 1, 0]);
    source.close();
    expect(opened.map((list) => list.closed)).toEqual([1, 1, 1]);
    expect(source.next()).toBe(false);
  });

  it("repeats what takes no time once a second, for there is no gap to go by", () => {
    const single = new RepeatedSource(() => new ListSource([[0, 60]]));
    expect(packetsOf(single, 3)).toEqual([
      [0, 60],
      [1e9, 60],
      [2e9, 60],
    ]);
    const together = () =>
      new ListSource([
        [0, 60],
        [0, 61],
      ]);
    expect(packetsOf(new RepeatedSource(together), 3).at(-1)).toEqual([1e9, 60]);
  });

  it("moves on in time with every pass, however short the source is", () => {
    const short = () => new ListSource([0, 0, 0, 1].map((timeNs) => [timeNs, 60] as const));
    expect(packetsOf(new RepeatedSource(short), 9).at(-1)).toEqual([4, 60]);
  });

  it("ends with a source that has no packet", () => {
    const source = new RepeatedSource(() => new ListSource([]));
    expect(packetsOf(source)).toEqual([]);
    expect(source.next()).toBe(false);
  });
});
