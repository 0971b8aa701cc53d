/**
 * The rules for an inactive guest (DESIGN §7: R1, R2, R4, R5, R7, R8, R13, R16): when the host must be asked to activate
 * it, and whether a wake that was seen was due. A wake for received frames ignores suppression (R9), so what counts here
 * is frames that wait in the ring, and not causes.
 */

import type { Wake } from "./events.ts";
import type { GuestState } from "./guest-state.ts";
import type { Reporter } from "./report.ts";
import type { Due } from "./vector.ts";

export class InactiveRules {
  private readonly guest: GuestState;
  private readonly report: Reporter;
  private overdue: Due | null = null;

  constructor(guest: GuestState, report: Reporter) {
    this.guest = guest;
    this.report = report;
  }

  /** All events at `nowNs` have been read, and no wake is outstanding: was one owed? */
  closeInstant(): void {
    if (this.guest.wakeOutstanding || this.overdue !== null) return;
    const nowNs = this.guest.nowNs;
    const config = [...this.guest.vectors.values()].some((v) => v.configSinceNs !== null);
    if (this.guest.guardMust.size > 0) this.overdue = { rule: "R5", atNs: nowNs };
    else if (config) this.overdue = { rule: "R13", atNs: nowNs };
    else this.expire((atNs) => atNs <= nowNs);
  }

  pass(tNs: number): void {
    if (!this.guest.wakeOutstanding && this.overdue === null) this.expire((atNs) => atNs < tNs);
  }

  /** The guest was activated, or the run ended, before the wake that was owed. */
  missing(until: string): void {
    if (this.overdue === null) return;
    const { rule, atNs } = this.overdue;
    this.bad(rule, atNs, `a wake at ${atNs}`, `none until the ${until}`);
    this.overdue = null;
  }

  wake(e: Wake): void {
    this.report.tested("R2");
    if (this.guest.active) this.bad("R2", e.t, "no wake of an active guest", `wake(${e.why})`);
    else if (this.guest.wakeOutstanding) this.bad("R2", e.t, "one wake outstanding at most", `another wake(${e.why})`);
    else if (this.overdue !== null) this.late(e, this.overdue);
    else this.judge(e);
    this.overdue = null;
    if (this.guest.active) return;
    this.guest.wakeOutstanding = true;
    this.guest.forgetLooks();
    for (const vector of this.guest.vectors.values()) vector.stopWaiting();
  }

  private late(e: Wake, due: Due): void {
    this.report.tested(due.rule);
    this.bad(due.rule, due.atNs, `a wake at ${due.atNs}`, `too late: wake(${e.why}) at ${e.t}`);
  }

  private judge(e: Wake): void {
    const vectors = [...this.guest.vectors.values()];
    this.report.tested("R1");
    if (e.why === "config") {
      this.report.tested("R13");
      if (vectors.every((v) => v.configSinceNs === null)) {
        this.bad("R13", e.t, "wake(config) at a configuration cause", "none is pending");
      }
    } else if (vectors.every((v) => v.waitFromNs === null && v.mayFromNs === null)) {
      this.bad("R1", e.t, "no wake without a frame that waits", `wake(${e.why})`);
    } else if (e.why === "guard") {
      this.report.tested("R5");
      if (this.guest.guardMay.size === 0) {
        this.bad("R5", e.t, "a guard wake only when free buffers ≤ RX_FREE_MIN and frames wait", "neither");
      }
    } else if (e.why === "urgent") {
      this.report.tested("R11");
      if (![...this.guest.queues.values()].some((q) => q.lastFrameNs === e.t)) {
        this.bad("R11", e.t, "wake(urgent) at a frame's arrival", "no frame at this time");
      }
    } else {
      this.overflow(e);
    }
  }

  /** R4, R7, R16: exactly when the interval in force has expired, neither sooner nor later. */
  private overflow(e: Wake): void {
    const vectors = [...this.guest.vectors.values()];
    const dues = vectors.map((v) => v.wakeDue(this.guest.idle)).filter((due) => due !== null);
    const met = dues.find((due) => due.atNs === e.t);
    if (met !== undefined) {
      this.report.tested(met.rule);
    } else if (!vectors.some((v) => v.mayWakeAt(this.guest.idle, e.t))) {
      const first = dues.sort((a, b) => a.atNs - b.atNs)[0];
      const expected = first === undefined ? "no wake for frames that were read" : `the wake at ${first.atNs}`;
      this.bad(first?.rule ?? "R1", e.t, expected, `too early: wake(overflow) at ${e.t}`);
    }
  }

  private expire(passed: (atNs: number) => boolean): void {
    for (const vector of this.guest.vectors.values()) {
      const due = vector.wakeDue(this.guest.idle);
      if (due === null || !passed(due.atNs)) continue;
      if (this.overdue === null || due.atNs < this.overdue.atNs) this.overdue = due;
    }
  }

  private bad(rule: string, tNs: number, expected: string, seen: string): void {
    this.report.violation(rule, tNs, this.guest.header.name, expected, seen);
  }
}
