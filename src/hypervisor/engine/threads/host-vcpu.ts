import {
  ASK,
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  ASK_STOP,
  EXIT_EPOCH,
  FRAMES_READ,
  PROGRAM_FREE_MIN,
  PROGRAM_LATENCY,
  PROGRAM_OVERFLOW,
  PROGRAM_SLICE_END_HIGH,
  PROGRAM_SLICE_END_LOW,
  SEEN_ARRIVED,
  SEEN_DELIVERED,
  SEEN_FREE,
  SEEN_WAKE_LATENCY,
  SENDS_DONE,
  STATE,
  STATE_ECHO,
  STATE_POSTED_HIGH,
  STATE_POSTED_LOW,
  VCPU_DOORBELL,
  VCPU_IDLE,
  VCPU_OFF,
  VCPU_RUNNING,
  VCPU_STATUS,
  VCPU_THREAD_ID,
  WAKE_SEQ,
} from "../../../device/spec/control-block.ts";
import type { ThrottleProgram } from "../../governor/observation.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";

const TWO_TO_32 = 2 ** 32;

/** The host's end of one vCPU's control block. Who may write which word, and why, is in docs/memory-model.md. */
export class HostVcpu {
  readonly #words: Int32Array;
  #seq = 0;
  #wakeHandled = 0;

  /** `words` is the vCPU's control block. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  get status(): number {
    return Atomics.load(this.#words, VCPU_STATUS);
  }

  get arrived(): number {
    return Atomics.load(this.#words, SEEN_ARRIVED) >>> 0;
  }

  get free(): number {
    return Atomics.load(this.#words, SEEN_FREE);
  }

  /** True while the card has delivered frames that the driver has not read. */
  get hasUnread(): boolean {
    return Atomics.load(this.#words, SEEN_DELIVERED) !== Atomics.load(this.#words, FRAMES_READ);
  }

  get threadId(): number {
    return Atomics.load(this.#words, VCPU_THREAD_ID);
  }

  /** True once its application has nothing more to send of its own accord. */
  get sendsDone(): boolean {
    return Atomics.load(this.#words, SENDS_DONE) === 1;
  }

  /** True once the device has taken over the newest state. */
  get stateTaken(): boolean {
    return Atomics.load(this.#words, STATE_ECHO) === Atomics.load(this.#words, STATE);
  }

  /** Posts a state (GUEST_*) and the program that goes with it. The caller rings the device. */
  postState(state: number, program: ThrottleProgram, nowNs: number): void {
    const words = this.#words;
    words[PROGRAM_LATENCY] = program.latencyNs;
    words[PROGRAM_OVERFLOW] = program.overflowNs;
    words[PROGRAM_FREE_MIN] = program.freeMin;
    const sliceEndKnown = Number.isFinite(program.sliceEndNs);
    words[PROGRAM_SLICE_END_LOW] = sliceEndKnown ? program.sliceEndNs % TWO_TO_32 : -1;
    words[PROGRAM_SLICE_END_HIGH] = sliceEndKnown ? Math.floor(program.sliceEndNs / TWO_TO_32) : -1;
    words[STATE_POSTED_LOW] = nowNs % TWO_TO_32;
    words[STATE_POSTED_HIGH] = Math.floor(nowNs / TWO_TO_32);
    this.#seq = (this.#seq + 1) & 0x1fffffff;
    // Everything above becomes visible with this one store.
    Atomics.store(words, STATE, (this.#seq << 2) | state);
  }

  /** Lets the vCPU run; `whenDrained`: it is to leave as soon as its receive ring is drained. */
  unpark(whenDrained: boolean): void {
    // The ask first: a vCPU that sees itself RUNNING must not find the ask of its last span.
    Atomics.store(this.#words, ASK, whenDrained ? ASK_PARK_WHEN_DRAINED : ASK_RUN);
    Atomics.store(this.#words, VCPU_STATUS, VCPU_RUNNING);
    ringDoorbell(this.#words, VCPU_DOORBELL);
  }

  /** Its wake slice became a natural one, or the other way round. */
  replan(whenDrained: boolean): void {
    this.#ask(whenDrained ? ASK_PARK_WHEN_DRAINED : ASK_RUN);
  }

  askToPark(): void {
    this.#ask(ASK_PARK);
  }

  askToStop(): void {
    this.#ask(ASK_STOP);
  }

  /** Claims a vCPU that says it is idle; false if it has taken itself back in the meantime. */
  claimIdle(): boolean {
    return Atomics.compareExchange(this.#words, VCPU_STATUS, VCPU_IDLE, VCPU_OFF) === VCPU_IDLE;
  }

  /** True once for each wake that the device has raised. */
  takeWake(): boolean {
    const seq = Atomics.load(this.#words, WAKE_SEQ);
    if (seq === this.#wakeHandled) return false;
    this.#wakeHandled = seq;
    return true;
  }

  /** The newest wake latency that the device has measured, ns; 0 if there is none since the last call. */
  takeWakeLatencyNs(): number {
    return Atomics.exchange(this.#words, SEEN_WAKE_LATENCY, 0);
  }

  /** Rings its doorbell: something was posted that its thread is to take over. */
  ring(): void {
    ringDoorbell(this.#words, VCPU_DOORBELL);
  }

  /** The worker was killed: answers to it are worthless from now on. */
  raiseEpoch(): void {
    Atomics.add(this.#words, EXIT_EPOCH, 1);
  }

  #ask(what: number): void {
    Atomics.store(this.#words, ASK, what);
    ringDoorbell(this.#words, VCPU_DOORBELL);
  }
}
