import { describe, expect, test } from "vitest";
import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { PackedQueue } from "../../src/device/virtqueue/packed-queue.ts";
import { AVAIL, INDIRECT, NEXT, PackedDriver, USED, WRITE } from "../rings/packed-driver.ts";

const EMPTY = 0;
const CHAIN = 1;
const FAULTY = 2;
const BROKEN = 3;

const RAM_BYTES = 0x2000;
const RING = 0x100;
/** Bytes around the guest's memory, in the same buffer, which nobody may touch. */
const MARGIN = 0x100;

/** A queue over hostile memory, which counts what the card reads and checks what it writes. */
class Target {
  readonly memory: GuestMemory;
  readonly queue: PackedQueue;
  readonly driver: PackedDriver;
  readonly chain: DescriptorChain;
  /** Accesses of the card to guest memory. */
  accesses = 0;
  /** Called after each read by the card: another vCPU is at work. */
  onRead: (() => void) | null = null;
  /** Reads of each word by its byte offset, since it was cleared. */
  readonly reads = new Map<number, number>();
  readonly size: number;
  readonly #all: Uint8Array;

  constructor(size: number) {
    this.size = size;
    const buffer = new ArrayBuffer(RAM_BYTES + 2 * MARGIN);
    this.#all = new Uint8Array(buffer);
    this.#all.fill(0x77, 0, MARGIN).fill(0x77, MARGIN + RAM_BYTES);
    this.memory = new GuestMemory(buffer, [{ guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: MARGIN }]);
    this.driver = new PackedDriver(buffer, MARGIN + RING, size);
    this.chain = new DescriptorChain(size);
    this.queue = new PackedQueue(this.memory);
    const { descAddress, driverAddress, deviceAddress, ...rest } = this.driver.areas();
    const shifted = {
      descAddress: descAddress - MARGIN,
      driverAddress: driverAddress - MARGIN,
      deviceAddress: deviceAddress - MARGIN,
    };
    expect(this.queue.enable({ ...rest, ...shifted })).toBe(0);
    this.queue.start();
    this.#spy();
  }

  #spy(): void {
    const { memory, driver, size } = this;
    const { u16 } = memory;
    const mayWrite = (at: number, bytes: number): boolean =>
      at === driver.deviceArea ||
      at === driver.deviceArea + 2 ||
      (at >= driver.ring && at + bytes <= driver.ring + 16 * size && (at - driver.ring) % 16 >= 8);
    const read = (at: number): void => {
      this.accesses++;
      if (at < MARGIN || at >= MARGIN + RAM_BYTES) throw new Error(`the card read at ${at}`);
      this.reads.set(at, (this.reads.get(at) ?? 0) + 1);
      this.onRead?.();
    };
    const write = (at: number, bytes: number): void => {
      this.accesses++;
      if (!mayWrite(at, bytes)) throw new Error(`the card wrote to ${at}`);
    };
    const spied = <View extends Uint16Array | Uint32Array | Int32Array>(view: View): View =>
      new Proxy(view, {
        get: (target, key) => {
          const result: unknown = Reflect.get(target, key, target);
          if (typeof key === "string" && /^\d+$/.test(key)) read(Number(key) * target.BYTES_PER_ELEMENT);
          return result;
        },
        set: (target, key, word: number) => {
          write(Number(key) * target.BYTES_PER_ELEMENT, target.BYTES_PER_ELEMENT);
          target[Number(key)] = word;
          return true;
        },
      });
    memory.u16 = spied(u16);
    memory.u32 = spied(memory.u32);
    memory.i32 = spied(memory.i32);
    memory.loadAcquireU16 = (offset) => {
      const value = Atomics.load(u16, offset >>> 1);
      read(offset);
      return value;
    };
    memory.storeReleaseU16 = (offset, value) => {
      write(offset, 2);
      Atomics.store(u16, offset >>> 1, value);
    };
  }

  /** Serves the queue as the transmit path does, at most `budget` chains; returns what `take` gave at the end. */
  serve(budget: number): number {
    for (let chains = 0, turns = 0; chains < budget; turns++) {
      if (turns > 3 * budget + 3) throw new Error("the card does not come to an end");
      const taken = this.queue.take(this.chain);
      if (taken === BROKEN) return BROKEN;
      if (taken === EMPTY) {
        if (this.queue.armKick() === 0 && !this.queue.broken) return EMPTY;
        continue;
      }
      chains++;
      if (taken === CHAIN) this.#checkChain();
      this.queue.pushUsed(this.chain.head, chains);
    }
    return CHAIN;
  }

  #checkChain(): void {
    const { count, readableCount, descriptors, span, offsets, lengths } = this.chain;
    if (count > this.size || descriptors > this.size || span > this.size || readableCount > count) {
      throw new Error("the chain is longer than the queue");
    }
    for (let i = 0; i < count; i++) {
      if (offsets[i]! < MARGIN || offsets[i]! + lengths[i]! > MARGIN + RAM_BYTES) throw new Error("out of bounds");
    }
  }

  checkMargins(): void {
    const around = [...this.#all.subarray(0, MARGIN), ...this.#all.subarray(MARGIN + RAM_BYTES)];
    expect(around.every((byte) => byte === 0x77)).toBe(true);
  }
}

function* pseudoRandom(seed: number): Generator<number, number> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

/** Flags that look like something at either turn, mostly. */
function flagsFrom(random: number): number {
  const owner = [AVAIL, USED, AVAIL, USED, AVAIL | USED, 0][random % 6]!;
  const kind = [0, 0, WRITE, WRITE, NEXT, NEXT | WRITE, INDIRECT, INDIRECT | NEXT][(random >>> 4) % 8]!;
  return owner | kind | (random % 11 === 0 ? random & 0x7f78 : 0);
}

describe("whatever lies in a packed ring, and however it changes", () => {
  test.each([1, 2, 3, 8, 64])("size %i: the card does not throw, comes to an end, and stays inside", (size) => {
    const outcomes = new Set<number>();
    for (let seed = 1; seed <= 150; seed++) {
      const random = pseudoRandom(seed);
      const next = (below: number): number => random.next().value % below;
      const target = new Target(size);
      const { driver, queue } = target;
      const scribble = (): void => {
        const slot = next(size);
        const address = next(8) === 0 ? 2n ** 63n + BigInt(next(99)) : next(RAM_BYTES + 64);
        const length = next(9) === 0 ? 0xfffffff0 : 16 * next(5) + (next(4) === 0 ? next(16) : 0);
        driver.writeDescriptor(
          driver.ring + 16 * slot,
          { address, length, flags: flagsFrom(next(1 << 20)) },
          next(1 << 16),
        );
      };
      // Some guests change what was read, some only what will be.
      if (seed % 3 === 0) target.onRead = () => next(5) === 0 && scribble();
      for (let round = 0; round < 40; round++) {
        for (let i = next(2 * size + 1); i > 0; i--) scribble();
        driver.setEvents(next(4), next(0x8000), next(2));
        target.accesses = 0;
        const since = queue.usedIdx;
        const outcome = target.serve(1 + next(size + 2));
        outcomes.add(outcome);
        queue.publish();
        queue.wantsInterrupt(since);
        queue.mayHaveUnread();
        expect(queue.refresh()).toBeLessThanOrEqual(size);
        // A few words for each slot of the ring and each entry of a table per chain.
        expect(target.accesses).toBeLessThan(40 * (size + 4) * (size + 4));
        if (outcome === BROKEN) break;
      }
      target.checkMargins();
    }
    expect(outcomes).toEqual(new Set([EMPTY, CHAIN, BROKEN]));
  });

  test("rewinds and stretches of what the guest has changed since are as harmless", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = pseudoRandom(seed);
      const next = (below: number): number => random.next().value % below;
      const target = new Target(5);
      const { driver, queue, chain } = target;
      const { stretch } = queue;
      for (let round = 0; round < 60 && !queue.broken; round++) {
        for (let slot = 0; slot < 5; slot++) {
          if (next(3) !== 0) continue;
          const element = { address: next(RAM_BYTES + 64), length: next(256), flags: flagsFrom(next(1 << 20)) };
          driver.writeDescriptor(driver.ring + 16 * slot, element, slot);
        }
        let taken = 0;
        // Now and then some are taken in a stretch, of which the last one may be given back.
        if (next(3) === 0) {
          const writable = next(2) === 0;
          queue.openStretch(1 + next(6), writable);
          for (let left = next(6); left > 0; left--) {
            const neededBytes = 1 + next(100);
            const offset = stretch.take(neededBytes, writable ? neededBytes : 0);
            if (offset < 0) break;
            if (offset < MARGIN || offset + stretch.lengthBytes > MARGIN + RAM_BYTES) throw new Error("out of bounds");
            if (stretch.lengthBytes < neededBytes) throw new Error("too short");
            if (next(4) === 0) {
              stretch.undo();
              break;
            }
          }
          queue.closeStretch();
        }
        for (let i = next(5); i > 0; i--) {
          const result = queue.take(chain);
          if (result === CHAIN || result === FAULTY) taken++;
        }
        if (!queue.broken && next(2) === 0) queue.refresh();
        const back = next(taken + 1);
        queue.rewind(back);
        for (let i = 0; i < taken - back; i++) queue.pushUsed(next(1 << 16), next(100));
        if (next(3) !== 0) queue.publish();
        expect(queue.cachedFree).toBeLessThanOrEqual(5);
      }
      target.checkMargins();
    }
  });
});

describe("double fetches", () => {
  test("what makes a chain is read once, and what another vCPU makes of it afterwards does not matter", () => {
    for (const flags of [0, 0xffff, WRITE | NEXT | AVAIL, INDIRECT | AVAIL]) {
      const target = new Target(8);
      const { driver, queue, chain } = target;
      driver.offer(77, [
        { address: 0x1000, length: 20 },
        { address: 0x1100, length: 30, flags: WRITE },
        { address: 0x1200, length: 40, flags: WRITE },
      ]);
      let wordsRead = 0;
      target.onRead = () => {
        // Rewrites every word that the card has read.
        wordsRead++;
        for (const at of target.reads.keys()) {
          if ((at - driver.ring) % 16 < 8) driver.view.setUint32(at, 0xffffff00, true);
          else if ((at - driver.ring) % 16 === 8) driver.view.setUint32(at, 0xffffffff, true);
          else driver.view.setUint16(at, flags, true);
        }
      };
      expect(queue.take(chain)).toBe(CHAIN);
      expect([chain.head, chain.span, chain.readableBytes, chain.writableBytes]).toEqual([77, 3, 20, 70]);
      expect(Math.max(...target.reads.values())).toBe(1);
      // Three words and the flags of each, and the id of the last.
      expect(wordsRead).toBe(13);
    }
  });

  test("a plain chain of a stretch is read once, and what another vCPU makes of it afterwards does not matter", () => {
    for (const value of [0, 0xffffffff, 0x80000, 1]) {
      const target = new Target(8);
      const { driver, queue } = target;
      for (const id of [77, 78]) driver.offer(id, [{ address: 0x1000 + id, length: 100, flags: WRITE }]);
      target.onRead = () => {
        for (const at of target.reads.keys()) {
          if ((at - driver.ring) % 16 < 14) driver.view.setUint32(at & ~3, value, true);
        }
      };
      queue.openStretch(8, true);
      expect([77, 78].map(() => queue.stretch.take(60, 60))).toEqual([MARGIN + 0x104d, MARGIN + 0x104e]);
      expect([...target.reads.values()]).toEqual(new Array(target.reads.size).fill(1));
      // Flags and three words of each, and the word of the second one's id, which is kept.
      expect(target.reads.size).toBe(9);
      expect(queue.closeStretch()).toBe(2);
    }
  });

  test("the entries of a table are read once, too", () => {
    const target = new Target(8);
    const { driver, queue, chain } = target;
    driver.offer(5, [{ address: 0x1000, length: 32, flags: INDIRECT }]);
    driver.writeDescriptor(MARGIN + 0x1000, { address: 0x1800, length: 8 });
    driver.writeDescriptor(MARGIN + 0x1010, { address: 0x1900, length: 9, flags: WRITE });
    target.onRead = () => {
      for (const at of target.reads.keys()) {
        if (at >= MARGIN + 0x1000) driver.view.setUint32(at, 0xffffffff, true);
      }
    };
    expect(queue.take(chain)).toBe(CHAIN);
    expect([chain.head, chain.readableBytes, chain.writableBytes]).toEqual([5, 8, 9]);
    expect(Math.max(...target.reads.values())).toBe(1);
  });

  test("a chain that grows or shrinks after it was counted is taken as it is then, and the count follows", () => {
    const target = new Target(8);
    const { driver, queue, chain } = target;
    driver.offer(1, [
      { address: 0x1000, length: 1 },
      { address: 0x1000, length: 1 },
      { address: 0x1000, length: 1 },
    ]);
    for (const id of [2, 3]) driver.offer(id, [{ address: 0x1000, length: 1 }]);
    expect(queue.refresh()).toBe(3);
    driver.setFlags(0, AVAIL);
    expect([queue.take(chain), chain.span]).toEqual([CHAIN, 1]);
    expect(queue.cachedFree).toBeLessThanOrEqual(7);
    driver.setFlags(2, AVAIL | NEXT);
    driver.setFlags(3, AVAIL | NEXT);
    expect([queue.take(chain), chain.span]).toEqual([CHAIN, 4]);
    expect([queue.take(chain), queue.refresh()]).toEqual([EMPTY, 0]);
    expect(queue.broken).toBe(false);
  });
});

describe("a guest that plays with the flags while the card serves", () => {
  test("available when it is counted, not when it is taken: the ring is broken, and the card comes to an end", () => {
    const target = new Target(4);
    const { driver, queue } = target;
    let seen = 0;
    target.onRead = () => driver.setFlags(0, ++seen === 1 ? AVAIL : 0);
    expect(target.serve(8)).toBe(BROKEN);
    expect(queue.broken).toBe(true);
    expect(target.accesses).toBeLessThan(20);
  });

  test("a ring that is always available again gives a turn, and then no more before it is published", () => {
    const target = new Target(4);
    const { driver, queue } = target;
    const fill = (): void => {
      for (let slot = 0; slot < 4; slot++) driver.setFlags(slot, AVAIL | WRITE);
    };
    fill();
    target.onRead = fill;
    expect(target.serve(100)).toBe(EMPTY);
    expect(queue.usedIdx).toBe(0);
    queue.publish();
    expect(queue.usedIdx).toBe(4);
  });
});
