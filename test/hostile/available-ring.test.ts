import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import { BUFFERS, CardMachine, DEVICE_NEEDS_RESET, frameOf, RX, TX } from "../rings/card-machine.ts";
import { WRITE } from "../rings/split-driver.ts";
import { withinBounds, worksAfterReset } from "./survival.ts";

const SIZE = 8;
const QUEUES: [string, number][] = [
  ["receive", RX],
  ["transmit", TX],
];

function provoke(machine: CardMachine, queue: number): void {
  if (queue === RX) machine.port.arrivals.push({ bytes: frameOf(60) });
  machine.kick(queue);
  machine.poll();
}

describe.each(QUEUES)("on the %s queue", (_, queue) => {
  test.each([SIZE + 1, 0x100, 0x8000, 0xffff])("avail.idx ahead by %i needs a reset (STATUS-2, case 3)", (idx) => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.queues[queue]!.publish(idx);
    withinBounds(machine, [], () => provoke(machine, queue));
    expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("avail-idx");
    // Bounded: once, and not again at every poll (case 28).
    for (let i = 0; i < 5; i++) provoke(machine, queue);
    expect(machine.card.statistics.faultCount(machine.faults[0]!.code)).toBe(1);
    worksAfterReset(machine);
  });

  test("avail.idx that goes back needs a reset (§2.7.6.1, case 3)", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.offerReceiveBuffers(new Array(SIZE).fill(2048));
    machine.send(frameOf(60));
    machine.receive(frameOf(60));
    machine.receive(frameOf(60));
    machine.queues[queue]!.publish(0);
    for (let i = 0; i < SIZE; i++) provoke(machine, queue);
    expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
    worksAfterReset(machine);
  });

  test.each([SIZE, 0x7fff, 0xffff])("a head of %i needs a reset (case 2)", (head) => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.queues[queue]!.offer(head);
    machine.queues[queue]!.publish();
    withinBounds(machine, [], () => provoke(machine, queue));
    expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("head-out-of-range");
    worksAfterReset(machine);
  });

  test("the same head made available twice is used twice, and nothing else happens (case 4)", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    const ring = machine.queues[queue]!;
    machine.ram.fill(0, BUFFERS, BUFFERS + 12);
    ring.setDescriptor(3, { address: BUFFERS, length: 100, flags: queue === RX ? WRITE : 0 });
    ring.offer(3);
    ring.offer(3);
    ring.publish();
    withinBounds(machine, [[BUFFERS, BUFFERS + 100]], () => {
      if (queue === RX) machine.port.arrivals.push({ bytes: frameOf(60) });
      provoke(machine, queue);
    });
    expect(ring.takeUsed().map(({ head }) => head)).toEqual([3, 3]);
    worksAfterReset(machine);
  });
});

test("case 4: a head that is twice in one merged frame is written twice, inside its buffer", () => {
  const machine = new CardMachine().bringUp(undefined, SIZE);
  machine.rx.setDescriptor(0, { address: BUFFERS, length: 100, flags: WRITE });
  machine.rx.offer(0);
  machine.rx.offer(0);
  machine.rx.publish();
  const used = withinBounds(machine, [[BUFFERS, BUFFERS + 100]], () => machine.receive(frameOf(150)));
  expect(used).toEqual([
    { head: 0, length: 100 },
    { head: 0, length: 62 },
  ]);
});

test("case 3: indices may run over 65535 for ever", () => {
  const machine = new CardMachine().bringUp(undefined, SIZE);
  machine.ram.fill(0, BUFFERS, BUFFERS + 12);
  machine.ram.set(frameOf(60), BUFFERS + 12);
  machine.tx.setDescriptor(0, { address: BUFFERS, length: 72 });
  machine.port.transmit = () => true;
  for (let i = 0; i < 66000; i++) {
    machine.tx.offer(0);
    if (i % SIZE !== SIZE - 1) continue;
    machine.tx.publish();
    machine.kick(TX);
    machine.poll();
  }
  expect(machine.card.statistics.queues[TX]!.frames).toBe(66000);
  expect(machine.tx.usedIdx).toBe(66000 & 0xffff);
  expect(machine.faults).toEqual([]);
});

test("case 28: a ring full of faults costs one poll its budget, not more", () => {
  const machine = new CardMachine().bringUp(undefined, 256);
  for (let i = 0; i < 256; i++) {
    machine.tx.setDescriptor(i, { address: 0x40000, length: 1 });
    machine.tx.offer(i);
  }
  machine.tx.publish();
  machine.kick(TX);
  expect(machine.poll(10)).toBe(10);
  expect(machine.card.statistics.faultTotal).toBe(10);
  for (let i = 0; i < 40; i++) machine.poll(10);
  expect(machine.card.statistics.faultTotal).toBe(256);
  expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
});

test("case 28: receive buffers of empty descriptors cost a frame a bounded number of descriptors", () => {
  const machine = new CardMachine({ ramBytes: 0x100000 }).bringUp(
    ["VERSION_1", "MRG_RXBUF", "RING_INDIRECT_DESC"],
    256,
  );
  // Each buffer is a table of 256: 12 bytes of room, and 255 empty descriptors.
  const table = 0x80000;
  for (let i = 0; i < 256; i++) {
    const flags = WRITE | (i < 255 ? 1 : 0);
    machine.rx.writeDescriptor(table + 16 * i, { address: BUFFERS, length: i === 0 ? 12 : 0, flags, next: i + 1 });
    machine.rx.setDescriptor(i, { address: table, length: 16 * 256, flags: 4 });
    machine.rx.offer(i);
  }
  machine.rx.publish();
  let loads = 0;
  const load = machine.memory.loadU32.bind(machine.memory);
  machine.memory.loadU32 = (offset) => {
    loads++;
    return load(offset);
  };
  machine.receive(frameOf(1514));
  expect(FAULTS[machine.faults[0]!.code]!.name).toBe("chain-too-long");
  // 4 words per descriptor; no more than one per byte of the frame, and one chain.
  expect(loads / 4).toBeLessThan(1526 + 2 * 257);
  worksAfterReset(machine);
});
