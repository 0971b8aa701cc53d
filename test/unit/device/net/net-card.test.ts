import { describe, expect, test } from "vitest";
import { GuestMemory, NetCard } from "../../../../src/device/index.ts";
import {
  ACKNOWLEDGE,
  BUFFERS,
  CardMachine,
  DEVICE_NEEDS_RESET,
  DRIVER,
  DRIVER_OK,
  FAILED,
  FEATURES_OK,
  frameOf,
  ListPort,
  MAC,
  PLAIN_FEATURES,
  REG,
  RUNNING,
  RX,
  SUSPEND,
  TX,
} from "../../../rings/card-machine.ts";

const NEVER = Number.POSITIVE_INFINITY;
// Drop and notification reasons, retyped.
const NOT_READY = 3;
const SUSPENDED = 4;
const CONFIG = 4;
const USED_BUFFER_BIT = 1;
const CONFIG_BIT = 2;

describe("before DRIVER_OK", () => {
  test("no buffer is touched and nothing is notified; frames are dropped as not-ready (STATUS-1)", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(RX, 0x1000, 8);
    machine.setUpQueue(TX, 0x4000, 8);
    machine.offerReceiveBuffers([2048]);
    const changed = machine.writtenBy(() => {
      machine.port.arrivals.push({ bytes: frameOf(60) });
      machine.kick(TX);
      expect(machine.poll()).toBe(1);
    });
    expect(changed).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: NOT_READY }]);
    expect(machine.notified).toEqual([]);
    expect(machine.card.nextDeadlineNs()).toBe(NEVER);
  });

  test("buffers made available early are found at DRIVER_OK, without a kick", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(TX, 0x4000, 8);
    machine.ram.fill(0, BUFFERS, BUFFERS + 12);
    machine.ram.set(frameOf(60), BUFFERS + 12);
    machine.tx.offerChain(0, [{ address: BUFFERS, length: 72 }]);
    machine.tx.publish();
    machine.write(REG.STATUS, RUNNING);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    machine.poll();
    expect(machine.port.sent).toEqual([frameOf(60)]);
  });

  test("a link change is not notified, and shows all the same (RESET-2)", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(0);
    expect(machine.interruptStatus).toBe(0);
    expect(machine.notified).toEqual([]);
  });
});

describe("interrupts", () => {
  test("set bit 0 when the throttle lets them through, not at the cause (R10, MMIO-3)", () => {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.offerReceiveBuffers([2048, 2048]);
    machine.receive(frameOf(60));
    expect(machine.notified).toHaveLength(1);
    expect(machine.interruptStatus).toBe(USED_BUFFER_BIT);
    machine.write(REG.INTERRUPT_ACK, USED_BUFFER_BIT);
    expect(machine.interruptStatus).toBe(0);
    machine.rx.usedEvent = 1;
    machine.receive(frameOf(60));
    expect(machine.interruptStatus).toBe(0);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs + 1_000_000);
    machine.nowNs += 1_000_000;
    machine.poll();
    expect(machine.interruptStatus).toBe(USED_BUFFER_BIT);
    expect(machine.notified).toHaveLength(2);
  });

  test("of a configuration change set bit 1, and the acknowledgement clears what it names", () => {
    const machine = new CardMachine().bringUp();
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.notified).toEqual([{ vector: 0, why: CONFIG, nowNs: machine.nowNs }]);
    expect(machine.interruptStatus).toBe(CONFIG_BIT);
    machine.write(REG.INTERRUPT_ACK, USED_BUFFER_BIT);
    expect(machine.interruptStatus).toBe(CONFIG_BIT);
    machine.write(REG.INTERRUPT_ACK, CONFIG_BIT);
    expect(machine.interruptStatus).toBe(0);
  });

  test("no link change, no notification", () => {
    const machine = new CardMachine().bringUp();
    machine.card.setLinkUp(true, machine.nowNs);
    expect(machine.notified).toEqual([]);
  });
});

describe("the link", () => {
  test("being down, frames off the wire are dropped as not-ready", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048]);
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.receive(frameOf(60))).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: NOT_READY }]);
    machine.card.setLinkUp(true, machine.nowNs);
    expect(machine.receive(frameOf(60))).toHaveLength(1);
  });
});

describe("reset", () => {
  test("clears status, interrupt bits and ready bits, and the card can be brought up again (RESET-1, MMIO-5)", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048]);
    machine.receive(frameOf(60));
    machine.write(REG.STATUS, 0);
    expect(machine.status).toBe(0);
    expect(machine.interruptStatus).toBe(0);
    for (const queue of [0, 1, 2]) {
      machine.write(REG.QUEUE_SEL, queue);
      expect(machine.read(REG.QUEUE_READY)).toBe(0);
    }
    expect(machine.card.nextDeadlineNs()).toBe(NEVER);
    machine.bringUp();
    machine.offerReceiveBuffers([2048]);
    expect(machine.receive(frameOf(61))).toEqual([{ head: 0, length: 73 }]);
  });

  test("no interrupt of the old life arrives, and no queue is touched (RESET-2, R10)", () => {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.offerReceiveBuffers([2048, 2048, 2048]);
    machine.receive(frameOf(60));
    machine.rx.usedEvent = 1;
    machine.receive(frameOf(60));
    expect(machine.notified).toHaveLength(1);
    machine.write(REG.STATUS, 0);
    machine.nowNs += 10_000_000;
    const changed = machine.writtenBy(() => machine.receive(frameOf(60)));
    expect(changed).toEqual([]);
    expect(machine.notified).toHaveLength(1);
  });

  test("what the host has programmed, and the statistics, stay (R10)", () => {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.latencyNs = 77;
    machine.offerReceiveBuffers([2048]);
    machine.receive(frameOf(60));
    machine.write(REG.STATUS, 0);
    expect(machine.card.throttle.vectors[0]!.latencyNs).toBe(77);
    expect(machine.card.statistics).toMatchObject({ resets: 2, needsReset: 0 });
    expect(machine.card.statistics.queues[RX]!.frames).toBe(1);
  });
});

describe("a queue that is disabled", () => {
  test("is touched no more and notified no more; the others go on (VQRST-1)", () => {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.offerReceiveBuffers([2048, 2048, 2048]);
    machine.receive(frameOf(60));
    machine.rx.usedEvent = 1;
    machine.receive(frameOf(60));
    machine.write(REG.QUEUE_SEL, RX);
    machine.write(REG.QUEUE_READY, 0);
    machine.nowNs += 10_000_000;
    const changed = machine.writtenBy(() => machine.receive(frameOf(60)));
    expect(changed).toEqual([]);
    expect(machine.drops.at(-1)!.why).toBe(NOT_READY);
    expect(machine.notified).toHaveLength(1);
    machine.send(frameOf(60));
    expect(machine.port.sent).toHaveLength(1);
  });

  test("begins at index 0 when it is enabled again, with another size (VQRST-2, VQREEN-1)", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048, 2048]);
    machine.receive(frameOf(60));
    machine.write(REG.QUEUE_SEL, RX);
    machine.write(REG.QUEUE_READY, 0);
    machine.setUpQueue(RX, 0x1000, 2);
    machine.offerReceiveBuffers([2048]);
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
    expect(machine.rx.usedIdx).toBe(1);
  });
});

describe("DEVICE_NEEDS_RESET", () => {
  function breakReceiveRing(machine: CardMachine): void {
    machine.rx.publish(9);
    machine.receive(frameOf(60));
  }

  test("follows a ring that cannot be believed, with a configuration notification (STATUS-2, STATUS-3)", () => {
    const machine = new CardMachine().bringUp();
    breakReceiveRing(machine);
    expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
    expect(machine.notified.map(({ why }) => why)).toEqual([CONFIG]);
    expect(machine.interruptStatus).toBe(CONFIG_BIT);
    expect(machine.card.statistics.needsReset).toBe(1);
  });

  test("stops all queues, and a reset makes the card new", () => {
    const machine = new CardMachine().bringUp();
    breakReceiveRing(machine);
    machine.send(frameOf(60));
    expect(machine.port.sent).toEqual([]);
    machine.receive(frameOf(60));
    expect(machine.drops.map(({ why }) => why)).toEqual([2, NOT_READY]);
    machine.bringUp();
    machine.send(frameOf(60));
    expect(machine.port.sent).toHaveLength(1);
  });

  test("what was used in the same poll stays used", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048]);
    machine.rx.offer(200);
    machine.rx.publish();
    expect(machine.receive(frameOf(60), frameOf(61))).toEqual([{ head: 0, length: 72 }]);
    expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
  });

  test("comes from the transmit and control queues too", () => {
    for (const queue of [1, 2]) {
      const machine = new CardMachine().bringUp();
      machine.queues[queue]!.publish(0x8000);
      machine.kick(queue);
      machine.poll();
      expect(machine.status & DEVICE_NEEDS_RESET, `queue ${queue}`).toBe(DEVICE_NEEDS_RESET);
    }
  });
});

test("FAILED stops the queues", () => {
  const machine = new CardMachine().bringUp();
  machine.write(REG.STATUS, RUNNING | FAILED);
  machine.send(frameOf(60));
  expect(machine.port.sent).toEqual([]);
});

describe("SUSPEND", () => {
  function suspend(machine: CardMachine): void {
    machine.write(REG.STATUS, machine.status | SUSPEND);
  }

  function resume(machine: CardMachine): void {
    machine.write(REG.STATUS, machine.status | DRIVER_OK);
  }

  test("reads back with DRIVER_OK clear, and both change back on resume (SUSPEND-6, SUSPEND-7)", () => {
    const machine = new CardMachine().bringUp();
    suspend(machine);
    expect(machine.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK | SUSPEND);
    resume(machine);
    expect(machine.status).toBe(RUNNING);
  });

  test("suspended, the card touches no queue and notifies nobody (SUSPEND-3)", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048]);
    suspend(machine);
    const changed = machine.writtenBy(() => {
      machine.receive(frameOf(60));
      machine.kick(TX);
      machine.poll();
    });
    expect(changed).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: SUSPENDED }]);
    expect(machine.notified).toEqual([]);
  });

  test("due notifications go out before it reads back as set (SUSPEND-8, R17)", () => {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.offerReceiveBuffers([2048, 2048]);
    machine.receive(frameOf(60));
    machine.rx.usedEvent = 1;
    machine.receive(frameOf(60));
    expect(machine.notified).toHaveLength(1);
    suspend(machine);
    expect(machine.notified).toHaveLength(2);
    machine.nowNs += 10_000_000;
    machine.poll();
    expect(machine.notified).toHaveLength(2);
  });

  test("resumed, queues go on where they stood, and early buffers are found", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048, 2048]);
    machine.receive(frameOf(60));
    machine.send(frameOf(60));
    suspend(machine);
    machine.tx.setDescriptor(1, { address: BUFFERS + 0x20000, length: 72 });
    machine.tx.offer(1);
    machine.tx.publish();
    resume(machine);
    machine.poll();
    expect(machine.port.sent).toHaveLength(2);
    expect(machine.receive(frameOf(60))).toEqual([{ head: 1, length: 72 }]);
  });

  test("a link change waits: neither status nor generation moves before resume, then it is notified (SUSPEND-3, SUSPEND-4, SUSPEND-5)", () => {
    const machine = new CardMachine().bringUp();
    suspend(machine);
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(1);
    expect(machine.read(REG.CONFIG_GENERATION)).toBe(0);
    expect(machine.notified).toEqual([]);
    resume(machine);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(0);
    expect(machine.read(REG.CONFIG_GENERATION)).toBe(1);
    expect(machine.notified.map(({ why }) => why)).toEqual([CONFIG]);
  });

  test("a link change that waits survives a reset", () => {
    const machine = new CardMachine().bringUp();
    suspend(machine);
    machine.card.setLinkUp(false, machine.nowNs);
    machine.write(REG.STATUS, 0);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(0);
    expect(machine.notified).toEqual([]);
  });

  test("a queue cannot be enabled meanwhile", () => {
    const machine = new CardMachine().bringUp();
    machine.write(REG.QUEUE_SEL, TX);
    machine.write(REG.QUEUE_READY, 0);
    suspend(machine);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
  });
});

describe("deadlines", () => {
  test("there is none for an idle card", () => {
    const machine = new CardMachine().bringUp();
    machine.poll();
    expect(machine.card.nextDeadlineNs()).toBe(NEVER);
  });

  test("a kick is due at once", () => {
    const machine = new CardMachine().bringUp();
    machine.poll();
    machine.nowNs += 5;
    machine.kick(TX);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    machine.poll();
    expect(machine.card.nextDeadlineNs()).toBe(NEVER);
  });

  test("the port's next arrival counts while the card is live", () => {
    const machine = new CardMachine().bringUp();
    machine.poll();
    machine.port.nextArrivalNs = () => 4711;
    expect(machine.card.nextDeadlineNs()).toBe(4711);
    machine.write(REG.STATUS, 0);
    expect(machine.card.nextDeadlineNs()).toBe(NEVER);
  });

  test("frames left over by the budget are due at the time of the poll", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    for (let i = 0; i < 5; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
    expect(machine.poll(3)).toBe(3);
    expect(machine.card.nextDeadlineNs()).toBeLessThanOrEqual(machine.nowNs);
    expect(machine.poll(3)).toBe(2);
    expect(machine.card.statistics.queues[RX]!.frames).toBe(5);
  });
});

describe("embedder's misuse throws at once", () => {
  const memory = new GuestMemory(new ArrayBuffer(65536));
  const interrupts = { notify: () => {}, wake: () => {} };
  const make = (options: object) => new NetCard({ memory, port: new ListPort(), interrupts, mac: MAC, ...options });

  test.each([
    [{ queueSizeMax: 3 }, /queueSizeMax is 3; it must be a power of two from 1 to 32768/],
    [{ queueSizeMax: 65536 }, /queueSizeMax is 65536/],
    [{ mtu: 67 }, /mtu is 67/],
    [{ mac: [1, 0, 0, 0, 0, 0] }, /group address/],
    [{ withhold: ["VERSION_1"] }, /VERSION_1 must be offered/],
    [{ port: Object.assign(new ListPort(), { maxFrameBytes: 1513 }) }, /with mtu 1500 it must be at least 1514/],
    [{ txStaging: { bytes: memory.u8, offset: 0, lengthBytes: 4096 } }, /overlaps the guest's region/],
    [{ vectors: 0 }, /vectors/],
    [{ vcpus: 0 }, /vcpus/],
  ])("%j", (options, message) => {
    expect(() => make(options)).toThrow(RangeError);
    expect(() => make(options)).toThrow(message);
  });

  test("a poll without a time, or without a budget", () => {
    const card = make({});
    expect(() => card.poll(Number.NaN, 1)).toThrow(/nowNs must be a number/);
    expect(() => card.poll(0, 0)).toThrow(/budgetFrames at least 1/);
    expect(() => card.poll(0, Number.NaN)).toThrow(RangeError);
  });
});

test("the same card works in every legal queue size up to 32768", () => {
  for (let size = 1; size <= 32768; size *= 2) {
    const machine = new CardMachine({ ramBytes: 0x200000, queueSizeMax: 32768 });
    machine.negotiate(PLAIN_FEATURES);
    machine.setUpQueue(RX, 0x100000, size);
    machine.write(REG.STATUS, RUNNING);
    machine.rx.offerChain(size - 1, [{ address: BUFFERS, length: 2048, flags: 2 }]);
    machine.rx.publish();
    expect(machine.receive(frameOf(60))).toEqual([{ head: size - 1, length: 72 }]);
  }
});

describe("serve", () => {
  /** A card with a frame to send, which its driver has kicked for, and one on the wire. */
  function busyMachine(): CardMachine {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048]);
    machine.poll();
    machine.ram.fill(0, BUFFERS + 0x8000, BUFFERS + 0x8000 + 72);
    for (const descriptor of [0, 1]) {
      machine.tx.setDescriptor(descriptor, { address: BUFFERS + 0x8000, length: 72 });
      machine.tx.offer(descriptor);
    }
    machine.tx.publish();
    machine.port.arrivals.push({ bytes: frameOf(60) });
    return machine;
  }

  test("does what the driver has handed over within the budget, and takes nothing off the wire", () => {
    const machine = busyMachine();
    expect(machine.card.workDueNs).toBe(Number.POSITIVE_INFINITY);
    machine.kick(TX);
    expect(machine.card.workDueNs).toBe(machine.nowNs);
    expect(machine.card.serve(machine.nowNs, 1)).toBe(1);
    expect([machine.port.sent.length, machine.port.arrivals.length]).toEqual([1, 1]);
    expect(machine.card.workDueNs).toBe(machine.nowNs);
    expect(machine.poll()).toBe(2);
    expect([machine.port.sent.length, machine.port.arrivals.length]).toEqual([2, 0]);
    expect(machine.card.workDueNs).toBe(Number.POSITIVE_INFINITY);
  });

  test("notifies nobody before the poll, which finds out whether anybody still wants it (R9)", () => {
    const machine = busyMachine();
    machine.port.arrivals.length = 0;
    const before = machine.notified.length;
    machine.tx.usedEvent = 0;
    machine.kick(TX);
    machine.card.serve(machine.nowNs, 1);
    expect([machine.notified.length - before, machine.tx.usedIdx]).toEqual([0, 1]);
    expect(machine.card.throttle.nextDeadlineNs()).toBeLessThanOrEqual(machine.nowNs);
    // The driver has looked by itself, and waits for another one.
    machine.tx.usedEvent = 5;
    machine.poll();
    expect(machine.notified.length).toBe(before);
    machine.send(frameOf(60), BUFFERS + 0x9000, 3);
    machine.tx.usedEvent = 3;
    machine.send(frameOf(60), BUFFERS + 0x9000, 4);
    expect(machine.notified.length).toBe(before + 1);
  });

  test("does nothing from inside a poll", () => {
    const machine = busyMachine();
    let served = -1;
    machine.port.onReceive = () => {
      served = machine.card.serve(machine.nowNs, 1);
    };
    machine.poll();
    expect(served).toBe(0);
  });

  test("throws for a budget or a time that is none, and says which call it was", () => {
    const { card } = new CardMachine();
    expect(() => card.serve(0, 0)).toThrow("serve(0, 0): nowNs must be a number, budgetFrames at least 1");
    expect(() => card.serve(Number.NaN, 1)).toThrow("serve(NaN, 1)");
  });
});
