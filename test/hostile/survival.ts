/**
 * What every attack must leave behind (reference peers §3.2): nothing thrown, nothing written but the used rings and
 * the buffers that the driver gave, bounded work, and a card that works again after a reset.
 */

import { expect } from "vitest";
import { type CardMachine, frameOf, RX, TX } from "../rings/card-machine.ts";

/** A range of guest memory, as [first byte, last byte + 1]. */
export type Range = readonly [number, number];

/** Runs `attack`, and checks that it has written only to the used rings and to `given`. Returns what `attack` did. */
export function withinBounds<T>(machine: CardMachine, given: readonly Range[], attack: () => T): T {
  let result: T | undefined;
  const rings = machine.queues.map(({ used, size }): Range => [used, used + 6 + 8 * size]);
  const allowed = [...rings, ...given];
  for (const [first, end] of machine.writtenBy(() => {
    result = attack();
  })) {
    for (let at = first; at < end; at++) {
      if (!allowed.some(([from, to]) => at >= from && at < to)) {
        throw new Error(`the card wrote to 0x${at.toString(16)}, which nobody gave it`);
      }
    }
  }
  return result as T;
}

/** The driver resets the card and uses it as if nothing had been. */
export function worksAfterReset(machine: CardMachine): void {
  machine.onNotify = null;
  machine.port.onTransmit = null;
  machine.port.onReceive = null;
  machine.port.arrivals.length = 0;
  machine.poll();
  machine.bringUp();
  expect(machine.status).toBe(15);
  machine.offerReceiveBuffers([2048]);
  expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
  const before = machine.port.sent.length;
  machine.send(frameOf(61));
  expect(machine.port.sent.length).toBe(before + 1);
  expect(machine.queues[TX]!.takeUsed()).toHaveLength(1);
  expect(machine.card.queues.isEnabled(RX)).toBe(true);
}
