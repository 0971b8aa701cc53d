import { beforeEach, describe, expect, test } from "vitest";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { PackedQueue } from "../../../../src/device/virtqueue/packed-queue.ts";
import { SplitQueue } from "../../../../src/device/virtqueue/split-queue.ts";
import type { Virtqueue } from "../../../../src/device/virtqueue/virtqueue.ts";
import { PackedDriver } from "../../../rings/packed-driver.ts";
import { SplitDriver } from "../../../rings/split-driver.ts";

const SIZE = 4;
const RINGS = 0x100;
const DATA = 0x2000;
const WRITE = 2;
const FRAME = Uint8Array.of(9, 8, 7, 6, 5);

let memory: GuestMemory;
let queue: Virtqueue;
let usedLengths: () => number[];

/** One buffer of a driver, and the stretch that begins with it. */
const RINGS_OF: Record<string, (address: number, lengthBytes: number) => void> = {
  split: (address, length) => {
    const driver = new SplitDriver(memory.u8.buffer, RINGS, SIZE);
    const split = new SplitQueue(memory, true);
    split.enable(driver.areas());
    queue = split;
    driver.offerChain(1, [{ address, length, flags: WRITE }]);
    driver.publish();
    usedLengths = () => driver.takeUsed().map((used) => used.length);
  },
  packed: (address, length) => {
    const driver = new PackedDriver(memory.u8.buffer, RINGS, SIZE);
    queue = new PackedQueue(memory);
    queue.enable(driver.areas());
    driver.offer(1, [{ address, length, flags: WRITE }]);
    usedLengths = () => driver.takeUsed().map((used) => used.length);
  },
};

beforeEach(() => {
  memory = new GuestMemory(new ArrayBuffer(0x4000));
});

describe.each(Object.entries(RINGS_OF))("put, on a %s ring,", (_ring, offerOne) => {
  function open(address: number, lengthBytes: number): void {
    offerOne(address, lengthBytes);
    queue.start();
    queue.openStretch(8, true);
  }

  const wordsAt = (offset: number): number[] => [0, 4, 8].map((at) => memory.loadU32(offset + at));

  test("writes three words to the beginning, the bytes behind the header, and the length of both to the ring", () => {
    open(DATA, 0x100);
    expect(queue.stretch.put(1, 2, 0x10000, 14, FRAME, 1, 3)).toBe(true);
    expect(wordsAt(DATA)).toEqual([1, 2, 0x10000]);
    expect([...memory.u8.subarray(DATA + 14, DATA + 18)]).toEqual([8, 7, 6, 0]);
    expect([queue.stretch.used, queue.closeStretch()]).toEqual([1, 1]);
    queue.publish();
    expect(usedLengths()).toEqual([17]);
  });

  test.each([1, 2, 3])("does so at any byte: at 4n + %i", (shift) => {
    open(DATA + shift, 16);
    expect(queue.stretch.put(1, 2, 3, 12, FRAME, 0, 4)).toBe(true);
    expect(wordsAt(DATA + shift)).toEqual([1, 2, 3]);
    expect([...memory.u8.subarray(DATA + shift + 12, DATA + shift + 16)]).toEqual([9, 8, 7, 6]);
  });

  test("takes nothing that is too short, and nothing from a stretch that is at its end", () => {
    open(DATA, 16);
    const before = memory.u8.slice();
    expect([queue.stretch.put(1, 2, 3, 12, FRAME, 0, 5), queue.stretch.used]).toEqual([false, 0]);
    expect(memory.u8).toEqual(before);
    expect([queue.stretch.put(1, 2, 3, 12, FRAME, 0, 4), queue.stretch.used]).toEqual([true, 1]);
    expect([queue.stretch.put(1, 2, 3, 12, FRAME, 0, 4), queue.closeStretch()]).toEqual([false, 1]);
  });

  test.each([
    0, 1,
  ])("gives the chain back if the copy throws, and counts what was to be copied: at 4n + %i", (shift) => {
    open(DATA + shift, 16);
    const { copyIn } = memory;
    memory.copyIn = () => {
      throw new Error("fire");
    };
    expect(() => queue.stretch.put(1, 2, 3, 12, FRAME, 0, 4)).toThrow("fire");
    expect([queue.stretch.used, queue.stretch.failedBytes]).toEqual([0, 4]);
    memory.copyIn = copyIn;
    expect([queue.stretch.put(1, 2, 3, 12, FRAME, 0, 4), queue.closeStretch()]).toEqual([true, 1]);
    queue.publish();
    expect(usedLengths()).toEqual([16]);
  });
});
