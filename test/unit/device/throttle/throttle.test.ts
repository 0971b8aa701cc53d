import { describe, expect, it } from "vitest";
import { ACTIVE, CTRL, IDLE, PREEMPTED, RX, ScriptedQueue, ThrottleRig, TX } from "./throttle-rig.ts";

describe("R1: no cause, no interrupt, no deadline", () => {
  it("an active guest without a frame has no deadline, however long it runs", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.advance(10_000_000);
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(rig.log).toEqual([]);
  });

  it("an inactive guest without a frame is not woken when the overflow interval has passed", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(PREEMPTED, 100);
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    rig.advance(10_000_000);
    expect(rig.log).toEqual([]);
  });

  it("after a notification no deadline is left", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(100);
    expect(rig.log).toEqual(["100 notify latency"]);
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("R2: one interrupt for a cause, one wake at a time", () => {
  it("several frames inside one latency interval raise exactly one notification", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.armedAt = rig.rx.usedIdx;
    for (const t of [10_000, 20_000, 30_000]) rig.frame(t);
    rig.advance(200_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("a wake leaves the cause pending until the activation", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["1000010 wake overflow"]);
    expect(rig.vector.causeBits()).toBe(1);
  });

  it("while a wake is outstanding no second one is raised, and further reasons are counted", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000, 250);
    rig.state(PREEMPTED, 0);
    for (let i = 0; i < 10; i++) rig.frame(10 + i);
    expect(rig.log).toEqual(["15 wake guard"]);
    rig.advance(100_000_000);
    expect(rig.log).toHaveLength(1);
    expect(rig.vector.counters.wakesCoalesced).toBe(4);
  });

  it("the next activation ends the wake, so that the next inactive period can have one again", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.advance(1_000_010);
    rig.state(ACTIVE, 1_020_000);
    rig.rx.takeInterrupt();
    rig.rx.finishPoll();
    rig.state(PREEMPTED, 1_100_000);
    rig.frame(1_200_000);
    rig.advance(3_000_000);
    expect(rig.log).toEqual(["1000010 wake overflow", "1020000 notify wake", "2200000 wake overflow"]);
  });
});

describe("R3: the latency interval", () => {
  it("a cause is notified at once when the interval since the last notification has passed", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(50_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("a cause inside the interval waits for its end, to the nanosecond", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(49_999);
    expect(rig.throttle.nextDeadlineNs()).toBe(50_000);
    rig.throttle.expire(49_999);
    expect(rig.log).toHaveLength(1);
    rig.advance(60_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("a wake is no notification: it does not start a latency interval", () => {
    const rig = new ThrottleRig().program(1_000_000, 10_000);
    rig.state(PREEMPTED, 0);
    rig.frame(5);
    rig.advance(10_005);
    expect(rig.log).toEqual(["10005 wake overflow"]);
    // The driver polls the frame away by itself; then it is interrupted as if nothing had been sent.
    rig.rx.polling = true;
    rig.state(ACTIVE, 20_000);
    rig.rx.finishPoll();
    rig.frame(20_001);
    expect(rig.log[1]).toBe("20001 notify latency");
  });
});

describe("R4: the overflow interval", () => {
  it("starts at the first frame after the deactivation, not at the deactivation", () => {
    const rig = new ThrottleRig().program(0, 1_000_000);
    rig.state(PREEMPTED, 100);
    rig.frame(700_000);
    rig.frame(900_000);
    rig.advance(3_000_000);
    expect(rig.log).toEqual(["1700000 wake overflow"]);
  });

  it("does not run while a wake is outstanding", () => {
    const rig = new ThrottleRig().program(0, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(0);
    rig.advance(1_000_000);
    rig.frame(1_500_000);
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("with an interval of 0 the first frame wakes at once", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.state(PREEMPTED, 0);
    rig.frame(77);
    expect(rig.log).toEqual(["77 wake overflow"]);
  });
});

describe("R5: the free-buffer guard", () => {
  it("wakes an inactive guest at the very frame that leaves RX_FREE_MIN buffers", () => {
    const rig = new ThrottleRig().program(0, 1_000_000_000, 253);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.frame(2);
    expect(rig.log).toEqual([]);
    rig.frame(3);
    expect(rig.log).toEqual(["3 wake guard"]);
  });

  it("notifies an active guest inside the latency interval", () => {
    const rig = new ThrottleRig().program(50_000, 0, 253);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(1);
    rig.frame(2);
    rig.frame(3);
    expect(rig.log).toEqual(["0 notify latency", "3 notify guard"]);
  });

  it("leaves an active guest alone that polls with its interrupts off", () => {
    const rig = new ThrottleRig().program(50_000, 0, 256);
    rig.rx.takeInterrupt();
    rig.frame(1);
    expect(rig.log).toEqual([]);
  });

  it("is looked at when a frame is dropped for want of a buffer", () => {
    const rig = new ThrottleRig().program(0, 1_000_000_000, 1);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.rx.free = 0;
    rig.throttle.starved(0, 2);
    expect(rig.log).toEqual(["2 wake guard"]);
  });

  it("is looked at when the guest is deactivated with unread frames", () => {
    const rig = new ThrottleRig().program(0, 1_000_000_000, 10);
    rig.rx.takeInterrupt();
    rig.rx.unread = 5;
    rig.rx.free = 10;
    rig.state(PREEMPTED, 40);
    expect(rig.log).toEqual(["40 wake guard"]);
  });

  it("is looked at when RX_FREE_MIN is written", () => {
    const rig = new ThrottleRig().program(0, 1_000_000_000, 0);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.vector.freeMin = 255;
    rig.throttle.reprogrammed(rig.vector, true, 9);
    expect(rig.log).toEqual(["9 wake guard"]);
  });

  it("does not wake for a ring that is short of buffers but holds no frame", () => {
    const rig = new ThrottleRig().program(0, 1_000_000_000, 10);
    rig.rx.free = 0;
    rig.state(PREEMPTED, 40);
    expect(rig.log).toEqual([]);
  });
});

describe("R6: activation", () => {
  it("that ends a wake notifies a pending cause at once, and the latency interval starts there", () => {
    const rig = new ThrottleRig().program(50_000, 10_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.state(PREEMPTED, 1_000);
    rig.frame(2_000);
    rig.advance(12_000);
    rig.state(ACTIVE, 30_000);
    expect(rig.log).toEqual(["0 notify latency", "12000 wake overflow", "30000 notify wake"]);
    rig.rx.finishPoll();
    rig.frame(31_000);
    rig.advance(200_000);
    expect(rig.log[3]).toBe("80000 notify latency");
  });

  it("without a wake leaves R3 in force", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.state(PREEMPTED, 1_000);
    rig.frame(2_000);
    rig.state(ACTIVE, 30_000);
    rig.advance(200_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("ends the overflow deadline", () => {
    const rig = new ThrottleRig().program(0, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.state(ACTIVE, 20);
    rig.rx.finishPoll();
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["20 notify latency"]);
  });

  it("of a guest that was cut off in mid-poll drops the cause: the driver goes on polling", () => {
    const rig = new ThrottleRig().program(0, 10_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.rx.polling = true;
    rig.advance(10_010);
    rig.state(ACTIVE, 20_000);
    expect(rig.log).toEqual(["10010 wake overflow"]);
    expect(rig.vector.causeBits()).toBe(0);
    expect(rig.vector.counters.causesSuppressed).toBe(1);
  });
});

describe("R6: activation of a driver that was cut off in mid-poll", () => {
  it("drops the cause at once, without a wake too: it does not wait for the interval to find out", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.state(PREEMPTED, 10);
    rig.frame(20);
    rig.rx.polling = true;
    rig.state(ACTIVE, 30);
    expect(rig.vector.causeBits()).toBe(0);
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("R7: deactivation", () => {
  it("with an unnotified frame sets the deadline at deactivation + overflow interval", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10_000);
    rig.state(PREEMPTED, 20_000);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["0 notify latency", "1020000 wake overflow"]);
  });

  it("with frames unread because the driver was polling sets the same deadline", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.takeInterrupt();
    rig.frame(10_000);
    rig.state(PREEMPTED, 20_000);
    rig.frame(30_000);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["0 notify latency", "1020000 wake overflow"]);
  });

  it("a notification that would fall behind SLICE_END is brought forward to it", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.vector.sliceEndNs = 30_000;
    rig.frame(10_000);
    rig.advance(29_999);
    expect(rig.log).toHaveLength(1);
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify latency", "30000 notify latency"]);
  });

  it("a SLICE_END that has passed changes nothing", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.vector.sliceEndNs = 5_000;
    rig.frame(10_000);
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("a notification that the guest never took becomes a cause again, and is sent at the activation", () => {
    const rig = new ThrottleRig().program(0, 1_000_000);
    rig.frame(0);
    rig.throttle.returned(0, false);
    rig.state(PREEMPTED, 10);
    expect(rig.throttle.nextDeadlineNs()).toBe(1_000_010);
    rig.state(ACTIVE, 500);
    expect(rig.log).toEqual(["0 notify latency", "500 notify latency"]);
  });
});

describe("R8: writing an interval re-evaluates it", () => {
  it("a shorter latency interval that has passed already fires at once", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10_000);
    rig.vector.latencyNs = 15_000;
    rig.throttle.reprogrammed(rig.vector, false, 20_000);
    expect(rig.log).toEqual(["0 notify latency", "20000 notify latency"]);
  });

  it("a longer latency interval moves the deadline", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10_000);
    rig.vector.latencyNs = 70_000;
    rig.throttle.reprogrammed(rig.vector, false, 20_000);
    rig.advance(200_000);
    expect(rig.log).toEqual(["0 notify latency", "70000 notify latency"]);
  });

  it("a shorter overflow interval wakes at once when it has passed already", () => {
    const rig = new ThrottleRig().program(0, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.vector.overflowNs = 100;
    rig.throttle.reprogrammed(rig.vector, false, 500);
    expect(rig.log).toEqual(["500 wake overflow"]);
  });
});

describe("R9: suppression is decided at the batch and asked again at sending", () => {
  it("a batch that does not cross the driver's event latches no cause", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.rx.takeInterrupt();
    rig.frame(0);
    expect(rig.causes).toEqual([]);
    expect(rig.log).toEqual([]);
  });

  it("a cause whose entries the driver has polled away meanwhile is dropped at sending", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10_000);
    rig.rx.finishPoll();
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify latency"]);
    expect(rig.vector.counters.causesSuppressed).toBe(1);
  });

  it("after more than 2^15 entries since the latch it is sent even if the event index says no", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    const from = rig.rx.usedIdx;
    rig.rx.usedIdx = (from + 0x8001) & 0xffff;
    rig.throttle.published(0, from, 0x8001, false, 10_000);
    rig.rx.armedAt = rig.rx.usedIdx;
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
  });

  it("an MSI-X mask keeps the cause, and unmasking sends it", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.vector.maskedByDriver = true;
    rig.frame(5);
    expect(rig.log).toEqual([]);
    rig.vector.maskedByDriver = false;
    rig.throttle.reprogrammed(rig.vector, false, 9);
    expect(rig.log).toEqual(["9 notify latency"]);
  });

  it("a wake for received frames ignores suppression, masks and a missing vector", () => {
    const suppressed = new ThrottleRig().program(0, 100);
    suppressed.rx.polling = true;
    suppressed.vector.maskedByHost = true;
    suppressed.state(PREEMPTED, 0);
    suppressed.frame(1);
    suppressed.advance(1_000);
    expect(suppressed.log).toEqual(["101 wake overflow"]);

    const noVector = new ThrottleRig().program(0, 100);
    noVector.throttle.attachQueue(0, RX, noVector.rx, -1);
    noVector.state(PREEMPTED, 0);
    noVector.frame(1);
    noVector.advance(1_000);
    noVector.state(ACTIVE, 2_000);
    noVector.advance(5_000);
    expect(noVector.log).toEqual(["101 wake overflow"]);
  });

  it("a transmit completion, suppressed or not, does not wake a preempted guest", () => {
    const rig = new ThrottleRig().program(0, 100);
    rig.state(PREEMPTED, 0);
    rig.completion(1);
    rig.advance(1_000_000);
    expect(rig.log).toEqual([]);
    rig.state(ACTIVE, 2_000_000);
    expect(rig.log).toEqual(["2000000 notify latency"]);
  });
});

describe("R10: nothing of an old life arrives", () => {
  it("a device reset ends a running interval", () => {
    const rig = new ThrottleRig().program(50_000, 1_000);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    rig.throttle.reset();
    expect(rig.throttle.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    rig.advance(10_000_000);
    expect(rig.log).toEqual(["0 notify latency"]);
    expect(rig.vector.causeBits()).toBe(0);
  });

  it("after a device reset a batch of the old life raises nothing, active or not", () => {
    const rig = new ThrottleRig().program(0, 0, 300);
    rig.throttle.reset();
    rig.frame(10);
    rig.throttle.starved(0, 20);
    rig.state(PREEMPTED, 30);
    rig.frame(40);
    rig.advance(10_000_000);
    expect(rig.log).toEqual([]);
  });

  it("a device reset leaves the guest's state, the intervals, RX_FREE_MIN and the host's mask", () => {
    const rig = new ThrottleRig().program(50_000, 1_000, 7);
    rig.vector.maskedByHost = true;
    rig.state(PREEMPTED, 5);
    rig.throttle.reset();
    expect(rig.throttle.vcpus[0]!.active).toBe(false);
    expect(rig.vector).toMatchObject({ latencyNs: 50_000, overflowNs: 1_000, freeMin: 7, maskedByHost: true });
  });

  it("a queue reset drops the queue's cause, and leaves the other queues'", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    rig.completion(20);
    rig.throttle.detachQueue(0);
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify latency", "50000 notify latency"]);
    const alone = new ThrottleRig().program(50_000, 0);
    alone.frame(0);
    alone.rx.finishPoll();
    alone.frame(10);
    alone.throttle.detachQueue(0);
    alone.advance(100_000);
    expect(alone.log).toEqual(["0 notify latency"]);
  });

  it("a queue that is given another vector leaves no cause on the old one", () => {
    const rig = new ThrottleRig(2).program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    rig.throttle.attachQueue(0, RX, rig.rx, 1);
    rig.advance(100_000);
    expect(rig.log).toEqual(["0 notify v0 latency"]);
  });

  it("a configuration change that waits goes to the vector that its driver gives it, and no more to the old one", () => {
    const rig = new ThrottleRig(3);
    rig.throttle.maskByDriver(0, true, 0);
    rig.throttle.configChanged(10);
    rig.throttle.assignConfigVector(2, 20);
    rig.throttle.maskByDriver(0, false, 30);
    expect(rig.log).toEqual(["20 notify v2 config"]);
    expect(rig.vector.causeBits()).toBe(0);
  });

  it("a configuration change that waits is dropped with its vector", () => {
    const rig = new ThrottleRig(3);
    rig.throttle.maskByDriver(0, true, 0);
    rig.throttle.configChanged(10);
    rig.throttle.assignConfigVector(-1, 20);
    rig.throttle.assignConfigVector(0, 30);
    rig.throttle.maskByDriver(0, false, 40);
    expect(rig.log).toEqual([]);
  });
});

describe("R11: urgent frames", () => {
  function urgentRig(): ThrottleRig {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.vector.urgent.program(1, 1, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    return rig;
  }

  it("bypass the latency interval, and start a new one", () => {
    const rig = urgentRig();
    rig.frame(10_000, 0, rig.rx, true);
    rig.rx.finishPoll();
    rig.frame(20_000);
    rig.advance(200_000);
    expect(rig.log).toEqual(["0 notify latency", "10000 notify urgent", "60000 notify latency"]);
  });

  it("bypass the overflow interval", () => {
    const rig = urgentRig();
    rig.state(PREEMPTED, 100);
    rig.frame(200, 0, rig.rx, true);
    expect(rig.log[1]).toBe("200 wake urgent");
  });

  it("wait like all others once the 31 credits are spent", () => {
    const rig = urgentRig();
    for (let i = 1; i <= 32; i++) {
      rig.frame(i, 0, rig.rx, true);
      rig.rx.finishPoll();
    }
    expect(rig.log.filter((line) => line.endsWith("urgent"))).toHaveLength(31);
  });

  it("regain credits at the programmed rate", () => {
    const rig = urgentRig();
    for (let i = 1; i <= 32; i++) {
      rig.frame(i, 0, rig.rx, true);
      rig.rx.finishPoll();
    }
    rig.advance(1_000_100_000);
    rig.frame(1_000_100_000);
    rig.rx.finishPoll();
    rig.frame(1_000_100_001, 0, rig.rx, true);
    expect(rig.log.at(-1)).toBe("1000100001 notify urgent");
  });

  it("cost no credit when the interval lets them through anyway", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.vector.urgent.program(1, 1, 0);
    for (let i = 0; i < 40; i++) {
      rig.frame(i, 0, rig.rx, true);
      rig.rx.finishPoll();
    }
    expect(rig.log.every((line) => line.endsWith("latency"))).toBe(true);
  });
});

describe("R12: the guest's own coalescing", () => {
  it("holds a cause back until max_usecs after the first frame", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.throttle.setCoalescing(0, 10, 15, 0);
    rig.frame(1_000);
    rig.frame(2_000);
    rig.advance(100_000);
    expect(rig.log).toEqual(["11000 notify latency"]);
  });

  it("lets it through at the max_packets-th frame", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.throttle.setCoalescing(0, 1_000, 3, 0);
    for (const t of [10, 20, 30]) rig.frame(t);
    expect(rig.log).toEqual(["30 notify latency"]);
  });

  it("never undercuts the latency interval", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.throttle.setCoalescing(0, 10, 2, 0);
    rig.frame(0);
    rig.frame(1);
    rig.rx.finishPoll();
    rig.frame(2);
    rig.frame(3);
    rig.advance(100_000);
    expect(rig.log).toEqual(["1 notify latency", "50001 notify latency"]);
  });

  it("with either parameter 0 notifies at the first frame", () => {
    for (const [usecs, packets] of [
      [0, 5],
      [5, 0],
    ] as const) {
      const rig = new ThrottleRig().program(0, 0);
      rig.throttle.setCoalescing(0, usecs, packets, 0);
      rig.frame(7);
      expect(rig.log).toEqual(["7 notify latency"]);
    }
  });

  it("a command that lowers max_packets below what has come notifies at once (the standard's own example)", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.throttle.setCoalescing(0, 1_000_000, 15, 0);
    for (let t = 1; t <= 10; t++) rig.frame(t);
    expect(rig.log).toEqual([]);
    rig.throttle.setCoalescing(0, 1_000_000, 8, 50);
    expect(rig.log).toEqual(["50 notify latency"]);
  });

  it("does not count while the guest is inactive", () => {
    const rig = new ThrottleRig().program(0, 100);
    rig.throttle.setCoalescing(0, 1_000_000, 1_000, 0);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.advance(1_000);
    expect(rig.log).toEqual(["101 wake overflow"]);
  });
});

describe("R13: configuration changes", () => {
  it("are never delayed, and leave the throttled cause and the latency interval as they were", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10_000);
    rig.throttle.configChanged(20_000);
    rig.advance(200_000);
    expect(rig.log).toEqual(["0 notify latency", "20000 notify config", "50000 notify latency"]);
  });

  it("wake an inactive guest at once, and are notified at its activation", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.throttle.configChanged(10);
    rig.state(ACTIVE, 500);
    expect(rig.log).toEqual(["10 wake config", "500 notify config"]);
  });

  it("find an outstanding wake, and are counted as coalesced", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.throttle.configChanged(2);
    rig.state(ACTIVE, 3);
    expect(rig.log).toEqual(["1 wake overflow", "3 notify config", "3 notify wake"]);
    expect(rig.vector.counters.wakesCoalesced).toBe(1);
  });
});

describe("R14: several vectors, queues and vCPUs", () => {
  function twoByTwo(): ThrottleRig {
    const rig = new ThrottleRig(2, 2);
    rig.throttle.attachQueue(1, TX, rig.tx, 1);
    rig.throttle.vectors[1]!.target = 1;
    for (const vector of rig.throttle.vectors) {
      vector.latencyNs = 50_000;
      vector.overflowNs = 1_000_000;
    }
    return rig;
  }

  it("a shared vector follows the most urgent of its queues", () => {
    const rig = new ThrottleRig().program(0, 0);
    const second = new ScriptedQueue();
    rig.throttle.attachQueue(3, RX, second, 0);
    rig.throttle.setCoalescing(0, 100, 10, 0);
    rig.throttle.setCoalescing(3, 20, 10, 0);
    rig.frame(0);
    rig.frame(5_000, 3, second);
    rig.advance(1_000_000);
    expect(rig.log).toEqual(["25000 notify latency"]);
  });

  it("the guard of any one queue of a shared vector suffices", () => {
    const rig = new ThrottleRig().program(0, 1_000_000, 4);
    const second = new ScriptedQueue();
    second.free = 5;
    rig.throttle.attachQueue(3, RX, second, 0);
    rig.state(PREEMPTED, 0);
    rig.frame(1);
    rig.frame(2, 3, second);
    expect(rig.log).toEqual(["2 wake guard"]);
  });

  it("each vector follows its own TARGET", () => {
    const rig = twoByTwo();
    const other = new ScriptedQueue();
    rig.throttle.attachQueue(3, RX, other, 1);
    rig.state(PREEMPTED, 0, 1);
    rig.frame(10);
    rig.frame(10, 3, other);
    rig.advance(2_000_000);
    expect(rig.log).toEqual(["10 notify v0 latency", "1000010 wake c1 overflow"]);
  });

  it("an activation that ends one vCPU's wake does not hurry the vectors of its sibling", () => {
    const rig = twoByTwo();
    const other = new ScriptedQueue();
    rig.throttle.attachQueue(3, RX, other, 1);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    rig.state(PREEMPTED, 20, 1);
    rig.frame(30, 3, other);
    rig.throttle.vectors[1]!.overflowNs = 0;
    rig.throttle.reprogrammed(rig.throttle.vectors[1]!, false, 40);
    rig.state(ACTIVE, 50, 1);
    rig.advance(200_000);
    expect(rig.log).toEqual([
      "0 notify v0 latency",
      "40 wake c1 overflow",
      "50 notify v1 wake",
      "50000 notify v0 latency",
    ]);
  });

  it("a wake becomes a notification to an active sibling only where REDIRECT allows it", () => {
    const strict = twoByTwo();
    strict.state(PREEMPTED, 0, 0);
    strict.frame(10);
    expect(strict.log).toEqual([]);
    const redirected = twoByTwo();
    redirected.vector.redirectMask = 0b10;
    redirected.state(PREEMPTED, 0, 0);
    redirected.frame(10);
    expect(redirected.log).toEqual(["10 notify v0 latency"]);
  });

  it("two vectors of one inactive vCPU raise one wake between them", () => {
    const rig = new ThrottleRig(2, 1);
    const other = new ScriptedQueue();
    rig.throttle.attachQueue(3, RX, other, 1);
    for (const vector of rig.throttle.vectors) vector.overflowNs = 100;
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.frame(20, 3, other);
    rig.advance(10_000);
    expect(rig.log).toEqual(["110 wake overflow"]);
    rig.state(ACTIVE, 200);
    expect(rig.log.slice(1)).toEqual(["200 notify v0 wake", "200 notify v1 wake"]);
  });

  it("a wake leaves alone the vectors that an active sibling serves", () => {
    const rig = twoByTwo();
    const other = new ScriptedQueue();
    rig.throttle.attachQueue(3, RX, other, 1);
    rig.throttle.vectors[1]!.target = 0;
    rig.throttle.vectors[1]!.redirectMask = 0b10;
    rig.frame(0, 3, other);
    other.finishPoll();
    rig.state(PREEMPTED, 10, 0);
    rig.frame(20, 3, other);
    rig.vector.overflowNs = 0;
    rig.frame(30);
    rig.advance(1_000_000);
    expect(rig.log).toEqual(["0 notify v1 latency", "30 wake c0 overflow", "50000 notify v1 latency"]);
  });
});

describe("R16: an idle guest", () => {
  it("is woken by a completion of a vector that has just become its own", () => {
    const rig = new ThrottleRig(1, 2).program(50_000, 1_000_000);
    rig.state(PREEMPTED, 0, 0);
    rig.state(IDLE, 0, 1);
    rig.completion(10);
    rig.throttle.retarget(rig.vector, 1, 0, 20);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["50020 wake c1 overflow"]);
  });

  it("is woken one latency interval after the first frame, not one overflow interval", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(IDLE, 0);
    rig.frame(10);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["50010 wake overflow"]);
  });

  it("is woken by a transmit completion that its driver asked for", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(IDLE, 0);
    rig.completion(10);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["50010 wake overflow"]);
  });

  it("is not woken by a transmit completion that its driver suppressed", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.tx.polling = true;
    rig.state(IDLE, 0);
    rig.completion(10);
    rig.advance(5_000_000);
    expect(rig.log).toEqual([]);
  });

  it("that was preempted before waits by the overflow interval until then", () => {
    const rig = new ThrottleRig().program(50_000, 1_000_000);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.state(IDLE, 20);
    rig.advance(5_000_000);
    expect(rig.log).toEqual(["50010 wake overflow"]);
  });
});

describe("R17: SUSPEND", () => {
  it("sends what the driver does not know of before it takes effect", () => {
    const rig = new ThrottleRig().program(50_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    rig.throttle.suspend(20);
    expect(rig.log).toEqual(["0 notify latency", "20 notify latency"]);
  });

  it("holds everything back, a configuration change included, until resume", () => {
    const rig = new ThrottleRig().program(50_000, 100);
    rig.throttle.suspend(0);
    rig.throttle.configChanged(10);
    rig.state(PREEMPTED, 20);
    rig.state(ACTIVE, 30);
    rig.advance(1_000_000);
    expect(rig.log).toEqual([]);
    rig.throttle.resume(2_000_000);
    expect(rig.log).toEqual(["2000000 notify config"]);
  });

  it("wakes an inactive guest for its waiting frames only after resume", () => {
    const rig = new ThrottleRig().program(50_000, 100);
    rig.state(PREEMPTED, 0);
    rig.frame(10);
    rig.throttle.suspend(20);
    rig.advance(1_000_000);
    expect(rig.log).toEqual([]);
    rig.throttle.resume(2_000_000);
    expect(rig.log).toEqual(["2000000 wake overflow"]);
  });
});

describe("an embedder's mistake", () => {
  it("throws at once and says what is allowed", () => {
    expect(() => new ThrottleRig(0)).toThrow("vectors: got 0, allowed are 1 to 2048");
    expect(() => new ThrottleRig(1, 33)).toThrow("vcpus: got 33, allowed are 1 to 32");
    expect(() => new ThrottleRig().state(ACTIVE, 0, 1)).toThrow("vcpu: got 1, allowed are 0 to 0");
    expect(() => new ThrottleRig().throttle.returned(3, false)).toThrow("vector: got 3, allowed are 0 to 0");
  });

  it("a queue that was never attached is ignored", () => {
    const rig = new ThrottleRig().program(0, 0);
    rig.throttle.published(9, 0, 1, false, 0);
    rig.throttle.starved(9, 0);
    rig.throttle.detachQueue(9);
    expect(rig.log).toEqual([]);
    expect(rig.throttle.guardOf(9)).toBe(0);
    expect(CTRL).toBe(2);
  });
});
