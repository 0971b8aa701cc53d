import { describe, expect, it } from "vitest";
import { ACCOUNTING_PERIOD_NS, CreditQueue } from "../../../../src/hypervisor/scheduler/credit-queue.ts";
import { VirtualHost } from "./virtual-host.ts";

const MS = 1e6;

function shares(weights: number[], pcpus: number, sliceNs: number, switchNs: number, wakes = false): number[] {
  const host = new VirtualHost({
    spec: { kind: "credit", sliceNs, wakeSliceNs: MS, boostShareMax: 0.1 },
    costs: { wakeLatencyNs: 50_000, switchNs },
    pcpus,
    vcpus: weights.map((weight) => ({ weight })),
  });
  for (let nowNs = 0; nowNs <= 10e9; nowNs += 3.7 * MS) {
    host.run(nowNs);
    if (wakes) host.wake(0);
  }
  host.scheduler.stop(host.nowNs);
  const { activeNs } = host.scheduler.stats;
  const sumNs = activeNs.reduce((sum, ns) => sum + ns);
  return [...activeNs].map((ns) => ns / sumNs);
}

describe("the credit scheduler", () => {
  it("weights 1:2:3 get 1/6, 2/6 and 3/6 of the CPU within 3 % over 10 s, whatever the slice", () => {
    for (const sliceNs of [MS, 5 * MS, 10 * MS, 30 * MS]) {
      for (const [i, share] of shares([1, 2, 3], 1, sliceNs, 10_000).entries()) {
        expect(Math.abs(share - (i + 1) / 6) / ((i + 1) / 6)).toBeLessThan(0.03);
      }
    }
  });

  it("wake slices burn credits too: a flooded guest with boost gets no more than its weight", () => {
    for (const [i, share] of shares([1, 2, 3], 1, 10 * MS, 10_000, true).entries()) {
      expect(Math.abs(share - (i + 1) / 6) / ((i + 1) / 6)).toBeLessThan(0.03);
    }
  });

  it("a weight beyond one CPU gets one CPU, and the others share the rest by weight", () => {
    const [a, b, c] = shares([1, 2, 20], 2, 10 * MS, 0);
    expect(c).toBeCloseTo(1 / 2, 2);
    expect(a).toBeCloseTo(1 / 6, 2);
    expect(b).toBeCloseTo(1 / 3, 2);
  });

  it("equal weights share equally on several CPUs", () => {
    for (const share of shares([5, 5, 5, 5, 5], 3, 10 * MS, 10_000)) expect(share).toBeCloseTo(1 / 5, 2);
  });

  it("a sleeper's credits go to the others by weight, and after its wake it earns its own again", () => {
    const host = new VirtualHost({
      spec: { kind: "credit", sliceNs: 10 * MS, boost: false },
      costs: { wakeLatencyNs: 50_000, switchNs: 10_000 },
      vcpus: [{ weight: 1 }, { weight: 2 }, { weight: 3 }],
    });
    host
      .run(25 * MS)
      .idle(2)
      .run(10e9);
    const { activeNs } = host.scheduler.stats;
    expect(activeNs[1]! / activeNs[0]!).toBeCloseTo(2, 1);
    const before = [...activeNs];
    host.wake(2).run(20e9);
    const gained = [...activeNs].map((ns, vcpu) => ns - before[vcpu]!);
    expect(gained[1]! / gained[0]!).toBeCloseTo(2, 1);
    expect(gained[2]! / gained[0]!).toBeCloseTo(3, 1);
  });

  it("credits are handed out every 30 ms by weight among the runnable, and those who sleep earn nothing", () => {
    const queue = new CreditQueue([1, 2, 3], 1, 10 * MS);
    queue.begin(7e9);
    for (const vcpu of [0, 1]) queue.setRunnable(vcpu, true);
    queue.account(7e9 + ACCOUNTING_PERIOD_NS - 1);
    expect(queue.creditsNs(0)).toBe(0);
    queue.account(7e9 + ACCOUNTING_PERIOD_NS);
    expect([0, 1, 2].map((vcpu) => queue.creditsNs(vcpu))).toEqual([10 * MS, 20 * MS, 0]);
  });

  it("credits are not hoarded beyond two periods", () => {
    const queue = new CreditQueue([1, 1], 1, 10 * MS);
    queue.begin(0);
    queue.setRunnable(0, true);
    queue.account(3600e9);
    expect(queue.creditsNs(0)).toBe(2 * ACCOUNTING_PERIOD_NS);
  });

  it("UNDER goes before OVER, first come first served inside a class", () => {
    const queue = new CreditQueue([1, 1, 1, 1], 1, 10 * MS);
    queue.charge(0, 5);
    queue.charge(2, 1);
    for (const vcpu of [0, 1, 2, 3]) queue.push(vcpu);
    expect([0, 1, 2, 3].map((vcpu) => queue.rankOf(vcpu))).toEqual([2, 0, 3, 1]);
    expect([queue.pop(), queue.pop(), queue.pop(), queue.pop(), queue.pop()]).toEqual([1, 3, 0, 2, -1]);
    expect(queue.rankOf(0)).toBe(-1);
  });

  it("boost stands above both: a woken vCPU that is OVER runs at once", () => {
    const host = new VirtualHost({
      spec: { kind: "credit", sliceNs: 10 * MS, wakeSliceNs: MS },
      costs: { wakeLatencyNs: 50_000, switchNs: 10_000 },
      vcpus: [{ weight: 1 }, { weight: 2 }],
    });
    host.run(45 * MS);
    expect(host.activeOn(0)).toBe(1);
    host.wake(0).run(45.05 * MS);
    expect(host.activeOn(0)).toBe(0);
  });

  it("an UNDER owner is renewed before an OVER vCPU that waits, with no event but a new planned end", () => {
    const host = new VirtualHost({
      spec: { kind: "credit", sliceNs: 10 * MS },
      costs: { wakeLatencyNs: 0, switchNs: 0 },
      vcpus: [{ weight: 1 }, { weight: 2 }],
    });
    host.run(35 * MS);
    // 0 ran 10 ms and 1 ran 10 ms, both OVER; 0 was first in line again; at 30 ms it is OVER still and 1 is UNDER.
    expect(host.news()).toEqual([
      `0 cpu0 +0 slice to ${10 * MS}`,
      `${10 * MS} cpu0 -0 slice-end`,
      `${10 * MS} cpu0 +1 slice to ${20 * MS}`,
      `${20 * MS} cpu0 -1 slice-end`,
      `${20 * MS} cpu0 +0 slice to ${30 * MS}`,
      `${30 * MS} cpu0 -0 slice-end`,
      `${30 * MS} cpu0 +1 slice to ${40 * MS}`,
    ]);
    host.run(45 * MS);
    expect(host.news()).toEqual([`${40 * MS} cpu0 =1 to ${50 * MS}`]);
  });
});
