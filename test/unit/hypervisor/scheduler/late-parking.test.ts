import { describe, expect, it } from "vitest";
import { VirtualHost } from "./virtual-host.ts";

/** The threads engine: real time passes by itself, and a vCPU that is asked to park does so `parkDelayNs` later. */
describe("a vCPU that parks later than it was asked", () => {
  const threads = (vcpus: number, delaysNs: number[], pcpus = 1) =>
    new VirtualHost({ vcpus, pcpus, costs: null, parkDelayNs: () => delaysNs.shift() ?? 0 });

  it("keeps its CPU until it has parked; the next comes at that instant and the calendar does not move", () => {
    const host = threads(3, [70, 30]).run(3000);
    expect(host.log).toEqual([
      "0 cpu0 +0 slice to 1000",
      "1000 cpu0 -0 slice-end",
      "1070 cpu0 +1 slice to 2000",
      "2000 cpu0 -1 slice-end",
      "2030 cpu0 +2 slice to 3000",
      "3000 cpu0 -2 slice-end",
      "3000 cpu0 +0 slice to 4000",
    ]);
  });

  it("counts as active until then, so a wake that comes before is ignored", () => {
    const host = threads(2, [70]).run(1050);
    expect(host.scheduler.isActive(0)).toBe(true);
    host.wake(0).run(1100);
    expect(host.scheduler.stats.ignored[0]).toBe(1);
    expect(host.scheduler.isActive(0)).toBe(false);
  });

  it("is asked at the wake; the woken vCPU is active as soon as it has parked, and has its whole wake slice", () => {
    const host = threads(3, [40, 25]).run(100).wake(2).run(999);
    expect(host.log.slice(1)).toEqual([
      "100 cpu0 -0 preempted",
      "140 cpu0 +2 wake boosted drain to 340",
      "340 cpu0 -2 slice-end",
      "365 cpu0 +0 resume to 1000",
    ]);
    expect(host.scheduler.stats.wakeSliceNs[2]).toBe(225);
  });

  it("may miss a whole slice of the next one, which then waits for its next turn", () => {
    const host = threads(3, [1200]).run(2500);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "2200 cpu0 +2 slice to 3000"]);
  });

  it("is not moved while it leaves: a slice that begins for it on another CPU waits until it has parked", () => {
    // The slices of CPU 1 restart at 400. 0 leaves CPU 0 from 1000 to 1600, and is next on CPU 1 at 1400.
    const host = threads(4, [600], 2).run(400).idle(1).run(1900);
    expect(host.log.slice(2)).toEqual([
      "400 cpu1 +2 slice to 1400",
      "1000 cpu0 -0 slice-end",
      "1400 cpu1 -2 slice-end",
      "1600 cpu0 +3 slice to 2000",
      "1600 cpu1 +0 slice to 2400",
    ]);
  });

  it("is asked once, even if the reason changes meanwhile, and comes back if it is wanted again", () => {
    const host = threads(2, [1100, 0]).run(2500);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "2100 cpu0 +0 slice to 3000"]);
  });

  it("and a natural vCPU that leaves by itself though it is not idle is put back", () => {
    const host = threads(2, []).run(300).drained(0).run(500);
    expect(host.log.slice(1)).toEqual(["300 cpu0 +0 resume to 1000"]);
  });

  it("and nobody is activated before the call that asked it to park has returned", () => {
    const host = threads(2, []);
    const activeMeanwhile: boolean[] = [];
    const prompt = new VirtualHost({ vcpus: 2, costs: null });
    prompt.onParked = () => activeMeanwhile.push(prompt.scheduler.isActive(0), prompt.scheduler.isActive(1));
    prompt.run(1000);
    expect(activeMeanwhile).toEqual([false, false]);
    expect(prompt.log).toEqual(host.run(1000).log);
  });

  it("or a host that looks late: a slice that has ended is passed on before a wake that came after it is looked at", () => {
    const host = new VirtualHost({ vcpus: 3, costs: null, spec: { boost: false } }).run(100).idle(0).run(200);
    host.scheduler.wake(0, 1300);
    host.run(3500);
    // 1 was in the queue since 1100, 0 since 1300.
    expect(host.spans.map((span) => span.vcpu)).toEqual([0, 1, 2, 1, 0]);
  });

  it("a sleeper that leaves its wake slice while a CPU falls empty has that one as soon as it has parked", () => {
    const host = threads(3, [300, 300], 2).run(300).idle(0).run(500).wake(0).run(1100).idle(1);
    expect(host.scheduler.nextActivationNs(0, 1100)).toBe(1100);
    host.news();
    host.run(2000);
    expect(host.news()).toEqual(["1300 cpu0 +2 resume to Infinity", "1300 cpu1 +0 slice to Infinity"]);
  });

  it("may answer after stop", () => {
    const host = threads(2, [50]).run(300);
    host.scheduler.stop(300);
    expect(host.scheduler.isActive(0)).toBe(true);
    host.scheduler.parked(0, true, 350);
    expect(host.scheduler.isActive(0)).toBe(false);
    expect(host.scheduler.stats.activeNs[0]).toBe(350);
  });
});
