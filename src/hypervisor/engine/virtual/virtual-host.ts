import { GUEST_IDLE, GUEST_PREEMPTED } from "../../../device/spec/throttle-registers.ts";
import {
  ACTIVATE_REASONS,
  type ActivateReason,
  DEACTIVATE_REASONS,
  type DeactivateReason,
  EV_ACTIVATE,
  EV_DEACTIVATE,
  type EventLog,
} from "../../events/event.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import type { SchedulerActions } from "../../scheduler/actions.ts";
import { Scheduler } from "../../scheduler/scheduler.ts";
import { TimerTree } from "./timer-tree.ts";
import type { VirtualGuest } from "./virtual-guest.ts";

/** Frames and chains that a card may move in one poll; in virtual time only what is due at one instant is there. */
const POLL_BUDGET = 1 << 20;

/**
 * The host in virtual time: one clock, three kinds of timers. At equal times cards come before vCPUs and those before the
 * scheduler: what happens at the last nanosecond of a slice still belongs to it.
 *
 *   0 … G       each guest's card: the next frame on the wire, the throttle's deadline, work left over
 *   G … 2G      each guest's vCPU: the end of what it is doing
 *   2G          the scheduler
 */
export class VirtualHost implements SchedulerActions {
  readonly scheduler: Scheduler;
  readonly guests: readonly VirtualGuest[];
  readonly #clock: { nowNs: number };
  readonly #timers: TimerTree;
  readonly #log: EventLog | null;
  /** Something was said to the scheduler, or by it, since its timer was set. */
  #schedulerStirred = false;
  /** The guest that is being deactivated, whose card may wake it at once: the scheduler hears of that after its leaving. */
  #leaving = -1;
  #wokenWhileLeaving = false;
  /** The first placement is the state that the run begins in, and no event. */
  #placing = true;

  /** `clock` is the run's time, which registers and recorders read too. */
  constructor(scenario: Scenario, guests: readonly VirtualGuest[], log: EventLog | null, clock: { nowNs: number }) {
    this.guests = guests;
    this.#clock = clock;
    this.#log = log;
    this.#timers = new TimerTree(2 * guests.length + 1);
    this.scheduler = new Scheduler(scenario.scheduler, scenario.costs, scenario.pcpus, scenario.guests, this);
    for (const [index, guest] of guests.entries()) {
      guest.onWake = () => {
        this.#schedulerStirred = true;
        if (this.#leaving === index) this.#wokenWhileLeaving = true;
        else this.scheduler.wake(index, clock.nowNs);
      };
    }
  }

  /** Places the first guests, programs all throttles, and begins at 0. */
  begin(): void {
    this.scheduler.start(0);
    this.#placing = false;
    for (const [index, guest] of this.guests.entries()) {
      guest.begin(this.scheduler.nextActivationNs(index, 0));
      this.#leaveIfQuiet(index);
      this.#refresh(index);
    }
    this.#timers.set(2 * this.guests.length, this.scheduler.nextDeadlineNs());
  }

  get nowNs(): number {
    return this.#clock.nowNs;
  }

  /** When the next thing happens. */
  get nextNs(): number {
    return this.#timers.firstNs;
  }

  /** Lets the next thing happen. */
  advance(): void {
    const timers = this.#timers;
    const timer = timers.first;
    const count = this.guests.length;
    this.#clock.nowNs = timers.firstNs;
    if (timer === 2 * count) {
      this.#schedulerStirred = true;
      this.scheduler.expire(this.nowNs);
    } else {
      const index = timer < count ? timer : timer - count;
      const guest = this.guests[index]!;
      if (timer < count) {
        guest.card.poll(this.nowNs, POLL_BUDGET);
      } else {
        timers.set(timer, Number.POSITIVE_INFINITY);
        guest.vcpu.complete(this.nowNs, timers.firstNs);
      }
      this.#leaveIfQuiet(index);
      this.#refresh(index);
    }
    if (this.#schedulerStirred) {
      this.#schedulerStirred = false;
      timers.set(2 * count, this.scheduler.nextDeadlineNs());
    }
  }

  activate(
    index: number,
    cpu: number,
    why: ActivateReason,
    boosted: boolean,
    sliceEndNs: number,
    whenDrained: boolean,
    nowNs: number,
  ): void {
    const guest = this.guests[index]!;
    guest.leavesWhenDrained = whenDrained;
    if (this.#placing) {
      guest.place(sliceEndNs);
      return;
    }
    this.#log?.record(nowNs, EV_ACTIVATE, index, cpu, 0, ACTIVATE_REASONS.indexOf(why), boosted ? 1 : 0, 0);
    guest.activate(boosted, sliceEndNs, nowNs);
    this.#leaveIfQuiet(index);
    this.#refresh(index);
  }

  park(index: number, why: DeactivateReason, nowNs: number): void {
    this.#leave(index, why, GUEST_PREEMPTED, nowNs);
  }

  replan(index: number, sliceEndNs: number, whenDrained: boolean, nowNs: number): void {
    const guest = this.guests[index]!;
    guest.leavesWhenDrained = whenDrained;
    guest.replan(sliceEndNs, nowNs);
    this.#leaveIfQuiet(index);
    this.#refresh(index);
  }

  /** A guest with nothing to do gives its CPU up: an idle one always, any guest in a wake slice. */
  #leaveIfQuiet(index: number): void {
    const guest = this.guests[index]!;
    if (!guest.vcpu.active || !guest.vcpu.quiet) return;
    if (guest.idles) {
      this.#leave(index, "idle", GUEST_IDLE, this.nowNs);
    } else if (guest.leavesWhenDrained) {
      const why = this.scheduler.isInWakeSlice(index) ? "slice-end" : "preempted";
      this.#leave(index, why, GUEST_PREEMPTED, this.nowNs);
    }
  }

  #leave(index: number, why: DeactivateReason, state: number, nowNs: number): void {
    this.#schedulerStirred = true;
    this.#log?.record(nowNs, EV_DEACTIVATE, index, 0, 0, DEACTIVATE_REASONS.indexOf(why), 0, 0);
    this.#leaving = index;
    // The scheduler does not know yet that the guest idles: nothing is planned for it then.
    const nextNs = state === GUEST_IDLE ? Number.POSITIVE_INFINITY : this.scheduler.nextActivationNs(index, nowNs);
    this.guests[index]!.deactivate(state, nextNs, nowNs);
    this.#leaving = -1;
    const woken = this.#wokenWhileLeaving;
    this.#wokenWhileLeaving = false;
    this.#refresh(index);
    this.scheduler.parked(index, state === GUEST_IDLE, nowNs);
    if (woken) this.scheduler.wake(index, nowNs);
  }

  #refresh(index: number): void {
    const guest = this.guests[index]!;
    this.#timers.set(index, Math.max(this.nowNs, guest.card.nextDeadlineNs()));
    this.#timers.set(this.guests.length + index, guest.vcpu.dueNs);
  }
}
