/**
 * Event files written by hand, for the checker's own tests. Every list begins with a guest `g` with a ring of 16 free
 * buffers and the registers latency 1000 ns, overflow 5000 ns, guard off, unless told otherwise.
 */

import { type CheckOptions, checkEvents } from "../../checker/check.ts";
import type { CheckReport } from "../../checker/report.ts";

export type Line = Readonly<Record<string, unknown>>;

export interface Start {
  readonly state?: "active" | "preempted" | "idle";
  readonly engine?: "virtual" | "threads";
  readonly latencyNs?: number | null;
  readonly overflowNs?: number | null;
  readonly freeMin?: number | null;
  readonly sliceEndNs?: number | null;
  readonly free?: number;
  readonly extra?: Line;
}

export const COSTS = { wakeLatencyNs: 20, isrNs: 3, frameCostNs: 5, refillBatch: 4, switchNs: 7 };

export function at(t: number, ev: string, fields: Line = {}): Line {
  return { t, guest: "g", ev, ...fields };
}

/** A frame that arrives and is delivered at t, leaving `free` buffers; with the cause that it latches, if it does. */
export function frame(t: number, id: number, free: number, cause = false): Line[] {
  const events = [
    at(t, "arrive", { id, queue: 0, len: 60 }),
    at(t, "deliver", { id, queue: 0, buffers: 1, free }),
    ...(cause ? [at(t, "cause", { vector: 0, queue: 0, kind: "rx" })] : []),
  ];
  return events;
}

export function dropped(t: number, id: number): Line[] {
  return [at(t, "arrive", { id, queue: 0, len: 60 }), at(t, "drop", { id, queue: 0, why: "no-buffer" })];
}

/** The driver's whole poll in one instant: off, read, refill, on. */
export function poll(t: number, first: number, last: number): Line[] {
  const n = last - first + 1;
  return [
    at(t, "notify-off", { queue: 0 }),
    at(t, "drain", { queue: 0, first, last, count: n }),
    at(t, "refill", { queue: 0, n }),
    at(t, "notify-on", { queue: 0 }),
  ];
}

export const notify = (t: number, why = "latency", vector = 0): Line => at(t, "notify", { vector, why });
export const wake = (t: number, why = "overflow"): Line => at(t, "wake", { why });
export const off = (t: number): Line => at(t, "notify-off", { queue: 0 });
export const on = (t: number): Line => at(t, "notify-on", { queue: 0 });
export const activate = (t: number, why = "slice", boosted = false): Line =>
  at(t, "activate", { cpu: 0, why, boosted });
export const deactivate = (t: number, why = "slice-end"): Line => at(t, "deactivate", { why });
export const throttle = (t: number, start: Start = {}): Line =>
  at(t, "throttle", {
    vector: 0,
    latencyNs: start.latencyNs === undefined ? 1000 : start.latencyNs,
    overflowNs: start.overflowNs === undefined ? 5000 : start.overflowNs,
    freeMin: start.freeMin ?? null,
    sliceEndNs: start.sliceEndNs ?? null,
  });

export function header(start: Start): Line {
  const guest = { name: "g", ring: 16, cpu: 0, vectors: 1, free: start.free ?? 16, state: start.state ?? "active" };
  return {
    ev: "run",
    policy: "cooperative",
    engine: start.engine ?? "virtual",
    pcpus: 1,
    costs: COSTS,
    guests: [guest],
    ...start.extra,
  };
}

export function script(start: Start, events: readonly (Line | Line[])[], endNs: number): string[] {
  const all = [header(start), throttle(0, start), ...events.flat(), { ev: "end", t: endNs }];
  return all.map((line) => JSON.stringify(line));
}

export function check(
  start: Start,
  events: readonly (Line | Line[])[],
  endNs = 1_000_000,
  result?: unknown,
  options?: CheckOptions,
): Promise<CheckReport> {
  return checkEvents(script(start, events, endNs), result, options);
}

/** The rules that were broken, each violation once: what most tests compare. */
export async function broken(start: Start, events: readonly (Line | Line[])[], endNs?: number): Promise<string[]> {
  const { violations } = await check(start, events, endNs);
  return violations.map((v) => `${v.rule} ${v.seen}`);
}
