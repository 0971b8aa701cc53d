/**
 * Times in saved states. A restored card may live on another clock, so a state holds how long ago something was (negative
 * for what is to come); what never was, or never will be, is null, for JSON knows no Infinity.
 */

import { numberIn, orNull } from "../saved-value.ts";

export type SavedTime = number | null;

/** A time that has passed, or never was. */
export const pastTime = orNull(numberIn(0, Number.MAX_VALUE));
export const anyTime = orNull(numberIn(-Number.MAX_VALUE, Number.MAX_VALUE));

/** A time as the state saves it. */
export function savedTime(timeNs: number, nowNs: number): SavedTime {
  return Number.isFinite(timeNs) ? nowNs - timeNs : null;
}

/** The time on this card's clock; `never` for null. */
export function restoredTime(saved: SavedTime, nowNs: number, never: number): number {
  return saved === null ? never : nowNs - saved;
}
