import { VCPU_IDLE, VCPU_PREEMPTED } from "../../../device/spec/control-block.ts";
import { GUEST_ACTIVE, GUEST_IDLE, GUEST_PREEMPTED } from "../../../device/spec/throttle-registers.ts";
import {
  ACTIVATE_REASONS,
  type ActivateReason,
  DEACTIVATE_REASONS,
  type DeactivateReason,
  EV_ACTIVATE,
  EV_DEACTIVATE,
} from "../../events/event.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import type { SchedulerActions } from "../../scheduler/actions.ts";
import { Scheduler } from "../../scheduler/scheduler.ts";
import type { GuestGovernor } from "../guest-governor.ts";
import type { HostCounts } from "../guest-result.ts";
import type { EventMerger } from "./event-merger.ts";
import type { HostVcpu } from "./host-vcpu.ts";
import type { RunClock } from "./run-clock.ts";

/** A vCPU leaves its CPU within microseconds of being asked; one that has not after this long never will. */
const PARK_TIMEOUT_NS = 2e9;

/** One guest as the host drives it. */
class HostedGuest {
  active = false;
  /** Why it was asked to leave; null = it was not asked. */
  leaving: DeactivateReason | null = null;
  askedAtNs = 0;
  boosted = false;
  wakePending = false;
  activations = 0;
  unboosted = 0;
  activeNs = 0;
  activeSinceNs = 0;
  readonly vcpu: HostVcpu;
  readonly governor: GuestGovernor;

  constructor(vcpu: HostVcpu, governor: GuestGovernor) {
    this.vcpu = vcpu;
    this.governor = governor;
  }
}

/**
 * The host of the threads engine: hears what vCPUs and device say in the control blocks, lets the scheduler decide, and
 * carries its decisions out by the protocol of docs/memory-model.md. It never waits; whoever runs it sleeps until
 * `nextDeadlineNs` or until its doorbell is rung.
 */
export class ThreadHost implements SchedulerActions {
  readonly scheduler: Scheduler;
  readonly #guests: readonly HostedGuest[];
  readonly #clock: RunClock;
  readonly #merger: EventMerger | null;
  readonly #ringCard: (guest: number) => void;
  #placing = false;

  constructor(
    scenario: Scenario,
    vcpus: readonly HostVcpu[],
    governors: readonly GuestGovernor[],
    clock: RunClock,
    merger: EventMerger | null,
    ringCard: (guest: number) => void,
  ) {
    this.#guests = vcpus.map((vcpu, index) => new HostedGuest(vcpu, governors[index]!));
    this.#clock = clock;
    this.#merger = merger;
    this.#ringCard = ringCard;
    // Real time passes by itself: the scheduler is to charge no costs.
    this.scheduler = new Scheduler(scenario.scheduler, null, scenario.pcpus, scenario.guests, this);
  }

  /** All vCPUs are parked: tells the device so, with each guest's program. The run begins when it has taken that over. */
  prepare(): void {
    for (const index of this.#guests.keys())
      this.#post(index, GUEST_PREEMPTED, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, this.#clock());
  }

  begin(startNs: number): void {
    this.#placing = true;
    this.scheduler.start(startNs);
    this.#placing = false;
  }

  /**
   * Hears and decides, once; returns when the next turn is due. What was due now and still is waits for an answer of a
   * vCPU, which rings: to look again before it does would take the CPU from the very thread that is to answer.
   */
  turn(): number {
    for (let index = 0; index < this.#guests.length; index++) {
      this.#hearVcpu(index);
      this.#hearWake(index);
    }
    const nowNs = this.#clock();
    this.scheduler.expire(nowNs);
    const nextNs = this.scheduler.nextDeadlineNs();
    return nextNs > nowNs ? nextNs : Number.POSITIVE_INFINITY;
  }

  /** Index of a vCPU that does not leave its CPU though asked long ago; -1 if all do. */
  stuckVcpu(nowNs: number): number {
    return this.#guests.findIndex(({ leaving, askedAtNs }) => leaving !== null && nowNs - askedAtNs > PARK_TIMEOUT_NS);
  }

  counts(index: number, endNs: number): HostCounts {
    const guest = this.#guests[index]!;
    const { activations, unboosted } = guest;
    return { activations, unboosted, activeNs: guest.activeNs + (guest.active ? endNs - guest.activeSinceNs : 0) };
  }

  activate(
    index: number,
    cpu: number,
    why: ActivateReason,
    boosted: boolean,
    sliceEndNs: number,
    whenDrained: boolean,
    decidedNs: number,
  ): void {
    const guest = this.#guests[index]!;
    // The first guests are active from the run's first moment on, as its header says.
    const nowNs = this.#placing ? decidedNs : this.#clock();
    // Before the post: a wake that is already there is answered by this activation.
    this.#hearWake(index);
    guest.active = true;
    guest.boosted = boosted;
    guest.activeSinceNs = nowNs;
    if (!this.#placing) {
      guest.activations++;
      if (guest.wakePending && !boosted) guest.unboosted++;
      this.#merger?.record(nowNs, EV_ACTIVATE, index, cpu, ACTIVATE_REASONS.indexOf(why), boosted ? 1 : 0);
    }
    guest.wakePending = false;
    const wakeLatencyNs = guest.vcpu.takeWakeLatencyNs();
    if (wakeLatencyNs > 0) guest.governor.wakeLatency.observe(wakeLatencyNs);
    // The device learns of it first; then the vCPU may run.
    this.#post(index, GUEST_ACTIVE, Number.POSITIVE_INFINITY, sliceEndNs, nowNs);
    guest.vcpu.unpark(whenDrained);
  }

  park(index: number, why: DeactivateReason, nowNs: number): void {
    const guest = this.#guests[index]!;
    guest.leaving = why;
    guest.askedAtNs = nowNs;
    guest.vcpu.askToPark();
  }

  replan(index: number, _sliceEndNs: number, whenDrained: boolean): void {
    this.#guests[index]!.vcpu.replan(whenDrained);
  }

  #hearVcpu(index: number): void {
    const guest = this.#guests[index]!;
    if (!guest.active) return;
    const { status } = guest.vcpu;
    if (status === VCPU_PREEMPTED) {
      // Unasked, it left because its ring is drained.
      const drained = this.scheduler.isInWakeSlice(index) ? "slice-end" : "preempted";
      this.#left(index, guest.leaving ?? drained, GUEST_PREEMPTED);
    }
    if (status === VCPU_IDLE && guest.vcpu.claimIdle()) this.#left(index, "idle", GUEST_IDLE);
  }

  #left(index: number, why: DeactivateReason, state: number): void {
    const guest = this.#guests[index]!;
    const nowNs = this.#clock();
    guest.active = false;
    guest.leaving = null;
    guest.activeNs += nowNs - guest.activeSinceNs;
    this.#merger?.record(nowNs, EV_DEACTIVATE, index, 0, DEACTIVATE_REASONS.indexOf(why), 0);
    // The scheduler does not know yet that the guest idles: nothing is planned for it then.
    const nextNs = state === GUEST_IDLE ? Number.POSITIVE_INFINITY : this.scheduler.nextActivationNs(index, nowNs);
    this.#post(index, state, nextNs, Number.POSITIVE_INFINITY, nowNs);
    this.scheduler.parked(index, state === GUEST_IDLE, nowNs);
  }

  #hearWake(index: number): void {
    const guest = this.#guests[index]!;
    if (!guest.vcpu.takeWake()) return;
    if (guest.active) {
      // The device raised it before it knew of the activation, which has answered it.
      if (!guest.boosted) guest.unboosted++;
      return;
    }
    guest.wakePending = true;
    this.scheduler.wake(index, this.#clock());
  }

  #post(index: number, state: number, nextActivationNs: number, sliceEndNs: number, nowNs: number): void {
    const { vcpu, governor } = this.#guests[index]!;
    vcpu.postState(state, governor.decide(state, nowNs, vcpu.arrived, vcpu.free, nextActivationNs, sliceEndNs), nowNs);
    this.#ringCard(index);
  }
}
