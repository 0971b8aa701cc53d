import { beforeEach, describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../../../src/device/virtqueue/descriptor-chain.ts";
import { SplitQueue } from "../../../../src/device/virtqueue/split-queue.ts";
import { SplitDriver } from "../../../rings/split-driver.ts";

const SIZE = 4;
const RAM_BYTES = 0x4000;
const RINGS = 0x100;

// What `take` gives, retyped.
const EMPTY = 0;
const CHAIN = 1;
const FAULTY = 2;
const BROKEN = 3;

let driver: SplitDriver;
let memory: GuestMemory;
let chain: DescriptorChain;

beforeEach(() => {
  const buffer = new ArrayBuffer(RAM_BYTES);
  memory = new GuestMemory(buffer);
  driver = new SplitDriver(buffer, RINGS, SIZE);
  chain = new DescriptorChain(SIZE);
  for (let i = 0; i < SIZE; i++) driver.setDescriptor(i, { address: 0x2000 + 0x100 * i, length: 0x100, flags: 2 });
});

function queueOf({ eventIdx = true, wantsKicks = true, started = true } = {}): SplitQueue {
  const queue = new SplitQueue(memory, wantsKicks);
  expect(queue.enable(driver.areas({ eventIdx }))).toBe(0);
  if (started) queue.start();
  return queue;
}

/** Uses `count` chains as a device would, and publishes them. */
function useChains(queue: SplitQueue, count: number): void {
  for (let i = 0; i < count; i++) {
    if (queue.take(chain) !== CHAIN) throw new Error(`no chain at used index ${queue.usedIdx}`);
    queue.pushUsed(chain.head, 8);
  }
  queue.publish();
}

describe("enable", () => {
  const setup = (
    size: number,
    descAddress: number,
    driverAddress: number,
    deviceAddress: number,
    eventIdx = true,
  ): string => {
    const areas = { size, descAddress, driverAddress, deviceAddress, indirect: false, eventIdx };
    return FAULTS[new SplitQueue(memory, true).enable(areas)]!.name;
  };

  test.each([
    0,
    3,
    5,
    6,
    -4,
    65536,
    Number.NaN,
    2 ** 31,
  ])("refuses the size %d: sizes are powers of two up to 32768", (size) => {
    expect(setup(size, 0x1000, 0x2000, 0x3000)).toBe("queue-setup");
  });

  test("asks for the alignments of §2.7: 16, 2 and 4", () => {
    expect(setup(4, 0x1000, 0x2002, 0x3004)).toBe("none");
    expect(setup(4, 0x1008, 0x2000, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2001, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, 0x3002)).toBe("queue-setup");
  });

  test("refuses areas that are not wholly inside guest memory", () => {
    expect(setup(4, RAM_BYTES - 48, 0x2000, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, RAM_BYTES - 12, 0x3000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, RAM_BYTES - 36)).toBe("queue-setup");
    expect(setup(4, 2 ** 40, 0x2000, 0x3000)).toBe("queue-setup");
    expect(setup(4, RAM_BYTES - 64, 0x2000, 0x3000)).toBe("none");
  });

  test("lets areas end before their event word where EVENT_IDX was not negotiated (§2.7.6, §2.7.8)", () => {
    for (const [driverAddress, deviceAddress] of [
      [RAM_BYTES - 12, 0x3000],
      [0x2000, RAM_BYTES - 36],
      [0x2000, 0x200c],
    ] as const) {
      expect(setup(4, 0x1000, driverAddress, deviceAddress, true)).toBe("queue-setup");
      expect(setup(4, 0x1000, driverAddress, deviceAddress, false)).toBe("none");
    }
  });

  test("refuses a used ring over the other areas, which are not the device's to write (SDESC-4)", () => {
    expect(setup(4, 0x1000, 0x2000, 0x1000)).toBe("queue-setup");
    expect(setup(4, 0x1000, 0x2000, 0x2008)).toBe("queue-setup");
  });

  test("touches no guest memory, and neither does a queue that is not started (MMIO-7, STATUS-1)", () => {
    const before = memory.u8.slice();
    const queue = queueOf({ started: false });
    driver.offer(0);
    driver.publish();
    const offered = memory.u8.slice();
    expect(queue.take(chain)).toBe(EMPTY);
    expect(queue.refresh()).toBe(0);
    expect(memory.u8).toEqual(offered);
    expect(offered).not.toEqual(before);
  });
});

describe("taking chains", () => {
  test("gives them in the order of the available ring", () => {
    const queue = queueOf();
    for (const head of [2, 0, 3]) driver.offer(head);
    driver.publish();
    const heads = [];
    while (queue.take(chain) === CHAIN) heads.push(chain.head);
    expect(heads).toEqual([2, 0, 3]);
    expect(queue.broken).toBe(false);
  });

  test("loads avail.idx again only when all that it has seen is taken", () => {
    const queue = queueOf();
    driver.offer(0);
    driver.publish();
    let loads = 0;
    const load = memory.loadAcquireU16.bind(memory);
    memory.loadAcquireU16 = (offset) => {
      loads++;
      return load(offset);
    };
    driver.offer(1);
    driver.publish();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.take(chain)).toBe(CHAIN);
    expect(loads).toBe(1);
    expect(queue.take(chain)).toBe(EMPTY);
    expect(loads).toBe(2);
  });

  test("hasFreeAbove reads the ring only if what it has seen does not suffice", () => {
    const queue = queueOf();
    for (const head of [0, 1, 2]) driver.offer(head);
    driver.publish();
    expect(queue.hasFreeAbove(2)).toBe(true);
    expect(queue.hasFreeAbove(3)).toBe(false);
    driver.offer(3);
    driver.publish();
    expect(queue.hasFreeAbove(3)).toBe(true);
    memory.loadAcquireU16 = () => {
      throw new Error("the ring was read");
    };
    expect(queue.hasFreeAbove(3)).toBe(true);
    queue.stop();
    expect(queue.hasFreeAbove(0)).toBe(false);
  });

  test("a rewind gives chains back, to be read again", () => {
    const queue = queueOf();
    driver.offer(0);
    driver.offer(1);
    driver.publish();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.cachedFree).toBe(0);
    expect(queue.inHand).toBe(2);
    queue.rewind(2);
    expect(queue.inHand).toBe(0);
    expect(queue.cachedFree).toBe(2);
    driver.setDescriptor(0, { address: 0x3000, length: 7, flags: 2 });
    expect(queue.take(chain)).toBe(CHAIN);
    expect([chain.head, chain.offsets[0], chain.lengths[0]]).toEqual([0, 0x3000, 7]);
  });

  test("a chain that breaks a rule is taken, and named", () => {
    const queue = queueOf();
    driver.setDescriptor(1, { address: RAM_BYTES, length: 1 });
    driver.offer(1);
    driver.offer(0);
    driver.publish();
    expect(queue.take(chain)).toBe(FAULTY);
    expect(chain.head).toBe(1);
    expect(FAULTS[queue.fault]!.name).toBe("address");
    expect(queue.take(chain)).toBe(CHAIN);
  });

  test("avail.idx ahead by more than the queue size breaks the ring (§2.7.6)", () => {
    const queue = queueOf();
    driver.publish(SIZE + 1);
    expect(queue.take(chain)).toBe(BROKEN);
    expect(FAULTS[queue.fault]!.name).toBe("avail-idx");
    driver.publish(1);
    expect(queue.take(chain)).toBe(BROKEN);
    expect(queue.refresh()).toBe(0);
  });

  test("avail.idx that goes back breaks the ring, whether or not its entries were taken (§2.7.6.1)", () => {
    for (const taken of [0, 1, 2]) {
      const queue = queueOf();
      driver.availIdx = 0;
      for (const head of [0, 1, 2]) driver.offer(head);
      driver.publish();
      for (let i = 0; i < taken; i++) queue.take(chain);
      driver.publish(taken === 0 ? 0xffff : 1);
      queue.refresh();
      expect(queue.broken, `${taken} taken`).toBe(true);
    }
  });

  test("a chain counts as the card's until it is published, so the driver cannot offer it twice", () => {
    const queue = queueOf();
    for (const head of [0, 1, 2, 3]) driver.offer(head);
    driver.publish();
    for (let i = 0; i < SIZE; i++) {
      queue.take(chain);
      queue.pushUsed(chain.head, 0);
    }
    driver.publish(SIZE + 1);
    expect(queue.take(chain)).toBe(BROKEN);
  });

  test("a head outside the table breaks the ring", () => {
    const queue = queueOf();
    driver.offer(SIZE);
    driver.publish();
    expect(queue.take(chain)).toBe(BROKEN);
    expect(FAULTS[queue.fault]!.name).toBe("head-out-of-range");
  });

  test("indices run on over 65535", () => {
    const queue = queueOf();
    for (let i = 0; i < 65536 + 3; i++) {
      driver.offer(i % SIZE);
      driver.publish();
      useChains(queue, 1);
      const [used] = driver.takeUsed();
      if (used?.head !== i % SIZE) throw new Error(`chain ${i} came back as ${used?.head}`);
    }
    expect(driver.usedIdx).toBe(3);
  });

  test("a stopped queue gives no chain, not even those it has seen, and goes on with them when it starts again", () => {
    const queue = queueOf();
    for (const head of [2, 0, 3]) driver.offer(head);
    driver.publish();
    expect(queue.take(chain)).toBe(CHAIN);
    queue.stop();
    expect(queue.take(chain)).toBe(EMPTY);
    queue.start();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(chain.head).toBe(0);
  });

  test("a reset forgets everything, and another enabling begins at 0 (VQRST-2)", () => {
    const queue = queueOf();
    driver.publish(SIZE + 1);
    queue.take(chain);
    const { epoch } = queue;
    queue.reset();
    expect(queue.enabled).toBe(false);
    expect(queue.broken).toBe(false);
    expect(queue.epoch).not.toBe(epoch);
    driver.publish(0);
    driver.offer(3);
    driver.publish();
    queue.enable(driver.areas());
    queue.start();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.usedIdx).toBe(0);
  });
});

describe("a stretch", () => {
  function offer(...heads: number[]): void {
    for (const head of heads) driver.offer(head);
    driver.publish();
  }

  /** Takes chains that hold `neededBytes` until there is none, each used with `usedBytes`; returns where they lie. */
  function takeAll({ stretch }: SplitQueue, neededBytes = 1, usedBytes = 5): number[] {
    const offsets: number[] = [];
    for (let at = stretch.take(neededBytes, usedBytes); at >= 0; at = stretch.take(neededBytes, usedBytes)) {
      offsets.push(at);
    }
    return offsets;
  }

  test("takes plain chains up to the ring's end, and uses each with its own length", () => {
    const queue = queueOf();
    const { stretch } = queue;
    offer(0);
    useChains(queue, 1);
    expect(driver.takeUsed()).toHaveLength(1);
    offer(3, 1, 2, 0);
    expect(queue.openStretch(8, true)).toBe(true);
    expect([stretch.take(1, 5), stretch.take(0x100, 6)]).toEqual([0x2300, 0x2100]);
    expect([stretch.used, stretch.spent, queue.cachedFree, queue.refresh()]).toEqual([2, false, 2, 2]);
    expect([stretch.take(1, 7), stretch.take(1, 8)]).toEqual([0x2200, -1]);
    expect([stretch.used, stretch.spent, queue.cachedFree]).toEqual([3, true, 1]);
    expect([queue.closeStretch(), queue.closeStretch(), queue.cachedFree]).toEqual([3, 0, 1]);
    expect([queue.take(chain), chain.head]).toEqual([CHAIN, 0]);
    queue.publish();
    expect(driver.takeUsed()).toEqual([
      { head: 3, length: 5 },
      { head: 1, length: 6 },
      { head: 2, length: 7 },
    ]);
  });

  test("takes no more than it is asked for, and tells the length of what it took", () => {
    driver.setDescriptor(1, { address: 0x2100, length: 0x40, flags: 2 });
    const queue = queueOf();
    offer(0, 1, 2);
    expect([queue.openStretch(0, true), queue.openStretch(2, true)]).toEqual([false, true]);
    const lengths = [0, 1].map(() => {
      expect(queue.stretch.take(1, 1)).toBeGreaterThan(0);
      return queue.stretch.lengthBytes;
    });
    expect(lengths).toEqual([0x100, 0x40]);
    expect(queue.stretch.spent).toBe(true);
  });

  test("leaves a chain that is too short for what is needed, and nothing has happened", () => {
    driver.setDescriptor(1, { address: 0x2100, length: 0x40, flags: 2 });
    const queue = queueOf();
    offer(1);
    queue.openStretch(4, true);
    expect([queue.stretch.take(0x41, 0x41), queue.stretch.used]).toEqual([-1, 0]);
    expect([queue.stretch.take(0x40, 0x40), queue.stretch.used]).toEqual([0x2100, 1]);
  });

  test("gives back the chain taken last, which is read again", () => {
    const queue = queueOf();
    offer(0, 1);
    queue.openStretch(4, true);
    queue.stretch.take(1, 5);
    queue.stretch.take(1, 6);
    queue.stretch.undo();
    driver.setDescriptor(1, { address: 0x2900, length: 0x100, flags: 2 });
    expect([queue.stretch.used, takeAll(queue)]).toEqual([1, [0x2900]]);
    queue.stretch.undo();
    expect([queue.closeStretch(), queue.take(chain), chain.head]).toEqual([1, CHAIN, 1]);
  });

  test("uses readable chains with length 0, whatever the ring held there", () => {
    for (let i = 0; i < SIZE; i++) driver.setDescriptor(i, { address: 0x2000, length: 8 });
    const queue = queueOf();
    memory.u8.fill(0xff, driver.used + 4, driver.used + 4 + 8 * SIZE);
    offer(2, 1);
    queue.openStretch(8, true);
    expect(takeAll(queue)).toEqual([]);
    expect([queue.closeStretch(), queue.openStretch(8, false), takeAll(queue, 1, 0)]).toEqual([
      0,
      true,
      [0x2000, 0x2000],
    ]);
    queue.closeStretch();
    queue.publish();
    expect(driver.takeUsed()).toEqual([
      { head: 2, length: 0 },
      { head: 1, length: 0 },
    ]);
  });

  test.each([
    ["has more than one descriptor", { address: 0x2000, length: 1, flags: 3, next: 0 }],
    ["is readable", { address: 0x2000, length: 1 }],
    ["is empty", { address: 0x2000, length: 0, flags: 2 }],
    ["is outside memory", { address: RAM_BYTES - 1, length: 2, flags: 2 }],
    ["is above 4 GiB", { address: 2n ** 32n + 0x2000n, length: 2, flags: 2 }],
    ["is below 0, taken as signed", { address: 0xffff_f000, length: 0x2000, flags: 2 }],
    ["is longer than a signed word holds", { address: 0x2000, length: 0xffff_ffff, flags: 2 }],
    ["is indirect", { address: 0x2000, length: 16, flags: 6 }],
  ])("ends at a chain that %s, which is left for `take`", (_, other) => {
    driver.setDescriptor(3, other);
    const queue = queueOf();
    offer(1, 3);
    queue.openStretch(8, true);
    expect(takeAll(queue)).toEqual([0x2100]);
    expect([queue.stretch.spent, queue.closeStretch()]).toEqual([false, 1]);
    expect([queue.take(chain) === EMPTY, queue.broken || chain.head === 3]).toEqual([false, true]);
  });

  test("ends at a head that is out of range, which breaks the ring only when it is taken", () => {
    const queue = queueOf();
    offer(1, 9);
    queue.openStretch(8, true);
    expect([takeAll(queue), queue.closeStretch()]).toEqual([[0x2100], 1]);
    expect([queue.broken, queue.take(chain)]).toEqual([false, BROKEN]);
  });

  test("goes from one region of memory to another, also to one beyond 2^31", () => {
    const regions = [
      { guestAddress: 0, sizeBytes: 0x2000, byteOffset: 0 },
      { guestAddress: 0x2000, sizeBytes: 0x200, byteOffset: 0x3000 },
      { guestAddress: 0xe000_0000, sizeBytes: 0x200, byteOffset: 0x2000 },
    ];
    memory = new GuestMemory(driver.view.buffer, regions);
    driver.setDescriptor(0, { address: 0xe000_0100, length: 0x100, flags: 2 });
    const queue = queueOf();
    offer(1, 0, 1, 0);
    queue.openStretch(8, true);
    expect(takeAll(queue)).toEqual([0x3100, 0x2100, 0x3100, 0x2100]);
    queue.closeStretch();
    queue.publish();
    expect(driver.takeUsed().map(({ head, length }) => [head, length])).toEqual([1, 0, 1, 0].map((head) => [head, 5]));
    driver.setDescriptor(0, { address: 0xe000_0101, length: 0x100, flags: 2 });
    offer(0);
    queue.openStretch(8, true);
    expect(takeAll(queue)).toEqual([]);
  });

  test("asks the translator for each chain, and whether it may be written", () => {
    const asked: [number, boolean][] = [];
    const translator = {
      runBytes: 0x1000,
      translate: (address: number, write: boolean): number => {
        asked.push([address, write]);
        return write && address < 0x2200 ? address : -1;
      },
    };
    memory = new GuestMemory(driver.view.buffer, undefined, undefined, translator);
    const queue = new SplitQueue(memory, true);
    translator.translate = (address) => address;
    expect(queue.enable(driver.areas())).toBe(0);
    queue.start();
    translator.translate = (address, write) => {
      asked.push([address, write]);
      return write && address < 0x2200 ? address : -1;
    };
    offer(1, 1, 2);
    queue.openStretch(8, true);
    expect(takeAll(queue)).toEqual([0x2100, 0x2100]);
    expect(asked).toEqual([
      [0x2100, true],
      [0x2100, true],
      [0x2200, true],
    ]);
  });

  test("goes across the wrap of the indices: entries 65535 and 0 lie at both ends of the ring", () => {
    const queue = queueOf();
    for (let i = 0; i < 0xffff; i++) {
      offer(i % SIZE);
      useChains(queue, 1);
    }
    offer(3, 1, 2);
    for (const expected of [[0x2300], [0x2100, 0x2200]]) {
      queue.openStretch(8, true);
      expect(takeAll(queue)).toEqual(expected);
      expect(queue.closeStretch()).toBe(expected.length);
    }
    queue.publish();
    expect([queue.usedIdx, driver.usedIdx, queue.refresh()]).toEqual([2, 2, 0]);
  });

  test("of a queue that is stopped takes nothing more, and what was used stays used", () => {
    const queue = queueOf();
    offer(0, 1);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    queue.stop();
    expect([queue.stretch.take(1, 5), queue.cachedFree]).toEqual([-1, 0]);
    expect([queue.closeStretch(), queue.openStretch(8, true)]).toEqual([1, false]);
    queue.publish();
    expect(driver.takeUsed()).toEqual([{ head: 0, length: 5 }]);
    queue.start();
    expect([queue.take(chain), chain.head]).toEqual([CHAIN, 1]);
  });

  test("of a queue that is reset is forgotten", () => {
    const queue = queueOf();
    offer(0, 1);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    queue.reset();
    expect([queue.stretch.used, queue.stretch.take(1, 5), queue.closeStretch()]).toEqual([0, -1, 0]);
  });

  test("of a ring that breaks meanwhile takes nothing more", () => {
    const queue = queueOf();
    offer(0, 1);
    queue.openStretch(8, true);
    queue.stretch.take(1, 5);
    driver.publish(0);
    expect([queue.refresh(), queue.broken, queue.cachedFree]).toEqual([0, true, 0]);
    expect([queue.stretch.take(1, 5), queue.closeStretch(), queue.openStretch(8, true)]).toEqual([-1, 1, false]);
  });
});

describe("used elements", () => {
  test("become visible together, when the batch is published (SUSED-1)", () => {
    const queue = queueOf();
    for (const head of [1, 0]) driver.offer(head);
    driver.publish();
    for (const length of [10, 20]) {
      queue.take(chain);
      queue.pushUsed(chain.head, length);
    }
    expect(driver.usedIdx).toBe(0);
    expect(queue.unpublished).toBe(2);
    expect(queue.inHand).toBe(0);
    expect(queue.usedIdx).toBe(0);
    queue.publish();
    expect(queue.unpublished).toBe(0);
    expect(queue.usedIdx).toBe(2);
    expect(driver.takeUsed()).toEqual([
      { head: 1, length: 10 },
      { head: 0, length: 20 },
    ]);
  });
});

describe("interrupt suppression", () => {
  /** Uses `count` chains that the driver has just offered. */
  function use(queue: SplitQueue, count: number): void {
    for (let i = 0; i < count; i++) driver.offer(i % SIZE);
    driver.publish();
    useChains(queue, count);
  }

  test("with EVENT_IDX an interrupt is wanted if the entry of index used_event is among the new ones (SUSUP-5, SUSUP-6)", () => {
    const queue = queueOf();
    use(queue, 3);
    for (const [event, wanted] of [
      [0, true],
      [1, true],
      [2, true],
      [3, false],
      [0xffff, false],
    ] as const) {
      driver.usedEvent = event;
      expect(queue.wantsInterrupt(0), `used_event ${event}`).toBe(wanted);
    }
    driver.usedEvent = 0;
    expect(queue.wantsInterrupt(1)).toBe(false);
    expect(queue.wantsInterrupt(3)).toBe(false);
  });

  test("with EVENT_IDX the arithmetic holds over 65535 (SUSUP-5)", () => {
    const queue = queueOf();
    for (let i = 0; i < 0xfffe; i++) use(queue, 1);
    const since = queue.usedIdx;
    use(queue, 4);
    expect([since, queue.usedIdx]).toEqual([0xfffe, 2]);
    for (const [event, wanted] of [
      [0xfffd, false],
      [0xfffe, true],
      [0xffff, true],
      [0, true],
      [1, true],
      [2, false],
    ] as const) {
      driver.usedEvent = event;
      expect(queue.wantsInterrupt(since), `used_event ${event}`).toBe(wanted);
    }
  });

  test("with EVENT_IDX the flags say nothing (SUSUP-4)", () => {
    const queue = queueOf();
    use(queue, 1);
    driver.availFlags = 1;
    driver.usedEvent = 0;
    expect(queue.wantsInterrupt(0)).toBe(true);
  });

  test("without EVENT_IDX the flag decides, and used_event says nothing (SUSUP-1, SUSUP-2, SUSUP-3)", () => {
    const queue = queueOf({ eventIdx: false });
    use(queue, 1);
    driver.usedEvent = 7;
    driver.availFlags = 0;
    expect(queue.wantsInterrupt(0)).toBe(true);
    driver.availFlags = 1;
    expect(queue.wantsInterrupt(0)).toBe(false);
  });

  test("entries may be unread until the driver has armed itself at the last one", () => {
    const queue = queueOf();
    expect(queue.mayHaveUnread()).toBe(false);
    use(queue, 2);
    driver.usedEvent = 0;
    expect(queue.mayHaveUnread()).toBe(true);
    driver.usedEvent = 2;
    expect(queue.mayHaveUnread()).toBe(false);
  });

  test("without EVENT_IDX entries may be unread while the driver keeps interrupts off", () => {
    const queue = queueOf({ eventIdx: false });
    driver.availFlags = 1;
    expect(queue.mayHaveUnread()).toBe(false);
    use(queue, 1);
    expect(queue.mayHaveUnread()).toBe(true);
    driver.availFlags = 0;
    expect(queue.mayHaveUnread()).toBe(false);
  });

  test("a stopped queue is not read, and an interrupt too many is better than one lost (SUSPEND-3)", () => {
    const queue = queueOf();
    use(queue, 1);
    driver.usedEvent = 1;
    queue.stop();
    memory.loadAcquireU16 = () => {
      throw new Error("the ring was read");
    };
    expect(queue.wantsInterrupt(0)).toBe(true);
    expect(queue.mayHaveUnread()).toBe(true);
  });
});

describe("kick suppression", () => {
  test("with EVENT_IDX no kick is wanted before the card has armed itself, and then one at the next buffer (SASUP-4)", () => {
    const queue = queueOf();
    expect(driver.usedFlags).toBe(0);
    driver.offer(0);
    expect(driver.mustKick(0, true)).toBe(false);
    driver.publish();
    useChains(queue, 1);
    expect(queue.armKick()).toBe(0);
    expect(queue.armed).toBe(true);
    driver.offer(1);
    expect(driver.mustKick(1, true)).toBe(true);
    expect(driver.usedFlags).toBe(0);
  });

  test("without EVENT_IDX the flag says it, and is only ever 0 or 1 (SASUP-1, SASUP-2)", () => {
    const queue = queueOf({ eventIdx: false });
    expect(driver.usedFlags).toBe(1);
    expect(queue.armKick()).toBe(0);
    expect(driver.usedFlags).toBe(0);
    driver.offer(0);
    driver.publish();
    expect(queue.take(chain)).toBe(CHAIN);
    expect(queue.armed).toBe(false);
    expect(driver.usedFlags).toBe(1);
  });

  test("a buffer that was made available before the card armed itself is seen, though nobody kicks", () => {
    const queue = queueOf();
    expect(queue.take(chain)).toBe(EMPTY);
    driver.offer(0);
    expect(driver.mustKick(0, true)).toBe(false);
    driver.publish();
    expect(queue.armKick()).toBe(1);
    expect(queue.take(chain)).toBe(CHAIN);
  });

  test.each([
    ["take", (queue: SplitQueue): number => queue.take(chain)],
    [
      "a stretch",
      (queue: SplitQueue): number =>
        queue.openStretch(1, true) && queue.stretch.take(1, 1) > 0 ? queue.closeStretch() : -1,
    ],
  ])("who arms itself and finds buffers is not armed after %s, for nobody kicks for those that are left", (_, takeOne) => {
    const queue = queueOf();
    driver.offer(0);
    driver.offer(1);
    driver.publish();
    expect(queue.armKick()).toBe(2);
    expect(takeOne(queue)).toBe(1);
    expect([queue.armed, queue.cachedFree]).toEqual([false, 1]);
  });

  test("looking for free buffers does not call off the kick", () => {
    const queue = queueOf({ eventIdx: false });
    queue.armKick();
    driver.offer(0);
    driver.publish();
    expect(queue.refresh()).toBe(1);
    expect(queue.armed).toBe(true);
    expect(driver.usedFlags).toBe(0);
  });

  test("a receive queue wants no kick in 2^16 buffers and more", () => {
    const queue = queueOf({ wantsKicks: false });
    let kicks = 0;
    for (let i = 0; i < 70000; i++) {
      const since = driver.availIdx;
      driver.offer(i % SIZE);
      if (driver.mustKick(since, true)) kicks++;
      driver.publish();
      useChains(queue, 1);
    }
    expect(kicks).toBe(0);
  });
});

describe("snapshots", () => {
  test("say where the ring goes on, and another queue goes on there", () => {
    let queue = queueOf();
    for (let i = 0; i < 0xffff; i++) {
      driver.offer(i % SIZE);
      driver.publish();
      useChains(queue, 1);
    }
    driver.usedEvent = 0xffff;
    for (const head of [1, 2]) driver.offer(head);
    driver.publish();
    const saved: ReturnType<SplitQueue["snapshot"]> = JSON.parse(JSON.stringify(queue.snapshot()));
    expect(saved).toEqual({ usedIdx: 0xffff, position: 0xffff, everUsed: true, fault: 0, broken: false });
    queue = queueOf({ started: false });
    queue.restore(saved);
    queue.start();
    expect(queue.mayHaveUnread()).toBe(false);
    driver.usedEvent = 0xfffe;
    expect(queue.mayHaveUnread()).toBe(true);
    driver.usedEvent = 0xffff;
    expect(queue.refresh()).toBe(2);
    useChains(queue, 2);
    expect(driver.usedIdx).toBe(1);
    expect(queue.wantsInterrupt(0xffff)).toBe(true);
    expect(queue.mayHaveUnread()).toBe(true);
  });

  test("keep a broken ring broken", () => {
    const queue = queueOf();
    driver.publish(SIZE + 1);
    queue.take(chain);
    const other = queueOf({ started: false });
    other.restore(queue.snapshot());
    other.start();
    driver.publish(0);
    expect(other.take(chain)).toBe(BROKEN);
    expect(FAULTS[other.fault]!.name).toBe("avail-idx");
  });

  test("are refused while chains are in hand, and if their numbers are impossible", () => {
    const queue = queueOf();
    driver.offer(0);
    driver.publish();
    queue.take(chain);
    expect(() => queue.snapshot()).toThrow(RangeError);
    queue.pushUsed(0, 0);
    expect(() => queue.snapshot()).toThrow(RangeError);
    queue.publish();
    const saved = queue.snapshot();
    for (const wrong of [{ usedIdx: 65536 }, { usedIdx: -1 }, { usedIdx: 1.5 }, { position: 65536 }, { position: 2 }]) {
      expect(() => queue.restore({ ...saved, ...wrong })).toThrow(RangeError);
    }
  });
});
