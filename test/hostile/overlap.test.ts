import { describe, expect, test } from "vitest";
import { BUFFERS, CardMachine, frameOf, REG, RUNNING, RX, TX } from "../rings/card-machine.ts";
import { SplitDriver, WRITE } from "../rings/split-driver.ts";
import { withinBounds, worksAfterReset } from "./survival.ts";

const SIZE = 8;

/** Case 8 of peers §3.2: the driver's own memory is damaged, and nothing else. */
describe("receive buffers over the rings", () => {
  test.each(["table", "avail", "used"] as const)("over the %s", (area) => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    const at = machine.rx[area];
    for (let i = 0; i < SIZE; i++) {
      machine.rx.setDescriptor(i, { address: at, length: 2048, flags: WRITE });
      machine.rx.offer(i);
    }
    machine.rx.publish();
    withinBounds(machine, [[at, at + 2048]], () => {
      for (let i = 0; i < 4 * SIZE; i++) machine.port.arrivals.push({ bytes: frameOf(300, i) });
      machine.poll();
      machine.poll();
    });
    worksAfterReset(machine);
  });
});

test("a transmit buffer over the rings is sent as it is", () => {
  const machine = new CardMachine().bringUp(undefined, SIZE);
  machine.tx.setDescriptor(0, { address: machine.tx.table + 16, length: 112 });
  machine.tx.offer(0);
  machine.tx.publish();
  machine.kick(TX);
  machine.poll();
  expect(machine.port.sent).toHaveLength(1);
  expect(machine.port.sent[0]).toHaveLength(100);
});

test("two queues on the same memory keep the card going, or make it ask for a reset", () => {
  const machine = new CardMachine();
  machine.negotiate();
  const rings = machine.setUpQueue(RX, 0x1000, SIZE);
  machine.setUpQueue(TX, 0x1000, SIZE);
  machine.write(REG.STATUS, RUNNING);
  for (let i = 0; i < SIZE; i++) {
    rings.setDescriptor(i, { address: BUFFERS, length: 100, flags: i % 2 === 0 ? WRITE : 0 });
    rings.offer(i);
  }
  rings.publish();
  withinBounds(machine, [[BUFFERS, BUFFERS + 100]], () => {
    for (let i = 0; i < SIZE; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.kick(TX);
    machine.poll();
  });
  worksAfterReset(machine);
});

test("a used ring over the driver's areas is not enabled (SDESC-4)", () => {
  const machine = new CardMachine();
  machine.negotiate();
  const rings = new SplitDriver(machine.ram.buffer, 0x1000, SIZE);
  for (const used of [rings.table, rings.table + 64, rings.avail & ~3]) {
    machine.setUpQueue(RX, 0x1000, SIZE);
    machine.write(REG.QUEUE_READY, 0);
    machine.write(REG.QUEUE_DEVICE_LOW, used);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
  }
  worksAfterReset(machine);
});

test("all areas at address 0, as a driver leaves them that set none, are not enabled", () => {
  const machine = new CardMachine();
  machine.negotiate();
  machine.write(REG.QUEUE_SEL, RX);
  machine.write(REG.QUEUE_READY, 1);
  expect(machine.read(REG.QUEUE_READY)).toBe(0);
});
