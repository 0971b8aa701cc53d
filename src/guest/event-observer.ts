import {
  EVENT_KIND_DRAIN,
  EVENT_KIND_NOTIFY_OFF,
  EVENT_KIND_NOTIFY_ON,
  EVENT_KIND_REFILL,
} from "../device/spec/event-ring.ts";
import type { EventRingWriter } from "./event-ring-writer.ts";
import type { DriverObserver } from "./ports.ts";

/** Writes what a driver reports into an event ring, with the time of the step in which it happens. */
export class EventObserver implements DriverObserver {
  /** Set before each step. */
  nowNs = 0;
  readonly #writer: EventRingWriter;
  readonly #guest: number;

  constructor(writer: EventRingWriter, guestIndex: number) {
    this.#writer = writer;
    this.#guest = guestIndex;
  }

  drained(queue: number, firstId: number, lastId: number, count: number): void {
    this.#writer.record(this.nowNs, EVENT_KIND_DRAIN, this.#guest, firstId, queue, lastId, count, 0);
  }

  refilled(queue: number, count: number): void {
    this.#writer.record(this.nowNs, EVENT_KIND_REFILL, this.#guest, 0, queue, count, 0, 0);
  }

  notifications(queue: number, on: boolean): void {
    const kind = on ? EVENT_KIND_NOTIFY_ON : EVENT_KIND_NOTIFY_OFF;
    this.#writer.record(this.nowNs, kind, this.#guest, 0, queue, 0, 0, 0);
  }

  /** The step is over: all events up to its time are there. */
  stepDone(): void {
    this.#writer.advance(this.nowNs);
  }

  /** The thread goes to sleep: whatever comes will be later than anything that is known now. */
  asleep(): void {
    this.#writer.advance(Number.POSITIVE_INFINITY);
  }

  /** To be called before the clock is read for the first time after sleeping; until then nothing is promised anew. */
  awake(): void {
    this.#writer.advance(this.nowNs);
  }
}
