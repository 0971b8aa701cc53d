import { EV_STATE, EV_THROTTLE, type EventLog } from "../../events/event.ts";
import { EventRingReader } from "./event-ring-log.ts";

/** Records written at a time, before the doorbell is looked at again: a few hundred µs of formatting. */
const RECORDS_PER_TURN = 256;

/** One event of the host's own, waiting for its turn among those of the other threads. */
interface HostEvent {
  readonly tNs: number;
  readonly kind: number;
  readonly guest: number;
  readonly a: number;
  readonly c: number;
  readonly d: number;
}

/**
 * Brings the events of all threads into one order of time, on the run's own scale.
 *
 * Each thread's events are in order already, and each promises by a watermark that nothing earlier will follow. So
 * whatever lies below all watermarks can be written, earliest first. A sleeping thread's watermark is Infinity; it is
 * looked at again after all others, for the sleeper may have woken in between: what it then says is later than they are.
 */
export class EventMerger {
  readonly #target: EventLog;
  readonly #readers: readonly EventRingReader[];
  readonly #watermarks: Float64Array;
  readonly #own: HostEvent[] = [];
  #ownTaken = 0;
  #startNs = Number.POSITIVE_INFINITY;

  constructor(target: EventLog, rings: readonly SharedArrayBuffer[]) {
    this.#target = target;
    this.#readers = rings.map((ring) => new EventRingReader(ring));
    this.#watermarks = new Float64Array(rings.length);
  }

  /** The run begins: what was before is no part of it, but for the throttles' first programs. */
  begin(startNs: number): void {
    this.#startNs = startNs;
  }

  /** An event of the host, which must not be earlier than its last one. */
  record(tNs: number, kind: number, guest: number, a: number, c: number, d: number): void {
    this.#own.push({ tNs, kind, guest, a, c, d });
  }

  /** Writes some of what is known for certain at `nowNs`; true if there may be more. */
  write(nowNs: number): boolean {
    return this.#writeUpTo(this.#limitNs(nowNs), RECORDS_PER_TURN);
  }

  /** Writes all there is: every thread has ended. */
  finish(): void {
    while (this.#writeUpTo(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY));
  }

  #limitNs(nowNs: number): number {
    let limitNs = nowNs;
    for (let i = 0; i < this.#readers.length; i++) {
      this.#watermarks[i] = this.#readers[i]!.watermarkNs();
      limitNs = Math.min(limitNs, this.#watermarks[i]!);
    }
    for (let i = 0; i < this.#readers.length; i++) {
      if (this.#watermarks[i] === Number.POSITIVE_INFINITY)
        limitNs = Math.min(limitNs, this.#readers[i]!.watermarkNs());
    }
    return limitNs;
  }

  #writeUpTo(limitNs: number, recordsMax: number): boolean {
    for (let written = 0; written < recordsMax; written++) {
      let earliest: EventRingReader | null = null;
      for (const reader of this.#readers) {
        if (reader.peek() && (earliest === null || reader.tNs < earliest.tNs)) earliest = reader;
      }
      const own = this.#own[this.#ownTaken];
      const ownNs = own?.tNs ?? Number.POSITIVE_INFINITY;
      const nextNs = earliest === null ? ownNs : Math.min(earliest.tNs, ownNs);
      if (!(nextNs < limitNs)) return false;
      // At equal times the host's comes first: what the card does follows from it.
      if (own !== undefined && ownNs <= nextNs) this.#writeOwn(own);
      else this.#writeFrom(earliest!);
    }
    return true;
  }

  #writeOwn(event: HostEvent): void {
    this.#target.record(event.tNs - this.#startNs, event.kind, event.guest, event.a, 0, event.c, event.d, 0);
    this.#ownTaken++;
    if (this.#ownTaken < 1024) return;
    this.#own.splice(0, this.#ownTaken);
    this.#ownTaken = 0;
  }

  #writeFrom(reader: EventRingReader): void {
    const { kind, guest, a, b, c } = reader;
    let { tNs, d, e } = reader;
    reader.take();
    const early = tNs < this.#startNs;
    if (early && kind !== EV_THROTTLE) return;
    tNs = early ? 0 : tNs - this.#startNs;
    // Operands that are times are on the threads' common clock too.
    if (kind === EV_STATE) d -= this.#startNs;
    if (kind === EV_THROTTLE && e >= 0) e -= this.#startNs;
    this.#target.record(tNs, kind, guest, a, b, c, d, e);
  }
}
