import { beforeEach, describe, expect, test } from "vitest";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../../../src/device/virtqueue/descriptor-chain.ts";
import { PackedQueue } from "../../../../src/device/virtqueue/packed-queue.ts";
import { EVENTS_AT, EVENTS_OFF, EVENTS_ON, PackedDriver, WRITE } from "../../../rings/packed-driver.ts";

const RESERVED = 3;
const CHAIN = 1;

let memory: GuestMemory;
let chain: DescriptorChain;
let driver: PackedDriver;
let queue: PackedQueue;

function begin(size: number, { eventIdx = true, started = true } = {}): void {
  const buffer = new ArrayBuffer(0x4000);
  memory = new GuestMemory(buffer);
  chain = new DescriptorChain(size);
  driver = new PackedDriver(buffer, 0x100, size);
  queue = new PackedQueue(memory);
  expect(queue.enable(driver.areas({ eventIdx }))).toBe(0);
  if (started) queue.start();
}

beforeEach(() => begin(4));

function offer(slots = 1): void {
  driver.offer(
    1000 + driver.nextAvail,
    Array.from({ length: slots }, () => ({ address: 0x2000, length: 8, flags: WRITE })),
  );
}

/** The driver offers a buffer of each number of slots, the card uses them in one batch, and the driver takes them. */
function send(...slots: number[]): void {
  for (const count of slots) offer(count);
  for (let i = 0; i < slots.length; i++) {
    if (queue.take(chain) !== CHAIN) throw new Error("a buffer is missing");
    queue.pushUsed(chain.head, 1);
  }
  queue.publish();
  driver.takeUsed();
}

describe("used buffer notifications (§2.8.10)", () => {
  test.each([true, false])("ENABLE and DISABLE say it, with EVENT_IDX or not: %s", (eventIdx) => {
    begin(4, { eventIdx });
    send(1);
    driver.setEvents(EVENTS_ON, 3, 1);
    expect(queue.wantsInterrupt(0)).toBe(true);
    driver.setEvents(EVENTS_OFF, 0, 1);
    expect(queue.wantsInterrupt(0)).toBe(false);
  });

  test("the reserved value, and DESC without EVENT_IDX, forbid nothing", () => {
    send(1);
    driver.setEvents(RESERVED, 3, 1);
    expect(queue.wantsInterrupt(0)).toBe(true);
    begin(4, { eventIdx: false });
    send(1);
    driver.setEvents(EVENTS_AT, 3, 1);
    expect(queue.wantsInterrupt(0)).toBe(true);
  });

  test("the reserved bits of the flags say nothing", () => {
    send(1);
    driver.setEvents(EVENTS_OFF | 0xfffc, 0, 1);
    expect(queue.wantsInterrupt(0)).toBe(false);
    driver.setEvents(EVENTS_ON | 0xfffc, 0, 1);
    expect(queue.wantsInterrupt(0)).toBe(true);
  });

  test("with DESC an interrupt is wanted if the descriptor at that slot and wrap counter is among the new ones", () => {
    send(1, 1);
    const since = queue.usedIdx;
    send(1, 1, 1);
    // Slots 2 and 3 of the first turn, slot 0 of the second.
    for (const [slot, wrap, wanted] of [
      [1, 1, false],
      [2, 1, true],
      [3, 1, true],
      [0, 0, true],
      [1, 0, false],
      [2, 0, false],
      [3, 0, false],
      [0, 1, false],
    ] as const) {
      driver.setEvents(EVENTS_AT, slot, wrap);
      expect(queue.wantsInterrupt(since), `slot ${slot}, wrap counter ${wrap}`).toBe(wanted);
    }
  });

  test("a chain counts with all its slots, as it does for a driver that skips them", () => {
    begin(8);
    send(3, 2);
    for (const [slot, wanted] of [
      [0, true],
      [1, true],
      [2, true],
      [3, true],
      [4, true],
      [5, false],
      [7, false],
    ] as const) {
      driver.setEvents(EVENTS_AT, slot, 1);
      expect(queue.wantsInterrupt(0), `slot ${slot}`).toBe(wanted);
      expect(queue.wantsInterrupt(2), `nothing new, slot ${slot}`).toBe(false);
    }
  });

  test.each([1, 2, 3, 5, 8])("a ring of %i slots: a driver that waits for the next one hears of it, once", (size) => {
    begin(size);
    for (let i = 0; i < 10 * size; i++) {
      driver.armHere();
      expect(queue.wantsInterrupt(queue.usedIdx), `nothing is new, ${i}`).toBe(false);
      const since = queue.usedIdx;
      send(1 + (i % size));
      expect(queue.wantsInterrupt(since), `it is used, ${i}`).toBe(true);
      expect(queue.wantsInterrupt(queue.usedIdx), `it is old, ${i}`).toBe(false);
      driver.armHere();
      expect(queue.wantsInterrupt(since), `the driver waits for the next one, ${i}`).toBe(false);
    }
  });

  test("an event up to a turn ahead is not reached before its time", () => {
    begin(5);
    for (let i = 0; i < 23; i++) send(1);
    const { usedIdx, nextUsed, usedWrap } = { ...driver, usedIdx: queue.usedIdx };
    for (let ahead = 0; ahead < 5; ahead++) {
      const slot = (nextUsed + ahead) % 5;
      driver.setEvents(EVENTS_AT, slot, nextUsed + ahead < 5 ? usedWrap : 1 - usedWrap);
      for (const since of [usedIdx, usedIdx - 1, usedIdx - 4, usedIdx - 5, 0]) {
        expect(queue.wantsInterrupt(since), `${ahead} ahead, since ${since}`).toBe(false);
      }
    }
  });

  test("after more buffers than the ring has slots, events of the last turn count as crossed, those ahead do not", () => {
    begin(3);
    for (let i = 0; i < 100; i++) send(1);
    driver.setEvents(
      EVENTS_AT,
      (driver.nextUsed + 2) % 3,
      driver.nextUsed === 0 ? 1 - driver.usedWrap : driver.usedWrap,
    );
    expect(queue.wantsInterrupt(0)).toBe(true);
    expect(queue.wantsInterrupt(queue.usedIdx - 1)).toBe(true);
    driver.armHere();
    expect(queue.wantsInterrupt(0)).toBe(false);
  });

  test("the count of used buffers may run over 65535", () => {
    begin(3);
    for (let i = 0; i < 0xfffe; i++) send(1);
    const since = queue.usedIdx;
    driver.armHere();
    send(1, 1);
    send(1);
    expect([since, queue.usedIdx]).toEqual([0xfffe, 1]);
    expect(queue.wantsInterrupt(since)).toBe(true);
    driver.armHere();
    expect(queue.wantsInterrupt(since)).toBe(false);
  });

  test("what is written but not published is not new", () => {
    offer();
    queue.take(chain);
    queue.pushUsed(chain.head, 1);
    driver.armHere();
    expect(queue.wantsInterrupt(0)).toBe(false);
    queue.publish();
    expect(queue.wantsInterrupt(0)).toBe(true);
  });

  test("the flags are read before the slot, which the driver writes first", () => {
    const loads: number[] = [];
    const load = memory.loadAcquireU16.bind(memory);
    memory.loadAcquireU16 = (offset) => {
      loads.push(offset);
      return load(offset);
    };
    driver.setEvents(EVENTS_AT, 0, 1);
    queue.wantsInterrupt(0);
    expect(loads).toEqual([driver.driverArea + 2, driver.driverArea]);
  });

  test("an offset outside the ring is taken round it, and does no harm", () => {
    for (const size of [1, 3, 4]) {
      begin(size);
      send(1);
      for (let offWrap = 0; offWrap < 0x10000; offWrap += 7) {
        driver.setEvents(EVENTS_AT, offWrap & 0x7fff, offWrap >>> 15);
        expect(typeof queue.wantsInterrupt(0)).toBe("boolean");
      }
    }
  });
});

describe("what may be unread", () => {
  test("is anything, until the driver waits at the next used descriptor", () => {
    expect(queue.mayHaveUnread()).toBe(false);
    send(2, 1);
    expect(queue.mayHaveUnread()).toBe(false);
    driver.setEvents(EVENTS_OFF);
    expect(queue.mayHaveUnread()).toBe(true);
    driver.setEvents(EVENTS_AT, 2, 1);
    expect(queue.mayHaveUnread()).toBe(true);
    driver.setEvents(EVENTS_AT, 3, 0);
    expect(queue.mayHaveUnread()).toBe(true);
    driver.setEvents(EVENTS_AT, 3, 1);
    expect(queue.mayHaveUnread()).toBe(false);
    send(1);
    driver.armHere();
    expect(driver.view.getUint16(driver.driverArea, true)).toBe(0);
    expect(queue.mayHaveUnread()).toBe(false);
  });

  test("without EVENT_IDX is anything while the driver keeps interrupts off", () => {
    begin(4, { eventIdx: false });
    driver.setEvents(EVENTS_OFF);
    expect(queue.mayHaveUnread()).toBe(false);
    send(1);
    expect(queue.mayHaveUnread()).toBe(true);
    driver.setEvents(EVENTS_ON);
    expect(queue.mayHaveUnread()).toBe(false);
  });

  test("a stopped queue is not read, and an interrupt too many is better than one lost (SUSPEND-3)", () => {
    driver.setEvents(EVENTS_OFF);
    send(1);
    queue.stop();
    memory.loadAcquireU16 = () => {
      throw new Error("the ring was read");
    };
    expect(queue.wantsInterrupt(0)).toBe(true);
    expect(queue.mayHaveUnread()).toBe(true);
  });
});

describe("available buffer notifications (§2.8.10)", () => {
  test("are off from the start on, and a queue that does not live writes nothing", () => {
    expect(driver.deviceEvents.flags).toBe(EVENTS_OFF);
    begin(4, { started: false });
    expect(driver.deviceEvents.flags).toBe(EVENTS_ON);
  });

  test("with EVENT_IDX are asked for at the next descriptor, with its wrap counter", () => {
    begin(3);
    for (const [slots, slot, wrap] of [
      [2, 2, 1],
      [1, 0, 0],
      [3, 0, 1],
      [1, 1, 1],
      [3, 1, 0],
    ] as const) {
      send(slots);
      expect(driver.deviceEvents.flags).toBe(EVENTS_OFF);
      expect(queue.armKick()).toBe(0);
      expect(queue.armed).toBe(true);
      expect(driver.deviceEvents).toEqual({ flags: EVENTS_AT, slot, wrap });
      const { nextAvail, availWrap } = driver;
      offer();
      expect(driver.mustKick(nextAvail, availWrap)).toBe(true);
      const next = { slot: driver.nextAvail, wrap: driver.availWrap };
      offer();
      expect(driver.mustKick(next.slot, next.wrap)).toBe(false);
      for (let i = 0; i < 2; i++) {
        expect(queue.take(chain)).toBe(CHAIN);
        expect(queue.armed).toBe(false);
        expect(driver.deviceEvents.flags).toBe(EVENTS_OFF);
        queue.pushUsed(chain.head, 0);
      }
      queue.publish();
      driver.takeUsed();
      // With the two above that makes two turns: the next row begins where this one was.
      for (let i = 0; i < 4; i++) send(1);
    }
  });

  test("without EVENT_IDX are on or off", () => {
    begin(4, { eventIdx: false });
    expect(queue.armKick()).toBe(0);
    expect(driver.deviceEvents.flags).toBe(EVENTS_ON);
    offer();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.armed).toBe(false);
    expect(driver.deviceEvents.flags).toBe(EVENTS_OFF);
  });

  test("the slot is stored before the flags that make it count", () => {
    const stores: number[] = [];
    memory.storeReleaseU16 = (offset) => {
      stores.push(offset);
    };
    queue.armKick();
    expect(stores).toEqual([driver.deviceArea, driver.deviceArea + 2]);
  });

  test("a buffer that was made available before the card asked is seen, though nobody kicks", () => {
    expect(queue.take(chain)).toBe(0);
    offer();
    offer();
    expect(driver.mustKick(0, 1)).toBe(false);
    expect(queue.armKick()).toBe(2);
    expect(queue.take(chain)).toBe(CHAIN);
  });

  test("looking for free buffers does not call off the kick", () => {
    queue.armKick();
    offer();
    expect(queue.refresh()).toBe(1);
    expect(queue.armed).toBe(true);
    expect(driver.deviceEvents.flags).toBe(EVENTS_AT);
  });

  test("a queue that is started again asks for none until it is armed", () => {
    queue.armKick();
    queue.stop();
    expect(queue.armed).toBe(false);
    queue.start();
    expect(driver.deviceEvents.flags).toBe(EVENTS_OFF);
  });
});
