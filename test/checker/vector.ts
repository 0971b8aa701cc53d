/**
 * One interrupt vector as DESIGN §6 and §7 describe it: registers, latched causes, and when they must have been notified.
 * A reference, not an implementation: it says what is due, and never acts. `must` and `may` differ where the events cannot
 * show what the device knew; such a cause may be notified when it is due, and may be dropped.
 */

import type { Cause, Throttle } from "./events.ts";

export interface PendingCause {
  readonly queue: number;
  readonly kind: Cause["kind"];
  /** R3's "now" of the cause: when it was latched. */
  sinceNs: number;
  must: boolean;
}

export interface Due {
  readonly rule: string;
  readonly atNs: number;
}

export class Vector {
  readonly index: number;
  latencyNs = 0;
  overflowNs = 0;
  freeMin = 0;
  sliceEndNs: number | null = null;
  /** R3, R13: the last notification that is not a configuration change's. */
  lastNotifyNs = Number.NEGATIVE_INFINITY;
  readonly pending = new Map<number, PendingCause>();
  configSinceNs: number | null = null;
  /** R6, R8: the last moment that re-evaluated the interval; what was due earlier by the new values is due then. */
  floorNs = Number.NEGATIVE_INFINITY;
  /** R6: the activation that ended a wake; what is pending is due then, whatever the interval says. */
  forcedNs: number | null = null;
  /** A notification that should have been there already. */
  overdue: Due | null = null;
  /** R4, R7: since when the overflow interval runs, for frames that wait for certain, and for those that may. */
  waitFromNs: number | null = null;
  waitRule = "R4";
  mayFromNs: number | null = null;

  constructor(index: number) {
    this.index = index;
  }

  /** §11: null is off. No latency interval is 0; no overflow interval never expires; no guard is 0 (§6). */
  program(e: Throttle): void {
    this.latencyNs = e.latencyNs ?? 0;
    this.overflowNs = e.overflowNs ?? Number.POSITIVE_INFINITY;
    this.freeMin = e.freeMin ?? 0;
    this.sliceEndNs = e.sliceEndNs;
    this.floorNs = e.t;
  }

  latch(e: Cause): void {
    const old = this.pending.get(e.queue);
    if (old === undefined) this.pending.set(e.queue, { queue: e.queue, kind: e.kind, sinceNs: e.t, must: true });
    else if (!old.must) {
      old.sinceNs = e.t;
      old.must = true;
    }
  }

  /** R3 and R6: when this cause is to be notified while the guest stays active. */
  dueNs(cause: PendingCause): number {
    if (this.forcedNs !== null) return Math.max(this.forcedNs, cause.sinceNs);
    return Math.max(cause.sinceNs, this.lastNotifyNs + this.latencyNs, this.floorNs);
  }

  /** R7: the due notification falls behind the planned end of the slice, so it is to come before that end. */
  broughtForward(cause: PendingCause): boolean {
    if (this.sliceEndNs === null) return false;
    return this.dueNs(cause) > this.sliceEndNs && Math.max(cause.sinceNs, this.floorNs) < this.sliceEndNs;
  }

  /** The latest moment at which this cause may be notified, and the rule that says so. */
  deadline(cause: PendingCause): Due {
    if (this.broughtForward(cause)) return { rule: "R7", atNs: this.sliceEndNs! };
    const rule = this.forcedNs !== null ? "R6" : "R3";
    return { rule, atNs: this.dueNs(cause) };
  }

  /**
   * Whether a notification at t is neither early nor (as overdue ones are kept apart) late for one of the causes. A cause
   * that falls due exactly at the slice's end, or behind it, may also go at any time before that end (R7 names no margin).
   */
  inTime(cause: PendingCause, tNs: number): boolean {
    const due = this.dueNs(cause);
    if (tNs >= due) return true;
    return this.sliceEndNs !== null && due >= this.sliceEndNs && tNs <= this.sliceEndNs;
  }

  /** A notification went out: the causes are cleared and the next interval starts (R2). */
  notified(tNs: number): void {
    this.pending.clear();
    this.lastNotifyNs = tNs;
    this.forcedNs = null;
    this.overdue = null;
  }

  /** R16: an idle guest's overflow interval is the latency interval. */
  wakeInterval(idle: boolean): number {
    return idle ? this.latencyNs : this.overflowNs;
  }

  wakeDue(idle: boolean): Due | null {
    if (this.waitFromNs === null) return null;
    const atNs = Math.max(this.waitFromNs + this.wakeInterval(idle), this.floorNs);
    return { rule: idle ? "R16" : this.waitRule, atNs };
  }

  mayWakeAt(idle: boolean, tNs: number): boolean {
    const may = this.mayFromNs;
    return may !== null && tNs === Math.max(may + this.wakeInterval(idle), this.floorNs);
  }

  startWaiting(tNs: number, rule: string): void {
    if (this.waitFromNs !== null) return;
    this.waitFromNs = tNs;
    this.waitRule = rule;
  }

  stopWaiting(): void {
    this.waitFromNs = null;
    this.mayFromNs = null;
  }
}
