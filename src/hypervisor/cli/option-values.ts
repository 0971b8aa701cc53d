import type { Limit } from "../scenario/limits.ts";
import { shown } from "../scenario/schema-error.ts";
import { UserError } from "../user-error.ts";

/** Readers of option values for commander. A value given twice is refused: one of the two would be silently ignored. */

type Reader<T> = (text: string, previous: T | undefined) => T;

/** Plain decimal notation, 1e6 included; Number() would also take "", " 7 " and "0x10". */
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

export function numberValue(option: string, limit: Limit): Reader<number> {
  return (text, previous) => {
    refuseSecond(option, previous);
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    if (!limit.accepts(value)) throw new UserError(`${option}: got ${shown(text)}; allowed is ${limit.allowed}`);
    return value;
  };
}

export function choiceValue<const T extends string>(option: string, choices: readonly T[]): Reader<T> {
  return (text, previous) => {
    refuseSecond(option, previous);
    const found = choices.find((choice) => choice === text);
    if (found === undefined)
      throw new UserError(`${option}: got ${shown(text)}; allowed is one of ${choices.join(", ")}`);
    return found;
  };
}

export function pathValue(option: string): Reader<string> {
  return (text, previous) => {
    refuseSecond(option, previous);
    return checkedPath(option, text);
  };
}

export function pathValues(option: string): Reader<readonly string[]> {
  return (text, previous) => [...(previous ?? []), checkedPath(option, text)];
}

export function choiceValues<const T extends string>(option: string, choices: readonly T[]): Reader<readonly T[]> {
  const one = choiceValue(option, choices);
  return (text, previous = []) => {
    const choice = one(text, undefined);
    if (previous.includes(choice)) throw new UserError(`${option}: got ${choice} twice; allowed is once each`);
    return [...previous, choice];
  };
}

function checkedPath(option: string, text: string): string {
  // "-" would be a file of that name, which nobody who writes it means.
  if (text === "" || text === "-" || text.includes("\0")) {
    throw new UserError(`${option}: got ${shown(text)}; allowed is the path of a file`);
  }
  return text;
}

function refuseSecond(option: string, previous: unknown): void {
  if (previous !== undefined) throw new UserError(`${option}: given twice; allowed is once`);
}
