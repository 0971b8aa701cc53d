/** The table of clauses: `clauses.json`, each normative sentence for devices of virtio 1.4, in our own words. */

import { readFileSync } from "node:fs";

export interface Clause {
  readonly id: string;
  /** File of the standard's source and heading. */
  readonly section: string;
  readonly level: "MUST" | "MUST NOT" | "SHOULD" | "SHOULD NOT" | "RECOMMENDED" | "MAY";
  readonly text: string;
  /** Which feature or transport it needs that the card does not offer. */
  readonly notApplicable?: string;
  /** How the card takes it, where the text alone does not tell. */
  readonly remark?: string;
}

const TABLE = JSON.parse(readFileSync(new URL("../clauses.json", import.meta.url), "utf8")) as { clauses: Clause[] };

export const CLAUSES: ReadonlyMap<string, Clause> = new Map(TABLE.clauses.map((clause) => [clause.id, clause]));
