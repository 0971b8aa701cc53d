import type { EventLog } from "../../events/event.ts";
import type { ThrottleProgram } from "../../governor/observation.ts";
import type { SampleLog } from "../../report/percentiles.ts";
import { CardRecorder } from "../card-recorder.ts";
import type { ReadTracker } from "./read-tracker.ts";

/**
 * Records what a card in an emulator does. The card lives by the emulator's clock; all that is recorded is on the run's.
 * What happens before `start`, while the guest sets itself up, is no part of the run.
 */
export class LinuxRecorder extends CardRecorder {
  /** The guest's state, as the card has it: `seq << 2 | GUEST_STATE`. */
  stateWord = 0;
  readonly #clockOffsetNs: number;
  readonly #tracker: ReadTracker;
  #started = false;

  /** `clockOffsetNs` is the run's clock less the card's. */
  constructor(log: EventLog | null, guest: number, notifyNs: SampleLog, clockOffsetNs: number, tracker: ReadTracker) {
    super(log, guest, notifyNs);
    this.#clockOffsetNs = clockOffsetNs;
    this.#tracker = tracker;
    this.begin(false);
  }

  start(): void {
    this.#started = true;
  }

  stop(): void {
    this.#started = false;
  }

  /** A time of the card's clock, on the run's: whole ns, as all times of a run are. */
  toRunNs(nowNs: number): number {
    return Math.round(nowNs + this.#clockOffsetNs);
  }

  override arrived(frameId: number, queue: number, lengthBytes: number, nowNs: number): void {
    if (this.#started) super.arrived(frameId, queue, lengthBytes, this.toRunNs(nowNs));
  }

  override delivered(frameId: number, queue: number, buffers: number, free: number, nowNs: number): void {
    if (!this.#started) return;
    const runNs = this.toRunNs(nowNs);
    super.delivered(frameId, queue, buffers, free, runNs);
    this.#tracker.deliver(frameId, buffers, this.stateWord, runNs);
  }

  override dropped(frameId: number, queue: number, why: number, nowNs: number): void {
    if (this.#started) super.dropped(frameId, queue, why, this.toRunNs(nowNs));
  }

  override cause(vector: number, queue: number, kind: number, nowNs: number): void {
    if (this.#started) super.cause(vector, queue, kind, this.toRunNs(nowNs));
  }

  override notified(vector: number, why: number, nowNs: number): void {
    if (this.#started) super.notified(vector, why, this.toRunNs(nowNs));
  }

  override woken(why: number, nowNs: number): void {
    super.woken(why, this.toRunNs(nowNs));
  }

  override stateTaken(seq: number, active: boolean, postedAtNs: number, nowNs: number): void {
    super.stateTaken(seq, active, postedAtNs, this.toRunNs(nowNs));
  }

  override programmed(vector: number, program: ThrottleProgram, nowNs: number): void {
    const sliceEndNs = program.sliceEndNs + this.#clockOffsetNs;
    super.programmed(vector, { ...program, sliceEndNs }, this.toRunNs(nowNs));
  }
}
