import { NOTIFY_CONFIG } from "../../device/interrupts.ts";
import { CAUSE_KIND_RX, type CardObserver } from "../../device/observer.ts";
import {
  EV_ARRIVE,
  EV_CAUSE,
  EV_DELIVER,
  EV_DROP,
  EV_NOTIFY,
  EV_STATE,
  EV_THROTTLE,
  EV_WAKE,
  type EventLog,
} from "../events/event.ts";
import type { ThrottleProgram } from "../governor/observation.ts";
import type { SampleLog } from "../report/percentiles.ts";

/** Writes what one guest's card does to the event log, and measures how long causes wait for their notification. */
export class CardRecorder implements CardObserver {
  readonly #log: EventLog | null;
  readonly #guest: number;
  readonly #notifyNs: SampleLog;
  /** When the receive cause that is pending was latched, if that was in the present active span; NaN otherwise. */
  #causeSinceNs = Number.NaN;
  #active = true;

  /** `notifyNs` receives, for each notification of received frames, its delay since the batch's first frame. */
  constructor(log: EventLog | null, guest: number, notifyNs: SampleLog) {
    this.#log = log;
    this.#guest = guest;
    this.#notifyNs = notifyNs;
  }

  /** The state that the guest is in when the run begins. */
  begin(active: boolean): void {
    this.#active = active;
  }

  arrived(frameId: number, queue: number, lengthBytes: number, nowNs: number): void {
    this.#log?.record(nowNs, EV_ARRIVE, this.#guest, frameId, queue, lengthBytes, 0, 0);
  }

  delivered(frameId: number, queue: number, buffers: number, free: number, nowNs: number): void {
    this.#log?.record(nowNs, EV_DELIVER, this.#guest, frameId, queue, buffers, free, 0);
  }

  dropped(frameId: number, queue: number, why: number, nowNs: number): void {
    this.#log?.record(nowNs, EV_DROP, this.#guest, frameId, queue, why, 0, 0);
  }

  cause(vector: number, queue: number, kind: number, nowNs: number): void {
    if (kind === CAUSE_KIND_RX) this.#causeSinceNs = this.#active ? nowNs : Number.NaN;
    this.#log?.record(nowNs, EV_CAUSE, this.#guest, vector, queue, kind, 0, 0);
  }

  notified(vector: number, why: number, nowNs: number): void {
    if (why !== NOTIFY_CONFIG) {
      if (this.#causeSinceNs <= nowNs) this.#notifyNs.push(nowNs - this.#causeSinceNs);
      this.#causeSinceNs = Number.NaN;
    }
    this.#log?.record(nowNs, EV_NOTIFY, this.#guest, vector, 0, why, 0, 0);
  }

  woken(why: number, nowNs: number): void {
    this.#log?.record(nowNs, EV_WAKE, this.#guest, 0, 0, why, 0, 0);
  }

  /** The card has taken over a state that was posted at `postedAtNs`. To be called before the throttle acts on it. */
  stateTaken(seq: number, active: boolean, postedAtNs: number, nowNs: number): void {
    this.#active = active;
    if (!active) this.#causeSinceNs = Number.NaN;
    this.#log?.record(nowNs, EV_STATE, this.#guest, seq, 0, 0, postedAtNs, 0);
  }

  programmed(vector: number, program: ThrottleProgram, nowNs: number): void {
    const sliceEndNs = Number.isFinite(program.sliceEndNs) ? program.sliceEndNs : -1;
    this.#log?.record(
      nowNs,
      EV_THROTTLE,
      this.#guest,
      vector,
      program.latencyNs,
      program.overflowNs,
      program.freeMin,
      sliceEndNs,
    );
  }
}
