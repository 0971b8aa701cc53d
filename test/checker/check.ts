/**
 * Checks a file of events, and a result that belongs to it, against the published design alone:
 * A every figure of the result, B where each frame went, C the throttle's rules, D that no wake was missed.
 * Reads line by line; what it keeps is what is in flight, and eight bytes per latency sample.
 */

import { Comparison, field, runsOf } from "./compare.ts";
import type { CheckedEvent, Coalescing, GuestEvent, GuestHeader, RunHeader } from "./events.ts";
import { Figures } from "./figures.ts";
import { GuestRules } from "./guest-rules.ts";
import { FrameLedger } from "./ledger.ts";
import { FormatError, parseLine } from "./parse.ts";
import { type CheckReport, Reporter } from "./report.ts";
import { Samples } from "./samples.ts";
import { Schedule } from "./schedule.ts";

export type { CheckReport } from "./report.ts";

export interface CheckOptions {
  /** Violations listed per rule. */
  readonly limit?: number;
  /** R15 and R16: by default looked up by name in the run's header, then in the result's scenario. */
  readonly boostShareMax?: number;
  readonly maxInactiveDelayNs?: number;
  /** D: how long after the last arrival every ring must be empty; by default 50 ms, with threads 100 ms. */
  readonly emptyWithinNs?: number;
}

const MS = 1_000_000;
const DEFAULT_MAX_INACTIVE_DELAY_NS = 10 * MS; // R16

export async function checkEvents(
  lines: Iterable<string> | AsyncIterable<string>,
  result?: unknown,
  options: CheckOptions = {},
): Promise<CheckReport> {
  const report = new Reporter(options.limit);
  if (result !== undefined && field(result, "schema") !== 1) {
    report.violation("A", 0, null, "schema = 1", JSON.stringify(field(result, "schema")) ?? "nothing");
  }
  const results = runsOf(result);
  let run: RunCheck | null = null;
  let runs = 0;
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    let event: CheckedEvent;
    try {
      event = parseLine(line);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      report.violation("format", 0, null, "an event of DESIGN §11", `line ${number}: ${error.message}`);
      continue;
    }
    if (event.ev === "run") {
      if (run !== null) report.violation("format", 0, null, "`end` before the next run", `line ${number}: run`);
      report.beginRun(event.policy, event.engine);
      run = new RunCheck(report, event, options, field(result, "scenario"));
      runs++;
    } else if (run === null) {
      report.violation("format", event.t, null, "a run's header first", `line ${number}: ${event.ev}`);
    } else if (event.ev === "end") {
      run.end(event.t, result === undefined ? null : { value: results[runs - 1] });
      run = null;
    } else {
      run.take(event);
    }
  }
  if (run !== null) report.violation("format", 0, null, "`end` at the end of the run", "the file ends");
  if (result !== undefined && results.length > runs) {
    report.violation("A", 0, null, `${runs} runs, as in the events`, `${results.length} runs in the result`);
  }
  return report.report();
}

interface Checked {
  readonly header: GuestHeader;
  readonly figures: Figures;
  readonly ledger: FrameLedger;
  readonly rules: GuestRules | null;
}

/** One run of the file. */
class RunCheck {
  private readonly report: Reporter;
  private readonly header: RunHeader;
  private readonly guests = new Map<string, Checked>();
  private readonly schedule: Schedule;
  private readonly stateChangeNs = new Samples();
  private readonly exact: boolean;
  private readonly emptyWithinNs: number;
  private readonly maxInactiveDelayNs: number;
  /** Some frames are urgent (R11); which ones no event tells. */
  private readonly urgent: boolean;
  private nowNs = 0;
  private events = 0;

  constructor(report: Reporter, header: RunHeader, options: CheckOptions, scenario: unknown) {
    this.report = report;
    this.header = header;
    // One clock for all threads, and yet a record may be written a little after the moment that another thread saw.
    this.exact = header.engine === "virtual";
    const toleranceNs = this.exact ? 0 : MS;
    this.emptyWithinNs = options.emptyWithinNs ?? (this.exact ? 50 * MS : 100 * MS);
    const limit = (name: string) => findNumber(header.raw, name) ?? findNumber(scenario, name);
    this.maxInactiveDelayNs =
      options.maxInactiveDelayNs ?? limit("maxInactiveDelayNs") ?? DEFAULT_MAX_INACTIVE_DELAY_NS;
    const boostShareMax = options.boostShareMax ?? limit("boostShareMax");
    if (this.exact && boostShareMax === null) report.note("R15's share is not checked: boostShareMax is not given");
    const filter = field(field(scenario, "urgent"), "filter");
    this.urgent = filter !== undefined && filter !== "off";
    const wakeSliceNs = limit("wakeSliceNs");
    const sliceNs = limit("sliceNs");
    this.schedule = new Schedule(report, header.guests, { boostShareMax, wakeSliceNs, sliceNs, exact: this.exact });
    if (!this.exact) report.note("R1–R9 are not checked: deadlines are exact in virtual time only");
    for (const guest of header.guests) {
      const figures = new Figures(guest);
      const ledger = new FrameLedger(report, guest, toleranceNs, (arrivedNs, tag, readNs) =>
        figures.read(arrivedNs, tag, readNs),
      );
      this.guests.set(guest.name, {
        header: guest,
        figures,
        ledger,
        rules: this.exact ? new GuestRules(guest, this.coalescingOf(scenario, guest.name), report) : null,
      });
    }
  }

  take(e: GuestEvent): void {
    this.events++;
    this.inOrder(e.t, e.guest);
    const guest = this.guests.get(e.guest);
    if (guest === undefined) {
      this.report.violation("format", e.t, e.guest, "a guest of the run's header", "another name");
      return;
    }
    const readBefore = guest.ledger.read;
    this.account(guest, e);
    guest.rules?.take(e, guest.ledger.read - readBefore);
    guest.figures.take(e);
    this.schedule.take(e);
    if (e.ev === "state") this.stateChangeNs.add(e.t - e.postedAt);
    if (e.ev === "throttle" && e.overflowNs !== null) this.bounded(e.t, e.guest, e.overflowNs);
  }

  end(tNs: number, result: { readonly value: unknown } | null): void {
    this.inOrder(tNs, null);
    let lastArrivalNs = Number.NEGATIVE_INFINITY;
    for (const { ledger } of this.guests.values()) lastArrivalNs = Math.max(lastArrivalNs, ledger.lastArrivalNs);
    const totals = [];
    for (const { header, figures, ledger, rules } of this.guests.values()) {
      ledger.end(tNs);
      rules?.end(tNs);
      this.emptied(header.name, ledger, lastArrivalNs, tNs);
      const { arrived, delivered, dropped, read, unread } = ledger;
      totals.push({ name: header.name, arrived, delivered, dropped, read, unread, ...figures.end(tNs) });
    }
    this.schedule.end(tNs);
    const { policy, engine, costs } = this.header;
    const stateChangeNs = this.stateChangeNs.distribution();
    const run = { policy, engine, endNs: tNs, costs, stateChangeNs, guests: totals };
    if (result !== null) new Comparison(this.report, run, this.urgent).compare(result.value);
    this.report.endRun(this.events, tNs);
  }

  /**
   * R12: no event carries what a guest asked for; the scenario does, if somebody wrote it there. The policy `notf-coal`
   * makes every guest ask for something, and what that is when the scenario is silent is published nowhere.
   */
  private coalescingOf(scenario: unknown, name: string): Coalescing | "unknown" | null {
    const guests = field(scenario, "guests");
    const guest: unknown = Array.isArray(guests) ? guests.find((g) => field(g, "name") === name) : undefined;
    const coalesce = field(guest, "coalesce");
    const maxUsecs = field(coalesce, "maxUsecs");
    const maxPackets = field(coalesce, "maxPackets");
    if (typeof maxUsecs === "number" && typeof maxPackets === "number") return { maxUsecs, maxPackets };
    if (this.header.policy !== "notf-coal") return null;
    this.report.note(`late and missing notifications are not looked for: ${name}'s own coalescing is not known (R12)`);
    return "unknown";
  }

  private account(guest: Checked, e: GuestEvent): void {
    if (e.ev === "arrive") guest.ledger.arrive(e, guest.figures.tag);
    else if (e.ev === "deliver") guest.ledger.deliver(e);
    else if (e.ev === "drop") guest.ledger.drop(e);
    else if (e.ev === "drain") guest.ledger.drain(e);
    else if (e.ev === "refill") guest.ledger.refill(e);
  }

  /** §11: in time order. */
  private inOrder(tNs: number, guest: string | null): void {
    if (tNs < this.nowNs - (this.exact ? 0 : MS)) {
      this.report.violation("B.time", tNs, guest, `no time before ${this.nowNs}`, `${tNs}`);
    }
    if (tNs > this.nowNs) this.nowNs = tNs;
  }

  /** R16. */
  private bounded(tNs: number, guest: string, overflowNs: number): void {
    this.report.tested("R16");
    if (overflowNs <= this.maxInactiveDelayNs) return;
    this.report.violation("R16", tNs, guest, `ITR_OVERFLOW ≤ ${this.maxInactiveDelayNs} ns`, `${overflowNs} ns`);
  }

  /** D: no wake is missed. A frame whose wake was lost would stay in the ring once no further frame asks for one. */
  private emptied(name: string, ledger: FrameLedger, lastArrivalNs: number, endNs: number): void {
    if (ledger.delivered === 0 || lastArrivalNs < 0) return;
    const byNs = lastArrivalNs + this.emptyWithinNs;
    if (ledger.unread > 0 && endNs < byNs) {
      this.report.note(`D is open for ${name}: ${ledger.unread} frames unread when the run ends, before ${byNs}`);
      return;
    }
    this.report.tested("D");
    if (ledger.unread > 0) {
      this.report.violation("D", byNs, name, `an empty ring by ${byNs}`, `${ledger.unread} frames unread at the end`);
    } else if (ledger.emptySinceNs > byNs) {
      this.report.violation("D", byNs, name, `an empty ring by ${byNs}`, `empty only at ${ledger.emptySinceNs}`);
    }
  }
}

/** A number by its name, wherever in a document it is: the design names these limits, and not where they are written. */
function findNumber(value: unknown, name: string): number | null {
  if (typeof value !== "object" || value === null) return null;
  const own = field(value, name);
  if (typeof own === "number") return own;
  for (const inner of Object.values(value)) {
    const found = findNumber(inner, name);
    if (found !== null) return found;
  }
  return null;
}
