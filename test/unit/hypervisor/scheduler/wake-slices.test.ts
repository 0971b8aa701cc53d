import { describe, expect, it } from "vitest";
import { VirtualHost } from "./virtual-host.ts";

/** Slices of 1000, wake slices of 200, wake latency 50, switch 10, unless a test says otherwise. */
describe("wake slices", () => {
  it("a woken vCPU runs wakeLatencyNs after the wake; the one it displaces runs until switchNs before that", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100);
    host.news();
    host.wake(1).run(999);
    expect(host.news()).toEqual([
      "100 cpu0 =0 to 140", // told of its early end
      "140 cpu0 -0 preempted",
      "150 cpu0 +1 wake boosted drain to 350",
      "350 cpu0 -1 slice-end",
      "360 cpu0 +0 resume to 1000",
    ]);
    expect(host.timeline(50)[0]).toBe("aaaBBBB.aaaaaaaaaaaa");
  });

  it("a wake slice ends early when the ring is drained, and the owner resumes switchNs later", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1).run(200);
    host.news();
    host.drained(1).run(999);
    expect(host.news()).toEqual(["210 cpu0 +0 resume to 1000"]);
  });

  it("a wake slice moves no natural slice", () => {
    const quiet = new VirtualHost({ vcpus: 3 }).run(9_000);
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1).run(1950).wake(0).run(3500).wake(2).run(9_000);
    expect(host.natural).toEqual(quiet.natural);
    expect(host.natural).toHaveLength(9);
  });

  it("a wake of an active vCPU is ignored, and so is a second one before the activation; both are counted", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(0).wake(1).wake(1);
    expect([...host.scheduler.stats.ignored]).toEqual([1, 1, 0]);
    expect([...host.scheduler.stats.wakes]).toEqual([0, 1, 0]);
    host.run(999);
    expect(host.spans.filter((span) => span.vcpu === 1)).toHaveLength(1);
  });

  it("after its wake slice a vCPU can be woken again", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1).run(400).wake(1).run(999);
    expect(host.spans.filter((span) => span.vcpu === 1).map((span) => span.fromNs)).toEqual([150, 450]);
  });

  it("a wake slice runs on when the natural slice beneath it ends, and then the new owner has the rest of its own", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(850).wake(2).run(2000);
    expect(host.log.slice(1)).toEqual([
      "850 cpu0 =0 to 890",
      "890 cpu0 -0 preempted",
      "900 cpu0 +2 wake boosted drain to 1100",
      "1100 cpu0 -2 slice-end",
      "1110 cpu0 +1 slice to 2000",
      "2000 cpu0 -1 slice-end",
    ]);
  });

  it("the displaced vCPU whose slice ends meanwhile goes to the queue's tail as usual", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(850).wake(2).run(3500);
    expect(host.natural.map((slice) => slice.vcpu)).toEqual([0, 1, 2]);
    expect(host.activeOn(0)).toBe(0);
  });

  it("a natural slice that begins inside the wake slice absorbs it: nobody leaves, and it may run on undrained", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(850).wake(1).run(950);
    expect([0, 1].map((vcpu) => host.scheduler.isInWakeSlice(vcpu))).toEqual([false, true]);
    host.run(2000);
    expect(host.scheduler.isInWakeSlice(1)).toBe(false);
    expect(host.log.slice(2)).toEqual([
      "890 cpu0 -0 preempted",
      "900 cpu0 +1 wake boosted drain to 1100",
      "1000 cpu0 =1 to 2000",
      "2000 cpu0 -1 slice-end",
    ]);
    expect(host.scheduler.stats.wakeSliceNs[1]).toBe(100);
  });

  it("a wake slice that would end where the natural slice begins is absorbed too", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(750).wake(1).run(1500);
    expect(host.log.slice(3)).toEqual(["800 cpu0 +1 wake boosted drain to 1000", "1000 cpu0 =1 to 2000"]);
  });

  it("a natural slice that begins within the wake latency comes at its time and cancels the preemption", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(970).wake(1).run(1500);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "1010 cpu0 +1 slice to 2000"]);
    expect(host.scheduler.stats.wakeSlices[1]).toBe(0);
  });

  it("a natural slice that begins while the CPU is switched to the woken vCPU makes the activation natural", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(955).wake(1).run(1500);
    expect(host.log.slice(1)).toEqual(["955 cpu0 =0 to 995", "995 cpu0 -0 preempted", "1005 cpu0 +1 slice to 2000"]);
  });

  it("a wake that meets the switch to the vCPU's own natural slice interrupts nobody", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(1005).wake(1).run(1500);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "1010 cpu0 +1 slice to 2000"]);
  });

  it("a vCPU that was about to be activated when the CPU is taken for a wake does not appear for an instant", () => {
    // Owner 1 is due at 1010; vCPU 2, woken at 970, takes the CPU at 1010.
    const host = new VirtualHost({ vcpus: 3 }).run(970).wake(2).run(1300);
    expect(host.log.slice(1)).toEqual([
      "1000 cpu0 -0 slice-end",
      "1020 cpu0 +2 wake boosted drain to 1220",
      "1220 cpu0 -2 slice-end",
      "1230 cpu0 +1 slice to 2000",
    ]);
  });

  it("the CPU whose natural slice ends last is interrupted; the lowest of equals", () => {
    const equals = new VirtualHost({ pcpus: 2, vcpus: 4 }).run(100).wake(3).run(200);
    expect(equals.activeOn(0)).toBe(3);
    // CPU 1's owner goes idle at 300, so its slices end at 1300, 2300…
    const host = new VirtualHost({ pcpus: 2, vcpus: 5 }).run(300).idle(1).run(400).wake(4).run(500);
    expect([host.activeOn(0), host.activeOn(1)]).toEqual([0, 4]);
  });

  it("a second wake takes another CPU, and a third waits for the first wake slice that ends", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 5, spec: { sliceNs: 10_000 } }).run(100);
    host.wake(2).run(120).wake(3).run(139).wake(4);
    host.news();
    host.run(700);
    expect(host.news()).toEqual([
      "140 cpu0 -0 preempted",
      "150 cpu0 +2 wake boosted drain to 350",
      "160 cpu1 -1 preempted",
      "170 cpu1 +3 wake boosted drain to 370",
      "350 cpu0 -2 slice-end",
      "360 cpu0 +4 wake boosted drain to 560",
      "370 cpu1 -3 slice-end",
      "380 cpu1 +1 resume to 10000",
      "560 cpu0 -4 slice-end",
      "570 cpu0 +0 resume to 10000",
    ]);
  });

  it("wakes that wait are served in the order in which they came", () => {
    const host = new VirtualHost({ vcpus: 5, spec: { sliceNs: 10_000 } }).run(100);
    host.wake(1).wake(4).wake(2).wake(3).run(2000);
    expect(host.spans.slice(1, 5).map((span) => [span.vcpu, span.fromNs])).toEqual([
      [1, 150],
      [4, 360],
      [2, 570],
      [3, 780],
    ]);
  });

  it("in a queue of wakes a woken owner takes its turn: it has its natural slice for as long as a wake slice", () => {
    const host = new VirtualHost({ vcpus: 4, spec: { sliceNs: 10_000 } }).run(100);
    host.wake(1).run(200).wake(0).wake(2).run(400).wake(3).run(1500);
    expect(host.log.slice(4)).toEqual([
      "350 cpu0 -1 slice-end",
      "360 cpu0 +0 resume to 560",
      // It is to leave as soon as its ring is drained, for others wait.
      "360 cpu0 =0 drain to 560",
      "560 cpu0 -0 preempted",
      "570 cpu0 +2 wake boosted drain to 770",
      "770 cpu0 -2 slice-end",
      "780 cpu0 +3 wake boosted drain to 980",
      "980 cpu0 -3 slice-end",
      "990 cpu0 +0 resume to 10000",
    ]);
  });

  it("with no queue a wake is never late: even an owner that was just woken gives way", () => {
    const host = new VirtualHost({ vcpus: 2, spec: { sliceNs: 10_000 } }).run(100).wake(1).run(200).wake(0).run(370);
    host.wake(1).run(420);
    expect(host.log.slice(5)).toEqual([
      "360 cpu0 +0 resume to 10000",
      "370 cpu0 =0 to 410",
      "410 cpu0 -0 preempted",
      "420 cpu0 +1 wake boosted drain to 620",
    ]);
  });

  it("a CPU to which a woken owner is coming is interrupted only if there is no other", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(100).idle(0).run(200).idle(1).run(300);
    // 0 gets the empty CPU 1, whose slice ends last; 1 interrupts CPU 0 all the same.
    host.wake(0).wake(1).run(360);
    expect([host.activeOn(0), host.activeOn(1)]).toEqual([1, 0]);
  });

  it("in a queue of wakes a woken owner gives way as soon as its ring is drained", () => {
    const host = new VirtualHost({ vcpus: 3, spec: { sliceNs: 10_000 } }).run(100);
    host.wake(1).run(200).wake(0).wake(2).run(400);
    host.news();
    host.drained(0).run(1000);
    expect(host.news()).toEqual([
      "410 cpu0 +2 wake boosted drain to 610",
      "610 cpu0 -2 slice-end",
      "620 cpu0 +0 resume to 10000",
    ]);
  });

  it("in a queue of wakes a vCPU whose wake slice was absorbed keeps the CPU for what would have been its length", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(850).wake(1).run(950).wake(2);
    host.news();
    host.run(1400);
    expect(host.news()).toEqual([
      "1100 cpu0 -1 preempted",
      "1110 cpu0 +2 wake boosted drain to 1310",
      "1310 cpu0 -2 slice-end",
      "1320 cpu0 +1 resume to 2000",
    ]);
    expect(host.scheduler.stats.wakeSliceNs[1]).toBe(100);
  });

  it("a preemption that a natural slice on another CPU makes needless is called off at once", () => {
    // CPU 1 restarts its slices at 300. 3 is to interrupt it, and is next on CPU 0 at 1000.
    const host = new VirtualHost({ pcpus: 2, vcpus: 5 }).run(300).idle(1).run(970).wake(3);
    host.news();
    host.run(1299);
    expect(host.news()).toEqual(["1000 cpu0 -0 slice-end", "1000 cpu1 =2 to 1300", "1010 cpu0 +3 slice to 2000"]);
  });

  it("a sleeper that loses its way to an empty CPU to a later wake interrupts another at that instant", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3 }).run(100).idle(0).run(110).idle(1).run(150).idle(2).run(500);
    host.news();
    host.wake(0).run(530).wake(1).run(540).wake(2).run(700);
    expect(host.news()).toEqual([
      "550 cpu0 +0 wake boosted to Infinity",
      "580 cpu0 -0 preempted",
      "590 cpu0 +1 wake boosted to Infinity",
      "590 cpu1 +2 wake boosted drain to 790",
    ]);
  });

  it("an owner whose slice is interrupted can be woken: with one CPU it comes when the wake slice ends", () => {
    const host = new VirtualHost({ vcpus: 2 }).run(100).wake(1).run(200).wake(0).run(999);
    expect(host.log.at(-1)).toBe("360 cpu0 +0 resume to 1000");
    expect(host.scheduler.stats.wakeSlices[0]).toBe(0);
  });

  it("with two CPUs the woken owner has its natural slice on the other CPU, whose owner waits in its place", () => {
    const host = new VirtualHost({ pcpus: 2, vcpus: 3, spec: { sliceNs: 10_000 } }).run(100).wake(2).run(160);
    host.news();
    host.wake(0).run(1000);
    expect(host.news()).toEqual([
      "160 cpu1 =1 to 200",
      "200 cpu1 -1 preempted",
      "210 cpu1 +0 resume to 20000",
      "350 cpu0 -2 slice-end",
      "360 cpu0 +1 resume to 10000",
    ]);
  });

  it("a natural slice that begins on another CPU absorbs the wake slice where it is; the CPUs exchange calendars", () => {
    // CPU 1 restarts its slices at 300. vCPU 3 is woken onto it, and its natural slice begins on CPU 0 at 1000.
    const host = new VirtualHost({ pcpus: 2, vcpus: 5 }).run(300).idle(1).run(900).wake(3);
    host.news();
    host.run(1005);
    expect([2, 3, 0].map((vcpu) => host.scheduler.nextActivationNs(vcpu, 1005))).toEqual([1010, 3010, 2010]);
    host.run(1400);
    expect(host.news()).toEqual([
      "940 cpu1 -2 preempted",
      "950 cpu1 +3 wake boosted drain to 1150",
      "1000 cpu0 -0 slice-end",
      "1000 cpu1 =3 to 2000",
      "1010 cpu0 +2 resume to 1300",
      "1300 cpu0 -2 slice-end",
      "1310 cpu0 +4 slice to 2300",
    ]);
  });

  it("without boost a wake changes nothing but is counted, and the next activation is not boosted", () => {
    const host = new VirtualHost({ vcpus: 3, spec: { boost: false } }).run(100).wake(1).run(1500);
    expect(host.log.slice(1)).toEqual(["1000 cpu0 -0 slice-end", "1010 cpu0 +1 slice to 2000"]);
    expect(host.scheduler.stats.unboosted[1]).toBe(1);
    host.wake(0).wake(0);
    expect([host.scheduler.stats.unboosted[0], host.scheduler.stats.ignored[0]]).toEqual([1, 1]);
  });

  it("foresight of an interrupted owner is its resumption, or its next slice if this one will be over by then", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1).run(200);
    expect(host.scheduler.nextActivationNs(0, 200)).toBe(360);
    host.run(850).wake(2).run(950);
    expect(host.scheduler.nextActivationNs(0, 950)).toBe(3010);
    expect(host.scheduler.nextActivationNs(2, 950)).toBe(2010);
  });

  it("foresight from inside the call that preempts a vCPU is when it will resume, if the wake slice has its full length", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1);
    const foreseen: number[] = [];
    host.onLeaving = (vcpu, nowNs) => foreseen.push(host.scheduler.nextActivationNs(vcpu, nowNs));
    host.run(145);
    expect(foreseen).toEqual([360]);
    expect(host.scheduler.nextActivationNs(0, 145)).toBe(360);
    host.run(360);
    expect(host.spans.at(-1)).toMatchObject({ vcpu: 0, fromNs: 360, why: "resume" });
    expect(foreseen).toEqual([360, 1010]);
  });

  it("a card that wakes a guest from inside the call that parks it is heard", () => {
    const host = new VirtualHost({ vcpus: 3 });
    host.onParked = (vcpu, nowNs) => {
      if (nowNs === 1000) host.scheduler.wake(vcpu, nowNs);
    };
    host.run(1500);
    expect(host.log.slice(1)).toEqual([
      "1000 cpu0 -0 slice-end",
      "1010 cpu0 +1 slice to 1040",
      "1040 cpu0 -1 preempted",
      "1050 cpu0 +0 wake boosted drain to 1250",
      "1250 cpu0 -0 slice-end",
      "1260 cpu0 +1 resume to 2000",
    ]);
  });

  it("a guest that is drained or idle from inside its activation leaves at once", () => {
    const host = new VirtualHost({ vcpus: 3 }).run(100).wake(1);
    host.onActivated = (vcpu) => {
      if (vcpu === 1) host.drained(1);
    };
    host.run(900);
    expect(host.spans.map((span) => [span.vcpu, span.fromNs, span.toNs])).toEqual([
      [0, 0, 140],
      [1, 150, 150],
      [0, 160, Number.POSITIVE_INFINITY],
    ]);
  });
});
