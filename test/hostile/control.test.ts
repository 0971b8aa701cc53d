import { expect, test } from "vitest";
import { BUFFERS, CardMachine, CTRL } from "../rings/card-machine.ts";
import { type Descriptor, WRITE } from "../rings/split-driver.ts";
import { type Range, withinBounds, worksAfterReset } from "./survival.ts";

const COMMAND = BUFFERS;
const REPLY = BUFFERS + 0x100;
const ERR = 1;

const readable = (length: number, at = COMMAND): Descriptor => ({ address: at, length });
const writable = (length: number, at = REPLY): Descriptor => ({ address: at, length, flags: WRITE });

/** Case 16. What comes back: the length used, and the ack if there is one. */
const CASES: [string, number[], Descriptor[], number, number | null][] = [
  ["no byte for the ack", [6, 1], [readable(10)], 0, null],
  ["an ack that is read-only", [6, 1], [readable(10), readable(1, REPLY)], 0, null],
  ["an empty ack", [6, 1], [readable(10), writable(0)], 0, null],
  ["nothing but an ack", [], [writable(1)], 1, ERR],
  ["a class and no command", [6], [readable(1), writable(1)], 1, ERR],
  ["an unknown class", [99, 0], [readable(2), writable(1)], 1, ERR],
  ["an unknown command", [6, 200], [readable(10), writable(1)], 1, ERR],
  ["a command that is too short", [6, 1], [readable(9), writable(1)], 1, ERR],
  ["a command that is too long", [6, 1], [readable(4096), writable(1)], 1, ERR],
  ["the answer before the command", [6, 1], [writable(1), readable(10)], 0, null],
  ["a queue that does not exist", [6, 2, 0xff, 0xff], [readable(14), writable(1)], 1, ERR],
  ["the control queue's own parameters", [6, 2, 2, 0], [readable(14), writable(1)], 1, ERR],
  ["a result without room", [6, 3, 0, 0, 0, 0], [readable(6), writable(8)], 1, ERR],
  ["an answer of 64 KiB", [99, 0], [readable(2), writable(65536)], 1, ERR],
];

test.each(CASES)("case 16: %s", (_, bytes, descriptors, usedLength, ack) => {
  const machine = new CardMachine().bringUp(undefined, 8);
  machine.ram.fill(0, COMMAND, COMMAND + 0x100);
  machine.ram.set(bytes, COMMAND);
  machine.ram.fill(0xee, REPLY, REPLY + 16);
  machine.ctrl.offerChain(0, descriptors);
  machine.ctrl.publish();
  const given: Range[] = [[REPLY, REPLY + usedLength]];
  withinBounds(machine, given, () => {
    machine.kick(CTRL);
    machine.poll();
  });
  expect(machine.ctrl.takeUsed()).toEqual([{ head: 0, length: usedLength }]);
  expect(machine.ram[REPLY]).toBe(ack ?? 0xee);
  expect(machine.status).toBe(15);
  worksAfterReset(machine);
});
