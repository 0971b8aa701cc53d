import type { z } from "zod";

/** Turns what zod says about a scenario into one line: where, what was got, what is allowed. */

const SHOWN_MAX = 60;

/** A value as JSON, on one line, cut short. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON has no word for these; as `null` they would puzzle (1e999 reads as Infinity).
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** `guests[1].ring`; empty for the whole document. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    text += typeof step === "number" ? `[${step}]` : `${text === "" ? "" : "."}${String(step)}`;
  }
  return text;
}

/** The first complaint; the rest would not fit on one line and often follow from it. */
export function schemaErrorLine(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "not a scenario";
  if (issue.code === "unrecognized_keys") {
    const where = pathText(issue.path);
    const keys = issue.keys.map((key) => shown(key)).join(", ");
    return `${where === "" ? "" : `${where}: `}unknown key ${keys}; allowed are ${issue.message}`;
  }
  return `${prefix(issue.path)}got ${shown(gotValue(issue))}; allowed is ${issue.message}`;
}

function prefix(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : `${pathText(path)}: `;
}

/** For a wrong discriminator zod reports the whole object and the path of the discriminator in it. */
function gotValue(issue: z.core.$ZodIssue): unknown {
  const input: unknown = issue.input;
  if (issue.code === "invalid_union" && typeof input === "object" && input !== null) {
    const key = issue.path.at(-1);
    return key === undefined ? input : Reflect.get(input, key);
  }
  return input;
}
