/** The writing end of an event ring (device/spec/event-ring.ts). */
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
} from "../device/spec/event-ring.ts";

export class EventRingWriter {
  lost = 0;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #capacity: number;
  #head: number;
  /** The reader's tail as last looked at: looked at again only when the ring seems full. */
  #tail: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer, 0, buffer.byteLength >>> 3);
    this.#capacity = this.#words[EVENT_CAPACITY]!;
    this.#head = Atomics.load(this.#words, EVENT_HEAD);
    this.#tail = Atomics.load(this.#words, EVENT_TAIL);
  }

  /** Writes an event; readers see it from the next `advance` on. */
  record(tNs: number, kind: number, guest: number, a: number, b: number, c: number, d: number, e: number): void {
    if (((this.#head - this.#tail) | 0) >= this.#capacity) {
      this.#tail = Atomics.load(this.#words, EVENT_TAIL);
      if (((this.#head - this.#tail) | 0) >= this.#capacity) {
        this.lost++;
        this.#words[EVENT_LOST] = this.lost;
        return;
      }
    }
    const word = EVENT_RECORDS + (this.#head & (this.#capacity - 1)) * EVENT_RECORD_WORDS;
    const float = word >>> 1;
    this.#floats[float + EVENT_TIME_F64] = tNs;
    this.#words[word + EVENT_KIND] = kind;
    this.#words[word + EVENT_GUEST] = guest;
    this.#words[word + EVENT_A] = a;
    this.#words[word + EVENT_B] = b;
    this.#words[word + EVENT_C] = c;
    this.#floats[float + EVENT_D_F64] = d;
    this.#floats[float + EVENT_E_F64] = e;
    this.#head = (this.#head + 1) | 0;
  }

  /** Publishes what was recorded, and promises that nothing earlier than `tNs` will follow. */
  advance(tNs: number): void {
    const words = this.#words;
    Atomics.store(words, EVENT_HEAD, this.#head);
    // The lock keeps a reader from a half-written float64, and the two adds keep the write between them and behind head.
    Atomics.add(words, EVENT_WATERMARK_LOCK, 1);
    this.#floats[EVENT_WATERMARK_F64] = tNs;
    Atomics.add(words, EVENT_WATERMARK_LOCK, 1);
  }
}
