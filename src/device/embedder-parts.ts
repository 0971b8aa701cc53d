/**
 * Checks of the objects that an embedder gives to the card. In JavaScript nobody else looks at them, and one that lacks a
 * method would be found out in the middle of a guest's work. Each throws a RangeError that says what was got, and what is
 * allowed.
 */

import { shownValue } from "./shown-value.ts";

/** Throws unless `part` is an instance of `Kind`, or of a class that derives from it. */
export function checkInstance(name: string, part: unknown, Kind: abstract new (...args: never[]) => object): void {
  if (!(part instanceof Kind)) refuse(name, part, `a ${Kind.name}`);
}

/** Throws unless `part` is an object that has all of `methods`. */
export function checkMethods(name: string, part: unknown, kind: string, methods: readonly string[]): void {
  checkObject(name, part, kind);
  for (const method of methods) checkFunction(`${name}.${method}`, (part as Record<string, unknown>)[method]);
}

/** Throws unless all of `fields` of `part` are true or false. */
export function checkFlags(name: string, part: object, fields: readonly string[]): void {
  for (const field of fields) {
    const value = (part as Record<string, unknown>)[field];
    if (typeof value !== "boolean") refuse(`${name}.${field}`, value, "true or false");
  }
}

export function checkObject(name: string, part: unknown, kind: string): void {
  if ((typeof part !== "object" && typeof part !== "function") || part === null) refuse(name, part, kind);
}

export function checkFunction(name: string, part: unknown): void {
  if (typeof part !== "function") refuse(name, part, "a function");
}

export function checkList(name: string, part: unknown): void {
  if (!Array.isArray(part)) refuse(name, part, "a list");
}

/**
 * Throws unless `part` is a buffer itself. A view would be copied where a buffer is shared, and its card would work on the
 * copy. Buffers of other realms (frames, contexts) are buffers, too.
 */
export function checkBuffer(name: string, part: unknown): void {
  const tag = Object.prototype.toString.call(part);
  if (tag !== "[object ArrayBuffer]" && tag !== "[object SharedArrayBuffer]") {
    refuse(name, part, "an ArrayBuffer or a SharedArrayBuffer");
  }
}

function refuse(name: string, got: unknown, allowed: string): never {
  throw new RangeError(`${name} is ${shownValue(got)}; it must be ${allowed}`);
}
