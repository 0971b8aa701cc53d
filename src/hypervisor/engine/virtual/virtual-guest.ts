import type { NetCard } from "../../../device/index.ts";
import { GUEST_ACTIVE, GUEST_PREEMPTED } from "../../../device/spec/throttle-registers.ts";
import { INTERRUPT_CONFIG_CHANGE } from "../../../device/spec/virtio.ts";
import type { CardRecorder } from "../card-recorder.ts";
import type { GuestGovernor } from "../guest-governor.ts";
import { ThrottleProgrammer } from "../throttle-programmer.ts";
import type { Wire } from "../wire.ts";
import type { VirtualVcpu } from "./virtual-vcpu.ts";

/** What a guest in virtual time is made of. */
export interface VirtualGuestParts {
  readonly card: NetCard;
  readonly wire: Wire;
  readonly vcpu: VirtualVcpu;
  readonly recorder: CardRecorder;
  readonly governor: GuestGovernor;
  /** It gives the CPU up when it has nothing to do. */
  readonly idles: boolean;
}

const VECTOR = 0;
/** The state word has room for so much beside the state. */
const STATE_SEQ_MASK = 0x1fffffff;

/** One guest with its card: carries changes of state to both, and counts its time on a CPU. */
export class VirtualGuest {
  readonly card: NetCard;
  readonly wire: Wire;
  readonly vcpu: VirtualVcpu;
  readonly idles: boolean;
  readonly throttle: ThrottleProgrammer;
  /** It is in a wake slice. */
  leavesWhenDrained = false;
  activations = 0;
  /** Wakes whose activation came without boost. */
  unboosted = 0;
  onWake: () => void = () => {};

  readonly #recorder: CardRecorder;
  readonly #governor: GuestGovernor;

  #placedSliceEndNs = Number.NaN;
  #activeSinceNs = 0;
  #activeNs = 0;
  #seq = 0;

  constructor(parts: VirtualGuestParts) {
    this.card = parts.card;
    this.wire = parts.wire;
    this.vcpu = parts.vcpu;
    this.idles = parts.idles;
    this.#recorder = parts.recorder;
    this.#governor = parts.governor;
    this.throttle = new ThrottleProgrammer(parts.card.throttle, parts.recorder);
  }

  /** It is on a CPU when the run begins. */
  place(sliceEndNs: number): void {
    this.#placedSliceEndNs = sliceEndNs;
  }

  /** The run begins, at 0. */
  begin(nextActivationNs: number): void {
    const placed = !Number.isNaN(this.#placedSliceEndNs);
    const state = placed ? GUEST_ACTIVE : GUEST_PREEMPTED;
    this.#recorder.begin(placed);
    this.#nextState(state);
    this.throttle.setInitialState(state, this.#seq, 0);
    this.#program(state, nextActivationNs, this.#placedSliceEndNs, 0);
    if (placed) this.vcpu.activate(0);
  }

  activate(boosted: boolean, sliceEndNs: number, nowNs: number): void {
    this.activations++;
    if (!boosted && this.card.throttle.vcpus[0]!.wakeOutstanding) this.unboosted++;
    this.#activeSinceNs = nowNs;
    this.#nextState(GUEST_ACTIVE);
    // On the CPU before the card knows: what the card sends at once finds a vCPU that can take it.
    this.vcpu.activate(nowNs);
    this.throttle.setState(GUEST_ACTIVE, this.#seq, nowNs, nowNs);
    this.#program(GUEST_ACTIVE, Number.POSITIVE_INFINITY, sliceEndNs, nowNs);
  }

  /** Its slice ends at another time than was planned. */
  replan(sliceEndNs: number, nowNs: number): void {
    this.#program(GUEST_ACTIVE, Number.POSITIVE_INFINITY, sliceEndNs, nowNs);
  }

  deactivate(state: number, nextActivationNs: number, nowNs: number): void {
    this.#activeNs += nowNs - this.#activeSinceNs;
    if (this.vcpu.deactivate(nowNs) !== 0) {
      this.card.throttle.returned(VECTOR, (this.card.interruptStatus.value & INTERRUPT_CONFIG_CHANGE) !== 0);
    }
    this.#nextState(state);
    this.throttle.setState(state, this.#seq, nowNs, nowNs);
    this.#program(state, nextActivationNs, Number.POSITIVE_INFINITY, nowNs);
  }

  /** Time on a CPU until `nowNs`. */
  activeNs(nowNs: number): number {
    return this.#activeNs + (this.vcpu.active ? nowNs - this.#activeSinceNs : 0);
  }

  #nextState(state: number): void {
    this.#seq = (this.#seq + 1) & STATE_SEQ_MASK;
    const word = (this.#seq << 2) | state;
    this.vcpu.stateWord = word;
    this.wire.port.stateWord = word;
  }

  #program(state: number, nextActivationNs: number, sliceEndNs: number, nowNs: number): void {
    const { card } = this;
    const program = this.#governor.decide(
      state,
      nowNs,
      card.framesArrived,
      card.freeReceiveBuffers,
      nextActivationNs,
      sliceEndNs,
    );
    this.throttle.setProgram(program, nowNs);
  }
}
