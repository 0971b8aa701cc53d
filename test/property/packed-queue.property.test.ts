import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { PackedQueue } from "../../src/device/virtqueue/packed-queue.ts";
import { EVENTS_AT, INDIRECT, PackedDriver, type PackedElement, WRITE } from "../rings/packed-driver.ts";

const CHAIN = 1;
const EMPTY = 0;
const DATA_BYTES = 0x1000;
const ELEMENTS_MAX = 6;

/** One step of a legal driver and a legal card; numbers are taken modulo what is possible at that moment. */
type Step =
  | { do: "offer"; chains: { readable: number; writable: number; indirect: boolean }[] }
  | { do: "look" }
  | { do: "take"; count: number; rewind: number; publish: boolean }
  | { do: "stretch"; count: number; use: number; undo: boolean; writable: boolean }
  | { do: "sleep" }
  | { do: "reap"; count: number };

const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("offer" as const),
      chains: fc.array(fc.record({ readable: fc.nat(3), writable: fc.nat(3), indirect: fc.boolean() }), {
        minLength: 1,
        maxLength: 8,
      }),
    }),
    fc.record({ do: fc.constant("look" as const) }),
    fc.record({ do: fc.constant("take" as const), count: fc.nat(8), rewind: fc.nat(4), publish: fc.boolean() }),
    fc.record({
      do: fc.constant("stretch" as const),
      count: fc.nat(8),
      use: fc.nat(8),
      undo: fc.boolean(),
      writable: fc.boolean(),
    }),
    fc.record({ do: fc.constant("sleep" as const) }),
    fc.record({ do: fc.constant("reap" as const), count: fc.nat(8) }),
  ),
  { minLength: 1, maxLength: 60 },
) satisfies fc.Arbitrary<Step[]>;

interface Buffer {
  readonly id: number;
  readonly slots: number;
  readonly segments: readonly (readonly [number, number])[];
  readonly readable: number;
  readonly indirect: boolean;
}

/**
 * A driver that keeps every rule, a card that uses what it gets, and a model of what must be true of both: the buffers
 * as a queue that grows at one end and passes from the driver to the card and back.
 */
class Exchange {
  readonly driver: PackedDriver;
  readonly queue: PackedQueue;
  readonly chain: DescriptorChain;
  #slotsUsed = 0;
  readonly #indirectAt: number;
  readonly #dataAt: number;
  readonly #withCard: Buffer[] = [];
  readonly #unpublished: { id: number; length: number; slots: number }[] = [];
  readonly #used: { id: number; length: number }[] = [];
  // Of each used slot of the last turns, oldest first: the running number of its buffer.
  readonly #usedSlots: number[] = [];
  #published = 0;
  // Values that the count of used buffers has had: batches begin there, and nowhere else.
  readonly #begins = [0];
  #nextId = 0xfff0;
  #seed = 1;
  returned = 0;

  constructor(size: number, eventIdx: boolean) {
    this.#indirectAt = 16 * size + 16;
    this.#dataAt = this.#indirectAt + 16 * ELEMENTS_MAX * size;
    const buffer = new ArrayBuffer(this.#dataAt + DATA_BYTES);
    this.driver = new PackedDriver(buffer, 0, size);
    this.queue = new PackedQueue(new GuestMemory(buffer));
    this.chain = new DescriptorChain(size);
    if (this.queue.enable(this.driver.areas({ eventIdx })) !== 0) throw new Error("not enabled");
    this.queue.start();
  }

  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1103515245) + 12345) >>> 0;
    return (this.#seed >>> 8) % below;
  }

  /** Offers a buffer of that many elements, as far as the ring is large enough; false if there is no room now. */
  offer(readable: number, writable: number, indirect: boolean): boolean {
    const { driver } = this;
    const count = Math.min(Math.max(1, readable + writable), driver.size);
    const slots = indirect ? 1 : count;
    if (driver.free < slots) return false;
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    const elements = Array.from({ length: count }, (_, i): PackedElement => {
      const flags = i < readable ? 0 : WRITE;
      return { address: this.#dataAt + this.#random(DATA_BYTES - 64), length: 1 + this.#random(64), flags };
    });
    const { nextAvail, availWrap } = driver;
    if (indirect) {
      const at = this.#indirectAt + 16 * ELEMENTS_MAX * nextAvail;
      for (const [i, element] of elements.entries()) driver.writeDescriptor(at + 16 * i, element);
      driver.offer(id, [{ address: at, length: 16 * count, flags: INDIRECT }]);
    } else {
      driver.offer(id, elements);
    }
    const segments = elements.map(({ address, length }): [number, number] => [Number(address), length]);
    const readableCount = elements.filter(({ flags }) => flags === 0).length;
    this.#withCard.push({ id, slots, segments, readable: readableCount, indirect });
    // A card that sleeps is woken by the first buffer, and by no other.
    if (this.queue.armed && this.#withCard.length === 1 && !driver.mustKick(nextAvail, availWrap)) {
      throw new Error("the card sleeps, and wants no kick");
    }
    if (!this.queue.armed && driver.mustKick(nextAvail, availWrap)) throw new Error("a kick is wanted by nobody");
    return true;
  }

  /** Takes up to `count` chains, gives the last `rewind` of them back, uses the others. */
  take(count: number, rewind: number): void {
    let taken = 0;
    for (; taken < count; taken++) {
      const result = this.queue.take(this.chain);
      const expected = this.#withCard[taken];
      if (result === EMPTY && expected === undefined) break;
      if (result !== CHAIN || expected === undefined) throw new Error(`took ${result}: fault ${this.queue.fault}`);
      const { head, span, offsets, lengths, readableCount } = this.chain;
      if (head !== expected.id || span !== expected.slots) throw new Error(`took ${head}, not ${expected.id}`);
      if (this.chain.count !== expected.segments.length || readableCount !== expected.readable) {
        throw new Error("wrong shape");
      }
      if (expected.segments.some(([at, length], i) => at !== offsets[i] || length !== lengths[i])) {
        throw new Error("wrong place");
      }
    }
    const back = Math.min(rewind, taken);
    this.queue.rewind(back);
    for (const { id, slots } of this.#withCard.splice(0, taken - back)) {
      const length = this.#random(2 ** 16);
      this.queue.pushUsed(id, length);
      this.#use(id, length, slots);
    }
  }

  #use(id: number, length: number, slots: number): void {
    this.#slotsUsed += slots;
    this.#unpublished.push({ id, length, slots });
  }

  /** Uses up to `use` plain chains of a stretch of `count`, and takes back the last one if `undo`. */
  takeStretch(count: number, use: number, undo: boolean, writable: boolean): void {
    const { queue, driver } = this;
    const { stretch } = queue;
    const other = this.#withCard.findIndex(
      ({ segments, slots, readable, indirect }) =>
        indirect || slots !== 1 || segments.length !== 1 || readable !== (writable ? 0 : 1),
    );
    // A turn of the ring ends a stretch.
    const toEnd = driver.size - (this.#slotsUsed % driver.size);
    const expected = Math.min(count, use, toEnd, other < 0 ? this.#withCard.length : other);
    queue.openStretch(count, writable);
    const lengths: number[] = [];
    while (lengths.length < use) {
      const length = writable ? 1 + this.#random(2 ** 16) : 0;
      const offset = stretch.take(1, length);
      if (offset < 0) break;
      const [at, bytes] = this.#withCard[lengths.length]!.segments[0]!;
      if (at !== offset || bytes !== stretch.lengthBytes) throw new Error("wrong one");
      lengths.push(length);
    }
    if (lengths.length !== expected) throw new Error(`a stretch of ${lengths.length}, not ${expected}`);
    if (undo && lengths.length > 0) {
      stretch.undo();
      lengths.pop();
    }
    if (queue.closeStretch() !== lengths.length) throw new Error("the stretch is closed with another number");
    for (const [i, { id, slots }] of this.#withCard.splice(0, lengths.length).entries()) {
      this.#use(id, lengths[i]!, slots);
    }
  }

  publish(): void {
    this.queue.publish();
    for (const { id, length, slots } of this.#unpublished.splice(0)) {
      this.#used.push({ id, length });
      for (let i = 0; i < slots; i++) this.#usedSlots.push(this.#published);
      this.#published++;
    }
    if (this.#begins.at(-1) !== this.#published) this.#begins.push(this.#published);
    const turns = 2 * this.driver.size;
    if (this.#usedSlots.length > turns) this.#usedSlots.splice(0, this.#usedSlots.length - turns);
    if (this.queue.usedIdx !== (this.#published & 0xffff)) throw new Error("the count of used buffers is wrong");
  }

  /** Takes what came back: every buffer once, in order, with the length that was written. */
  reap(count: number): void {
    for (let i = 0; i < count; i++) {
      const buffer = this.driver.takeOne();
      const expected = this.#used.shift();
      if (buffer === null && expected === undefined) return;
      if (buffer?.id !== expected?.id || buffer?.length !== expected?.length) {
        throw new Error(`got back ${buffer?.id} (${buffer?.length}), expected ${expected?.id} (${expected?.length})`);
      }
      if (buffer?.written !== buffer!.length > 0) throw new Error("WRITE does not say whether anything was written");
      this.returned++;
    }
  }

  /** Whether the interrupt is right for every position a driver may ask at and every batch since. */
  checkInterrupts(): void {
    const { driver, queue } = this;
    const { size, nextUsed, usedWrap } = driver;
    const firstUnread = this.#published - this.#used.length;
    const unreadSlots = this.#usedSlots.filter((buffer) => buffer >= firstUnread);
    const since = this.#begins[this.#begins.length - 1 - this.#random(Math.min(this.#begins.length, 2 * size))]!;
    for (let ahead = 0; ahead < size; ahead++) {
      const at = nextUsed + ahead;
      driver.setEvents(EVENTS_AT, at % size, at < size ? usedWrap : 1 - usedWrap);
      const buffer = unreadSlots[ahead];
      const expected = buffer !== undefined && buffer >= since;
      if (queue.wantsInterrupt(since & 0xffff) !== expected) throw new Error(`${ahead} ahead: not ${expected}`);
      if (this.#published > 0 && queue.mayHaveUnread() !== (unreadSlots.length !== ahead)) throw new Error("unread?");
    }
  }

  run(step: Step): void {
    if (step.do === "offer") {
      for (const { readable, writable, indirect } of step.chains) this.offer(readable, writable, indirect);
    } else if (step.do === "take") {
      this.take(step.count, step.rewind);
      if (step.publish) this.publish();
    } else if (step.do === "stretch") {
      this.takeStretch(step.count, step.use, step.undo, step.writable);
    } else if (step.do === "reap") {
      this.reap(step.count);
    } else if (step.do === "sleep") {
      if (this.queue.armKick() !== this.#withCard.length) throw new Error("buffers are not seen when the card arms");
    } else if (this.queue.refresh() !== this.#withCard.length) {
      throw new Error(`${this.queue.refresh()} available, not ${this.#withCard.length}`);
    }
  }

  /** Uses and reaps the rest; then every slot is the driver's again. */
  drain(): void {
    this.take(this.driver.size, 0);
    this.publish();
    this.reap(this.driver.size);
    expect(this.#withCard).toEqual([]);
    expect(this.driver.free).toBe(this.driver.size);
    expect(this.queue.broken).toBe(false);
  }
}

describe("whatever a legal driver does, every buffer comes back exactly once, in order, with its length", () => {
  test.each([
    [1, 400],
    [2, 400],
    [3, 600],
    [8, 1000],
    [13, 1000],
    [256, 300],
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

  test("when 65536 buffers have gone by", () => {
    const exchange = new Exchange(5, true);
    for (let i = 0; i < 65530; i++) {
      exchange.offer(0, 1 + (i % 2), false);
      exchange.take(1, 0);
      exchange.publish();
      exchange.reap(1);
    }
    fc.assert(
      fc.property(steps, (sequence) => {
        for (const step of sequence) exchange.run(step);
        exchange.drain();
        exchange.checkInterrupts();
      }),
      { numRuns: 20 },
    );
    expect(exchange.returned).toBeGreaterThan(65536);
  });
});

test("a driver that asks at a slot is interrupted exactly when a batch holds it, for every slot of the turn ahead", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 9 }), (sequence, size) => {
      const exchange = new Exchange(size, true);
      for (const step of sequence) {
        exchange.run(step);
        exchange.checkInterrupts();
      }
    }),
    { numRuns: 1500 },
  );
});
