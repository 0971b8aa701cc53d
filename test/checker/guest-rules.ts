/**
 * R1–R9, R13 and R16 for one guest: feeds the events, in the file's order, to the guest's picture and to the rules of the
 * state it is in. For runs in virtual time only: there every deadline is met to the nanosecond or it is a violation.
 */

import { ActiveRules } from "./active-rules.ts";
import type {
  Activate,
  Cause,
  Coalescing,
  Deactivate,
  Deliver,
  Drop,
  GuestEvent,
  GuestHeader,
  Suppress,
  Throttle,
} from "./events.ts";
import { GuestState } from "./guest-state.ts";
import { InactiveRules } from "./inactive-rules.ts";
import type { Reporter } from "./report.ts";

export class GuestRules {
  private readonly guest: GuestState;
  private readonly report: Reporter;
  private readonly active: ActiveRules;
  private readonly inactive: InactiveRules;

  constructor(header: GuestHeader, coalescing: Coalescing | "unknown" | null, report: Reporter) {
    this.guest = new GuestState(header, coalescing);
    this.report = report;
    this.active = new ActiveRules(this.guest, report);
    this.inactive = new InactiveRules(this.guest, report);
  }

  /** `drained`: how many frames a drain event took out of its queue. */
  take(e: GuestEvent, drained: number): void {
    this.advance(e.t);
    switch (e.ev) {
      case "deliver":
        this.deliver(e);
        break;
      case "drop":
        this.drop(e);
        break;
      case "drain":
        this.guest.queue(e.queue).unread -= drained;
        break;
      case "refill":
        this.guest.queue(e.queue).free += e.n;
        break;
      case "cause":
        this.cause(e);
        break;
      case "notify-off":
        this.suppress(e);
        break;
      case "notify-on":
        this.enable(e);
        break;
      case "notify":
        this.active.notify(e);
        break;
      case "wake":
        this.inactive.wake(e);
        break;
      case "activate":
        this.activate(e);
        break;
      case "deactivate":
        this.deactivate(e);
        break;
      case "throttle":
        this.throttle(e);
        break;
      default: // arrivals and state words change nothing that these rules speak of
    }
  }

  /** What falls due at the very end of the run need not have happened; what fell due before it must have. */
  end(tNs: number): void {
    this.advance(tNs);
    for (const vector of this.guest.vectors.values()) this.active.missing(vector, "run's end");
    this.inactive.missing("run's end");
  }

  private advance(tNs: number): void {
    if (tNs <= this.guest.nowNs) return;
    this.expectCauses();
    const rules = this.guest.active ? this.active : this.inactive;
    rules.closeInstant();
    this.guest.forgetLooks();
    this.guest.nowNs = tNs;
    rules.pass(tNs);
  }

  /** R9: the batch that the driver waits for latches a cause, at the batch. */
  private expectCauses(): void {
    for (const queue of this.guest.queues.values()) {
      if (!queue.needsCause) continue;
      queue.needsCause = false;
      if (this.guest.vectorOf(queue).pending.has(queue.index)) continue;
      this.bad("R9", this.guest.nowNs, `a cause for the first frame on queue ${queue.index} since notify-on`, "none");
    }
  }

  private deliver(e: Deliver): void {
    const { guest } = this;
    const queue = guest.queue(e.queue);
    const vector = guest.vectorOf(queue);
    queue.unread++;
    queue.free = e.free;
    queue.lastFrameNs = e.t;
    vector.countFrame(e.queue, e.t);
    if (queue.armed && !queue.suppressedAtTimes(e.t)) {
      queue.armed = false;
      queue.needsCause = true;
      this.report.tested("R9");
      const cause = vector.pending.get(e.queue);
      if (cause !== undefined) cause.must = true;
    }
    if (!guest.active && !guest.wakeOutstanding) vector.startWaiting(e.t, "R4");
    this.look(e.queue, e.free, true);
  }

  /** R5 looks after a drop for want of a buffer; whatever the count says, no buffer was left for that frame. */
  private drop(e: Drop): void {
    if (e.why === "no-buffer") this.look(e.queue, 0, true);
  }

  private look(index: number, free: number, must: boolean): void {
    if (this.guest.lookAtGuard(this.guest.queue(index), free, must)) this.report.tested("R5");
  }

  private cause(e: Cause): void {
    const { guest } = this;
    const vector = guest.vector(e.vector);
    if (e.kind === "config") {
      vector.configSinceNs = e.t;
      return;
    }
    const queue = guest.queue(e.queue);
    queue.vector = e.vector;
    queue.needsCause = false;
    if (queue.suppressedAllThrough(e.t)) {
      this.bad("R9", e.t, `no cause on queue ${e.queue} between notify-off and notify-on`, `cause(${e.kind})`);
    }
    if (e.kind === "rx" && queue.lastFrameNs !== e.t && guest.deactivatedNs !== e.t) {
      this.bad("R9", e.t, "an rx cause at the batch that it belongs to", `no frame on queue ${e.queue} at this time`);
    }
    vector.latch(e);
    // R16: unsuppressed transmit completions wake an idle guest; a preempted one they do not.
    if (e.kind !== "tx" || guest.active || guest.wakeOutstanding) return;
    if (guest.idle === true) vector.startWaiting(e.t, "R16");
    else if (guest.idle === null) vector.mayFromNs ??= e.t;
  }

  private suppress(e: Suppress): void {
    const queue = this.guest.queue(e.queue);
    const vector = this.guest.vectorOf(queue);
    // Order inside an instant is free, but a driver that nobody interrupted does not begin to poll at the very moment at
    // which an interrupt is due: that one was lost on its way into the file.
    if (this.guest.active && !queue.asked) this.active.demand(vector, e.queue);
    if (vector.overdue !== null && vector.pending.has(e.queue)) {
      this.active.missing(vector, `notify-off at ${e.t}`);
      vector.pending.delete(e.queue);
    }
    this.switch(queue.setSuppressed(true, e.t), e);
  }

  /** R9: the driver re-reads the ring after it enables, so what was latched before may be dropped at sending. */
  private enable(e: Suppress): void {
    const queue = this.guest.queue(e.queue);
    const cause = this.guest.vectorOf(queue).pending.get(e.queue);
    if (cause !== undefined && queue.suppressedNow) cause.must = false;
    this.switch(queue.setSuppressed(false, e.t), e);
    queue.asked = false;
    queue.armed = queue.unread === 0;
  }

  private switch(changed: boolean, e: Suppress): void {
    this.report.tested("B.poll");
    if (!changed) this.bad("B.poll", e.t, "notify-off and notify-on in turn", `${e.ev} twice on queue ${e.queue}`);
  }

  /** R6. */
  private activate(e: Activate): void {
    const { guest } = this;
    this.inactive.missing(`activation at ${e.t}`);
    const endsWake = guest.wakeOutstanding;
    guest.active = true;
    guest.idle = false;
    guest.wakeOutstanding = false;
    guest.activatedNs = e.t;
    if (endsWake) guest.wakeEndedNs = e.t;
    guest.forgetLooks();
    for (const vector of guest.vectors.values()) {
      vector.stopWaiting();
      vector.floorNs = Math.max(vector.floorNs, e.t);
      for (const cause of [...vector.pending.values()]) {
        if (guest.queue(cause.queue).suppressedAllThrough(e.t)) vector.pending.delete(cause.queue);
      }
      if (!endsWake || vector.pending.size === 0) continue;
      vector.forcedNs = e.t;
      this.report.tested("R6");
    }
  }

  /** R7 and R5's look. */
  private deactivate(e: Deactivate): void {
    const { guest } = this;
    this.active.leave(e.t);
    guest.active = false;
    guest.idle = e.why === "idle";
    guest.deactivatedNs = e.t;
    guest.forgetLooks();
    for (const vector of guest.vectors.values()) {
      if (vector.pending.size > 0) vector.mayFromNs = e.t;
      const sends = [...vector.pending.values()].some((c) => c.kind === "tx" && c.must);
      if (sends && guest.idle) vector.startWaiting(e.t, "R16");
    }
    for (const queue of guest.queues.values()) {
      if (queue.unread <= 0) continue;
      const vector = guest.vectorOf(queue);
      vector.startWaiting(e.t, "R7");
      // §9.4: an interrupt that the driver had not taken yet becomes a cause again. The file cannot show whether it had.
      if (!queue.suppressedNow && !vector.pending.has(queue.index)) {
        vector.pend(queue.index, "rx", e.t, false);
      }
      this.look(queue.index, queue.free, true);
    }
  }

  /** R8: a write re-evaluates what runs; R5: every write of RX_FREE_MIN is a look, and any write may have been one. */
  private throttle(e: Throttle): void {
    const vector = this.guest.vector(e.vector);
    const before = vector.freeMin;
    vector.program(e);
    this.report.tested("R8");
    for (const queue of this.guest.queuesOf(vector)) this.look(queue.index, queue.free, vector.freeMin !== before);
  }

  private bad(rule: string, tNs: number, expected: string, seen: string): void {
    this.report.violation(rule, tNs, this.guest.header.name, expected, seen);
  }
}
