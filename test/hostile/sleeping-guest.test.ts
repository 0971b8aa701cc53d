import { describe, expect, test } from "vitest";
import { BUFFERS, CardMachine, frameOf, RX } from "../rings/card-machine.ts";
import { WRITE } from "../rings/split-driver.ts";
import { worksAfterReset } from "./survival.ts";

const SIZE = 64;
const FRAMES = 20_000;
const PREEMPTED = 0;

/** A machine whose guest is off the CPU with `size` receive buffers, and is never put on it again. */
function asleep(size = SIZE): CardMachine {
  const machine = new CardMachine().bringUp(undefined, SIZE);
  for (let i = 0; i < size; i++) {
    machine.rx.setDescriptor(i, { address: BUFFERS + 0x100 * i, length: 0x100, flags: WRITE });
    machine.rx.offer(i);
  }
  machine.rx.publish();
  const [vector] = machine.card.throttle.vectors;
  vector!.latencyNs = 50_000;
  vector!.overflowNs = 1_000_000;
  vector!.freeMin = 8;
  machine.card.throttle.setGuestState(0, PREEMPTED, 2, machine.nowNs);
  return machine;
}

/** One frame after the other, a microsecond apart. */
function flood(machine: CardMachine, frames: number): void {
  for (let i = 0; i < frames; i++) {
    machine.nowNs += 1000;
    machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.poll();
  }
}

describe("case 33: a guest that is never run again", () => {
  test("gets one wake, no interrupt, and as many frames as it has buffers; the others are dropped and counted", () => {
    const machine = asleep();
    flood(machine, FRAMES);
    expect([machine.woken.length, machine.notified.length]).toEqual([1, 0]);
    expect(machine.rx.takeUsed()).toHaveLength(SIZE);
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: SIZE, dropped: FRAMES - SIZE });
    expect(machine.card.framesArrived).toBe(FRAMES);
    worksAfterReset(machine);
  });

  test("leaves nothing to be done: between frames the card asks for no poll", () => {
    const machine = asleep();
    flood(machine, SIZE);
    for (let i = 0; i < 100; i++) {
      flood(machine, 1);
      expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("keeps no frame before the ring: the card's state grows with its counters alone", () => {
    const machine = asleep();
    const stateBytes = (): number => {
      const { statistics: _, ...state } = machine.card.saveState(machine.nowNs);
      return JSON.stringify(state).length;
    };
    flood(machine, 2 * SIZE);
    const before = stateBytes();
    flood(machine, FRAMES);
    // Times and counts have a few more digits.
    expect(stateBytes() - before).toBeLessThan(100);
    // With buffers and a CPU it goes on with the next frame, and not with any that came before.
    machine.rx.takeUsed();
    machine.rx.offer(0);
    machine.rx.publish();
    machine.card.throttle.setGuestState(0, 1, 3, machine.nowNs);
    machine.port.arrivals.push({ bytes: frameOf(77) });
    machine.poll();
    expect(machine.rx.takeUsed().map(({ length }) => length)).toEqual([89]);
  });

  test("without a single buffer is woken for none of what it loses: there is nothing that it could read (R5)", () => {
    const machine = asleep(0);
    flood(machine, FRAMES / 10);
    expect([machine.woken.length, machine.notified.length]).toEqual([0, 0]);
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 0, dropped: FRAMES / 10 });
  });
});
