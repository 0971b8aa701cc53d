import { describe, expect, it } from "vitest";
import { VirtualHost } from "./virtual-host.ts";

describe("natural slices", () => {
  it("the first vCPUs, as many as there are CPUs, are active at the start, without a switch", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 });
    expect(host.log).toEqual(["0 cpu0 +0 slice to 2000", "0 cpu1 +1 slice to 1000"]);
    expect(host.scheduler.stats.switches).toBe(0);
    expect([0, 1, 2].map((vcpu) => host.scheduler.isActive(vcpu))).toEqual([true, true, false]);
  });

  it("the grid begins at the start, whenever that is", () => {
    const host = new VirtualHost({ vcpus: 2, startNs: 123_456 }).run(125_000);
    expect(host.log).toEqual([
      "123456 cpu0 +0 slice to 124456",
      "124456 cpu0 -0 slice-end",
      "124466 cpu0 +1 slice to 125456",
    ]);
    host.scheduler.stop(125_000);
    expect([...host.scheduler.stats.activeNs]).toEqual([1000, 534]);
  });

  it("a vCPU that is idle from inside its very first activation makes way for the next", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 4, idleAtStart: [0] }).run(500);
    // 1 was picked before 2, so it is before 2 in line at 1000, behind 3: it goes on.
    expect(host.log.slice(1)).toEqual(["0 cpu1 +1 slice to 2000", "10 cpu0 +2 slice to 1000"]);
  });

  it("a slice ends on the grid, and the next vCPU is activated switchNs later", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(3000);
    expect(host.log).toEqual([
      "0 cpu0 +0 slice to 1000",
      "1000 cpu0 -0 slice-end",
      "1010 cpu0 +1 slice to 2000",
      "2000 cpu0 -1 slice-end",
      "2010 cpu0 +2 slice to 3000",
      "3000 cpu0 -2 slice-end",
    ]);
    expect(host.scheduler.nextDeadlineNs()).toBe(3010);
  });

  it("slice k ends at start + k·sliceNs, however many switches went before", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(1_000_000);
    const ends = host.spans.filter((span) => span.toNs < 1e9).map((span) => span.toNs);
    expect(ends).toEqual(Array.from({ length: 1000 }, (_, k) => (k + 1) * 1000));
  });

  it("a single runnable vCPU keeps its CPU with no event, no deadline and no planned end", () => {
    const host = new VirtualHost({ vcpus: 1 }).run(10_000);
    expect(host.log).toEqual(["0 cpu0 +0 slice to Infinity"]);
    expect(host.scheduler.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("as many vCPUs as CPUs all run for ever, and CPUs without a vCPU stay empty", () => {
    expect(new VirtualHost({ pcpus: 3, vcpus: 3 }).run(10_000).log).toHaveLength(3);
    const host = new VirtualHost({ pcpus: 3, vcpus: 2 }).run(10_000);
    expect(host.activeOn(2)).toBe(-1);
    expect(host.scheduler.naturalOwner(2)).toBe(-1);
  });

  it("of slices that end together, a vCPU that is next again keeps its CPU instead of changing places", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(6990);
    expect(host.log.filter((line) => line.includes("+"))).toEqual([
      "0 cpu0 +0 slice to 2000",
      "0 cpu1 +1 slice to 1000",
      "1010 cpu1 +2 slice to 3000",
      "2010 cpu0 +1 slice to 4000",
      "3010 cpu1 +0 slice to 5000",
      "4010 cpu0 +2 slice to 6000",
      "5010 cpu1 +1 slice to 7000",
      "6010 cpu0 +0 slice to 8000",
    ]);
  });

  it("the planned end that is told at activation is the end that comes, for any numbers of CPUs and vCPUs", () => {
    for (let pcpus = 1; pcpus <= 4; pcpus++) {
      for (let vcpus = pcpus + 1; vcpus <= 9; vcpus++) {
        const host = new VirtualHost({ pcpus, vcpus }).run(30_500);
        const told = host.log.filter((line) => line.includes("+")).map((line) => Number(line.split(" to ")[1]));
        for (const [i, span] of host.spans.entries()) if (span.toNs < 30_500) expect(told[i]).toBe(span.toNs);
        expect(host.log.filter((line) => line.includes("="))).toEqual([]);
      }
    }
  });

  it("foresight is exact while nobody wakes or goes idle: nextActivationNs is the activation that comes", () => {
    for (let pcpus = 1; pcpus <= 3; pcpus++) {
      for (let vcpus = pcpus + 1; vcpus <= 7; vcpus++) {
        const host = new VirtualHost({ pcpus, vcpus });
        const forecasts: { vcpu: number; atNs: number; fromNs: number }[] = [];
        for (let nowNs = 0; nowNs < 20_000; nowNs += 67) {
          host.run(nowNs);
          for (let vcpu = 0; vcpu < vcpus; vcpu++) {
            forecasts.push({ vcpu, atNs: nowNs, fromNs: host.scheduler.nextActivationNs(vcpu, nowNs) });
          }
        }
        host.run(40_000);
        for (const { vcpu, atNs, fromNs } of forecasts) {
          const next = host.spans.find((span) => span.vcpu === vcpu && span.fromNs > atNs);
          expect([pcpus, vcpus, vcpu, atNs, fromNs]).toEqual([pcpus, vcpus, vcpu, atNs, next?.fromNs]);
        }
      }
    }
  });

  it("a vCPU that nothing will take off has no next activation", () => {
    const host = new VirtualHost({ vcpus: 1 });
    expect(host.scheduler.nextActivationNs(0, 0)).toBe(Number.POSITIVE_INFINITY);
  });

  it("a late expire passes one slice on, and the next ends on the grid point nearest to a full slice", () => {
    const host = new VirtualHost({ vcpus: 3, costs: null });
    host.news();
    host.scheduler.expire(2400);
    expect(host.news()).toEqual(["2400 cpu0 -0 slice-end", "2400 cpu0 +1 slice to 3000"]);
    host.scheduler.expire(4600);
    expect(host.news()).toEqual(["4600 cpu0 -1 slice-end", "4600 cpu0 +2 slice to 6000"]);
  });

  it("stop parks everyone, and nothing follows", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 4 }).run(1500);
    host.wake(0).news();
    host.scheduler.stop(1500);
    expect(host.news()).toEqual(["1500 cpu0 -2 slice-end", "1500 cpu1 -3 slice-end"]);
    host.scheduler.expire(5000);
    host.scheduler.wake(1, 5000);
    expect(host.scheduler.stats.wakes[1]).toBe(0);
    host.scheduler.stop(5000);
    expect(host.news()).toEqual([]);
    expect(host.scheduler.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("stop from inside an activation leaves nobody active", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 4, costs: null });
    host.onActivated = (_, nowNs) => host.scheduler.stop(nowNs);
    host.run(1000);
    expect([0, 1, 2, 3].filter((vcpu) => host.scheduler.isActive(vcpu))).toEqual([]);
  });

  it("active time and switches add up to the time that passed", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(9_500);
    host.scheduler.stop(9_500);
    const { activeNs, activations, switches } = host.scheduler.stats;
    expect([...activations]).toEqual([4, 3, 3]);
    expect(switches).toBe(9);
    expect(activeNs.reduce((sum, ns) => sum + ns) + switches * 10).toBe(9_500);
  });

  it("misuse throws at once and says what was got and what is allowed", () => {
    expect(() => new VirtualHost({ pcpus: 0 })).toThrow("pcpus is 0; allowed: a whole number of 1 or more");
    expect(() => new VirtualHost({ vcpus: [] })).toThrow("vcpus.length is 0");
    expect(() => new VirtualHost({ vcpus: [{ weight: 0 }] })).toThrow("weight is 0");
    expect(() => new VirtualHost({ spec: { sliceNs: 0.5 } })).toThrow("sliceNs is 0.5; allowed: whole ns, 1 or more");
    expect(() => new VirtualHost({ spec: { boostShareMax: 1.1 } })).toThrow("boostShareMax is 1.1; allowed: 0 to 1");
    expect(() => new VirtualHost({ costs: { wakeLatencyNs: 5, switchNs: 10 } })).toThrow("wakeLatencyNs is 5");
    const host = new VirtualHost();
    expect(() => host.scheduler.wake(2, 0)).toThrow("vCPU 2 does not exist: there are 2, counted from 0");
    expect(() => host.scheduler.parked(1, false, 0)).toThrow("vCPU 1 is not on a CPU");
    expect(() => host.scheduler.start(0)).toThrow("started before");
  });
});
