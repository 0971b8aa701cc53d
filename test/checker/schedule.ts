/**
 * The host's side of a run: who holds which physical CPU, that nothing runs without one, and that wakes are bounded (R15).
 * The rules for the card say nothing if the schedule that they are held against is not a possible one.
 */

import type { Activate, Deactivate, GuestEvent, GuestHeader } from "./events.ts";
import type { Reporter } from "./report.ts";

const WINDOW_NS = 100_000_000;

export interface ScheduleLimits {
  /** Share of any 100 ms that a guest may spend in wake slices; null if nobody said. */
  readonly boostShareMax: number | null;
  /** Longest wake slice; a longer boosted span was absorbed by a natural slice that began inside it (R15). */
  readonly wakeSliceNs: number | null;
  readonly sliceNs: number | null;
  /** A guest in a thread of its own parks in its own time, and its records may come late. */
  readonly exact: boolean;
}

interface Span {
  readonly fromNs: number;
  readonly toNs: number;
}

interface OnCpu {
  active: boolean;
  cpu: number | null;
  wakeOutstanding: boolean;
  /** Start of the boosted span that runs, or null. */
  boostedNs: number | null;
  /** Boosted spans that reach into the last 100 ms. */
  spans: Span[];
}

export class Schedule {
  private readonly report: Reporter;
  private readonly limits: ScheduleLimits;
  private readonly guests = new Map<string, OnCpu>();
  private readonly cpus = new Map<number, string>();

  constructor(report: Reporter, guests: readonly GuestHeader[], limits: ScheduleLimits) {
    this.report = report;
    this.limits = limits;
    for (const { name, active, cpu } of guests) {
      if (active && cpu !== null) this.cpus.set(cpu, name);
      this.guests.set(name, { active, cpu: active ? cpu : null, wakeOutstanding: false, boostedNs: null, spans: [] });
    }
  }

  take(e: GuestEvent): void {
    const guest = this.guests.get(e.guest);
    if (guest === undefined) return;
    switch (e.ev) {
      case "activate":
        this.activate(guest, e);
        break;
      case "deactivate":
        this.deactivate(guest, e);
        break;
      case "wake":
        guest.wakeOutstanding = true;
        break;
      case "drain":
      case "refill":
      case "notify-off":
      case "notify-on":
        if (!this.limits.exact) break;
        this.report.tested("B.cpu");
        if (!guest.active) this.bad("B.cpu", e.t, e.guest, "a guest without a CPU to do nothing", e.ev);
        break;
      default:
    }
  }

  end(tNs: number): void {
    for (const [name, guest] of this.guests) this.closeBoost(guest, name, tNs);
  }

  private activate(guest: OnCpu, e: Activate): void {
    this.report.tested("B.cpu");
    if (guest.active) this.bad("B.cpu", e.t, e.guest, "no activation of an active guest", `activate(${e.why})`);
    if (e.cpu !== null) {
      const holder = this.cpus.get(e.cpu);
      if (holder !== undefined && holder !== e.guest) {
        this.bad("B.cpu", e.t, e.guest, `CPU ${e.cpu} to be free`, `held by ${holder}`);
      }
      this.cpus.set(e.cpu, e.guest);
    }
    if ((e.why === "wake" || e.boosted) && this.limits.exact) {
      this.report.tested("R15");
      if (!guest.wakeOutstanding) {
        const seen = `${e.boosted ? "boosted " : ""}activate(${e.why})`;
        this.bad("R15", e.t, e.guest, "an activation for a wake only while one is outstanding", seen);
      }
    }
    guest.active = true;
    guest.cpu = e.cpu;
    guest.wakeOutstanding = false;
    // A boost that ends in the guest's own slice ("slice") takes nothing from the others: it is absorbed from its start.
    guest.boostedNs = e.boosted && e.why === "wake" ? e.t : null;
  }

  private deactivate(guest: OnCpu, e: Deactivate): void {
    if (!guest.active) this.bad("B.cpu", e.t, e.guest, "no deactivation of an inactive guest", `deactivate(${e.why})`);
    if (guest.cpu !== null && this.cpus.get(guest.cpu) === e.guest) this.cpus.delete(guest.cpu);
    guest.active = false;
    guest.cpu = null;
    this.closeBoost(guest, e.guest, e.t);
  }

  /**
   * R15. The time in wake slices within a moving window of 100 ms is largest when the window ends where a span does: a
   * window that ends inside a span gains, moved on, at least what it loses. So one look at each span's end covers all.
   */
  private closeBoost(guest: OnCpu, name: string, tNs: number): void {
    const fromNs = guest.boostedNs;
    guest.boostedNs = null;
    const { boostShareMax, exact } = this.limits;
    // In threads a guest is off the CPU when it has parked, which the machine's own scheduler may put off at will.
    if (fromNs === null || boostShareMax === null || !exact) return;
    this.report.tested("R15");
    const toNs = fromNs + this.wakeSlice(tNs - fromNs);
    const windowNs = toNs - WINDOW_NS;
    guest.spans = guest.spans.filter((span) => span.toNs > windowNs);
    guest.spans.push({ fromNs, toNs });
    let sum = 0;
    for (const span of guest.spans) sum += span.toNs - Math.max(span.fromNs, windowNs);
    const most = boostShareMax * WINDOW_NS;
    if (sum <= most) return;
    this.bad("R15", toNs, name, `at most ${most} ns of the last 100 ms in wake slices`, `${sum} ns`);
  }

  /**
   * How much of a boosted span was a wake slice, at least. No event tells when a natural slice absorbed it; but a span
   * that is longer than a wake slice was absorbed, and no more of it than a natural slice can have been one.
   */
  private wakeSlice(lengthNs: number): number {
    const { wakeSliceNs, sliceNs } = this.limits;
    if (wakeSliceNs === null || lengthNs <= wakeSliceNs) return lengthNs;
    return sliceNs === null ? 0 : Math.max(0, lengthNs - sliceNs);
  }

  private bad(rule: string, tNs: number, guest: string, expected: string, seen: string): void {
    this.report.violation(rule, tNs, guest, expected, seen);
  }
}
