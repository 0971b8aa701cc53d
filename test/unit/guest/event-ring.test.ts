import { describe, expect, it } from "vitest";
import * as layout from "../../../src/device/spec/event-ring.ts";
import { EventObserver } from "../../../src/guest/event-observer.ts";
import { EventRingWriter } from "../../../src/guest/event-ring-writer.ts";
import * as vocabulary from "../../../src/hypervisor/events/event.ts";

// The layout's indices are typed again, from its description.
class Reader {
  readonly words: Int32Array;
  readonly floats: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.floats = new Float64Array(buffer);
  }

  get watermark(): number {
    return this.floats[2]!;
  }

  take(): number[][] {
    const records: number[][] = [];
    for (let tail = this.words[16]!; tail !== this.words[0]!; tail++, this.words[16] = tail) {
      const word = 32 + 12 * (tail % this.words[2]!);
      records.push([
        this.floats[word / 2]!,
        ...this.words.slice(word + 2, word + 7),
        ...this.floats.slice(word / 2 + 4, word / 2 + 6),
      ]);
    }
    return records;
  }
}

function makeRing(capacity: number): { writer: EventRingWriter; reader: Reader } {
  const buffer = new SharedArrayBuffer(layout.eventRingBytes(capacity));
  new Int32Array(buffer)[2] = capacity;
  return { writer: new EventRingWriter(buffer), reader: new Reader(buffer) };
}

describe("the event ring", () => {
  it("carries every operand, those beyond 32 bits too, and shows events with the watermark", () => {
    const { writer, reader } = makeRing(8);
    writer.record(2 ** 40 + 0.5, 4, 2, -1, 1, 0x7fffffff, 2 ** 52, -1);
    expect(reader.take()).toEqual([]);
    writer.advance(2 ** 40 + 1);
    expect(reader.take()).toEqual([[2 ** 40 + 0.5, 4, 2, -1, 1, 0x7fffffff, 2 ** 52, -1]]);
    expect(reader.watermark).toBe(2 ** 40 + 1);
    expect(reader.words[3]! % 2).toBe(0);
  });

  it("goes round, and counts what finds no room", () => {
    const { writer, reader } = makeRing(4);
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 6; i++) writer.record(round, 1, 0, i, 0, 0, 0, 0);
      writer.advance(round);
      expect(reader.take().map((record) => record[3])).toEqual([0, 1, 2, 3]);
    }
    expect(writer.lost).toBe(20);
    expect(reader.words[1]).toBe(20);
  });

  it("takes over a ring where another writer left it", () => {
    const { writer, reader } = makeRing(4);
    writer.record(1, 1, 0, 1, 0, 0, 0, 0);
    writer.advance(1);
    const buffer = reader.words.buffer as SharedArrayBuffer;
    const next = new EventRingWriter(buffer);
    next.record(2, 1, 0, 2, 0, 0, 0, 0);
    next.advance(2);
    expect(reader.take().map((record) => record[3])).toEqual([1, 2]);
  });

  it("numbers the guest's kinds as the hypervisor's vocabulary does", () => {
    expect([
      layout.EVENT_KIND_DRAIN,
      layout.EVENT_KIND_REFILL,
      layout.EVENT_KIND_NOTIFY_OFF,
      layout.EVENT_KIND_NOTIFY_ON,
    ]).toEqual([vocabulary.EV_DRAIN, vocabulary.EV_REFILL, vocabulary.EV_NOTIFY_OFF, vocabulary.EV_NOTIFY_ON]);
  });

  it("gets what a driver does from the observer, with the step's time", () => {
    const { writer, reader } = makeRing(16);
    const observer = new EventObserver(writer, 3);
    observer.nowNs = 500;
    observer.notifications(0, false);
    observer.drained(0, 10, 13, 4);
    observer.refilled(0, 4);
    observer.notifications(0, true);
    observer.stepDone();
    expect(reader.take()).toEqual([
      [500, 7, 3, 0, 0, 0, 0, 0],
      [500, 4, 3, 10, 0, 13, 4, 0],
      [500, 5, 3, 0, 0, 4, 0, 0],
      [500, 8, 3, 0, 0, 0, 0, 0],
    ]);
    observer.asleep();
    expect(reader.watermark).toBe(Number.POSITIVE_INFINITY);
    observer.awake();
    expect(reader.watermark).toBe(500);
  });
});
