import { beforeEach, describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../../../src/device/virtqueue/descriptor-chain.ts";
import { PackedQueue } from "../../../../src/device/virtqueue/packed-queue.ts";
import { AVAIL, NEXT, PackedDriver, USED, WRITE } from "../../../rings/packed-driver.ts";

const RAM_BYTES = 0x4000;
const RING = 0x100;
const DATA = 0x2000;

// What `take` gives, retyped.
const EMPTY = 0;
const CHAIN = 1;
const FAULTY = 2;
const BROKEN = 3;

let memory: GuestMemory;
let chain: DescriptorChain;
let driver: PackedDriver;
let queue: PackedQueue;

/** A started queue of `size` slots, its driver, and fresh memory. */
function begin(size: number, { started = true } = {}): void {
  const buffer = new ArrayBuffer(RAM_BYTES);
  memory = new GuestMemory(buffer);
  chain = new DescriptorChain(Math.max(size, 16));
  driver = new PackedDriver(buffer, RING, size);
  queue = new PackedQueue(memory);
  expect(queue.enable(driver.areas())).toBe(0);
  if (started) queue.start();
}

beforeEach(() => begin(4));

/** Offers a buffer of `slots` elements of 0x10 writable bytes each, at an address that ids below 0x80 have to themselves. */
function offer(id: number, slots = 1): number {
  const address = DATA + 0x10 * (id % 0x80);
  const elements = Array.from({ length: slots }, (_, i) => ({
    address: address + 0x10 * i,
    length: 0x10,
    flags: WRITE,
  }));
  return driver.offer(id, elements);
}

/** Takes a chain, and uses it. */
function use(lengthBytes = 8): number {
  if (queue.take(chain) !== CHAIN) throw new Error(`no chain at used index ${queue.usedIdx}`);
  queue.pushUsed(chain.head, lengthBytes);
  return chain.head;
}

function faultName(): string {
  return FAULTS[queue.fault]!.name;
}

describe("enable", () => {
  const setup = (size: number, descAddress: number, driverAddress: number, deviceAddress: number): string => {
    const areas = { size, descAddress, driverAddress, deviceAddress, indirect: false, eventIdx: false };
    return FAULTS[new PackedQueue(memory).enable(areas)]!.name;
  };

  test.each([1, 2, 3, 5, 7, 100, 256])("takes the size %d: it need not be a power of two (§2.8.10.1)", (size) => {
    expect(setup(size, 0x1000, 0x3000, 0x3004)).toBe("none");
  });

  test.each([0, -4, 32769, 65536, 2.5, Number.NaN])("refuses the size %d: 1 to 32768 are allowed", (size) => {
    memory = new GuestMemory(new ArrayBuffer(0x200000));
    expect(setup(size, 0x1000, 0x100000, 0x100004)).toBe("queue-setup");
    expect(setup(32768, 0x1000, 0x100000, 0x100004)).toBe("none");
  });

  test("asks for the alignments of §2.8.10.1: 16, 4 and 4", () => {
    expect(setup(4, 0x1010, 0x2004, 0x3004)).toBe("none");
    expect(setup(4, 0x1008, 0x2004, 0x3004)).toBe("queue-setup");
    expect(setup(4, 0x1010, 0x2002, 0x3004)).toBe("queue-setup");
    expect(setup(4, 0x1010, 0x2004, 0x3002)).toBe("queue-setup");
  });

  test("refuses areas that are not wholly inside guest memory", () => {
    expect(setup(4, RAM_BYTES - 48, 0x2000, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, RAM_BYTES, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, 2 ** 40)).toBe("queue-setup");
    expect(setup(4, RAM_BYTES - 64, 0x2000, 0x3000)).toBe("none");
    expect(setup(4, 0x1000, RAM_BYTES - 4, 0x3000)).toBe("none");
  });

  test("refuses areas that overlap: two are written by the device, one is not", () => {
    expect(setup(4, 0x1000, 0x1000, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x103c, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, 0x1020)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, 0x2000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x1040, 0xffc)).toBe("none");
  });

  test("touches no guest memory, and neither does a queue that is not started (MMIO-7, STATUS-1)", () => {
    begin(4, { started: false });
    offer(1);
    const before = memory.u8.slice();
    expect(queue.take(chain)).toBe(EMPTY);
    expect(queue.refresh()).toBe(0);
    expect(memory.u8).toEqual(before);
    expect([queue.enabled, queue.started]).toEqual([true, false]);
  });
});

describe("which descriptors are available (§2.8.1)", () => {
  test("a ring of zeros holds nothing (PDESC-3)", () => {
    expect(queue.take(chain)).toBe(EMPTY);
    expect(queue.refresh()).toBe(0);
  });

  test.each([
    [1, AVAIL, CHAIN],
    [1, USED, EMPTY],
    [1, AVAIL | USED, EMPTY],
    [1, 0, EMPTY],
    [0, USED, CHAIN],
    [0, AVAIL, EMPTY],
    [0, AVAIL | USED, EMPTY],
    [0, 0, EMPTY],
  ])("at wrap counter %i, the flags %i give %i", (wrap, flags, expected) => {
    begin(1);
    if (wrap === 0) {
      offer(0);
      use();
      queue.publish();
    }
    driver.writeDescriptor(RING, { address: DATA, length: 1, flags });
    expect(queue.take(chain)).toBe(expected);
  });

  test("chains are taken in ring order, each with the id of its last descriptor (§2.8.6, PACKED-1, PSG-1)", () => {
    begin(8);
    offer(7, 3);
    offer(0xffff);
    offer(0, 2);
    const taken = [];
    while (queue.take(chain) === CHAIN) taken.push([chain.head, chain.span, chain.count]);
    expect(taken).toEqual([
      [7, 3, 3],
      [0xffff, 1, 1],
      [0, 2, 2],
    ]);
    expect(queue.broken).toBe(false);
  });

  test.each([1, 2, 3, 8])("a ring of %i slots goes round and round, with chains of every length", (size) => {
    begin(size);
    for (let turn = 0; turn < 40 * size; turn++) {
      const slots = 1 + (turn % size);
      offer(turn, slots);
      expect(queue.take(chain)).toBe(CHAIN);
      expect([chain.head, chain.span, chain.writableBytes]).toEqual([turn, slots, 0x10 * slots]);
      expect(queue.take(chain)).toBe(EMPTY);
      queue.pushUsed(turn, slots);
      expect(driver.takeUsed()).toEqual([]);
      queue.publish();
      expect(driver.takeUsed()).toEqual([{ id: turn, length: slots, written: true }]);
    }
    expect(driver.free).toBe(size);
  });

  test("what is with the card is not available again, whatever its flags become", () => {
    for (let id = 0; id < 4; id++) offer(id);
    for (let id = 0; id < 4; id++) queue.take(chain);
    driver.setFlags(0, WRITE | USED);
    expect(queue.take(chain)).toBe(EMPTY);
    expect(queue.refresh()).toBe(0);
    for (let id = 0; id < 4; id++) queue.pushUsed(id, 0);
    driver.setFlags(0, WRITE | USED);
    expect(queue.take(chain)).toBe(EMPTY);
    queue.publish();
    expect(queue.take(chain)).toBe(EMPTY);
  });

  test("a stopped queue gives no chain, and goes on where it was when it starts again", () => {
    offer(3);
    offer(4);
    queue.refresh();
    queue.stop();
    expect([queue.take(chain), queue.cachedFree, queue.refresh()]).toEqual([EMPTY, 0, 0]);
    queue.start();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(chain.head).toBe(3);
  });

  test("a reset forgets everything: another enabling begins at slot 0 with wrap counters of 1 (VQRST-2)", () => {
    offer(1, 3);
    use();
    queue.publish();
    driver.takeUsed();
    offer(2, 2);
    use();
    const { epoch } = queue;
    queue.reset();
    expect([queue.enabled, queue.size, queue.usedIdx]).toEqual([false, 0, 0]);
    expect(queue.epoch).not.toBe(epoch);
    memory.u8.fill(0);
    driver = new PackedDriver(memory.u8.buffer, RING, 4);
    expect(queue.enable(driver.areas())).toBe(0);
    queue.start();
    offer(5, 4);
    use(1);
    queue.publish();
    expect(driver.takeUsed()).toEqual([{ id: 5, length: 1, written: true }]);
    // The batch that was never published has left nothing behind: a ring of 4 holds 4.
    for (let id = 0; id < 4; id++) offer(id);
    for (let id = 0; id < 4; id++) queue.take(chain);
    driver.setFlags(0, AVAIL);
    expect(queue.take(chain)).toBe(EMPTY);
  });
});

describe("looking ahead", () => {
  test("counts whole chains, over the ring's end", () => {
    begin(5);
    offer(0, 3);
    use();
    queue.publish();
    driver.takeUsed();
    offer(1);
    offer(2, 3);
    offer(3);
    expect(queue.cachedFree).toBe(0);
    expect(queue.refresh()).toBe(3);
    expect(queue.cachedFree).toBe(3);
    expect(use()).toBe(1);
    expect(queue.cachedFree).toBe(2);
    expect(use()).toBe(2);
    expect(queue.refresh()).toBe(1);
  });

  test("looks at each chain once, however often it is asked", () => {
    begin(8);
    for (let id = 0; id < 3; id++) offer(id, 2);
    let loads = 0;
    const load = memory.loadAcquireU16.bind(memory);
    memory.loadAcquireU16 = (offset) => {
      loads++;
      return load(offset);
    };
    expect(queue.refresh()).toBe(3);
    // Three chains, and the slot behind them.
    expect(loads).toBe(4);
    expect(queue.refresh()).toBe(3);
    expect(loads).toBe(5);
    offer(3, 2);
    expect(queue.refresh()).toBe(4);
    // All slots are filled: there is nothing behind.
    expect(loads).toBe(6);
    expect(queue.refresh()).toBe(4);
    expect(loads).toBe(6);
    expect(queue.hasFreeAbove(3)).toBe(true);
    expect(loads).toBe(6);
    expect(queue.hasFreeAbove(4)).toBe(false);
    use();
    expect(loads).toBe(7);
  });

  test("a rewind gives chains back over the ring's end, to be counted and read again", () => {
    begin(3);
    offer(0, 2);
    use();
    expect(queue.inHand).toBe(0);
    queue.publish();
    driver.takeUsed();
    offer(1, 2);
    offer(2);
    queue.take(chain);
    queue.take(chain);
    expect(queue.inHand).toBe(2);
    queue.rewind(2);
    expect(queue.inHand).toBe(0);
    expect(queue.cachedFree).toBe(2);
    expect(queue.refresh()).toBe(2);
    expect([use(), use()]).toEqual([1, 2]);
    queue.publish();
    expect(driver.takeUsed().map(({ id }) => id)).toEqual([1, 2]);
  });

  test("a descriptor that was counted and is not available any more breaks the ring (§2.8.16)", () => {
    offer(1);
    queue.refresh();
    driver.setFlags(0, 0);
    expect(queue.take(chain)).toBe(BROKEN);
    expect(faultName()).toBe("avail-withdrawn");
    driver.setFlags(0, AVAIL);
    expect([queue.take(chain), queue.refresh(), queue.cachedFree]).toEqual([BROKEN, 0, 0]);
  });
});

describe("a stretch", () => {
  beforeEach(() => begin(5));

  /** Takes chains until there is none, each used with `usedBytes`; returns the ids that the driver gave where they lie. */
  function takeAll(usedBytes = 7): number[] {
    const ids: number[] = [];
    for (;;) {
      const offset = queue.stretch.take(1, usedBytes);
      if (offset < 0) return ids;
      ids.push((offset - DATA) / 0x10);
    }
  }

  test("takes plain chains up to the ring's end, and the queue goes on behind it", () => {
    for (let turn = 0; turn < 11; turn++) {
      const own = [0, 1, 2, 3].map((id) => 10 * turn + id);
      for (const id of own) offer(id);
      queue.refresh();
      expect(queue.openStretch(3, true)).toBe(true);
      // Each turn uses four of the five slots.
      const room = Math.min(3, 5 - ((4 * turn) % 5));
      expect(takeAll()).toEqual(own.slice(0, room));
      const { stretch } = queue;
      expect([stretch.used, stretch.spent, stretch.lengthBytes, queue.cachedFree]).toEqual([
        room,
        true,
        0x10,
        4 - room,
      ]);
      expect([queue.closeStretch(), queue.closeStretch(), queue.cachedFree, queue.refresh()]).toEqual([
        room,
        0,
        4 - room,
        4 - room,
      ]);
      for (let i = room; i < 4; i++) expect(use(0)).toBe(own[i]);
      queue.publish();
      expect(driver.takeUsed().map(({ id, length }) => [id, length])).toEqual(
        own.map((id, i) => [id, i < room ? 7 : 0]),
      );
    }
  });

  test("may go on in a batch, and begin one: the driver sees nothing of either before it is published", () => {
    for (let turn = 0; turn < 3; turn++) {
      for (let id = 0; id < 5; id++) offer(id);
      for (const count of [1, 2]) {
        queue.openStretch(count, true);
        expect(takeAll()).not.toEqual([]);
        queue.closeStretch();
        expect(driver.takeUsed()).toEqual([]);
        use();
      }
      queue.publish();
      expect(
        driver
          .takeUsed()
          .map(({ id }) => id)
          .slice(0, 2),
      ).toEqual([0, 1]);
      begin(5);
    }
  });

  test("holds no more than the driver's slots, and none that are with the card", () => {
    for (let id = 0; id < 5; id++) offer(id);
    queue.openStretch(128, true);
    expect(takeAll()).toEqual([0, 1, 2, 3, 4]);
    queue.closeStretch();
    driver.setFlags(0, WRITE | USED);
    expect(queue.openStretch(128, true)).toBe(false);
  });

  test.each([
    ["is not available", () => {}],
    ["has more than one descriptor", () => offer(9, 2)],
    ["is readable", () => driver.offer(9, [{ address: DATA, length: 1 }])],
    ["is empty", () => driver.offer(9, [{ address: DATA, length: 0, flags: WRITE }])],
    ["is outside memory", () => driver.offer(9, [{ address: RAM_BYTES - 1, length: 2, flags: WRITE }])],
    ["is above 4 GiB", () => driver.offer(9, [{ address: 2n ** 32n + 0x2000n, length: 2, flags: WRITE }])],
    [
      "is longer than a signed word holds",
      () => driver.offer(9, [{ address: DATA, length: 0xffff_ffff, flags: WRITE }]),
    ],
    ["is indirect", () => driver.offer(9, [{ address: DATA, length: 16, flags: 4 | WRITE }])],
  ])("ends at a chain that %s, which is left for `take`", (_, offerOther) => {
    offer(1);
    offer(2);
    offerOther();
    queue.openStretch(8, true);
    expect([takeAll(), queue.stretch.spent, queue.closeStretch()]).toEqual([[1, 2], false, 2]);
    expect(queue.take(chain) === EMPTY || chain.head === 9).toBe(true);
  });

  test("leaves a chain that is too short for what is needed, and nothing has happened", () => {
    offer(1);
    queue.openStretch(8, true);
    const before = memory.u8.slice();
    expect([queue.stretch.take(0x11, 0x11), queue.stretch.used]).toEqual([-1, 0]);
    expect(memory.u8).toEqual(before);
    expect([queue.stretch.take(0x10, 0x10), queue.stretch.used]).toEqual([DATA + 0x10, 1]);
  });

  test("gives back the chain taken last, which is as it was, first of a batch or not", () => {
    for (const id of [1, 2]) offer(id);
    queue.openStretch(8, true);
    for (const used of [0, 1]) {
      const before = memory.u8.slice();
      queue.stretch.take(1, 7);
      queue.stretch.undo();
      expect(queue.stretch.used).toBe(used);
      expect(memory.u8).toEqual(before);
      queue.stretch.take(1, 8);
    }
    expect(queue.closeStretch()).toBe(2);
    queue.publish();
    expect(driver.takeUsed().map(({ id, length }) => [id, length])).toEqual([
      [1, 8],
      [2, 8],
    ]);
  });

  test("of readable chains uses none that is writable, and the others with length 0", () => {
    for (const id of [1, 2]) driver.offer(id, [{ address: DATA, length: 1 }]);
    offer(3);
    queue.openStretch(8, false);
    expect([takeAll(0), queue.closeStretch()]).toEqual([[0, 0], 2]);
    queue.publish();
    expect(driver.takeUsed().map(({ id, length, written }) => [id, length, written])).toEqual([
      [1, 0, false],
      [2, 0, false],
    ]);
    expect([queue.openStretch(8, false), takeAll(0), queue.closeStretch()]).toEqual([true, [], 0]);
  });

  test("goes from one region of memory to another", () => {
    const regions = [
      { guestAddress: 0, sizeBytes: 0x2000, byteOffset: 0 },
      { guestAddress: 0x2000, sizeBytes: 0x200, byteOffset: 0x3000 },
      { guestAddress: 0xe000_0000, sizeBytes: 0x200, byteOffset: 0x2000 },
    ];
    memory = new GuestMemory(memory.u8.buffer, regions);
    queue = new PackedQueue(memory);
    queue.enable(driver.areas());
    queue.start();
    for (const id of [1, 2]) {
      offer(id);
      driver.offer(id + 2, [{ address: 0xe000_0000 + 0x10 * id, length: 0x10, flags: WRITE }]);
    }
    queue.openStretch(8, true);
    expect([1, 2, 3, 4].map(() => queue.stretch.take(1, 9))).toEqual([0x3010, 0x2010, 0x3020, 0x2020]);
    queue.stretch.undo();
    expect(queue.stretch.take(1, 6)).toBe(0x2020);
    queue.closeStretch();
    queue.publish();
    expect(driver.takeUsed().map(({ id, length }) => [id, length])).toEqual([
      [1, 9],
      [3, 9],
      [2, 9],
      [4, 6],
    ]);
  });

  test("forbids kicks, unless there was nothing to take", () => {
    queue.armKick();
    queue.openStretch(8, true);
    expect([takeAll(), queue.closeStretch(), queue.armed]).toEqual([[], 0, true]);
    offer(1);
    queue.openStretch(8, true);
    expect([takeAll(), queue.closeStretch()]).toEqual([[1], 1]);
    expect([queue.armed, driver.deviceEvents.flags]).toEqual([false, 1]);
  });

  test("of a queue that is stopped takes nothing more, and what was used stays used", () => {
    offer(1);
    offer(2);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    queue.stop();
    expect([takeAll(), queue.cachedFree, queue.hasFreeAbove(0), queue.openStretch(8, true)]).toEqual([
      [],
      0,
      false,
      false,
    ]);
    expect(queue.closeStretch()).toBe(1);
    queue.publish();
    expect(driver.takeUsed().map(({ id }) => id)).toEqual([1]);
    queue.start();
    queue.openStretch(8, true);
    expect(takeAll()).toEqual([2]);
  });

  test("of a queue that is reset is forgotten", () => {
    offer(1);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    queue.reset();
    expect([queue.stretch.used, queue.stretch.take(1, 5), queue.closeStretch()]).toEqual([0, -1, 0]);
  });

  test("of a ring that breaks meanwhile takes nothing more", () => {
    offer(1);
    offer(2);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    driver.offer(3, [
      { address: DATA, length: 1, flags: WRITE },
      { address: DATA, length: 1, flags: WRITE },
    ]);
    driver.setFlags(3, 0);
    expect([queue.refresh(), queue.broken, queue.cachedFree]).toEqual([0, true, 0]);
    expect([takeAll(), queue.closeStretch(), queue.openStretch(8, true)]).toEqual([[], 1, false]);
  });

  test("is one slot for each of its chains, whatever chain had the same place before", () => {
    offer(1, 2);
    use();
    queue.publish();
    driver.takeUsed();
    // Numbers 1 to 3; the next chain is number 4, which shares its place with number 0 in a queue of four.
    for (let number = 1; number < 4; number++) {
      offer(number);
      use();
      queue.publish();
      driver.takeUsed();
    }
    for (const id of [8, 9]) offer(id);
    queue.openStretch(1, true);
    expect([takeAll(), queue.closeStretch(), use()]).toEqual([[8], 1, 9]);
    queue.publish();
    expect([driver.takeUsed().map(({ id }) => id), queue.refresh()]).toEqual([[8, 9], 0]);
  });
});

describe("chains that break a rule", () => {
  test("are taken whole: they have an id, and the next chain begins behind them", () => {
    begin(8);
    driver.offer(9, [
      { address: RAM_BYTES, length: 1, flags: WRITE },
      { address: DATA, length: 1, flags: WRITE },
      { address: DATA, length: 1, flags: WRITE },
    ]);
    driver.offer(10, [
      { address: DATA, length: 1, flags: WRITE },
      { address: RAM_BYTES - 1, length: 2, flags: WRITE },
    ]);
    offer(11);
    for (const [id, span] of [
      [9, 3],
      [10, 2],
    ]) {
      expect(queue.take(chain)).toBe(FAULTY);
      expect([chain.head, chain.span, faultName()]).toEqual([id, span, "address"]);
      queue.pushUsed(chain.head, 0);
    }
    use();
    queue.publish();
    expect(driver.takeUsed().map(({ id }) => id)).toEqual([9, 10, 11]);
  });

  test("a readable element after a writable one (§2.8.17)", () => {
    driver.offer(1, [
      { address: DATA, length: 1, flags: WRITE },
      { address: DATA, length: 1 },
    ]);
    expect(queue.take(chain)).toBe(FAULTY);
    expect(faultName()).toBe("readable-after-writable");
  });

  test("a chain that runs on into a descriptor that is not available has no end: the ring is broken (§2.8.17)", () => {
    for (const look of [true, false]) {
      begin(4);
      offer(1, 2);
      driver.setFlags(1, WRITE | NEXT | AVAIL);
      if (look) expect(queue.refresh()).toBe(0);
      expect(queue.take(chain)).toBe(BROKEN);
      expect([queue.broken, faultName()]).toEqual([true, "chain-unended"]);
    }
  });

  test("a chain of more descriptors than the ring has slots is a loop: the ring is broken (§2.8.17)", () => {
    for (const look of [true, false]) {
      begin(3);
      offer(1, 3);
      driver.setFlags(2, WRITE | NEXT | AVAIL);
      // After the ring's end the first descriptor would have to look like this.
      if (look) expect(queue.refresh()).toBe(0);
      expect(queue.take(chain)).toBe(BROKEN);
      expect(faultName()).toBe("chain-unended");
      begin(1);
      driver.offer(1, [{ address: DATA, length: 1, flags: NEXT }]);
      if (look) expect(queue.refresh()).toBe(0);
      expect(queue.take(chain)).toBe(BROKEN);
    }
  });

  test("a chain may not run on into what is with the card, even if its flags fit", () => {
    begin(4);
    offer(1);
    queue.take(chain);
    offer(2, 3);
    driver.setFlags(3, WRITE | NEXT | AVAIL);
    driver.setFlags(0, WRITE | USED);
    expect(queue.refresh()).toBe(0);
    expect(queue.take(chain)).toBe(BROKEN);
    expect(faultName()).toBe("chain-unended");
  });

  test("a chain of exactly the queue size is legal", () => {
    offer(1, 4);
    expect(queue.refresh()).toBe(1);
    expect(queue.take(chain)).toBe(CHAIN);
    expect(chain.span).toBe(4);
  });

  test("empty elements hold nothing, but occupy their slot", () => {
    driver.offer(6, [
      { address: 2n ** 60n, length: 0, flags: WRITE },
      { address: DATA, length: 5, flags: WRITE },
      { address: 0, length: 0 },
    ]);
    expect(queue.take(chain)).toBe(CHAIN);
    expect([chain.head, chain.span, chain.count, chain.offsets[0], chain.lengths[0]]).toEqual([6, 3, 1, DATA, 5]);
    driver.offer(7, [{ address: DATA, length: 0, flags: WRITE }]);
    expect(queue.take(chain)).toBe(CHAIN);
    expect([chain.head, chain.span, chain.count, chain.lengths[0]]).toEqual([7, 1, 0, 0]);
  });
});

describe("used descriptors", () => {
  test("are written over the first slot of each chain, and the other slots are left alone (§2.8.6)", () => {
    begin(8);
    offer(5, 3);
    offer(6, 2);
    const before = memory.u8.slice();
    use(0x1234);
    use(0);
    queue.publish();
    const slot = (n: number): number[] => [...new Uint16Array(memory.u8.buffer, RING + 16 * n, 8)];
    const old = (n: number): number[] => [...new Uint16Array(before.buffer, RING + 16 * n, 8)];
    // addr is unused; len, id, flags.
    expect(slot(0)).toEqual([...old(0).slice(0, 4), 0x1234, 0, 5, AVAIL | USED | WRITE]);
    expect(slot(3)).toEqual([...old(3).slice(0, 4), 0, 0, 6, AVAIL | USED]);
    for (const n of [1, 2, 4, 5, 6, 7]) expect(slot(n), `slot ${n}`).toEqual(old(n));
  });

  test("have both flags clear when the wrap counter is 0, and WRITE only if something was written (§2.8.1, §2.8.3)", () => {
    begin(2);
    for (const [lengths, expected] of [
      [[0, 1], AVAIL | USED],
      [[0, 0x10000], 0],
      [[0, 7], AVAIL | USED],
    ] as const) {
      offer(1);
      offer(2);
      use(lengths[0]);
      use(lengths[1]);
      queue.publish();
      expect([driver.flagsOf(0), driver.flagsOf(1)]).toEqual([expected, expected | WRITE]);
      expect(driver.takeUsed()).toEqual([
        { id: 1, length: 0, written: false },
        { id: 2, length: lengths[1], written: true },
      ]);
    }
  });

  test("become visible together, by the flags of the first one, stored when all else is written (§2.8.9)", () => {
    begin(8);
    for (const id of [1, 2, 3]) offer(id, 2);
    for (const length of [10, 20, 30]) use(length);
    expect(driver.takeUsed()).toEqual([]);
    expect(queue.usedIdx).toBe(0);
    const stores: [number, number][] = [];
    const store = memory.storeReleaseU16.bind(memory);
    memory.storeReleaseU16 = (offset, value) => {
      stores.push([offset, value]);
      expect(driver.takeUsed()).toEqual([]);
      expect([driver.flagsOf(2), driver.flagsOf(4)]).toEqual([AVAIL | USED | WRITE, AVAIL | USED | WRITE]);
      store(offset, value);
    };
    queue.publish();
    expect(stores).toEqual([[RING + 14, AVAIL | USED | WRITE]]);
    expect(queue.usedIdx).toBe(3);
    expect(driver.takeUsed()).toEqual([
      { id: 1, length: 10, written: true },
      { id: 2, length: 20, written: true },
      { id: 3, length: 30, written: true },
    ]);
  });

  test("publishing nothing stores nothing", () => {
    memory.storeReleaseU16 = () => {
      throw new Error("something was stored");
    };
    queue.publish();
    expect(queue.usedIdx).toBe(0);
  });

  test("a published descriptor is not touched again (PDESC-4)", () => {
    offer(1);
    offer(2);
    use();
    queue.publish();
    driver.writeDescriptor(RING, { address: 1, length: 2, flags: 0x5555 }, 3);
    const mine = memory.u8.slice(RING, RING + 16);
    use();
    queue.publish();
    expect(memory.u8.slice(RING, RING + 16)).toEqual(mine);
  });

  test("their count runs on over 65535", () => {
    begin(3);
    for (let i = 0; i < 65536 + 3; i++) {
      offer(i & 0xffff, 1 + (i % 2));
      use(1);
      queue.publish();
      const [used] = driver.takeUsed();
      if (used?.id !== (i & 0xffff)) throw new Error(`buffer ${i} came back as ${used?.id}`);
    }
    expect(queue.usedIdx).toBe(3);
  });
});

describe("snapshots", () => {
  test("say where the ring goes on, with the wrap counter, and another queue goes on there", () => {
    begin(3);
    for (let step = 0; step < 20; step++) {
      offer(step, 1 + (step % 3));
      use(step);
      queue.publish();
      driver.takeUsed();
      // One waits while the state is moved.
      driver.armHere();
      offer(100 + step, 1 + ((step + 1) % 2));
      const saved: ReturnType<PackedQueue["snapshot"]> = JSON.parse(JSON.stringify(queue.snapshot()));
      const { nextUsed, usedWrap } = driver;
      expect(saved).toEqual({
        usedIdx: queue.usedIdx,
        position: nextUsed + (usedWrap === 1 ? 0 : 3),
        everUsed: true,
        fault: 0,
        broken: false,
      });
      queue = new PackedQueue(memory);
      queue.enable(driver.areas());
      queue.restore(saved);
      queue.start();
      expect(queue.mayHaveUnread()).toBe(false);
      expect(queue.usedIdx).toBe(2 * step + 1);
      expect(queue.armKick()).toBe(1);
      expect(use(1)).toBe(100 + step);
      queue.publish();
      expect(queue.wantsInterrupt(2 * step + 1)).toBe(true);
      expect(driver.takeUsed().map(({ id }) => id)).toEqual([100 + step]);
    }
  });

  test("an interrupt that was latched before the snapshot is still wanted after it", () => {
    begin(8);
    driver.armHere();
    for (const id of [1, 2, 3]) offer(id);
    for (let i = 0; i < 3; i++) use();
    queue.publish();
    const saved = queue.snapshot();
    queue = new PackedQueue(memory);
    queue.enable(driver.areas());
    queue.restore(saved);
    queue.start();
    expect(queue.wantsInterrupt(0)).toBe(true);
    driver.takeUsed();
    driver.armHere();
    expect(queue.wantsInterrupt(0)).toBe(false);
  });

  test("keep a broken ring broken", () => {
    offer(1);
    queue.refresh();
    driver.setFlags(0, 0);
    queue.take(chain);
    const saved = queue.snapshot();
    queue.reset();
    queue.enable(driver.areas());
    queue.restore(saved);
    queue.start();
    expect(queue.take(chain)).toBe(BROKEN);
    expect(faultName()).toBe("avail-withdrawn");
  });

  test("are refused while chains are in hand, and if their numbers are impossible", () => {
    offer(1);
    queue.take(chain);
    expect(() => queue.snapshot()).toThrow(RangeError);
    queue.pushUsed(1, 0);
    expect(() => queue.snapshot()).toThrow(RangeError);
    queue.publish();
    const saved = queue.snapshot();
    for (const wrong of [{ position: 8 }, { position: -1 }, { position: 0.5 }, { usedIdx: 65536 }, { usedIdx: -1 }]) {
      expect(() => queue.restore({ ...saved, ...wrong })).toThrow(RangeError);
    }
    queue.reset();
    expect(() => queue.restore({ ...saved, position: 0 })).toThrow(RangeError);
  });
});
