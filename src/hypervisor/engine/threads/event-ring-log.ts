import {
  EVENT_A,
  EVENT_B,
  EVENT_C,
  EVENT_CAPACITY,
  EVENT_D_F64,
  EVENT_E_F64,
  EVENT_GUEST,
  EVENT_HEAD,
  EVENT_KIND,
  EVENT_LOST,
  EVENT_RECORD_WORDS,
  EVENT_RECORDS,
  EVENT_TAIL,
  EVENT_TIME_F64,
  EVENT_WATERMARK_F64,
  EVENT_WATERMARK_LOCK,
  eventRingBytes,
} from "../../../device/spec/event-ring.ts";
import type { EventLog } from "../../events/event.ts";

/** A new, empty ring of `capacity` records, a power of two. */
export function createEventRing(capacity: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(eventRingBytes(capacity));
  new Int32Array(buffer)[EVENT_CAPACITY] = capacity;
  return buffer;
}

/** The writing end of an event ring (device/spec/event-ring.ts), for the device thread. */
export class EventRingLog implements EventLog {
  lost = 0;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #capacity: number;
  #head = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
    this.#capacity = this.#words[EVENT_CAPACITY]!;
  }

  record(tNs: number, kind: number, guest: number, a: number, b: number, c: number, d: number, e: number): void {
    const words = this.#words;
    if (((this.#head - Atomics.load(words, EVENT_TAIL)) | 0) >= this.#capacity) {
      this.lost++;
      words[EVENT_LOST] = this.lost;
      return;
    }
    const word = EVENT_RECORDS + (this.#head & (this.#capacity - 1)) * EVENT_RECORD_WORDS;
    const float = word >>> 1;
    this.#floats[float + EVENT_TIME_F64] = tNs;
    words[word + EVENT_KIND] = kind;
    words[word + EVENT_GUEST] = guest;
    words[word + EVENT_A] = a;
    words[word + EVENT_B] = b;
    words[word + EVENT_C] = c;
    this.#floats[float + EVENT_D_F64] = d;
    this.#floats[float + EVENT_E_F64] = e;
    this.#head = (this.#head + 1) | 0;
  }

  /** Publishes what was recorded, and promises that nothing earlier than `tNs` will follow. */
  advance(tNs: number): void {
    Atomics.store(this.#words, EVENT_HEAD, this.#head);
    Atomics.add(this.#words, EVENT_WATERMARK_LOCK, 1);
    this.#floats[EVENT_WATERMARK_F64] = tNs;
    Atomics.add(this.#words, EVENT_WATERMARK_LOCK, 1);
  }
}

/** The reading end. Fields hold the record that was last looked at. */
export class EventRingReader {
  tNs = 0;
  kind = 0;
  guest = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  e = 0;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #capacity: number;
  #tail = 0;
  #head = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
    this.#capacity = this.#words[EVENT_CAPACITY]!;
  }

  /** Looks at the next record without taking it; false if there is none. */
  peek(): boolean {
    if (this.#tail === this.#head) {
      this.#head = Atomics.load(this.#words, EVENT_HEAD);
      if (this.#tail === this.#head) return false;
    }
    const words = this.#words;
    const word = EVENT_RECORDS + (this.#tail & (this.#capacity - 1)) * EVENT_RECORD_WORDS;
    const float = word >>> 1;
    this.tNs = this.#floats[float + EVENT_TIME_F64]!;
    this.kind = words[word + EVENT_KIND]!;
    this.guest = words[word + EVENT_GUEST]!;
    this.a = words[word + EVENT_A]!;
    this.b = words[word + EVENT_B]!;
    this.c = words[word + EVENT_C]!;
    this.d = this.#floats[float + EVENT_D_F64]!;
    this.e = this.#floats[float + EVENT_E_F64]!;
    return true;
  }

  take(): void {
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#words, EVENT_TAIL, this.#tail);
  }

  /**
   * No event earlier than this will come that `peek` does not show now; -Infinity if that cannot be told at the moment.
   * To be read before `peek`. It does not insist: a writer that was interrupted in mid-change may be waiting for our CPU.
   */
  watermarkNs(): number {
    const before = Atomics.load(this.#words, EVENT_WATERMARK_LOCK);
    const watermarkNs = this.#floats[EVENT_WATERMARK_F64]!;
    const after = Atomics.load(this.#words, EVENT_WATERMARK_LOCK);
    return before === after && (before & 1) === 0 ? watermarkNs : Number.NEGATIVE_INFINITY;
  }
}
