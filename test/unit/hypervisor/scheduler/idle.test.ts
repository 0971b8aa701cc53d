import { describe, expect, it } from "vitest";
import { VirtualHost } from "./virtual-host.ts";

/** Slices of 1000, wake slices of 200, wake latency 50, switch 10, unless a test says otherwise. */
describe("R16: idle is not preempted", () => {
  it("R16: an idle vCPU leaves the run queue; its slice ends at once and the next begins a fresh one", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(300).idle(0).run(3600);
    expect(host.log.slice(1)).toEqual([
      "310 cpu0 +1 slice to 1300",
      "1300 cpu0 -1 slice-end",
      "1310 cpu0 +2 slice to 2300",
      "2300 cpu0 -2 slice-end",
      "2310 cpu0 +1 slice to 3300",
      "3300 cpu0 -1 slice-end",
      "3310 cpu0 +2 slice to 4300",
    ]);
    expect(host.scheduler.nextActivationNs(0, 3600)).toBe(Number.POSITIVE_INFINITY);
  });

  it("R16: when all are idle there is no deadline, and a wake finds an empty CPU: a natural slice, wakeLatencyNs later", () => {
    const host = new VirtualHost({ vcpus: 2 }).run(100).idle(0).run(200).idle(1).run(5000);
    expect(host.scheduler.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    host.news();
    host.wake(1).run(9000);
    expect(host.news()).toEqual(["5050 cpu0 +1 wake boosted to Infinity"]);
    expect(host.scheduler.stats.wakeSlices[1]).toBe(0);
  });

  it("R16: only the activation that answers it is put down to a wake, not the natural slices after it", () => {
    const host = new VirtualHost({ vcpus: 2 })
      .run(100)
      .idle(0)
      .run(200)
      .idle(1)
      .run(300)
      .wake(1)
      .run(500)
      .wake(0)
      .run(9000);
    const whys = host.spans.filter((span) => span.vcpu === 1).map((span) => span.why);
    expect(whys.slice(0, 5)).toEqual(["slice", "wake", "resume", "slice", "slice"]);
  });

  it("R16: a woken sleeper takes an empty CPU rather than one whose natural slice ends later", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 2 }).run(100).idle(0).run(200).idle(1).run(250).wake(1).run(400);
    host.news();
    host.wake(0).run(5000);
    expect(host.news()).toEqual(["450 cpu1 +0 wake boosted to Infinity"]);
  });

  it("R16: a woken sleeper has its wake slice, and goes to the queue's tail if it is not idle when that ends", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).idle(0).run(500);
    host.wake(0).news();
    host.run(4200);
    expect(host.news()).toEqual([
      "540 cpu0 -1 preempted",
      "550 cpu0 +0 wake boosted drain to 750",
      "750 cpu0 -0 slice-end",
      "760 cpu0 +1 resume to 1100",
      "1100 cpu0 -1 slice-end",
      "1110 cpu0 +2 slice to 2100",
      "2100 cpu0 -2 slice-end",
      "2110 cpu0 +0 slice to 3100",
      "3100 cpu0 -0 slice-end",
      "3110 cpu0 +1 slice to 4100",
      "4100 cpu0 -1 slice-end",
      "4110 cpu0 +2 slice to 5100",
    ]);
  });

  it("R16: drained but not idle it goes to the tail too; idle in its wake slice it leaves again and no slice is moved", () => {
    const drained = new VirtualHost({ vcpus: 3 }).run(100).idle(0).run(500).wake(0).run(600).drained(0).run(3000);
    expect(drained.activeOn(0)).toBe(0);
    const idle = new VirtualHost({ vcpus: 3 }).run(100).idle(0).run(500).wake(0).run(600).idle(0).run(3000);
    expect(idle.activeOn(0)).toBe(1);
    const asleep = new VirtualHost({ vcpus: 3 }).run(100).idle(0).run(3000);
    expect(idle.natural).toEqual(asleep.natural);
  });

  it("R16: a vCPU that says it is idle at the very moment it is asked to park leaves the run queue", () => {
    const host = new VirtualHost({ vcpus: 2 });
    host.idleWhenAsked = (vcpu) => vcpu === 0;
    host.run(5000);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "1010 cpu0 +1 slice to Infinity"]);
  });

  it("R16: an owner that is preempted and says that it is idle gives its slice away", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100);
    host.idleWhenAsked = (vcpu) => vcpu === 0;
    host.wake(2).run(1500);
    expect(host.log.slice(1)).toEqual([
      "100 cpu0 =0 to 140",
      "140 cpu0 -0 preempted",
      "150 cpu0 +2 wake boosted drain to 350",
      "350 cpu0 -2 slice-end",
      "360 cpu0 +1 slice to 1140",
      "1140 cpu0 -1 slice-end",
      "1150 cpu0 +2 slice to 2140",
    ]);
  });

  it("the arrival of a second runnable vCPU gives a lone one a planned end, on its old grid; its leaving takes it away", () => {
    const host = new VirtualHost({ vcpus: 2 }).run(100).idle(0).run(5000);
    host.news();
    host.wake(0).run(5900);
    host.idle(1).run(7000);
    expect(host.news()).toEqual([
      "5000 cpu0 =1 to 5040",
      "5040 cpu0 -1 preempted",
      "5050 cpu0 +0 wake boosted drain to 5250",
      "5250 cpu0 -0 slice-end",
      "5260 cpu0 +1 resume to 6100",
      "5910 cpu0 +0 slice to Infinity",
    ]);
  });

  it("a sleeper in its wake slice gets a natural one when a CPU falls empty, and the owner it displaced goes there", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(100).idle(0).run(200).idle(1).run(300).wake(0).wake(1);
    // 0 has the empty CPU 1. CPU 0 is interrupted for 1, though its slice ends sooner: 0 was woken too.
    host.run(400);
    expect([host.activeOn(0), host.activeOn(1)]).toEqual([1, 0]);
    host.news();
    host.idle(0).run(1000);
    expect(host.news()).toEqual(["400 cpu0 =1 to Infinity", "410 cpu1 +2 resume to Infinity"]);
  });

  it("and after that it is an owner like any other: its next slices are not put down to the wake", () => {
    // 0 interrupts 1 on CPU 1; then CPU 0 falls empty.
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(990).idle(0).run(1100).wake(0).run(1200);
    host.news();
    host.idle(2).run(1300).wake(2).run(9000);
    const activations = host.log.filter((line) => line.includes("+0"));
    expect(activations.filter((line) => line.includes("+0 slice to")).length).toBeGreaterThan(2);
    expect(activations.filter((line) => line.includes("wake"))).toEqual([]);
  });

  it("a sleeper that is on its way to a wake slice takes the CPU that falls empty instead, at the time it was promised", () => {
    // It was to interrupt 2 on CPU 0, whose slice ends last.
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(100).idle(0).run(200).wake(0).run(220);
    host.news();
    host.idle(1).run(1000);
    expect(host.news()).toEqual(["220 cpu0 =2 to Infinity", "250 cpu1 +0 wake boosted to Infinity"]);
  });

  it("while nobody waits the grids are kept: long after, the CPU whose slice would end last is still known", () => {
    // CPU 0's slices end at 1000, 2000…; CPU 1's at 1300, 2300…
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(300).idle(1).run(5250).wake(1).run(5350);
    expect([host.activeOn(0), host.activeOn(1)]).toEqual([1, 2]);
  });

  it("foresight from inside the call that ends a sleeper's wake slice is its turn at the queue's tail", () => {
    const host = new VirtualHost({ vcpus: 2 }).run(300).idle(0).run(5200).wake(0);
    const foreseen: number[] = [];
    host.onLeaving = (vcpu, nowNs) => {
      if (vcpu === 0) foreseen.push(host.scheduler.nextActivationNs(vcpu, nowNs));
    };
    host.run(7000);
    expect(foreseen).toEqual([6310]);
    expect(host.spans.at(-1)).toMatchObject({ vcpu: 0, fromNs: 6310, why: "slice" });
  });

  it("an unboosted sleeper that finds an empty CPU has it wakeLatencyNs later, not boosted", () => {
    const host = new VirtualHost({ vcpus: 1, spec: { boost: false } }).run(100).idle(0).run(200).wake(0).run(1000);
    expect(host.log.slice(1)).toEqual(["250 cpu0 +0 wake to Infinity"]);
    expect(host.scheduler.stats.unboosted[0]).toBe(1);
  });

  it("an idle vCPU whose turn comes within its wake latency is not there before that is over", () => {
    const host = new VirtualHost({ vcpus: 3, spec: { boost: false } }).run(100).idle(2);
    expect(host.log).toHaveLength(1); // 2 was not active: nothing happened
    host.idle(0).run(200).run(1080);
    // 1 leaves at 1080 while 2 waits; 0, woken at 1075, is next after 2 leaves at once.
    host.wake(0).idle(1).run(1085);
    expect(host.activeOn(0)).toBe(-1);
    host.run(1095).idle(2).run(1200);
    expect(host.log.slice(-1)).toEqual(["1130 cpu0 +0 slice to Infinity"]);
  });
});
