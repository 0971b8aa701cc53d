/** Coalescing as the driver sets it: virtio 1.4 §5.1.9.5.10. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { COAL_RX_SET, COAL_TX_SET, COAL_VQ_GET, COAL_VQ_SET, ERR, fromLe, le, OK } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["MAC", "CTRL_VQ", "NOTF_COAL", "VQ_NOTF_COAL", "RING_RESET"];
const RX = 0;
const TX = 1;
const USEC = 1000;

/** A device whose control queue's own interrupts are out of the way. */
function bringUp(dut: DeviceUnderTest): DeviceUnderTest {
  dut.bringUp({ features: FEATURES, size: 32 });
  dut.ctrl.ring.wantInterrupts(false);
  for (let i = 0; i < 20; i++) dut.offerBuffer();
  return dut;
}

const set = (dut: DeviceUnderTest, command: readonly [number, number], packets: number, usecs: number): number =>
  dut.command(...command, [...le(packets, 4), ...le(usecs, 4)])[0]!;

const setQueue = (dut: DeviceUnderTest, queue: number, packets: number, usecs: number, reserved = 0): number =>
  dut.command(...COAL_VQ_SET, [...le(queue, 2), ...le(reserved, 2), ...le(packets, 4), ...le(usecs, 4)])[0]!;

/** What VQ_GET answers: [max_packets, max_usecs], or null for ERR. */
function parametersOf(dut: DeviceUnderTest, queue: number, reserved = 0): [number, number] | null {
  const answer = dut.command(...COAL_VQ_GET, [...le(queue, 2), ...le(reserved, 2)], 8);
  return answer[0] === OK ? [fromLe(answer, 1, 4), fromLe(answer, 5, 4)] : null;
}

/** Receives frames one after the other, and counts the interrupts. */
function interruptsFor(dut: DeviceUnderTest, frames: number): number {
  dut.interrupts();
  for (let i = 0; i < frames; i++) dut.receive(patterned(64, i));
  return dut.interrupts().length;
}

conformance("The reserved field of VQ_SET and VQ_GET is ignored", ["NCOAL-1"], (dut) => {
  bringUp(dut);
  expect(setQueue(dut, RX, 5, 100, 0xffff)).toBe(OK);
  expect(parametersOf(dut, RX, 0xabcd)).toEqual([5, 100]);
});

conformance("RX_SET and TX_SET that cannot be carried out answer ERR and change nothing", ["NCOAL-2"], (dut) => {
  bringUp(dut);
  expect(set(dut, COAL_RX_SET, 5, 100)).toBe(OK);
  expect(set(dut, COAL_TX_SET, 6, 200)).toBe(OK);
  for (const command of [COAL_RX_SET, COAL_TX_SET] as const) {
    expect(dut.command(command[0], command[1], [1, 0, 0, 0, 2, 0, 0])[0]).toBe(ERR);
    expect(dut.command(command[0], command[1], [])[0]).toBe(ERR);
  }
  expect([parametersOf(dut, RX), parametersOf(dut, TX)]).toEqual([
    [5, 100],
    [6, 200],
  ]);
});

conformance("VQ_SET that cannot be carried out answers ERR and changes nothing", ["NCOAL-3"], (dut) => {
  bringUp(dut);
  expect(setQueue(dut, RX, 5, 100)).toBe(OK);
  expect(dut.command(...COAL_VQ_SET, [0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0])[0]).toBe(ERR);
  expect(parametersOf(dut, RX)).toEqual([5, 100]);
});

conformance("Only enabled receive and transmit queues have parameters", ["NCOAL-4"], (dut) => {
  bringUp(dut);
  for (const queue of [dut.controlIndex, dut.controlIndex + 1, 0x7fff, 0xffff]) {
    expect(setQueue(dut, queue, 5, 100)).toBe(ERR);
    expect(parametersOf(dut, queue)).toBeNull();
  }
  dut.transport.resetQueue(TX);
  expect(setQueue(dut, TX, 5, 100)).toBe(ERR);
  expect(parametersOf(dut, TX)).toBeNull();
  expect(parametersOf(dut, RX)).toEqual([0, 0]);
});

for (const [index, name, command, id] of [
  [TX, "transmit", COAL_TX_SET, "NCOAL-5"],
  [RX, "receive", COAL_RX_SET, "NCOAL-6"],
] as const) {
  conformance(`A ${name} queue that is enabled again has the parameters of all ${name} queues`, [id], (dut) => {
    bringUp(dut);
    expect(set(dut, command, 7, 300)).toBe(OK);
    expect(setQueue(dut, index, 9, 400)).toBe(OK);
    expect(parametersOf(dut, index)).toEqual([9, 400]);
    dut.transport.resetQueue(index);
    dut.setUpQueue(index);
    expect(parametersOf(dut, index)).toEqual([7, 300]);
  });

  conformance(`A ${name} queue that is enabled again has 0 if nothing was set for all of them`, [id], (dut) => {
    bringUp(dut);
    expect(setQueue(dut, index, 9, 400)).toBe(OK);
    dut.transport.resetQueue(index);
    dut.setUpQueue(index);
    expect(parametersOf(dut, index)).toEqual([0, 0]);
  });
}

conformance("Suppressed, the driver is not notified though the conditions are met", ["NCOAL-8"], (dut) => {
  bringUp(dut);
  expect(set(dut, COAL_RX_SET, 4, 100)).toBe(OK);
  dut.rx.ring.wantInterrupts(false);
  expect(interruptsFor(dut, 8)).toBe(0);
  dut.advance(200 * USEC);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  dut.rx.collectUsed();
  dut.rx.ring.wantInterrupts(true);
  expect(interruptsFor(dut, 4)).toBe(1);
});

conformance("A reset zeroes all parameters", ["NCOAL-9"], (dut) => {
  bringUp(dut);
  expect(set(dut, COAL_RX_SET, 4, 100)).toBe(OK);
  expect(set(dut, COAL_TX_SET, 4, 100)).toBe(OK);
  expect(interruptsFor(dut, 3)).toBe(0);
  bringUp(dut);
  expect([parametersOf(dut, RX), parametersOf(dut, TX)]).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(interruptsFor(dut, 3)).toBe(3);
  // What a queue has when it is enabled again is 0 too.
  dut.transport.resetQueue(RX);
  dut.setUpQueue(RX);
  expect(parametersOf(dut, RX)).toEqual([0, 0]);
});
