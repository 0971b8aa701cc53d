/**
 * One interrupt vector as DESIGN §6 and §7 describe it: registers, latched causes, and when they must have been notified.
 * A reference, not an implementation: it says what is due, and never acts. `must` and `may` differ where the events cannot
 * show what the device knew; such a cause may be notified when it is due, and may be dropped.
 */

import type { Cause, Coalescing, Throttle } from "./events.ts";

export interface PendingCause {
  readonly queue: number;
  readonly kind: Cause["kind"];
  /** When it was latched: the first frame. */
  sinceNs: number;
  /**
   * R12's G, the "now" of R3: the first frame, unless the guest coalesces. For completions the file does not say how many
   * there are, so there G lies between a first and a last moment.
   */
  earliestNs: number;
  latestNs: number;
  /** Frames since then, the first one included. */
  frames: number;
  must: boolean;
}

export interface Due {
  readonly rule: string;
  readonly atNs: number;
}

export class Vector {
  readonly index: number;
  private readonly coalescing: Coalescing | "unknown" | null;
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

  constructor(index: number, coalescing: Coalescing | "unknown" | null) {
    this.index = index;
    // R12: if either is 0, G is the first frame.
    const off = typeof coalescing === "object" && (coalescing?.maxUsecs === 0 || coalescing?.maxPackets === 0);
    this.coalescing = off ? null : coalescing;
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
    if (old === undefined || !old.must) this.pend(e.queue, e.kind, e.t, true);
  }

  pend(queue: number, kind: Cause["kind"], tNs: number, must: boolean): void {
    const cause = { queue, kind, sinceNs: tNs, earliestNs: tNs, latestNs: tNs, frames: 0, must };
    this.pending.set(queue, cause);
    if (this.coalescing === null) return;
    cause.latestNs = this.coalescing === "unknown" ? Number.POSITIVE_INFINITY : tNs + this.coalescing.maxUsecs * 1000;
    if (this.coalescing === "unknown") return;
    if (kind === "rx") cause.earliestNs = cause.latestNs;
    this.countFrame(queue, tNs);
  }

  /** R12: the max_packets-th frame ends the wait that max_usecs would still have had. */
  countFrame(queue: number, tNs: number): void {
    const cause = this.pending.get(queue);
    if (cause === undefined || cause.kind !== "rx") return;
    if (this.coalescing === null || this.coalescing === "unknown") return;
    cause.frames++;
    if (cause.frames !== this.coalescing.maxPackets || tNs >= cause.latestNs) return;
    cause.earliestNs = tNs;
    cause.latestNs = tNs;
  }

  /** R3, R6 and R12: when this cause is to be notified, at the earliest, while the guest stays active. */
  dueNs(cause: PendingCause): number {
    return this.after(cause, cause.earliestNs);
  }

  private after(cause: PendingCause, gNs: number): number {
    if (this.forcedNs !== null) return Math.max(this.forcedNs, cause.sinceNs);
    return Math.max(gNs, this.lastNotifyNs + this.latencyNs, this.floorNs);
  }

  /** R7: the due notification falls behind the planned end of the slice, so it is to come before that end. */
  broughtForward(cause: PendingCause): boolean {
    if (this.sliceEndNs === null) return false;
    return this.dueNs(cause) > this.sliceEndNs && Math.max(cause.sinceNs, this.floorNs) < this.sliceEndNs;
  }

  /** The latest moment at which this cause may be notified, and the rule that says so. */
  deadline(cause: PendingCause): Due {
    if (this.broughtForward(cause)) return { rule: "R7", atNs: this.sliceEndNs! };
    const rule = this.forcedNs !== null ? "R6" : this.coalescing === null ? "R3" : "R12";
    return { rule, atNs: this.after(cause, cause.latestNs) };
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

  /** R16: an idle guest's overflow interval is the latency interval. Not known which (null): the longer one must be kept. */
  wakeDue(idle: boolean | null): Due | null {
    if (this.waitFromNs === null) return null;
    const interval = Math.max(...this.intervals(idle));
    return { rule: idle === true ? "R16" : this.waitRule, atNs: Math.max(this.waitFromNs + interval, this.floorNs) };
  }

  mayWakeAt(idle: boolean | null, tNs: number): boolean {
    const from = this.mayFromNs ?? (idle === null ? this.waitFromNs : null);
    if (from === null) return false;
    return this.intervals(idle).some((interval) => tNs === Math.max(from + interval, this.floorNs));
  }

  private intervals(idle: boolean | null): number[] {
    if (idle === null) return [this.latencyNs, this.overflowNs];
    return [idle ? this.latencyNs : this.overflowNs];
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
