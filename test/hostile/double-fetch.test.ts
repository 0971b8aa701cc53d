import { beforeEach, describe, expect, test } from "vitest";
import { SplitQueue } from "../../src/device/virtqueue/split-queue.ts";
import type { Stretch } from "../../src/device/virtqueue/stretch.ts";
import { BUFFERS, CardMachine, CTRL, frameOf, RX, TX } from "../rings/card-machine.ts";
import { NEXT, WRITE } from "../rings/split-driver.ts";
import { withinBounds, worksAfterReset } from "./survival.ts";

const SIZE = 8;

/**
 * Case 25: another vCPU rewrites whatever the card has just read. A word that is read twice while a chain is handled
 * could be checked in one shape and used in another; so each must be read once.
 */
class RacingGuest {
  /** Reads of each byte offset, by the width of the view. */
  readonly reads = new Map<string, number>();

  /** Makes every plain word read of `machine`'s card followed by a write of `value` to the same word. */
  constructor(machine: CardMachine, from: number, to: number, value: number) {
    const { memory } = machine;
    const spy = <View extends Uint16Array | Uint32Array | Int32Array>(view: View): View =>
      new Proxy(view, {
        get: (target, key) => {
          const result: unknown = Reflect.get(target, key, target);
          const at = Number(key) * target.BYTES_PER_ELEMENT;
          if (typeof key === "symbol" || !(at >= from && at < to)) return result;
          const name = `${target.BYTES_PER_ELEMENT} bytes at 0x${at.toString(16)}`;
          this.reads.set(name, (this.reads.get(name) ?? 0) + 1);
          target[Number(key)] = value;
          return result;
        },
        set: (target, key, word: number) => {
          target[Number(key)] = word;
          return true;
        },
      });
    memory.u32 = spy(memory.u32);
    memory.i32 = spy(memory.i32);
    const u16 = memory.u16;
    memory.u16 = spy(u16);
    memory.loadAcquireU16 = (offset) => Atomics.load(u16, offset >>> 1);
    memory.storeReleaseU16 = (offset, word) => {
      Atomics.store(u16, offset >>> 1, word);
    };
  }

  get mostReads(): number {
    return Math.max(...this.reads.values());
  }
}

let machine: CardMachine;

beforeEach(() => {
  machine = new CardMachine().bringUp(undefined, SIZE);
});

describe("descriptors and ring slots are read once", () => {
  test.each([0, 0xffffffff, 0x40000, 1])("receive, rewritten as 0x%s", (value) => {
    machine.rx.setDescriptor(0, { address: BUFFERS, length: 20, flags: WRITE | NEXT, next: 1 });
    machine.rx.setDescriptor(1, { address: BUFFERS + 0x100, length: 100, flags: WRITE });
    machine.rx.offer(0);
    machine.rx.publish();
    const guest = new RacingGuest(machine, machine.rx.table, machine.rx.avail, value);
    const used = withinBounds(
      machine,
      [
        [machine.rx.table, machine.rx.avail],
        [BUFFERS, BUFFERS + 20],
        [BUFFERS + 0x100, BUFFERS + 0x164],
      ],
      () => machine.receive(frameOf(60)),
    );
    expect(used).toEqual([{ head: 0, length: 72 }]);
    expect(guest.mostReads).toBe(1);
    expect(guest.reads.size).toBe(8);
  });

  test.each([0, 0xffffffff, 0x40000, 1])("transmit, rewritten as 0x%s", (value) => {
    machine.ram.fill(0, BUFFERS, BUFFERS + 12);
    machine.ram.set(frameOf(60), BUFFERS + 12);
    machine.tx.setDescriptor(0, { address: BUFFERS, length: 12, flags: NEXT, next: 1 });
    machine.tx.setDescriptor(1, { address: BUFFERS + 12, length: 60 });
    machine.tx.offer(0);
    machine.tx.publish();
    const guest = new RacingGuest(machine, machine.tx.table, machine.tx.avail, value);
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toEqual([frameOf(60)]);
    expect(guest.mostReads).toBe(1);
  });

  const WAYS: Record<string, (stretch: Stretch) => void> = {
    taken: (stretch) => {
      const offset = machine.ram.byteOffset + BUFFERS + 0x40;
      expect([stretch.take(72, 72), stretch.lengthBytes]).toEqual([offset, 100]);
    },
    "put into": (stretch) => expect(stretch.put(0, 0, 0x10000, 12, frameOf(60), 0, 60)).toBe(true),
  };

  describe.each(Object.entries(WAYS))("a plain chain that is %s in a stretch", (_way, useOne) => {
    test.each([0, 0xffffffff, 0x40000, 1])("rewritten as 0x%s", (value) => {
      machine.rx.setDescriptor(3, { address: BUFFERS + 0x40, length: 100, flags: WRITE });
      machine.rx.offer(3);
      machine.rx.publish();
      const queue = new SplitQueue(machine.memory, false);
      queue.enable(machine.rx.areas());
      queue.start();
      const guest = new RacingGuest(machine, machine.rx.table, machine.rx.used, value);
      expect(queue.openStretch(SIZE, true)).toBe(true);
      useOne(queue.stretch);
      expect(guest.mostReads).toBe(1);
      // Four words of the descriptor, and the available ring's entry.
      expect(guest.reads.size).toBe(5);
      queue.closeStretch();
      queue.publish();
      expect(machine.rx.takeUsed()).toEqual([{ head: 3, length: 72 }]);
    });
  });

  test("the available ring's slot, rewritten as an index out of range", () => {
    machine.offerReceiveBuffers([2048]);
    const ring = machine.rx.avail + 4;
    const guest = new RacingGuest(machine, ring, ring + 2 * SIZE, 0xffff);
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
    expect(guest.mostReads).toBe(1);
  });
});

test("a header that changes after it was copied is sent as it was checked", () => {
  machine.ram.fill(0, BUFFERS, BUFFERS + 12);
  machine.ram.set(frameOf(60), BUFFERS + 12);
  machine.tx.offerChain(0, [{ address: BUFFERS, length: 72 }]);
  machine.tx.publish();
  const copyOut = machine.memory.copyOut.bind(machine.memory);
  let copies = 0;
  machine.memory.copyOut = (source, bytes, offset, length) => {
    copyOut(source, bytes, offset, length);
    copies++;
    machine.ram.fill(0xff, BUFFERS, BUFFERS + 72);
  };
  machine.kick(TX);
  machine.poll();
  expect(copies).toBe(1);
  expect(machine.port.sent).toEqual([frameOf(60)]);
});

test("a control command that changes after it was copied is carried out as it was", () => {
  machine.ram.set([6, 1, 9, 0, 0, 0, 7, 0, 0, 0], BUFFERS);
  machine.ctrl.offerChain(0, [
    { address: BUFFERS, length: 10 },
    { address: BUFFERS + 0x100, length: 1, flags: WRITE },
  ]);
  machine.ctrl.publish();
  const copyOut = machine.memory.copyOut.bind(machine.memory);
  machine.memory.copyOut = (source, bytes, offset, length) => {
    copyOut(source, bytes, offset, length);
    machine.ram.fill(0xff, BUFFERS, BUFFERS + 10);
  };
  const calls: number[][] = [];
  machine.card.throttle.setCoalescing = (...call) => calls.push(call);
  machine.kick(CTRL);
  machine.poll();
  expect(calls).toEqual([[RX, 7, 9, machine.nowNs]]);
  expect(machine.ram[BUFFERS + 0x100]).toBe(0);
  machine.memory.copyOut = copyOut;
  machine.card.throttle.setCoalescing = () => {};
  worksAfterReset(machine);
});
