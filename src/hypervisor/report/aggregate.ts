import type { Distribution, GuestResult, RunResult } from "./result.ts";

/** Figures of a whole run, made from those of its guests. */

export function sumOverGuests(run: RunResult, figure: (guest: GuestResult) => number): number {
  return run.guests.reduce((sum, guest) => sum + figure(guest), 0);
}

export function wakesOf(run: RunResult): number {
  return sumOverGuests(run, (guest) => guest.wakes.total);
}

export function dropsOf(run: RunResult): number {
  return sumOverGuests(run, (guest) => guest.dropped);
}

export function arrivedOf(run: RunResult): number {
  return sumOverGuests(run, (guest) => guest.arrived);
}

/**
 * The percentile of the guest that fared worst; null if no guest has a sample. Percentiles of guests do not add up to
 * one of all their frames, and an average would hide the guest that suffers.
 */
export function worstOf(
  run: RunResult,
  figure: (guest: GuestResult) => Distribution,
  percentile: "p50" | "p99",
): number | null {
  let worst: number | null = null;
  for (const guest of run.guests) {
    const value = figure(guest)[percentile];
    if (value !== null && (worst === null || value > worst)) worst = value;
  }
  return worst;
}
