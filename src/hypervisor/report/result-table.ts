import { dropsOf, wakesOf, worstOf } from "./aggregate.ts";
import { figuresTable, type TableStyle } from "./figures-table.ts";
import { linuxTables } from "./linux-table.ts";
import { countOf, countText, NONE, shareText, timeText } from "./quantity.ts";
import type { Distribution, GuestResult, RunResult } from "./result.ts";
import { verdict } from "./verdict.ts";

/** What a person reads at a glance: tables, and under them what the figures show and what limits them. */

/** One run: a table for each guest, then the host. */
export function runReport(run: RunResult, label: string, style: TableStyle): string {
  const parts = [`${label}, ${run.engine} engine, ${timeText(run.durationNs)}`];
  for (const guest of run.guests) parts.push(guestTable(guest, run, style));
  parts.push(hostTable(run, style), ...linuxTables([run], [label], style));
  parts.push(...notesOf([run], [label]));
  return `${parts.join("\n")}\n`;
}

/** Several runs of one scenario: a row for each policy, a row for each guest under each, and what it comes to. */
export function comparisonReport(runs: readonly RunResult[], labels: readonly string[], style: TableStyle): string {
  const overview = figuresTable(
    style,
    ["policy", "host interrupts", "wakes", "drops", "active p50 / p99", "inactive p50 / p99", "host CPU"],
    runs.map((run, i) => [
      labels[i] ?? run.policy,
      countText(run.host.interrupts),
      countText(wakesOf(run)),
      countText(dropsOf(run)),
      worstPair(run, (guest) => guest.latencyNs),
      worstPair(run, (guest) => guest.latencyInactiveNs),
      timeText(run.host.cpuNs),
    ]),
  );
  const detail = figuresTable(
    style,
    [
      "policy",
      "guest",
      "arrived",
      "dropped",
      "unread",
      "notified",
      "wakes",
      "active",
      "active p50 / p99",
      "inactive p50 / p99",
    ],
    runs.flatMap((run, i) =>
      run.guests.map((guest) => [
        labels[i] ?? run.policy,
        guest.name,
        countText(guest.arrived),
        countText(guest.dropped),
        countText(guest.unread),
        countText(guest.notifications.total),
        countText(guest.wakes.total),
        activeShare(guest, run),
        pair(guest.latencyNs),
        pair(guest.latencyInactiveNs),
      ]),
    ),
  );
  const parts = ["Each policy; latencies are those of its worst guest:", overview, "Each guest:", detail];
  parts.push(...linuxTables(runs, labels, style));
  return `${[...parts, verdict(runs, labels), ...notesOf(runs, labels)].join("\n")}\n`;
}

function guestTable(guest: GuestResult, run: RunResult, style: TableStyle): string {
  const { notifications, wakes, transmitted } = guest;
  const rows = [
    ["arrived", countText(guest.arrived)],
    ["delivered", `${countText(guest.delivered)} (read ${countText(guest.read)}, unread ${countText(guest.unread)})`],
    ["dropped", countText(guest.dropped)],
    ["notifications", reasons(notifications.total, notifications, ["latency", "guard", "urgent", "wake", "config"])],
    ["wakes", reasons(wakes.total, wakes, ["overflow", "guard", "urgent", "config"])],
    ["  more reasons while one was outstanding", countText(wakes.coalesced)],
    ["  activated without boost", countText(wakes.unboosted)],
    ["activations", countText(guest.activations)],
    ["active", `${timeText(guest.activeNs)} (${activeShare(guest, run)})`],
    ["first frame to notification, active", spread(guest.notifyNs)],
    ["latency, active", spread(guest.latencyNs)],
    ["latency, cut off by a deactivation", spread(guest.latencyCutNs)],
    ["latency, inactive at arrival", spread(guest.latencyInactiveNs)],
  ];
  if (transmitted.frames > 0) {
    rows.push(["sent", `${countOf(transmitted.frames, "frame")}, ${countOf(transmitted.bytes, "byte")}`]);
  }
  return figuresTable(style, [guest.name, ""], rows);
}

function hostTable(run: RunResult, style: TableStyle): string {
  const rows = [
    ["interrupts (notifications and wakes)", countText(run.host.interrupts)],
    ["switches", countText(run.host.switches)],
    ["CPU", timeText(run.host.cpuNs)],
  ];
  // Only real time is late; in virtual time these have no samples or are 0.
  if (run.engine === "threads") {
    rows.push(
      ["state change to its taking over, p50 / p99", pair(run.stateChangeNs)],
      ["throttle deadlines late by, p50 / p99", pair(run.latenessNs)],
      ["traffic late by, p50 / p99", pair(run.trafficLatenessNs)],
    );
  }
  return figuresTable(style, ["host", ""], rows);
}

function reasons<K extends string>(total: number, by: Readonly<Record<K, number>>, names: readonly K[]): string {
  const parts = names.filter((name) => by[name] > 0).map((name) => `${name} ${countText(by[name])}`);
  return parts.length === 0 ? countText(total) : `${countText(total)} (${parts.join(", ")})`;
}

function activeShare(guest: GuestResult, run: RunResult): string {
  return run.durationNs === 0 ? NONE : shareText(guest.activeNs / run.durationNs);
}

function spread(d: Distribution): string {
  if (d.count === 0) return NONE;
  const points = `p50 ${timeText(d.p50)}, p90 ${timeText(d.p90)}, p99 ${timeText(d.p99)}, max ${timeText(d.max)}`;
  return `${points} (${countOf(d.count, "sample")})`;
}

function pair(d: { readonly p50: number | null; readonly p99: number | null }): string {
  return d.p50 === null ? NONE : `${timeText(d.p50)} / ${timeText(d.p99)}`;
}

function worstPair(run: RunResult, figure: (guest: GuestResult) => Distribution): string {
  return pair({ p50: worstOf(run, figure, "p50"), p99: worstOf(run, figure, "p99") });
}

/** First what must not be, then what the engines remark; a remark on all runs is made once. */
function notesOf(runs: readonly RunResult[], labels: readonly string[]): string[] {
  const lines = runs.flatMap((run, i) => run.guests.flatMap((guest) => violationLine(guest, labels[i] ?? run.policy)));
  for (const [i, run] of runs.entries()) {
    if (run.interrupted) lines.push(`${labels[i] ?? run.policy}: cut short after ${timeText(run.durationNs)}`);
  }
  for (const note of new Set(runs.flatMap((run) => run.notes))) {
    const saidBy = runs.flatMap((run, i) => (run.notes.includes(note) ? [labels[i] ?? run.policy] : []));
    lines.push(saidBy.length === runs.length ? `Note: ${note}` : `Note (${saidBy.join(", ")}): ${note}`);
  }
  return lines;
}

function violationLine(guest: GuestResult, label: string): string[] {
  const { lost, duplicated, reordered, corrupted } = guest.violations;
  const found = Object.entries({
    lost,
    duplicated,
    reordered,
    corrupted,
    "corrupted in sending": guest.transmitted.corrupted,
  })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${countText(count)} ${what}`);
  return found.length === 0 ? [] : [`WRONG: ${label}, ${guest.name}: frames ${found.join(", ")}`];
}
