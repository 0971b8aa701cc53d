import type { DriverObserver } from "../../guest/ports.ts";
import { EV_DRAIN, EV_NOTIFY_OFF, EV_NOTIFY_ON, EV_REFILL, type EventLog } from "../events/event.ts";

/** Writes what one guest's driver does to the event log. */
export class DriverRecorder implements DriverObserver {
  readonly #log: EventLog;
  readonly #guest: number;
  readonly #now: () => number;

  /** `now` gives the time of the vCPU's present step. */
  constructor(log: EventLog, guest: number, now: () => number) {
    this.#log = log;
    this.#guest = guest;
    this.#now = now;
  }

  drained(queue: number, firstId: number, lastId: number, count: number): void {
    this.#log.record(this.#now(), EV_DRAIN, this.#guest, firstId, queue, lastId, count, 0);
  }

  refilled(queue: number, count: number): void {
    this.#log.record(this.#now(), EV_REFILL, this.#guest, 0, queue, count, 0, 0);
  }

  notifications(queue: number, on: boolean): void {
    this.#log.record(this.#now(), on ? EV_NOTIFY_ON : EV_NOTIFY_OFF, this.#guest, 0, queue, 0, 0, 0);
  }
}
