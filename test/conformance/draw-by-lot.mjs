/**
 * `node test/conformance/draw-by-lot.mjs SEED [COUNT]`: draws clauses (ten, if COUNT is left out) out of all that ask for
 * something and apply to the card, to be broken on purpose. Each has a lot of its own, the hash of seed and id, and the
 * lowest lots win: a clause that joins or leaves the table moves no other.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [seed, count = 10] = process.argv.slice(2).map(Number);
if (!Number.isInteger(seed) || !Number.isInteger(count)) {
  process.stderr.write("draw-by-lot: usage: draw-by-lot.mjs SEED [COUNT], both integers\n");
  process.exit(2);
}
const { clauses } = JSON.parse(readFileSync(new URL("clauses.json", import.meta.url), "utf8"));
const lots = clauses
  .filter((clause) => clause.level !== "MAY" && clause.notApplicable === undefined)
  .map(({ id }) => ({ id, lot: createHash("sha256").update(`${seed} ${id}`).digest("hex") }))
  .sort((a, b) => (a.lot < b.lot ? -1 : 1));
for (const { id } of lots.slice(0, count)) console.log(id);
