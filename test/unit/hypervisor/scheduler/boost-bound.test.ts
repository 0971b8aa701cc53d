import { describe, expect, it } from "vitest";
import { BoostWindow } from "../../../../src/hypervisor/scheduler/boost-window.ts";
import { VirtualHost } from "./virtual-host.ts";

const MS = 1e6;
/** 5 ms of any 100 ms; wake slices of 2 ms, so that a piece below 0.5 ms is not worth its switches. */
const SPEC = { sliceNs: 200 * MS, wakeSliceNs: 2 * MS, boostShareMax: 0.05 };
const COSTS = { wakeLatencyNs: 50_000, switchNs: 10_000 };

describe("R15 in the scheduler", () => {
  it("R15: a wake slice is cut to what is left of the vCPU's share of 100 ms", () => {
    const host = new VirtualHost({ spec: SPEC, costs: COSTS });
    for (let i = 0; i < 3; i++) host.run((1 + 5 * i) * MS).wake(1);
    host.run(50 * MS);
    const lengths = host.spans.filter((span) => span.inWakeSlice).map((span) => span.toNs - span.fromNs);
    expect(lengths).toEqual([2 * MS, 2 * MS, 1 * MS]);
  });

  it("R15: with its share used up a wake preempts nobody and is counted, and the vCPU comes with its natural slice", () => {
    const host = new VirtualHost({ spec: SPEC, costs: COSTS });
    for (let i = 0; i < 3; i++) host.run((1 + 5 * i) * MS).wake(1);
    host.run(95 * MS).news();
    host
      .wake(1)
      .wake(1)
      .run(201 * MS);
    expect(host.news()).toEqual([`${200 * MS} cpu0 -0 slice-end`, `${200.01 * MS} cpu0 +1 slice to ${400 * MS}`]);
    expect(host.scheduler.stats.unboosted[1]).toBe(1);
    expect(host.scheduler.stats.ignored[1]).toBe(1);
    expect(host.scheduler.stats.wakeSliceNs[1]).toBe(5 * MS);
  });

  it("R15: the share comes back as wake slices leave the last 100 ms", () => {
    const host = new VirtualHost({ spec: SPEC, costs: COSTS });
    for (let i = 0; i < 3; i++) host.run((1 + 5 * i) * MS).wake(1);
    // The first slice ran from 1.05 to 3.05 ms: at 102.05 half of it has left the window.
    host
      .run(102.05 * MS)
      .wake(1)
      .run(110 * MS);
    const last = host.spans.filter((span) => span.inWakeSlice).at(-1);
    expect(last?.fromNs).toBe(102.1 * MS);
    expect(last && last.toNs - last.fromNs).toBe(1.05 * MS);
  });

  it("R15: the part of a wake slice that a natural slice absorbs does not count", () => {
    const host = new VirtualHost({ spec: { ...SPEC, sliceNs: 10 * MS }, costs: COSTS });
    host
      .run(9 * MS)
      .wake(1)
      .run(20 * MS);
    expect(host.scheduler.stats.wakeSliceNs[1]).toBe(0.95 * MS);
    expect(host.spans[1]?.absorbedNs).toBe(10 * MS);
  });

  it("R15: a wake slice that is drained early uses only what it ran", () => {
    const host = new VirtualHost({ spec: SPEC, costs: COSTS });
    for (let i = 0; i < 20; i++) {
      host
        .run((1 + i) * MS)
        .wake(1)
        .run((1.25 + i) * MS)
        .drained(1);
    }
    expect(host.scheduler.stats.wakeSlices[1]).toBe(20);
    expect(host.scheduler.stats.wakeSliceNs[1]).toBe(20 * 0.2 * MS);
    expect(host.scheduler.stats.unboosted[1]).toBe(0);
  });

  it("R15: a sleeper without share goes to the queue's tail, unboosted", () => {
    const host = new VirtualHost({ vcpus: 3, spec: { ...SPEC, sliceNs: 10 * MS, boostShareMax: 0 }, costs: COSTS });
    host
      .run(1 * MS)
      .idle(0)
      .run(2 * MS)
      .news();
    host.wake(0).run(25 * MS);
    expect(host.news()).toEqual([
      `${11 * MS} cpu0 -1 slice-end`,
      `${11.01 * MS} cpu0 +2 slice to ${21 * MS}`,
      `${21 * MS} cpu0 -2 slice-end`,
      `${21.01 * MS} cpu0 +0 slice to ${31 * MS}`,
    ]);
    expect(host.scheduler.stats.unboosted[0]).toBe(1);
  });
});

describe("the window of R15", () => {
  it("a span that the window's edge cuts counts with what is inside", () => {
    const window = new BoostWindow(0.05, 2 * MS);
    window.add(10 * MS, 12 * MS);
    expect(window.remainingNs(12 * MS)).toBe(3 * MS);
    expect(window.remainingNs(111 * MS)).toBe(4 * MS);
    expect(window.remainingNs(112 * MS)).toBe(5 * MS);
  });

  it("less than a quarter of a wake slice is not granted, unless the whole budget is less", () => {
    const window = new BoostWindow(0.05, 2 * MS);
    window.add(0, 4.5 * MS);
    expect(window.allows(5 * MS)).toBe(true);
    window.add(5 * MS, 5.000001 * MS);
    expect(window.allows(6 * MS)).toBe(false);
    expect(window.remainingNs(6 * MS)).toBe(0.5 * MS - 1);
    expect(new BoostWindow(0.001, 2 * MS).allows(0)).toBe(true);
    expect(new BoostWindow(0, 2 * MS).allows(0)).toBe(false);
  });

  it("with more spans than it keeps it never says that more is left than there is, and little less", () => {
    const window = new BoostWindow(0.5, 2 * MS);
    const spans: [number, number][] = [];
    let atNs = 0;
    for (let i = 0; i < 5000; i++) {
      const lengthNs = 20_000 + ((i * 7919) % 31) * 1000;
      atNs += 30_000 + ((i * 104_729) % 97) * 1000;
      window.add(atNs, atNs + lengthNs);
      spans.push([atNs, atNs + lengthNs]);
      atNs += lengthNs;
      let usedNs = 0;
      for (const [from, to] of spans) usedNs += Math.max(0, to - Math.max(from, atNs - 100 * MS));
      const remainingNs = Math.max(0, 50 * MS - usedNs);
      expect(window.remainingNs(atNs)).toBeLessThanOrEqual(remainingNs);
      expect(window.remainingNs(atNs)).toBeGreaterThan(remainingNs - 1 * MS);
    }
  });
});
