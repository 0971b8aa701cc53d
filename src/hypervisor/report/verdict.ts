import { arrivedOf, dropsOf, wakesOf, worstOf } from "./aggregate.ts";
import { countOf, countText, timeText } from "./quantity.ts";
import type { GuestResult, RunResult } from "./result.ts";

/** One plain sentence that says what a comparison shows. `labels` name the runs, in their order. */
export function verdict(runs: readonly RunResult[], labels: readonly string[]): string {
  const subject = pick(runs, ["cooperative-adaptive", "cooperative"], runs.length - 1, -1);
  const baseline = pick(runs, ["fixed", "unmoderated"], 0, subject);
  const ours = runs[subject];
  const theirs = runs[baseline];
  if (ours === undefined || theirs === undefined) return "There is one run only, hence nothing to compare.";
  if (runs.some((run) => run.interrupted)) {
    return "The comparison was cut short: its runs did not see the same traffic, so their figures cannot be compared.";
  }
  if (arrivedOf(ours) === 0 && arrivedOf(theirs) === 0) return "No frame arrived, hence there is nothing to compare.";

  const name = labels[subject] ?? ours.policy;
  const other = labels[baseline] ?? theirs.policy;
  const sentence =
    `${name} woke the host ${times(wakesOf(ours), wakesOf(theirs), other)}, ` +
    `interrupted it ${times(ours.host.interrupts, theirs.host.interrupts, other)} (wakes included), ` +
    `and ${drops(dropsOf(ours), dropsOf(theirs), other)}`;
  const latencies = [
    latency("active", ours, theirs, other, (guest) => guest.latencyNs),
    latency("inactive", ours, theirs, other, (guest) => guest.latencyInactiveNs),
  ].filter((part) => part !== null);
  const p99 = latencies.length === 0 ? "" : `; the worst guest's p99 latency was ${latencies.join(" and ")}`;
  return `${sentence}${p99}.${differentTraffic(ours, theirs, other)}`;
}

/** The first run of the first of these policies that there is; else `fallback`, or its neighbour if that is `taken`. */
function pick(runs: readonly RunResult[], policies: readonly string[], fallback: number, taken: number): number {
  for (const policy of policies) {
    const index = runs.findIndex((run, i) => run.policy === policy && i !== taken);
    if (index >= 0) return index;
  }
  return fallback === taken ? fallback + 1 : fallback;
}

function times(ours: number, theirs: number, other: string): string {
  const text = countOf(ours, "time");
  if (ours < theirs) return `${text} instead of ${countText(theirs)}`;
  return ours > theirs ? `${text}, more often than ${other} (${countText(theirs)})` : `${text}, as often as ${other}`;
}

function drops(ours: number, theirs: number, other: string): string {
  if (ours === 0)
    return theirs === 0 ? `dropped nothing, nor did ${other}` : `dropped nothing (${other}: ${countText(theirs)})`;
  const text = `dropped ${countOf(ours, "frame")}`;
  if (ours < theirs) return `${text} instead of ${countText(theirs)}`;
  if (ours === theirs) return `${text}, as many as ${other}`;
  return theirs === 0 ? `${text} where ${other} dropped nothing` : `${text}, more than ${other} (${countText(theirs)})`;
}

function latency(
  state: string,
  ours: RunResult,
  theirs: RunResult,
  other: string,
  figure: (guest: GuestResult) => GuestResult["latencyNs"],
): string | null {
  const ourP99 = worstOf(ours, figure, "p99");
  const theirP99 = worstOf(theirs, figure, "p99");
  if (ourP99 === null || theirP99 === null) return null;
  return `${timeText(ourP99)} ${state} (${other}: ${timeText(theirP99)})`;
}

/** Closed-loop traffic and real time do not repeat exactly; what follows then is said with that reservation. */
function differentTraffic(ours: RunResult, theirs: RunResult, other: string): string {
  const [a, b] = [arrivedOf(ours), arrivedOf(theirs)];
  if (a === b) return "";
  return ` Note that it saw ${countOf(a, "frame")}, and ${other} ${countText(b)}.`;
}
