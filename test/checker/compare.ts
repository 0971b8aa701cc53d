/** The result document held against the figures that the events give (DESIGN §11; docs/results.md): equal, or a violation. */

import type { Costs } from "./events.ts";
import type { GuestFigures } from "./figures.ts";
import type { Reporter } from "./report.ts";
import type { Distribution } from "./samples.ts";

export interface GuestTotals extends GuestFigures {
  readonly name: string;
  readonly arrived: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly read: number;
  readonly unread: number;
}

export interface RunTotals {
  readonly policy: string;
  readonly engine: string;
  readonly endNs: number;
  readonly costs: Costs | null;
  readonly stateChangeNs: Distribution;
  readonly guests: readonly GuestTotals[];
}

type Fields = Readonly<Record<string, unknown>>;

const DISTRIBUTIONS = ["notifyNs", "latencyNs", "latencyCutNs", "latencyInactiveNs"] as const;
const RANKS = ["count", "p50", "p90", "p99", "max"] as const;

export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Fields)[name] : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function runsOf(result: unknown): readonly unknown[] {
  return list(field(result, "runs"));
}

export class Comparison {
  private readonly report: Reporter;
  private readonly run: RunTotals;
  private readonly urgent: boolean;

  /** `urgent`: the scenario has urgent frames. */
  constructor(report: Reporter, run: RunTotals, urgent: boolean) {
    this.report = report;
    this.run = run;
    this.urgent = urgent;
  }

  compare(result: unknown): void {
    if (result === undefined) {
      this.bad(null, "runs", "a run in the result for each run in the events", "none");
      return;
    }
    this.same(null, "policy", this.run.policy, field(result, "policy"));
    this.same(null, "engine", this.run.engine, field(result, "engine"));
    const stateChange = field(result, "stateChangeNs");
    this.same(null, "stateChangeNs.p50", this.run.stateChangeNs.p50, field(stateChange, "p50"));
    this.same(null, "stateChangeNs.p99", this.run.stateChangeNs.p99, field(stateChange, "p99"));
    this.same(null, "durationNs", this.run.endNs, field(result, "durationNs"));
    if (this.run.engine === "virtual") this.nothingIsLate(result);
    const guests = list(field(result, "guests"));
    this.same(null, "guests", this.run.guests.length, guests.length);
    for (const guest of this.run.guests) {
      this.guest(
        guest,
        guests.find((g) => field(g, "name") === guest.name),
      );
    }
    this.host(field(result, "host"));
  }

  /** docs/results.md: in virtual time nothing is late. A document that leaves the pair out makes no claim. */
  private nothingIsLate(result: unknown): void {
    for (const name of ["latenessNs", "trafficLatenessNs"]) {
      const pair = field(result, name);
      if (pair === undefined) continue;
      this.same(null, `${name}.p50`, 0, field(pair, "p50"));
      this.same(null, `${name}.p99`, 0, field(pair, "p99"));
    }
  }

  private guest(guest: GuestTotals, result: unknown): void {
    if (result === undefined) {
      this.bad(guest.name, "guests", "the guest in the result", "not there");
      return;
    }
    for (const name of ["arrived", "delivered", "dropped", "read", "unread", "activations", "activeNs"] as const) {
      this.same(guest.name, name, guest[name], field(result, name));
    }
    for (const [why, n] of Object.entries(guest.notifications)) {
      this.same(guest.name, `notifications.${why}`, n, field(field(result, "notifications"), why));
    }
    for (const [why, n] of Object.entries(guest.wakes)) {
      const seen = field(field(result, "wakes"), why);
      if (why === "coalesced") this.coalesced(guest, seen);
      else this.same(guest.name, `wakes.${why}`, n, seen);
    }
    for (const name of DISTRIBUTIONS) {
      for (const rank of RANKS) {
        this.same(guest.name, `${name}.${rank}`, guest[name][rank], field(field(result, name), rank));
      }
    }
    this.identities(guest.name, result);
    this.ownChecks(guest.name, result);
  }

  /** Urgent and configuration reasons are coalesced too, and no event shows those; with either about, more is right too. */
  private coalesced(guest: GuestTotals, seen: unknown): void {
    const { notifications, wakes } = guest;
    const more = notifications.urgent + wakes.urgent + notifications.config + wakes.config > 0;
    if ((more || this.urgent) && typeof seen === "number" && seen >= wakes.coalesced) this.report.tested("A");
    else this.same(guest.name, "wakes.coalesced", wakes.coalesced, seen);
  }

  /** §11: these hold exactly, whatever the events say. */
  private identities(name: string, result: unknown): void {
    const n = (key: string) => Number(field(result, key));
    this.same(name, "delivered + dropped", n("arrived"), n("delivered") + n("dropped"));
    this.same(name, "read + unread", n("delivered"), n("read") + n("unread"));
  }

  /** What the guest itself found wrong with the frames it read. The events carry no bytes; it must have found nothing. */
  private ownChecks(name: string, result: unknown): void {
    const violations = field(result, "violations");
    if (violations === undefined) return;
    for (const what of ["lost", "duplicated", "reordered", "corrupted"]) {
      this.same(name, `violations.${what}`, 0, field(violations, what));
    }
  }

  private host(result: unknown): void {
    let interrupts = 0;
    let switches = 0;
    let cpuNs = 0;
    const { costs } = this.run;
    for (const { notifications, wakes, activations, read } of this.run.guests) {
      interrupts += notifications.total + wakes.total;
      switches += activations;
      if (costs === null) continue;
      cpuNs += wakes.total * costs.wakeLatencyNs + notifications.total * costs.isrNs;
      cpuNs += read * costs.frameCostNs + activations * costs.switchNs;
    }
    this.same(null, "host.interrupts", interrupts, field(result, "interrupts"));
    this.same(null, "host.switches", switches, field(result, "switches"));
    // §11: in the threads engine cpuNs is a measurement, which no event repeats.
    if (this.run.engine !== "virtual") return;
    if (costs === null) this.report.note("cpuNs not compared: the run's header gives no costs");
    else this.same(null, "host.cpuNs", cpuNs, field(result, "cpuNs"));
  }

  private same(guest: string | null, what: string, expected: number | string | null, seen: unknown): void {
    this.report.tested("A");
    if (seen !== expected) this.bad(guest, what, String(expected), JSON.stringify(seen) ?? "nothing");
  }

  private bad(guest: string | null, what: string, expected: string, seen: string): void {
    this.report.violation("A", this.run.endNs, guest, `${what} = ${expected}, from the events`, seen);
  }
}
