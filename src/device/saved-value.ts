/**
 * Checks of what a saved state holds. A state may come from a file that anybody has changed: nothing of it is used before it
 * was looked at. Each check throws a RangeError that names the value, what it is, and what is allowed.
 */

import { shownValue } from "./shown-value.ts";

export type SavedCheck = (path: string, value: unknown) => void;

export const flag: SavedCheck = (path, value) => {
  if (typeof value !== "boolean") refuse(path, value, "true or false");
};

export function numberIn(least: number, most: number): SavedCheck {
  return (path, value) => {
    if (typeof value !== "number" || !(value >= least && value <= most)) {
      refuse(path, value, `a number from ${least} to ${most}`);
    }
  };
}

export function integerIn(least: number, most: number): SavedCheck {
  return (path, value) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      refuse(path, value, `an integer from ${least} to ${most}`);
    }
  };
}

export const byte = integerIn(0, 0xff);
export const word16 = integerIn(0, 0xffff);
export const word32 = integerIn(0, 0xffffffff);
/** How often something has happened, or how much of it. */
export const count = numberIn(0, Number.MAX_VALUE);

export function orNull(check: SavedCheck): SavedCheck {
  return (path, value) => {
    if (value !== null) check(path, value);
  };
}

/** A list of `least` to `most` values; of exactly `least` if `most` is left out. */
export function listOf(check: SavedCheck, least: number, most = least): SavedCheck {
  return (path, value) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      refuse(path, value, `a list of ${least === most ? least : `${least} to ${most}`}`);
    }
    for (let i = 0; i < value.length; i++) check(`${path}[${i}]`, value[i]);
  };
}

/** An object with these fields at least. */
export function record(checks: Readonly<Record<string, SavedCheck>>): SavedCheck {
  return (path, value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(path, value, "an object");
    for (const [name, check] of Object.entries(checks))
      check(`${path}.${name}`, (value as Record<string, unknown>)[name]);
  };
}

function refuse(path: string, value: unknown, allowed: string): never {
  throw new RangeError(`saved state: ${path} is ${shownValue(value)}, it must be ${allowed}`);
}
