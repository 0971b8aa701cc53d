/** The normative clauses of virtio 1.4 for devices: our own paraphrase of each, by an id of ours. */

import { readFileSync } from "node:fs";

export interface Clause {
  readonly id: string;
  readonly level: "MUST" | "MUST NOT" | "SHOULD" | "SHOULD NOT" | "RECOMMENDED" | "MAY";
  readonly section: string;
  /** Source file of the standard, and the line of its section there. */
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** Why the clause is none of ours: what it is about is not offered. */
  readonly notApplicable?: string;
}

export const CLAUSES: readonly Clause[] = JSON.parse(
  readFileSync(new URL("clauses.json", import.meta.url), "utf8"),
).clauses;
