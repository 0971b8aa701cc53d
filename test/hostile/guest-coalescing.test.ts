import { describe, expect, test } from "vitest";
import { BUFFERS, CardMachine, CTRL, frameOf, RX } from "../rings/card-machine.ts";
import { WRITE } from "../rings/split-driver.ts";
import { worksAfterReset } from "./survival.ts";

const COMMAND_AT = BUFFERS + 0x28000;
const MOST = 0xffffffff;
const RX_SET = 1;
const VQ_SET = 2;
const u32 = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];

/** Gives a command of the class NOTF_COAL (virtio 1.4 §5.1.9.5.10), and returns its ack. */
function command(machine: CardMachine, bytes: readonly number[]): number {
  machine.ram.set([6, ...bytes], COMMAND_AT);
  machine.ctrl.offerChain(0, [
    { address: COMMAND_AT, length: 1 + bytes.length },
    { address: COMMAND_AT + 0x100, length: 1, flags: WRITE },
  ]);
  machine.ctrl.publish();
  // The driver polls for the answer.
  machine.ctrl.usedEvent = (machine.ctrl.usedIdx + 0x7fff) & 0xffff;
  machine.kick(CTRL);
  machine.poll();
  return machine.ram[COMMAND_AT + 0x100]!;
}

const setAll = (machine: CardMachine, usecs: number, packets: number): number =>
  command(machine, [RX_SET, ...u32(packets), ...u32(usecs)]);

/** A card that holds a notification back, for a frame that has come in under the longest interval there is. */
function holding(): CardMachine {
  const machine = new CardMachine().bringUp();
  machine.offerReceiveBuffers(new Array(8).fill(2048));
  expect(setAll(machine, MOST, MOST)).toBe(0);
  expect(machine.receive(frameOf(60))).toHaveLength(1);
  expect(machine.notified).toEqual([]);
  return machine;
}

describe("case 20: the guest's own coalescing", () => {
  test("of 2^32 - 1 µs and as many packets has a deadline, in 71 minutes, and it is kept", () => {
    const machine = holding();
    const dueNs = machine.nowNs + MOST * 1000;
    expect(machine.card.nextDeadlineNs()).toBe(dueNs);
    machine.nowNs = dueNs - 1;
    machine.poll();
    expect(machine.notified).toEqual([]);
    machine.nowNs = dueNs;
    machine.poll();
    expect(machine.notified).toHaveLength(1);
    expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    worksAfterReset(machine);
  });

  test.each([
    ["no time", 0, MOST],
    ["no packets", MOST, 0],
    ["one packet", MOST, 1],
    ["neither", 0, 0],
  ])("changed to %s while the interval runs sends what it held, once", (_, usecs, packets) => {
    const machine = holding();
    expect(setAll(machine, usecs, packets)).toBe(0);
    expect(machine.notified).toHaveLength(1);
    machine.nowNs += 2 * MOST * 1000;
    machine.poll();
    expect(machine.notified).toHaveLength(1);
    worksAfterReset(machine);
  });

  test("changed for ever does not put its deadline off: it counts from the first frame", () => {
    const machine = holding();
    const firstNs = machine.nowNs;
    for (let i = 1; i <= 1000; i++) {
      machine.nowNs = firstNs + 1000 * i;
      expect(setAll(machine, 2000, MOST - i)).toBe(0);
      expect(machine.card.nextDeadlineNs()).toBe(firstNs + 2_000_000);
    }
    machine.nowNs = firstNs + 2_000_000;
    machine.poll();
    expect(machine.notified).toHaveLength(1);
  });

  test("of a queue that is in reset is refused, and of one that was reset under its interval leaves no deadline", () => {
    const machine = holding();
    machine.card.queues.disable(RX);
    expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(command(machine, [VQ_SET, RX, 0, 0, 0, ...u32(1), ...u32(1)])).toBe(1);
    machine.nowNs += 2 * MOST * 1000;
    machine.poll();
    expect(machine.notified).toEqual([]);
    worksAfterReset(machine);
  });
});
