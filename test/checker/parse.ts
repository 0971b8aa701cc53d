/** One line of the event file to one checked value, or a FormatError that says which field is wrong (DESIGN §11). */

import type { Cause, CheckedEvent, Costs, GuestHeader, Notify, RunHeader, Wake } from "./events.ts";

export class FormatError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

const CAUSE_KINDS: readonly string[] = ["rx", "tx", "ctrl", "config"];
const NOTIFY_REASONS: readonly string[] = ["latency", "guard", "urgent", "wake", "config"];
const WAKE_REASONS: readonly string[] = ["overflow", "guard", "urgent", "config"];
const ACTIVATE_REASONS: readonly string[] = ["slice", "wake", "resume"];
const DEACTIVATE_REASONS: readonly string[] = ["slice-end", "preempted", "idle"];

function fail(fields: Fields, name: string, wanted: string): never {
  throw new FormatError(`${String(fields["ev"])}.${name}: ${wanted} expected, ${JSON.stringify(fields[name])} seen`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function num(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isFinite(value)) fail(fields, name, "a number");
  return value;
}

/** §11: `null` means off. A field that is not there at all says no more than that either. */
function numOrNull(fields: Fields, name: string): number | null {
  const value = fields[name];
  return value === null || value === undefined ? null : num(fields, name);
}

function text(fields: Fields, name: string, allowed?: readonly string[]): string {
  const value = fields[name];
  if (typeof value !== "string") fail(fields, name, "a string");
  if (allowed !== undefined && !allowed.includes(value)) fail(fields, name, `one of ${allowed.join(", ")}`);
  return value;
}

export function parseLine(line: string): CheckedEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new FormatError(`not JSON: ${line.slice(0, 80)}`);
  }
  if (!isFields(value)) throw new FormatError(`not an object: ${line.slice(0, 80)}`);
  return decode(value);
}

function decode(f: Fields): CheckedEvent {
  const ev = f["ev"];
  if (ev === "run") return runHeader(f);
  const t = num(f, "t");
  if (ev === "end") return { ev, t };
  const guest = text(f, "guest");
  switch (ev) {
    case "arrive":
      return { ev, t, guest, id: num(f, "id"), queue: num(f, "queue"), len: num(f, "len") };
    case "deliver":
      return {
        ev,
        t,
        guest,
        id: num(f, "id"),
        queue: num(f, "queue"),
        buffers: num(f, "buffers"),
        free: num(f, "free"),
      };
    case "drop":
      return { ev, t, guest, id: num(f, "id"), queue: num(f, "queue"), why: text(f, "why") };
    case "drain":
      return { ev, t, guest, queue: num(f, "queue"), ...drained(f) };
    case "refill":
      return { ev, t, guest, queue: num(f, "queue"), n: num(f, "n") };
    case "cause":
      return causeLine(f, t, guest);
    case "notify-off":
    case "notify-on":
      return { ev, t, guest, queue: num(f, "queue") };
    case "notify":
      return { ev, t, guest, vector: num(f, "vector"), why: text(f, "why", NOTIFY_REASONS) as Notify["why"] };
    case "wake":
      return { ev, t, guest, why: text(f, "why", WAKE_REASONS) as Wake["why"] };
    case "activate":
      return {
        ev,
        t,
        guest,
        cpu: numOrNull(f, "cpu"),
        why: text(f, "why", ACTIVATE_REASONS),
        boosted: f["boosted"] === true || f["boosted"] === 1,
      };
    case "deactivate":
      return { ev, t, guest, why: text(f, "why", DEACTIVATE_REASONS) };
    case "state":
      return { ev, t, guest, seq: num(f, "seq"), postedAt: num(f, "postedAt") };
    case "throttle":
      return {
        ev,
        t,
        guest,
        vector: num(f, "vector"),
        latencyNs: numOrNull(f, "latencyNs"),
        overflowNs: numOrNull(f, "overflowNs"),
        freeMin: numOrNull(f, "freeMin"),
        sliceEndNs: numOrNull(f, "sliceEndNs"),
      };
    default:
      throw new FormatError(`unknown event ${JSON.stringify(ev)}`);
  }
}

function causeLine(f: Fields, t: number, guest: string): Cause {
  const kind = text(f, "kind", CAUSE_KINDS) as Cause["kind"];
  return { ev: "cause", t, guest, vector: num(f, "vector"), queue: numOrNull(f, "queue") ?? -1, kind };
}

function drained(f: Fields): { first: number; last: number; count: number | null; ids: readonly number[] | null } {
  const ids = f["ids"];
  if (ids === undefined)
    return { first: num(f, "first"), last: num(f, "last"), count: numOrNull(f, "count"), ids: null };
  if (!Array.isArray(ids) || ids.length === 0 || !ids.every((id) => typeof id === "number")) {
    fail(f, "ids", "a list of frame ids");
  }
  return { first: ids[0] as number, last: ids.at(-1) as number, count: ids.length, ids };
}

function runHeader(f: Fields): RunHeader {
  const guests = f["guests"];
  if (!Array.isArray(guests)) fail(f, "guests", "a list");
  return {
    ev: "run",
    policy: text(f, "policy"),
    engine: text(f, "engine"),
    pcpus: numOrNull(f, "pcpus"),
    costs: costs(f["costs"]),
    guests: guests.map(guestHeader),
    raw: f,
  };
}

function costs(value: unknown): Costs | null {
  if (!isFields(value)) return null;
  return {
    wakeLatencyNs: num(value, "wakeLatencyNs"),
    isrNs: num(value, "isrNs"),
    frameCostNs: num(value, "frameCostNs"),
    switchNs: num(value, "switchNs"),
  };
}

function guestHeader(value: unknown): GuestHeader {
  if (!isFields(value)) throw new FormatError("run.guests: objects expected");
  const free = value["free"];
  const perQueue = Array.isArray(free) && free.every((n) => typeof n === "number");
  if (typeof free !== "number" && !perQueue) fail(value, "free", "a number");
  const state = text(value, "state", ["active", "inactive", "preempted", "idle"]);
  return {
    name: text(value, "name"),
    free: free as number | readonly number[],
    ring: numOrNull(value, "ring"),
    active: state === "active",
    idle: state === "idle" ? true : state === "inactive" ? null : false,
    cpu: numOrNull(value, "cpu"),
  };
}
