import type { NetCard } from "../../../device/index.ts";
import {
  HOST_DOORBELL,
  PROGRAM_FREE_MIN,
  PROGRAM_LATENCY,
  PROGRAM_OVERFLOW,
  PROGRAM_SLICE_END_HIGH,
  PROGRAM_SLICE_END_LOW,
  SEEN_ARRIVED,
  SEEN_DELIVERED,
  SEEN_FREE,
  SEEN_WAKE_LATENCY,
  STATE,
  STATE_ECHO,
  STATE_POSTED_HIGH,
  STATE_POSTED_LOW,
  WAKE_REASON,
  WAKE_SEQ,
} from "../../../device/spec/control-block.ts";
import { GUEST_ACTIVE, GUEST_PREEMPTED } from "../../../device/spec/throttle-registers.ts";
import type { ThrottleProgram } from "../../governor/observation.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import type { SampleLog } from "../../report/percentiles.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import type { CardRecorder } from "../card-recorder.ts";
import { ThrottleProgrammer } from "../throttle-programmer.ts";

const TWO_TO_32 = 2 ** 32;
const RECEIVE_QUEUE = 0;

export interface CardBlockParts {
  /** The vCPU's control block, and the system block. */
  readonly words: Int32Array;
  readonly system: Int32Array;
  readonly card: NetCard;
  readonly recorder: CardRecorder;
  readonly scenario: Scenario;
  /** Times from the host's post to the takeover. */
  readonly stateChangeNs: SampleLog;
  /** The run's clock less the card's. */
  readonly clockOffsetNs: number;
  /**
   * The guest is off its CPU: takes back the interrupt that its driver was sent and has not taken, if there is one. Its
   * cause is to be returned to the throttle.
   */
  readonly takeBack: () => void;
}

/**
 * The card's end of one vCPU's control block: takes over what the host posts, and says what the host is to know. Used by
 * whichever thread the card lives in. Times are on the card's clock.
 */
export class CardBlock {
  readonly #parts: CardBlockParts;
  readonly #throttle: ThrottleProgrammer;
  readonly #program: ThrottleProgram = {
    latencyNs: 0,
    overflowNs: 0,
    freeMin: 0,
    sliceEndNs: Number.POSITIVE_INFINITY,
  };
  #takenState = 0;
  #wokenAtNs = Number.NaN;
  #arrivedReported = 0;

  constructor(parts: CardBlockParts) {
    this.#parts = parts;
    this.#throttle = new ThrottleProgrammer(parts.card.throttle, parts.recorder);
    this.#throttle.setUrgent(parts.scenario.urgent, 0);
  }

  /** The state word that was taken over last, `seq << 2 | GUEST_STATE`. */
  get takenState(): number {
    return this.#takenState;
  }

  /** Takes over the newest state with its program; false if there is none that is new. */
  takeState(nowNs: number): boolean {
    const { words, card } = this.#parts;
    const word = Atomics.load(words, STATE);
    if (word === this.#takenState) return false;
    const state = word & 3;
    const seq = word >>> 2;
    const wasActive = (this.#takenState & GUEST_ACTIVE) !== 0;
    const active = (state & GUEST_ACTIVE) !== 0;
    // Two changes since the last look leave the same state, but the span in between was real: a wake ended with it.
    const postedAtNs = words[STATE_POSTED_HIGH]! * TWO_TO_32 + (words[STATE_POSTED_LOW]! >>> 0);
    if (wasActive === active) this.#applyState(active ? GUEST_PREEMPTED : GUEST_ACTIVE, seq - 1, postedAtNs, nowNs);
    this.#applyState(state, seq, postedAtNs, nowNs);
    this.#takeProgram(nowNs);
    this.#takenState = word;
    words[SEEN_FREE] = card.freeReceiveBuffers;
    // Last: a vCPU that reads its own state here knows that PENDING is up to date.
    Atomics.store(words, STATE_ECHO, word);
    return true;
  }

  /** Shows the governor what has come; `arrived` counts the frames that the card took off the wire. */
  showArrivals(arrived: number): void {
    if (arrived === this.#arrivedReported) return;
    const { words, card } = this.#parts;
    this.#arrivedReported = arrived;
    words[SEEN_ARRIVED] = arrived;
    words[SEEN_FREE] = card.freeReceiveBuffers;
    words[SEEN_DELIVERED] = card.statistics.queues[RECEIVE_QUEUE]!.frames;
  }

  /** The card asks for the guest: `why` is one of WAKE_*. */
  raiseWake(why: number, nowNs: number): void {
    const { words, system } = this.#parts;
    this.#wokenAtNs = nowNs;
    words[WAKE_REASON] = why;
    Atomics.add(words, WAKE_SEQ, 1);
    ringDoorbell(system, HOST_DOORBELL);
  }

  #applyState(state: number, seq: number, postedAtNs: number, nowNs: number): void {
    const { words, takeBack, stateChangeNs, clockOffsetNs } = this.#parts;
    const active = (state & GUEST_ACTIVE) !== 0;
    if (!active) takeBack();
    if (active && this.#wokenAtNs <= nowNs) {
      Atomics.store(words, SEEN_WAKE_LATENCY, Math.min(Math.round(nowNs - this.#wokenAtNs), 0x7fffffff));
      this.#wokenAtNs = Number.NaN;
    }
    // The first state is what the run begins with, and no change.
    if (this.#takenState !== 0) stateChangeNs.push(Math.round(nowNs + clockOffsetNs) - postedAtNs);
    this.#throttle.setState(state, seq, postedAtNs, nowNs);
  }

  #takeProgram(nowNs: number): void {
    const { words, clockOffsetNs } = this.#parts;
    const program = this.#program;
    program.latencyNs = words[PROGRAM_LATENCY]! >>> 0;
    program.overflowNs = words[PROGRAM_OVERFLOW]! >>> 0;
    program.freeMin = words[PROGRAM_FREE_MIN]! >>> 0;
    const sliceEndHigh = words[PROGRAM_SLICE_END_HIGH]!;
    const sliceEndNs = sliceEndHigh * TWO_TO_32 + (words[PROGRAM_SLICE_END_LOW]! >>> 0) - clockOffsetNs;
    program.sliceEndNs = sliceEndHigh === -1 ? Number.POSITIVE_INFINITY : sliceEndNs;
    this.#throttle.setProgram(program, nowNs);
  }
}
