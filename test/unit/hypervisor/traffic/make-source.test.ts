import { describe, expect, it } from "vitest";
import {
  makeSource,
  type OpenLoopTraffic,
  type SourceOptions,
} from "../../../../src/hypervisor/traffic/make-source.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, packetsOf } from "./capture-files.ts";

const OPTIONS: SourceOptions = {
  speed: 1,
  seed: 1,
  linkRateBps: 1e9,
  durationNs: null,
  maxGapNs: 1e9,
  guestIndex: 0,
};

function capture(rows: string, offsetNs = 0): OpenLoopTraffic {
  return { kind: "capture", file: fileOf(`time_ns,length_bytes\n${rows}`), offsetNs };
}

const generated: readonly (readonly [string, (count: number | null) => OpenLoopTraffic])[] = [
  ["constant", (count) => ({ kind: "constant", framesPerS: 1e6, lengthBytes: 60, count })],
  ["poisson", (count) => ({ kind: "poisson", framesPerS: 1e6, lengthBytes: 60, count })],
  ["on-off", (count) => ({ kind: "on-off", framesPerS: 1e6, lengthBytes: 60, onMeanNs: 5e4, offMeanNs: 5e4, count })],
  ["burst", (count) => ({ kind: "burst", burstFrames: 4, periodNs: 10_000, lengthBytes: 60, count })],
];

describe("makeSource", () => {
  it("plays a capture once if the run has no duration", () => {
    const source = makeSource(capture("0,60\n10,61\n"), OPTIONS);
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [10, 61],
    ]);
  });

  it("repeats a capture until the duration, with no packet at or after it", () => {
    const source = makeSource(capture("0,60\n10,61\n"), { ...OPTIONS, durationNs: 60 });
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [10, 61],
      [20, 60],
      [30, 61],
      [40, 60],
      [50, 61],
    ]);
    expect(source.notes).toEqual(["played 4 times over"]);
  });

  it("shortens a capture's gaps before the speed, and adds the offset after it", () => {
    const source = makeSource(capture("0,60\n5000000000,61\n5000000100,62\n", 7), { ...OPTIONS, speed: 10 });
    expect(packetsOf(source)).toEqual([
      [7, 60],
      [100_000_007, 61],
      [100_000_017, 62],
    ]);
    expect(source.notes).toEqual(["1 gap shortened to 1.00 s, 4.00 s in all left out"]);
  });

  it("refuses a capture that cannot be played, at once", () => {
    const missing = { kind: "capture", file: "/no/such.pcap", offsetNs: 0 } as const;
    expect(() => makeSource(missing, OPTIONS)).toThrow(UserError);
    expect(() => makeSource(missing, { ...OPTIONS, durationNs: 1e9 })).toThrow("/no/such.pcap: there is no such file");
  });

  it.each(generated)("ends %s traffic after its count", (_kind, spec) => {
    expect(packetsOf(makeSource(spec(17), OPTIONS))).toHaveLength(17);
  });

  it.each(generated)("ends %s traffic without a count at the duration", (_kind, spec) => {
    const packets = packetsOf(makeSource(spec(null), { ...OPTIONS, durationNs: 1_000_000 }));
    expect(packets.length).toBeGreaterThan(100);
    expect(packets.at(-1)![0]).toBeLessThan(1_000_000);
    expect(packets.at(-1)![0]).toBeGreaterThan(800_000);
  });

  it.each(generated)("refuses %s traffic with neither a count nor a duration", (kind, spec) => {
    expect(() => makeSource(spec(null), OPTIONS)).toThrow(UserError);
    expect(() => makeSource(spec(null), OPTIONS)).toThrow(
      `traffic ${kind} never ends, and the run has no duration: give durationS or count`,
    );
  });

  it("repeats traffic with a count until the duration, like a capture", () => {
    const spec = { kind: "constant", framesPerS: 1e8, lengthBytes: 60, count: 3 } as const;
    const times = packetsOf(makeSource(spec, { ...OPTIONS, durationNs: 70 })).map(([timeNs]) => timeNs);
    expect(times).toEqual([0, 10, 20, 30, 40, 50, 60]);
  });

  it("leaves the rate of a generator to its own figures, whatever the speed", () => {
    const spec = { kind: "constant", framesPerS: 1e6, lengthBytes: 60, count: 3 } as const;
    expect(packetsOf(makeSource(spec, { ...OPTIONS, speed: 100 })).at(-1)).toEqual([2000, 60]);
  });

  it("gives guests with the same traffic and seed unlike packets, and a guest always the same", () => {
    const spec = { kind: "poisson", framesPerS: 1e6, lengthBytes: 60, count: 10 } as const;
    const first = packetsOf(makeSource(spec, OPTIONS));
    expect(packetsOf(makeSource(spec, OPTIONS))).toEqual(first);
    expect(packetsOf(makeSource(spec, { ...OPTIONS, guestIndex: 1 }))).not.toEqual(first);
    expect(packetsOf(makeSource(spec, { ...OPTIONS, seed: 2 }))).not.toEqual(first);
  });

  it("refuses on-off traffic whose on times could hardly hold a frame", () => {
    const spec = { kind: "on-off", framesPerS: 1, lengthBytes: 60, onMeanNs: 10, offMeanNs: 10, count: 1 } as const;
    expect(() => makeSource(spec, OPTIONS)).toThrow(UserError);
    expect(() => makeSource(spec, OPTIONS)).toThrow(
      "onMeanNs is 10, too short to send a frame in; allowed is at least",
    );
  });

  it("has no packet for traffic none", () => {
    expect(packetsOf(makeSource({ kind: "none" }, { ...OPTIONS, durationNs: 1e9 }))).toEqual([]);
  });
});
