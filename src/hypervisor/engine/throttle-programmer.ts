import {
  GUEST_ACTIVE,
  ITR_LATENCY,
  ITR_OVERFLOW,
  RX_FREE_MIN,
  SLICE_END_HIGH,
  SLICE_END_LOW,
  URGENT_CTRL,
  URGENT_FILTER_CONTROL,
  URGENT_FILTER_MARKED,
  URGENT_FILTER_OFF,
  URGENT_FILTER_SHORT,
} from "../../device/spec/throttle-registers.ts";
import { HostWindow } from "../../device/throttle/host-window.ts";
import type { Throttle } from "../../device/throttle/throttle.ts";
import type { ThrottleProgram } from "../governor/observation.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { CardRecorder } from "./card-recorder.ts";

const TWO_TO_32 = 2 ** 32;
const ALL_ONES = 0xffffffff;
/** MMIO has one interrupt line, hence one block of throttle registers. */
const VECTOR = 0;
/** Guests have one vCPU. */
const VCPU = 0;

const URGENT_FILTERS = {
  off: URGENT_FILTER_OFF,
  marked: URGENT_FILTER_MARKED,
  short: URGENT_FILTER_SHORT,
  control: URGENT_FILTER_CONTROL,
} as const;

/**
 * The host's hand on one card's throttle: writes states and programs into the host window, and has them recorded.
 * A state goes in before the program that belongs to it (docs/architecture.md); what does not change is not written.
 */
export class ThrottleProgrammer {
  readonly #throttle: Throttle;
  readonly #window: HostWindow;
  readonly #recorder: CardRecorder;
  #latencyNs = -1;
  #overflowNs = -1;
  #freeMin = -1;
  #sliceEndNs = Number.POSITIVE_INFINITY;

  constructor(throttle: Throttle, recorder: CardRecorder) {
    this.#throttle = throttle;
    this.#window = new HostWindow(throttle);
    this.#recorder = recorder;
  }

  /** Which frames bypass the intervals: once, before the run. */
  setUrgent(urgent: Scenario["urgent"], nowNs: number): void {
    const filter = urgent.creditsPerS > 0 ? URGENT_FILTERS[urgent.filter] : URGENT_FILTER_OFF;
    this.#window.write(URGENT_CTRL, ((urgent.creditsPerS << 8) | filter) >>> 0, nowNs);
  }

  /** Before the run: nothing is recorded. */
  setInitialState(state: number, seq: number, nowNs: number): void {
    this.#throttle.setGuestState(VCPU, state, seq, nowNs);
  }

  /** GUEST_STATE (`state`) and STATE_SEQ (`seq`), posted at `postedAtNs` and taken over now. */
  setState(state: number, seq: number, postedAtNs: number, nowNs: number): void {
    this.#recorder.stateTaken(seq, (state & GUEST_ACTIVE) !== 0, postedAtNs, nowNs);
    this.#throttle.setGuestState(VCPU, state, seq, nowNs);
  }

  setProgram(program: ThrottleProgram, nowNs: number): void {
    const { latencyNs, overflowNs, freeMin, sliceEndNs } = program;
    const changed =
      latencyNs !== this.#latencyNs ||
      overflowNs !== this.#overflowNs ||
      freeMin !== this.#freeMin ||
      sliceEndNs !== this.#sliceEndNs;
    if (!changed) return;
    // Recorded first: what a write fires at once is then seen to follow from it.
    this.#recorder.programmed(VECTOR, program, nowNs);
    const window = this.#window;
    if (latencyNs !== this.#latencyNs) window.write(ITR_LATENCY, latencyNs, nowNs);
    if (overflowNs !== this.#overflowNs) window.write(ITR_OVERFLOW, overflowNs, nowNs);
    if (sliceEndNs !== this.#sliceEndNs) this.#setSliceEnd(sliceEndNs, nowNs);
    if (freeMin !== this.#freeMin) window.write(RX_FREE_MIN, freeMin, nowNs);
    this.#latencyNs = latencyNs;
    this.#overflowNs = overflowNs;
    this.#freeMin = freeMin;
    this.#sliceEndNs = sliceEndNs;
  }

  #setSliceEnd(sliceEndNs: number, nowNs: number): void {
    const known = Number.isFinite(sliceEndNs);
    this.#window.write(SLICE_END_LOW, known ? sliceEndNs % TWO_TO_32 : ALL_ONES, nowNs);
    this.#window.write(SLICE_END_HIGH, known ? Math.floor(sliceEndNs / TWO_TO_32) : ALL_ONES, nowNs);
  }
}
