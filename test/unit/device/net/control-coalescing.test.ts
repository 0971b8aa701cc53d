import { expect, test } from "vitest";
import { CONTROL_FEATURES, CONTROLQ, ControlMachine, ERR, OK, u16, u32 } from "../../../rings/control-machine.ts";

// §5.1.9.5.10.
const TX_SET = 0;
const RX_SET = 1;
const VQ_SET = 2;
const VQ_GET = 3;
const ALL_QUEUES = [0, 1, 2, 3, 4, 5];

const setAll = (machine: ControlMachine, command: number, packets: number, usecs: number) =>
  machine.command([6, command, ...u32(packets), ...u32(usecs)]).ack;
const setQueue = (machine: ControlMachine, index: number, packets: number, usecs: number) =>
  machine.command([6, VQ_SET, ...u16(index), 0, 0, ...u32(packets), ...u32(usecs)]).ack;

/** max_packets of each queue, null for one that is answered ERR. */
function packetsOf(machine: ControlMachine): (number | null)[] {
  return ALL_QUEUES.map((index) => {
    const { ack, result } = machine.command([6, VQ_GET, ...u16(index), 0, 0], 8);
    return ack === OK ? result[0]! : null;
  });
}

test("the standard's example: whichever command came last counts, for each queue by itself", () => {
  const machine = new ControlMachine();
  expect(packetsOf(machine)).toEqual([0, 0, 0, 0, 0, 0]);
  setAll(machine, RX_SET, 11, 1);
  expect(packetsOf(machine)).toEqual([11, 0, 11, 0, 11, 0]);
  setQueue(machine, 0, 12, 1);
  expect(packetsOf(machine)).toEqual([12, 0, 11, 0, 11, 0]);
  setQueue(machine, 1, 14, 1);
  expect(packetsOf(machine)).toEqual([12, 14, 11, 0, 11, 0]);
  setAll(machine, TX_SET, 15, 1);
  expect(packetsOf(machine)).toEqual([12, 15, 11, 15, 11, 15]);
});

test("each queue's parameters reach its own cause in the throttle", () => {
  const machine = new ControlMachine();
  const calls: number[][] = [];
  machine.card.throttle.setCoalescing = (...call) => calls.push(call.slice(0, 3));
  setAll(machine, RX_SET, 15, 10);
  setQueue(machine, 5, 2, 1);
  expect(calls).toEqual([
    [0, 10, 15],
    [2, 10, 15],
    [4, 10, 15],
    [5, 1, 2],
  ]);
});

test("a queue in reset has none, and takes its direction's when it is enabled again (NCOAL-4 … NCOAL-6)", () => {
  const machine = new ControlMachine();
  setAll(machine, RX_SET, 11, 1);
  setQueue(machine, 2, 12, 1);
  setQueue(machine, 3, 13, 1);
  machine.card.queues.reset(2);
  machine.card.queues.reset(3);
  expect(packetsOf(machine)).toEqual([11, 0, null, null, 11, 0]);
  expect([setQueue(machine, 2, 1, 1), setQueue(machine, 3, 1, 1)]).toEqual([ERR, ERR]);
  machine.setUpQueue(2, 0x3000, 16);
  machine.setUpQueue(3, 0x4000, 16);
  expect(packetsOf(machine)).toEqual([11, 0, 11, 0, 11, 0]);
});

test("the control queue has none, under either of its numbers (NCOAL-4)", () => {
  const many = new ControlMachine();
  expect(setQueue(many, CONTROLQ, 1, 1)).toBe(ERR);
  const one = new ControlMachine(CONTROL_FEATURES.filter((name) => name !== "MQ" && name !== "RSS"));
  expect(setQueue(one, 2, 1, 1)).toBe(ERR);
  expect(packetsOf(one)).toEqual([0, 0, null, null, null, null]);
});
