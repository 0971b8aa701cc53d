/**
 * The rules for an active guest (DESIGN §7: R1–R3, R5–R9, R13): which notifications are due, and whether one that was seen
 * was. Deadlines are judged when time has passed them, so that everything at one instant has been read by then.
 */

import type { Notify } from "./events.ts";
import type { GuestState, Queue } from "./guest-state.ts";
import type { Reporter } from "./report.ts";
import type { Due, PendingCause, Vector } from "./vector.ts";

export class ActiveRules {
  private readonly guest: GuestState;
  private readonly report: Reporter;
  /** Vectors whose missing configuration notification was reported already. */
  private readonly configReported = new Set<number>();

  constructor(guest: GuestState, report: Reporter) {
    this.guest = guest;
    this.report = report;
  }

  /** All events at `nowNs` have been read: what had to be sent in this instant was sent, or is overdue. */
  closeInstant(): void {
    for (const vector of this.guest.vectors.values()) {
      this.expectConfig(vector);
      this.expectGuard(vector);
      this.expire(vector, (atNs) => atNs <= this.guest.nowNs);
      vector.forcedNs = null;
    }
  }

  /** Time passes to `tNs` without an event: what falls due in between is overdue, or dropped as suppressed (R9). */
  pass(tNs: number): void {
    for (const vector of this.guest.vectors.values()) this.expire(vector, (atNs) => atNs < tNs);
  }

  /** The guest leaves the CPU: R7 wants notifications out before the planned end; what is overdue stays missing. */
  leave(tNs: number): void {
    for (const vector of this.guest.vectors.values()) {
      for (const cause of vector.pending.values()) {
        const due = vector.deadline(cause);
        if (due.rule !== "R7" || due.atNs > tNs || !this.owed(cause)) continue;
        vector.overdue ??= due;
      }
      this.missing(vector, `deactivation at ${tNs}`);
      vector.forcedNs = null;
    }
  }

  /** What is due on this queue by now must have been sent by now. */
  demand(vector: Vector, queue: number): void {
    const cause = vector.pending.get(queue);
    if (cause === undefined || !this.owed(cause)) return;
    const due = vector.deadline(cause);
    if (due.atNs <= this.guest.nowNs) vector.overdue ??= due;
    else this.expectGuard(vector);
  }

  /** Notifications were switched off, or the run ended, with something overdue. */
  missing(vector: Vector, until: string): void {
    if (vector.overdue === null) return;
    const { rule, atNs } = vector.overdue;
    this.bad(rule, atNs, `a notification on vector ${vector.index} at ${atNs}`, `none until the ${until}`);
    vector.overdue = null;
  }

  notify(e: Notify): void {
    const vector = this.guest.vector(e.vector);
    this.report.tested("R1");
    if (!this.guest.active) {
      this.bad("R2", e.t, "no notification to an inactive guest", `notify(${e.why})`);
    } else if (e.why === "config") {
      this.config(vector, e.t);
      return;
    } else {
      this.judge(vector, e);
    }
    for (const cause of vector.pending.values()) this.guest.queue(cause.queue).armed = false;
    for (const queue of this.guest.queuesOf(vector)) queue.asked = true;
    vector.notified(e.t);
  }

  private judge(vector: Vector, e: Notify): void {
    const open = [...vector.pending.values()].filter((c) => !this.queueOf(c).suppressedAllThrough(e.t));
    if (vector.pending.size === 0) {
      // A configuration change that waited for an activation which ended a wake may go out under either name (R6, R13).
      if (e.why === "wake" && vector.configSinceNs !== null) vector.configSinceNs = null;
      else this.bad("R1", e.t, `no notification on vector ${e.vector} without a cause`, `notify(${e.why})`);
    } else if (open.length === 0) {
      this.bad("R9", e.t, "a suppressed cause to be dropped at sending", `notify(${e.why})`);
    } else if (vector.overdue !== null) {
      const { rule, atNs } = vector.overdue;
      this.report.tested(rule);
      this.bad(rule, atNs, `a notification on vector ${e.vector} at ${atNs}`, `too late: notify(${e.why}) at ${e.t}`);
    } else {
      this.judgeReason(vector, e, open);
    }
  }

  private judgeReason(vector: Vector, e: Notify, open: readonly PendingCause[]): void {
    if (e.why === "latency") {
      this.report.tested("R3");
      if (vector.forcedNs !== null) {
        this.bad("R6", e.t, "notify(wake) at the activation that ends a wake", `notify(${e.why})`);
        return;
      }
      if (open.some((c) => vector.inTime(c, e.t))) return;
      const due = Math.min(...open.map((c) => vector.dueNs(c)));
      this.bad("R3", e.t, `the notification on vector ${e.vector} at ${due}`, `too early: at ${e.t}`);
    } else if (e.why === "guard") {
      if (this.guest.guardMay.has(e.vector)) return;
      this.bad("R5", e.t, "a guard notification only when free buffers ≤ RX_FREE_MIN and frames wait", "neither");
    } else if (e.why === "wake") {
      if (this.guest.wakeEndedNs === e.t) return;
      this.bad("R6", e.t, "notify(wake) only at the activation that ends a wake", "no such activation at this time");
    } else {
      this.report.tested("R11");
      if (this.guest.queuesOf(vector).some((q) => q.lastFrameNs === e.t)) return;
      this.bad("R11", e.t, "notify(urgent) at a frame's arrival", "no frame at this time");
    }
  }

  /** R13: at once, or at the activation if the guest was off; outside R3's count, hence no interval starts here. */
  private config(vector: Vector, tNs: number): void {
    this.report.tested("R13");
    if (vector.configSinceNs === null && !this.configReported.delete(vector.index)) {
      this.bad("R13", tNs, "notify(config) at a configuration cause", "none is pending");
    }
    vector.configSinceNs = null;
  }

  private expectConfig(vector: Vector): void {
    const since = vector.configSinceNs;
    if (since === null) return;
    this.bad("R13", this.guest.nowNs, `notify(config) on vector ${vector.index} at once, cause at ${since}`, "none");
    vector.configSinceNs = null;
    this.configReported.add(vector.index);
  }

  /** R5: after the look, every cause on the vector is notified now, even inside the interval, unless suppressed. */
  private expectGuard(vector: Vector): void {
    if (!this.guest.guardMust.has(vector.index)) return;
    for (const cause of vector.pending.values()) {
      if (this.owed(cause)) vector.overdue ??= { rule: "R5", atNs: this.guest.nowNs };
    }
  }

  private expire(vector: Vector, passed: (atNs: number) => boolean): void {
    for (const cause of [...vector.pending.values()]) {
      const due = vector.deadline(cause);
      if (!passed(due.atNs)) continue;
      if (this.owed(cause)) vector.overdue ??= due;
      else this.letGo(vector, cause, due);
    }
  }

  /** R9: suppressed at sending, the cause is dropped. Brought forward (R7), the moment of sending is not known. */
  private letGo(vector: Vector, cause: PendingCause, due: Due): void {
    this.report.tested("R9");
    if (due.rule === "R7") cause.must = false;
    else vector.pending.delete(cause.queue);
  }

  private owed(cause: PendingCause): boolean {
    return cause.must && !this.queueOf(cause).suppressedAtTimes(this.guest.nowNs);
  }

  private queueOf(cause: PendingCause): Queue {
    return this.guest.queue(cause.queue);
  }

  private bad(rule: string, tNs: number, expected: string, seen: string): void {
    this.report.violation(rule, tNs, this.guest.header.name, expected, seen);
  }
}
