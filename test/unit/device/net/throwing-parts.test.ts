import { describe, expect, test } from "vitest";
import type { GuestMemory } from "../../../../src/device/index.ts";
import { CardMachine, frameOf, PLAIN_FEATURES, REG, RUNNING, RX, TX } from "../../../rings/card-machine.ts";
import { PackedDriver } from "../../../rings/packed-driver.ts";
import { SplitDriver } from "../../../rings/split-driver.ts";

const FAILED = 128;
const FIRE = "cable on fire";
const onFire = (): never => {
  throw new Error(FIRE);
};

/** Calls `action` at the `n`th call, and nothing else. */
function atCall(n: number, action: () => void): () => void {
  let calls = 0;
  return () => {
    calls++;
    if (calls === n) action();
  };
}

/** Lets the `n`th copy into the guest's memory, or out of it, end halfway, as an embedder's own copy function may. */
function breakCopy(memory: GuestMemory, direction: "copyIn" | "copyOut", n: number): void {
  const whole: (...args: unknown[]) => void = memory[direction].bind(memory) as never;
  let calls = 0;
  memory[direction] = (...args: unknown[]) => {
    calls++;
    if (calls !== n) return whole(...args);
    whole(...args.slice(0, 3), Number(args[3]) >> 1);
    onFire();
  };
}

function offerFrames(machine: CardMachine, count: number): void {
  for (let i = 0; i < count; i++) {
    const address = 0x20000 + 0x100 * i;
    machine.ram.fill(0, address, address + 12);
    machine.ram.set(frameOf(60, i), address + 12);
    machine.tx.setDescriptor(i, { address, length: 72 });
    machine.tx.offer(i);
  }
  machine.tx.publish();
  machine.kick(TX);
}

function offerArrivals(machine: CardMachine, count: number): void {
  machine.offerReceiveBuffers(new Array(8).fill(2048));
  for (let i = 0; i < count; i++) machine.port.arrivals.push({ bytes: frameOf(60, i) });
}

/** Another machine that goes on where `machine` is. */
function restored(machine: CardMachine, observed: boolean): CardMachine {
  const other = new CardMachine({ observed });
  other.ram.set(machine.ram);
  for (const [index, { table, size, availIdx, seenIdx }] of machine.queues.entries()) {
    other.queues[index] = Object.assign(new SplitDriver(other.ram.buffer, table, size), { availIdx, seenIdx });
  }
  other.card.restoreState(JSON.parse(JSON.stringify(machine.card.saveState(machine.nowNs))), other.nowNs);
  return other;
}

// With an observer frames are handled one by one, without one in bursts.
describe.each([true, false])("a poll out of which an error comes (observer: %s)", (observed) => {
  test.each([1, 2, 4])("in frame %i to be sent: what was used is shown at once, the rest goes out later", (at) => {
    const machine = new CardMachine({ observed }).bringUp();
    offerFrames(machine, 6);
    machine.port.onTransmit = atCall(at, onFire);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.tx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5].slice(0, at));
    expect(machine.notified).toHaveLength(1);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    const other = restored(machine, observed);
    for (const each of [machine, other]) {
      each.poll();
      expect(each.tx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5].slice(at));
      expect(each.port.sent.slice(-1)).toEqual([frameOf(60, 5)]);
    }
  });

  test.each([1, 2, 4])("in the take of frame %i: those before are shown at once, the buffers behind stay", (at) => {
    const machine = new CardMachine({ observed }).bringUp();
    offerArrivals(machine, 6);
    machine.port.onReceive = atCall(at, onFire);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.rx.takeUsed()).toHaveLength(at - 1);
    const other = restored(machine, observed);
    machine.port.arrivals.length = 0;
    for (const each of [machine, other]) {
      expect(each.card.freeReceiveBuffers).toBe(8 - (at - 1));
      each.port.arrivals.push({ bytes: frameOf(61) });
      each.poll();
      expect(each.rx.takeUsed()).toEqual([{ head: at - 1, length: 73 }]);
    }
  });

  test.each([1, 2, 4])("in the copy of frame %i out of the guest: none is lost, and none is sent twice", (at) => {
    const machine = new CardMachine({ observed }).bringUp();
    offerFrames(machine, 6);
    breakCopy(machine.memory, "copyOut", at);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.tx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5].slice(0, at - 1));
    const other = restored(machine, observed);
    for (const each of [machine, other]) {
      each.poll();
      expect(each.tx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5].slice(at - 1));
    }
    const sent = [0, 1, 2, 3, 4, 5].map((seed) => frameOf(60, seed));
    expect(machine.port.sent).toEqual(sent);
    expect(other.port.sent).toEqual(sent.slice(at - 1));
  });

  test.each([1, 2, 4])("in the copy of frame %i into the guest: the driver is shown no half of it", (at) => {
    const machine = new CardMachine({ observed }).bringUp();
    // Buffers are taken ahead once a batch has shown how many there will be.
    offerArrivals(machine, 6);
    machine.poll();
    machine.rx.takeUsed();
    for (let i = 0; i < 6; i++) machine.rx.offer(i);
    machine.rx.publish();
    const { frames, bytes, buffers } = machine.card.statistics.queues[RX]!;
    for (let i = 0; i < 6; i++) machine.port.arrivals.push({ bytes: frameOf(60, i) });
    breakCopy(machine.memory, "copyIn", at);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.rx.takeUsed()).toHaveLength(at - 1);
    expect(machine.card.statistics.queues[RX]).toMatchObject({
      frames: frames + at - 1,
      bytes: bytes + 60 * (at - 1),
      buffers: buffers + at - 1,
    });
    const other = restored(machine, observed);
    machine.port.arrivals.length = 0;
    for (const each of [machine, other]) {
      expect(each.card.freeReceiveBuffers).toBe(8 - (at - 1));
      each.port.arrivals.push({ bytes: frameOf(61) });
      each.poll();
      expect(each.rx.takeUsed()).toEqual([{ head: [6, 7, 0, 1][at - 1], length: 73 }]);
    }
  });

  test("in the midst of a frame that is spread over several buffers: all of them stay the card's", () => {
    const machine = new CardMachine({ observed }).bringUp();
    machine.offerReceiveBuffers([100, 100, 100, 100]);
    machine.port.arrivals.push({ bytes: frameOf(250) });
    breakCopy(machine.memory, "copyIn", 3);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.rx.takeUsed()).toEqual([]);
    const other = restored(machine, observed);
    for (const each of [machine, other]) {
      expect(each.card.freeReceiveBuffers).toBe(4);
      each.port.arrivals.push({ bytes: frameOf(250) });
      each.poll();
      expect(each.rx.takeUsed().map(({ length }) => length)).toEqual([100, 100, 62]);
    }
  });

  test.each([1, 2, 4])("of the translator, asked for chain %i: it is sent later", (at) => {
    let asked: (() => void) | null = null;
    const translate = (address: number): number => {
      asked?.();
      return address;
    };
    const machine = new CardMachine({ observed, translator: { translate, runBytes: 2 ** 30 } }).bringUp([
      ...PLAIN_FEATURES,
      "ACCESS_PLATFORM",
    ]);
    offerFrames(machine, 6);
    asked = atCall(at, onFire);
    expect(() => machine.poll()).toThrow(FIRE);
    machine.card.saveState(machine.nowNs);
    machine.poll();
    expect(machine.tx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(machine.port.sent).toEqual([0, 1, 2, 3, 4, 5].map((seed) => frameOf(60, seed)));
  });

  test("of the interrupt sink too, which throws again: every queue is in order, and the first error comes out", () => {
    const machine = new CardMachine({ observed }).bringUp();
    machine.offerReceiveBuffers([2048, 2048]);
    offerFrames(machine, 2);
    machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.rx.usedEvent = 0;
    machine.port.onReceive = atCall(1, () => {
      machine.port.arrivals.push({ bytes: frameOf(60) });
      machine.port.onReceive = onFire;
    });
    machine.onNotify = () => {
      machine.onNotify = () => {
        throw new Error("again");
      };
      throw new Error("pin broken");
    };
    expect(() => machine.poll()).toThrow("pin broken");
    expect(machine.tx.takeUsed()).toHaveLength(2);
    expect(() => machine.poll()).toThrow(FIRE);
    expect(machine.rx.takeUsed()).toHaveLength(1);
    machine.onNotify = null;
    expect(restored(machine, observed).status).toBe(RUNNING);
  });

  test("leaves the card that it can be saved, also if the driver gave it up from inside (FAILED)", () => {
    const machine = new CardMachine({ observed }).bringUp();
    offerFrames(machine, 4);
    machine.port.onTransmit = atCall(2, () => machine.write(REG.STATUS, RUNNING | FAILED));
    machine.poll();
    expect(machine.tx.takeUsed()).toHaveLength(2);
    expect(restored(machine, observed).status).toBe(RUNNING | FAILED);
  });
});

test("an observer that throws leaves a card that can be saved, and that goes on", () => {
  const machine = new CardMachine({
    observer: {
      arrived: () => {},
      delivered: atCall(2, onFire),
      dropped: () => {},
      cause: () => {},
    },
  }).bringUp();
  offerArrivals(machine, 3);
  expect(() => machine.poll()).toThrow(FIRE);
  expect(machine.rx.takeUsed()).toHaveLength(2);
  const other = restored(machine, true);
  machine.poll();
  expect(machine.rx.takeUsed()).toEqual([{ head: 2, length: 72 }]);
  expect(other.card.freeReceiveBuffers).toBe(6);
  expect(other.card.statistics.queues[RX]!.frames).toBe(2);
});

test("a copy into a packed ring's buffer that breaks off leaves the buffer as long as the driver has made it", () => {
  const machine = new CardMachine({ observed: false });
  machine.negotiate([...PLAIN_FEATURES, "RING_PACKED"]);
  const driver = new PackedDriver(machine.ram.buffer, 0x1000, 8);
  const { descAddress, driverAddress, deviceAddress } = driver.areas();
  machine.write(REG.QUEUE_SEL, RX);
  machine.write(REG.QUEUE_SIZE, 8);
  machine.write(REG.QUEUE_DESC_LOW, descAddress);
  machine.write(REG.QUEUE_DRIVER_LOW, driverAddress);
  machine.write(REG.QUEUE_DEVICE_LOW, deviceAddress);
  machine.write(REG.QUEUE_READY, 1);
  machine.write(REG.STATUS, RUNNING);
  const offer = (id: number): number => driver.offer(id, [{ address: 0x20000 + 0x800 * id, length: 0x800, flags: 2 }]);
  const receive = (...lengths: number[]): number => {
    for (const length of lengths) machine.port.arrivals.push({ bytes: frameOf(length) });
    return machine.poll();
  };
  for (let id = 0; id < 8; id++) offer(id);
  receive(60, 60, 60, 60);
  for (const { id } of driver.takeUsed()) offer(id);
  breakCopy(machine.memory, "copyIn", 2);
  expect(() => receive(60, 60, 60, 60)).toThrow(FIRE);
  expect(driver.takeUsed()).toHaveLength(1);
  machine.port.arrivals.length = 0;
  // It would not fit a buffer that is as long as the frame of before.
  receive(1500);
  expect(driver.takeUsed().map(({ length }) => length)).toEqual([1512]);
});
