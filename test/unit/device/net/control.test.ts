import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { BUFFERS, CardMachine, CTRL, type Feature, PLAIN_FEATURES, RX, TX } from "../../../rings/card-machine.ts";
import { type Descriptor, WRITE } from "../../../rings/split-driver.ts";

const COMMAND_AT = BUFFERS;
const REPLY_AT = BUFFERS + 0x100;
const OK = 0;
const ERR = 1;
// §5.1.9.5.10.
const NOTF_COAL = 6;
const TX_SET = 0;
const RX_SET = 1;
const VQ_SET = 2;
const VQ_GET = 3;

const u32 = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const u16 = (value: number): number[] => [value & 255, value >>> 8];

interface Reply {
  ack: number | null;
  result: number[];
  length: number;
}

/** Sends a command as one readable and one writable descriptor, and reads the answer. */
function command(machine: CardMachine, bytes: number[], resultBytes = 0): Reply {
  machine.ram.set(bytes, COMMAND_AT);
  machine.ram.fill(0xee, REPLY_AT, REPLY_AT + 16);
  const descriptors: Descriptor[] = [{ address: REPLY_AT, length: 1 + resultBytes, flags: WRITE }];
  if (bytes.length > 0) descriptors.unshift({ address: COMMAND_AT, length: bytes.length });
  const [used] = run(machine, descriptors);
  const reply = [...machine.bytes(REPLY_AT, 16)];
  const ack = used!.length === 0 ? null : reply[0]!;
  expect(reply.slice(used!.length).every((byte) => byte === 0xee)).toBe(true);
  return { ack, result: reply.slice(1, used!.length), length: used!.length };
}

function run(machine: CardMachine, descriptors: readonly Descriptor[]): { head: number; length: number }[] {
  machine.ctrl.offerChain(0, descriptors);
  machine.ctrl.publish();
  machine.kick(CTRL);
  machine.poll();
  return machine.ctrl.takeUsed();
}

/** The driver kicks for three commands of a class that there is not. */
function queueThreeCommands(machine: CardMachine): void {
  machine.ram.set([9, 0], COMMAND_AT);
  for (const first of [0, 2, 4]) {
    machine.ctrl.offerChain(first, [
      { address: COMMAND_AT, length: 2 },
      { address: REPLY_AT + first, length: 1, flags: WRITE },
    ]);
  }
  machine.ctrl.publish();
  machine.kick(CTRL);
}

function setAll(machine: CardMachine, which: number, usecs: number, packets: number): number | null {
  return command(machine, [NOTF_COAL, which, ...u32(packets), ...u32(usecs)]).ack;
}

function setQueue(machine: CardMachine, queue: number, usecs: number, packets: number): number | null {
  return command(machine, [NOTF_COAL, VQ_SET, ...u16(queue), 0, 0, ...u32(packets), ...u32(usecs)]).ack;
}

/** [max_usecs, max_packets] of a queue, or null for VIRTIO_NET_ERR. */
function getQueue(machine: CardMachine, queue: number): [number, number] | null {
  const { ack, result } = command(machine, [NOTF_COAL, VQ_GET, ...u16(queue), 0, 0], 8);
  if (ack !== OK) return null;
  const view = new DataView(Uint8Array.from(result).buffer);
  return [view.getUint32(4, true), view.getUint32(0, true)];
}

function machineWith(features: readonly Feature[] = PLAIN_FEATURES): CardMachine {
  return new CardMachine().bringUp(features);
}

describe("coalescing commands", () => {
  test("RX_SET and TX_SET set all queues of their direction (§5.1.9.5.10)", () => {
    const machine = machineWith();
    expect(getQueue(machine, RX)).toEqual([0, 0]);
    expect(setAll(machine, RX_SET, 10, 15)).toBe(OK);
    expect(getQueue(machine, RX)).toEqual([10, 15]);
    expect(getQueue(machine, TX)).toEqual([0, 0]);
    expect(setAll(machine, TX_SET, 20, 25)).toBe(OK);
    expect(getQueue(machine, TX)).toEqual([20, 25]);
    expect(getQueue(machine, RX)).toEqual([10, 15]);
  });

  test("the last command that sets a queue counts, whichever it is", () => {
    const machine = machineWith();
    setAll(machine, TX_SET, 1, 1);
    expect(setQueue(machine, TX, 2, 3)).toBe(OK);
    expect(getQueue(machine, TX)).toEqual([2, 3]);
    setAll(machine, TX_SET, 4, 5);
    expect(getQueue(machine, TX)).toEqual([4, 5]);
  });

  test("values take all 32 bits", () => {
    const machine = machineWith();
    expect(setQueue(machine, RX, 0xffffffff, 0xfffffffe)).toBe(OK);
    expect(getQueue(machine, RX)).toEqual([0xffffffff, 0xfffffffe]);
  });

  test("reach the throttle at once (R12)", () => {
    const machine = machineWith();
    const calls: number[][] = [];
    machine.card.throttle.setCoalescing = (...call) => calls.push(call);
    setAll(machine, RX_SET, 10, 15);
    setQueue(machine, TX, 1, 2);
    expect(calls).toEqual([
      [RX, 10, 15, machine.nowNs],
      [TX, 1, 2, machine.nowNs],
    ]);
  });

  test("reserved fields are ignored (NCOAL-1)", () => {
    const machine = machineWith();
    expect(command(machine, [NOTF_COAL, VQ_SET, ...u16(RX), 0xff, 0xff, ...u32(7), ...u32(8)]).ack).toBe(OK);
    expect(command(machine, [NOTF_COAL, VQ_GET, ...u16(RX), 0xff, 0xff], 8).ack).toBe(OK);
  });

  test.each([
    CTRL,
    3,
    0xffff,
  ])("VQ_SET and VQ_GET answer ERR for queue %i, which is no receive or transmit queue (NCOAL-4)", (queue) => {
    const machine = machineWith();
    expect(setQueue(machine, queue, 1, 1)).toBe(ERR);
    expect(getQueue(machine, queue)).toBeNull();
  });

  test("VQ_SET and VQ_GET answer ERR for a queue that is not enabled (NCOAL-4)", () => {
    const machine = machineWith();
    machine.write(0x30, TX);
    machine.write(0x44, 0);
    expect(setQueue(machine, TX, 1, 1)).toBe(ERR);
    expect(getQueue(machine, TX)).toBeNull();
  });

  test("a queue that is enabled again takes what RX_SET or TX_SET has set, or 0 (NCOAL-5, NCOAL-6)", () => {
    const machine = machineWith();
    const again = (queue: number, at: number) => {
      machine.write(0x30, queue);
      machine.write(0x44, 0);
      machine.setUpQueue(queue, at, 8);
    };
    setQueue(machine, RX, 1, 1);
    again(RX, 0x1000);
    expect(getQueue(machine, RX)).toEqual([0, 0]);
    setAll(machine, RX_SET, 10, 15);
    setQueue(machine, RX, 1, 1);
    again(RX, 0x1000);
    expect(getQueue(machine, RX)).toEqual([10, 15]);
    setAll(machine, TX_SET, 20, 25);
    setQueue(machine, TX, 1, 1);
    again(TX, 0x4000);
    expect(getQueue(machine, TX)).toEqual([20, 25]);
  });

  test("RX_SET and TX_SET count for queues that are enabled later", () => {
    const machine = machineWith();
    machine.write(0x30, TX);
    machine.write(0x44, 0);
    expect(setAll(machine, TX_SET, 20, 25)).toBe(OK);
    machine.setUpQueue(TX, 0x4000, 8);
    expect(getQueue(machine, TX)).toEqual([20, 25]);
  });

  test("a reset zeroes every parameter (NCOAL-9)", () => {
    const machine = machineWith();
    setAll(machine, RX_SET, 10, 15);
    setAll(machine, TX_SET, 10, 15);
    machine.bringUp();
    expect(getQueue(machine, RX)).toEqual([0, 0]);
    expect(getQueue(machine, TX)).toEqual([0, 0]);
  });

  test("answer ERR without their feature", () => {
    const machine = machineWith(PLAIN_FEATURES.filter((name) => name !== "NOTF_COAL" && name !== "VQ_NOTF_COAL"));
    expect(setAll(machine, RX_SET, 1, 1)).toBe(ERR);
    expect(setAll(machine, TX_SET, 1, 1)).toBe(ERR);
    expect(setQueue(machine, RX, 1, 1)).toBe(ERR);
    expect(getQueue(machine, RX)).toBeNull();
  });
});

describe("commands that are not understood", () => {
  test.each([
    ["an unknown class", [9, 0]],
    ["an unknown command", [NOTF_COAL, 4]],
    ["a class alone", [NOTF_COAL]],
    ["nothing at all", []],
    ["too few bytes", [NOTF_COAL, RX_SET, 0, 0, 0, 0, 0, 0, 0]],
    ["too many bytes", [NOTF_COAL, RX_SET, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["VQ_SET with too few", [NOTF_COAL, VQ_SET, ...u16(RX), 0, 0, ...u32(1)]],
    ["VQ_GET without an index", [NOTF_COAL, VQ_GET]],
    ["far too many bytes", [NOTF_COAL, RX_SET, ...new Array(200).fill(1)]],
  ])("%s is answered ERR, with one byte", (_, bytes) => {
    const machine = machineWith();
    const { ack, length } = command(machine, bytes);
    expect([ack, length]).toEqual([ERR, 1]);
    expect(machine.faults).toEqual([]);
    expect(setAll(machine, RX_SET, 1, 1)).toBe(OK);
  });

  test("VQ_GET without room for its result is answered ERR", () => {
    const machine = machineWith();
    expect(command(machine, [NOTF_COAL, VQ_GET, ...u16(RX), 0, 0], 7)).toMatchObject({ ack: ERR, length: 1 });
  });
});

describe("framing", () => {
  test("command and answer may be cut anywhere (FRAME-1)", () => {
    const machine = machineWith();
    setAll(machine, RX_SET, 0x01020304, 0x05060708);
    machine.ram.set([NOTF_COAL, VQ_GET, ...u16(RX), 0, 0], COMMAND_AT);
    const used = run(machine, [
      { address: COMMAND_AT, length: 1 },
      { address: COMMAND_AT + 1, length: 2 },
      { address: COMMAND_AT + 3, length: 3 },
      { address: REPLY_AT, length: 1, flags: WRITE },
      { address: REPLY_AT + 1, length: 3, flags: WRITE },
      { address: REPLY_AT + 4, length: 0, flags: WRITE },
      { address: REPLY_AT + 4, length: 100, flags: WRITE },
    ]);
    expect(used).toEqual([{ head: 0, length: 9 }]);
    expect([...machine.bytes(REPLY_AT, 9)]).toEqual([OK, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  test("without a byte for the answer the chain goes back, and life goes on", () => {
    const machine = machineWith();
    machine.ram.set([NOTF_COAL, RX_SET, ...u32(1), ...u32(1)], COMMAND_AT);
    expect(run(machine, [{ address: COMMAND_AT, length: 10 }])).toEqual([{ head: 0, length: 0 }]);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("ctrl-no-ack");
    expect(getQueue(machine, RX)).toEqual([0, 0]);
  });

  test("with the answer before the command the chain goes back (§2.7.4.2)", () => {
    const machine = machineWith();
    const used = run(machine, [
      { address: REPLY_AT, length: 1, flags: WRITE },
      { address: COMMAND_AT, length: 10 },
    ]);
    expect(used).toEqual([{ head: 0, length: 0 }]);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("readable-after-writable");
  });

  test("several commands are answered in order, and published once", () => {
    const machine = machineWith();
    queueThreeCommands(machine);
    machine.poll();
    expect(machine.ctrl.takeUsed().map(({ head }) => head)).toEqual([0, 2, 4]);
    expect(machine.card.statistics.queues[CTRL]).toMatchObject({ frames: 3, batches: 1 });
  });

  test("a poll carries out no more commands than its budget", () => {
    const machine = machineWith();
    queueThreeCommands(machine);
    expect(machine.poll(2)).toBe(2);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    expect(machine.poll(2)).toBe(1);
  });
});
