import { describe, expect, it } from "vitest";
import { LatencyLog, SampleLog } from "../../../src/guest/latency-log.ts";

const word = (seq: number, state: number): number => (seq << 2) | state;
const PREEMPTED = 0;
const ACTIVE = 1;
const IDLE = 2;

describe("the latency log", () => {
  it("tells apart: read in the active span of the arrival, in a later one, or arrived while inactive", () => {
    const log = new LatencyLog();
    log.record(1000, word(7, ACTIVE), 1300, word(7, ACTIVE));
    log.record(2000, word(7, ACTIVE), 9000, word(9, ACTIVE));
    log.record(3000, word(8, PREEMPTED), 9000, word(9, ACTIVE));
    log.record(4000, word(10, IDLE), 9500, word(11, ACTIVE));
    const { latencyNs, latencyCutNs, latencyInactiveNs } = log.toTransfer();
    expect([...latencyNs]).toEqual([300]);
    expect([...latencyCutNs]).toEqual([7000]);
    expect([...latencyInactiveNs]).toEqual([6000, 5500]);
  });

  it("compares state words as 32 bits, signed or not", () => {
    const log = new LatencyLog();
    const high = word(0x3fffffff, ACTIVE);
    expect(high).toBeLessThan(0);
    log.record(1, high >>> 0, 2, high);
    expect(log.latency.count).toBe(1);
  });
});

describe("a sample log", () => {
  it("keeps every sample exactly and in order, over as many chunks as it takes", () => {
    const log = new SampleLog();
    const count = 150_000;
    for (let i = 0; i < count; i++) log.add(i + 0.5);
    expect(log.count).toBe(count);
    const all = log.toArray();
    expect(all.length).toBe(count);
    expect(all.every((sample, i) => sample === i + 0.5)).toBe(true);
  });

  it("gives an empty array if there are none", () => {
    expect(new SampleLog().toArray().length).toBe(0);
  });
});
