import { describe, expect, test } from "vitest";
import { BUFFERS, CardMachine, frameOf, REG, RX, TX } from "../rings/card-machine.ts";
import { worksAfterReset } from "./survival.ts";

function offerFrames(machine: CardMachine, count: number, first = 0): void {
  for (let i = first; i < first + count; i++) {
    const address = BUFFERS + 0x20000 + 0x100 * (i % 8);
    machine.ram.fill(0, address, address + 12);
    machine.ram.set(frameOf(60, i), address + 12);
    machine.tx.setDescriptor(i % 8, { address, length: 72 });
    machine.tx.offer(i % 8);
  }
  machine.tx.publish();
}

describe("case 24: calls back into the card", () => {
  test("a port that polls from inside transmit gets 0, and each frame goes out once", () => {
    const machine = new CardMachine().bringUp();
    offerFrames(machine, 4);
    const polled: number[] = [];
    machine.port.onTransmit = () => polled.push(machine.poll());
    machine.kick(TX);
    machine.poll();
    expect(polled).toEqual([0, 0, 0, 0]);
    expect(machine.port.sent).toEqual([0, 1, 2, 3].map((i) => frameOf(60, i)));
    expect(machine.tx.takeUsed()).toHaveLength(4);
    worksAfterReset(machine);
  });

  test("a port that delivers from inside transmit has its frame received in the same poll", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048, 2048]);
    offerFrames(machine, 1);
    machine.port.onTransmit = () => {
      machine.port.arrivals.push({ bytes: frameOf(61) });
      machine.poll();
    };
    machine.kick(TX);
    machine.poll();
    expect(machine.rx.takeUsed()).toEqual([{ head: 0, length: 73 }]);
    worksAfterReset(machine);
  });

  test("an interrupt handler that polls, refills and kicks at once keeps the rings in order", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048, 2048, 2048, 2048]);
    machine.card.throttle.vectors[0]!.freeMin = 8;
    const taken: number[] = [];
    let sent = 0;
    machine.onNotify = () => {
      machine.write(REG.INTERRUPT_ACK, 3);
      for (const { head } of machine.rx.takeUsed()) {
        taken.push(head);
        machine.rx.offer(head);
      }
      machine.rx.publish();
      machine.rx.usedEvent = machine.rx.seenIdx;
      machine.tx.takeUsed();
      machine.tx.usedEvent = machine.tx.seenIdx;
      if (((machine.tx.availIdx - machine.tx.seenIdx) & 0xffff) < machine.tx.size) offerFrames(machine, 1, sent++);
      machine.kick(TX);
      machine.poll();
    };
    for (let i = 0; i < 40; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
    for (let i = 0; i < 100 && machine.card.statistics.queues[RX]!.frames < 40; i++) machine.poll();
    machine.onNotify = null;
    machine.poll();
    expect(taken).toEqual(Array.from({ length: 40 }, (_, i) => i % 4));
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 40, dropped: 0 });
    expect(machine.port.sent.length).toBe(sent);
    worksAfterReset(machine);
  });

  test("a kick from inside the port is not forgotten", () => {
    const machine = new CardMachine().bringUp();
    offerFrames(machine, 1);
    machine.port.onReceive = () => {
      machine.port.onReceive = null;
      offerFrames(machine, 1, 1);
      machine.kick(TX);
    };
    machine.offerReceiveBuffers([2048]);
    machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.kick(TX);
    machine.poll();
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    machine.poll();
    expect(machine.port.sent).toHaveLength(2);
    expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("a port that throws leaves the card usable: what was used is published, and the next poll goes on", () => {
    const machine = new CardMachine().bringUp();
    offerFrames(machine, 3);
    machine.port.onTransmit = () => {
      machine.port.onTransmit = null;
      throw new Error("cable on fire");
    };
    machine.kick(TX);
    expect(() => machine.poll()).toThrow("cable on fire");
    expect(machine.tx.takeUsed()).toHaveLength(1);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    machine.poll();
    expect(machine.port.sent).toHaveLength(2);
    expect(machine.tx.takeUsed()).toHaveLength(2);
    worksAfterReset(machine);
  });

  test("a transmit buffer where the registers would be is an address like any other outside memory", () => {
    const machine = new CardMachine().bringUp();
    machine.tx.offerChain(0, [{ address: 0xfe000000, length: 100 }]);
    machine.tx.publish();
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toEqual([]);
    expect(machine.tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
    worksAfterReset(machine);
  });
});
