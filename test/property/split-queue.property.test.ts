import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { SplitQueue } from "../../src/device/virtqueue/split-queue.ts";
import { type Descriptor, INDIRECT, SplitDriver, WRITE } from "../rings/split-driver.ts";

const CHAIN = 1;
const EMPTY = 0;
const DATA_BYTES = 0x1000;

/** One step of a legal driver and a legal card; numbers are taken modulo what is possible at that moment. */
type Step =
  | { do: "offer"; chains: { readable: number; writable: number; indirect: boolean }[] }
  | { do: "take"; count: number; rewind: number; publish: boolean }
  | { do: "stretch"; count: number; use: number; undo: boolean; writable: boolean }
  | { do: "reap" };

const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("offer" as const),
      chains: fc.array(fc.record({ readable: fc.nat(3), writable: fc.nat(3), indirect: fc.boolean() }), {
        minLength: 1,
        maxLength: 12,
      }),
    }),
    fc.record({ do: fc.constant("take" as const), count: fc.nat(12), rewind: fc.nat(4), publish: fc.boolean() }),
    fc.record({
      do: fc.constant("stretch" as const),
      count: fc.nat(12),
      use: fc.nat(12),
      undo: fc.boolean(),
      writable: fc.boolean(),
    }),
    fc.record({ do: fc.constant("reap" as const) }),
  ),
  { minLength: 1, maxLength: 60 },
) satisfies fc.Arbitrary<Step[]>;

interface Offered {
  readonly descriptors: readonly number[];
  readonly segments: readonly [number, number][];
  readonly readable: number;
  readonly indirect: boolean;
}

/** A driver that keeps every rule, a card that uses what it gets, and a record of what must be true of both. */
class Exchange {
  readonly driver: SplitDriver;
  readonly queue: SplitQueue;
  readonly chain: DescriptorChain;
  readonly #indirectAt: number;
  readonly #dataAt: number;
  // Free descriptors, and the descriptors and segments of each chain that is with the card, by head.
  readonly #free: number[];
  readonly #offered = new Map<number, Offered>();
  // Heads in the order in which they were offered, and what was put into the used ring.
  readonly #waiting: number[] = [];
  #waitingFrom = 0;
  readonly #used: { head: number; length: number }[] = [];
  returned = 0;
  #seed = 1;

  constructor(size: number, eventIdx: boolean) {
    const ringBytes = 16 * size + 6 + 2 * size + 6 + 8 * size + 64;
    this.#indirectAt = Math.ceil(ringBytes / 16) * 16;
    this.#dataAt = this.#indirectAt + 16 * 8 * size;
    const buffer = new ArrayBuffer(this.#dataAt + DATA_BYTES);
    const memory = new GuestMemory(buffer);
    this.driver = new SplitDriver(buffer, 0, size);
    this.queue = new SplitQueue(memory, true);
    this.chain = new DescriptorChain(size);
    this.#free = Array.from({ length: size }, (_, i) => i);
    if (this.queue.enable(this.driver.areas({ eventIdx })) !== 0) throw new Error("not enabled");
    this.queue.start();
  }

  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1103515245) + 12345) >>> 0;
    return (this.#seed >>> 8) % below;
  }

  /** Offers a chain of that many descriptors, as far as there are free ones; false if there are none. */
  offer(readable: number, writable: number, indirect: boolean): boolean {
    const { driver } = this;
    const count = Math.min(Math.max(1, readable + writable), driver.size);
    const needed = indirect ? 1 : count;
    if (this.#free.length < needed) return false;
    const own = this.#free.splice(-needed);
    const head = own[0]!;
    const data = Array.from({ length: count }, (_, i): Descriptor => {
      const length = 1 + this.#random(64);
      return { address: this.#dataAt + this.#random(DATA_BYTES - 64), length, flags: i < readable ? 0 : WRITE };
    });
    if (indirect) {
      const at = this.#indirectAt + 16 * 8 * head;
      this.#writeChain(
        data,
        (i) => at + 16 * i,
        (i) => i,
      );
      driver.setDescriptor(head, { address: at, length: 16 * count, flags: INDIRECT });
    } else {
      this.#writeChain(
        data,
        (i) => driver.table + 16 * own[i]!,
        (i) => own[i]!,
      );
    }
    driver.offer(head);
    const segments = data.map(({ address, length }): [number, number] => [Number(address), length]);
    const readableCount = data.filter(({ flags }) => flags === 0).length;
    this.#offered.set(head, { descriptors: own, segments, readable: readableCount, indirect });
    this.#waiting.push(head);
    return true;
  }

  #writeChain(data: readonly Descriptor[], at: (i: number) => number, index: (i: number) => number): void {
    data.forEach((descriptor, i) => {
      const last = i === data.length - 1;
      const flags = (descriptor.flags ?? 0) | (last ? 0 : 1);
      this.driver.writeDescriptor(at(i), { ...descriptor, flags, next: last ? 0 : index(i + 1) });
    });
  }

  /** Takes up to `count` chains, gives the last `rewind` of them back, uses the others. */
  take(count: number, rewind: number): void {
    const taken: number[] = [];
    while (taken.length < count) {
      const result = this.queue.take(this.chain);
      if (result === EMPTY) break;
      if (result !== CHAIN) throw new Error(`a legal chain was refused: fault ${this.queue.fault}`);
      const head = this.chain.head;
      const expected = this.#waiting[this.#waitingFrom + taken.length];
      if (head !== expected) throw new Error(`took ${head}, not ${expected}`);
      const { segments, readable } = this.#offered.get(head)!;
      const seen = segments.map((_, i) => [this.chain.offsets[i], this.chain.lengths[i]]);
      if (this.chain.count !== segments.length || this.chain.readableCount !== readable) throw new Error("wrong shape");
      if (seen.some(([at, length], i) => at !== segments[i]![0] || length !== segments[i]![1]))
        throw new Error("wrong place");
      taken.push(head);
    }
    const back = Math.min(rewind, taken.length);
    this.queue.rewind(back);
    for (const head of taken.slice(0, taken.length - back)) {
      const length = this.#random(2 ** 16);
      this.queue.pushUsed(head, length);
      this.#used.push({ head, length });
      this.#waitingFrom++;
    }
  }

  /** Uses up to `use` plain chains of a stretch of `count`, and takes back the last one if `undo`. */
  takeStretch(count: number, use: number, undo: boolean, writable: boolean): void {
    const { queue } = this;
    const { stretch } = queue;
    const isPlain = (head: number): boolean => {
      const { segments, readable, indirect } = this.#offered.get(head)!;
      return !indirect && segments.length === 1 && readable === (writable ? 0 : 1);
    };
    const waiting = this.#waiting.slice(this.#waitingFrom);
    const other = waiting.findIndex((head) => !isPlain(head));
    // The ring's end ends a stretch.
    const toEnd = this.driver.size - (this.#waitingFrom % this.driver.size);
    const expected = Math.min(count, use, toEnd, other < 0 ? waiting.length : other);
    queue.openStretch(count, writable);
    const lengths: number[] = [];
    while (lengths.length < use) {
      const length = writable ? 1 + this.#random(2 ** 16) : 0;
      const offset = stretch.take(1, length);
      if (offset < 0) break;
      const [at, bytes] = this.#offered.get(waiting[lengths.length]!)!.segments[0]!;
      if (at !== offset || bytes !== stretch.lengthBytes) throw new Error("wrong one");
      lengths.push(length);
    }
    if (lengths.length !== expected) throw new Error(`a stretch of ${lengths.length}, not ${expected}`);
    if (undo && lengths.length > 0) {
      stretch.undo();
      lengths.pop();
    }
    const inFlight = waiting.length - lengths.length;
    if (queue.refresh() !== inFlight) throw new Error(`${queue.refresh()} free in mid-stretch, not ${inFlight}`);
    if (queue.closeStretch() !== lengths.length) throw new Error("the stretch is closed with another number");
    for (const [i, length] of lengths.entries()) this.#used.push({ head: waiting[i]!, length });
    this.#waitingFrom += lengths.length;
  }

  /** Takes what came back: every head once, in order, with the length that was written. */
  reap(): void {
    for (const { head, length } of this.driver.takeUsed()) {
      const expected = this.#used[this.returned];
      if (expected?.head !== head || expected.length !== length) {
        throw new Error(`got back ${head} (${length}), expected ${expected?.head} (${expected?.length})`);
      }
      this.#free.push(...this.#offered.get(head)!.descriptors);
      this.#offered.delete(head);
      this.returned++;
    }
  }

  /** Sends `count` chains of one descriptor round, to move the indices. */
  roll(count: number): void {
    for (let done = 0; done < count; ) {
      const batch = Math.min(count - done, this.driver.size);
      for (let i = 0; i < batch; i++) this.offer(0, 1, false);
      this.driver.publish();
      this.take(batch, 0);
      this.queue.publish();
      this.reap();
      done += batch;
    }
  }

  run(step: Step): void {
    if (step.do === "offer") {
      for (const { readable, writable, indirect } of step.chains) this.offer(readable, writable, indirect);
      this.driver.publish();
    } else if (step.do === "take") {
      this.take(step.count, step.rewind);
      if (step.publish && this.queue.unpublished > 0) this.queue.publish();
    } else if (step.do === "stretch") {
      this.takeStretch(step.count, step.use, step.undo, step.writable);
    } else {
      this.reap();
    }
    // No chain is lost, and none is in two places.
    const inFlight = this.#waiting.length - this.#waitingFrom;
    if (this.queue.refresh() !== inFlight) throw new Error(`${this.queue.refresh()} free, not ${inFlight}`);
  }

  /** Uses and reaps the rest; then every descriptor is the driver's again. */
  drain(): void {
    this.take(this.driver.size, 0);
    this.queue.publish();
    this.reap();
    expect(this.#offered.size).toBe(0);
    expect(this.#free.length).toBe(this.driver.size);
    expect(this.queue.broken).toBe(false);
  }
}

describe("whatever a legal driver does, every head comes back exactly once, with its length", () => {
  test.each([
    [1, 40],
    [2, 60],
    [8, 100],
    [256, 100],
    [32768, 20],
  ])("queue size %i", (size, numRuns) => {
    fc.assert(
      fc.property(steps, fc.boolean(), (sequence, eventIdx) => {
        const exchange = new Exchange(size, eventIdx);
        for (const step of sequence) exchange.run(step);
        exchange.drain();
      }),
      { numRuns },
    );
  });

  test.each([1, 2, 8, 32768])("queue size %i, with the indices at their wrap-around", (size) => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 65500, max: 65540 }), fc.boolean(), (sequence, start, eventIdx) => {
        const exchange = new Exchange(size, eventIdx);
        exchange.roll(start);
        for (const step of sequence) exchange.run(step);
        exchange.drain();
        expect(exchange.driver.usedIdx).toBe(exchange.returned & 0xffff);
      }),
      { numRuns: 4 },
    );
  });
});

test("a driver that asks at used_event is interrupted exactly when a batch crosses it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 0xffff }),
      (start, batch, event) => {
        const exchange = new Exchange(8, true);
        const since = start;
        Object.assign(exchange.queue, { usedIdx: (start + batch) & 0xffff });
        exchange.driver.usedEvent = event;
        // The rule of §2.7.7.2, entry by entry.
        const crossed = Array.from({ length: batch }, (_, i) => (since + i) & 0xffff).includes(event);
        expect(exchange.queue.wantsInterrupt(since)).toBe(crossed);
      },
    ),
    {
      numRuns: 2000,
      examples: [
        [0xffff, 1, 0xffff],
        [0xfffe, 4, 0],
        [0, 1, 1],
      ],
    },
  );
});
