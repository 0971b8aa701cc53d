/**
 * `npm run conformance [-- --json]`: runs the conformance tests, counts the clauses that they hold, and writes
 * docs/spec-coverage.md. Exit code 0 if every test passed and no mandatory clause is untested, 1 otherwise, 2 for a
 * wrong option.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { coverageOf, figuresOf } from "./report/coverage.mjs";
import { coverageMarkdown } from "./report/markdown.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HERE = join(ROOT, "test/conformance");

const options = process.argv.slice(2);
const unknown = options.find((option) => option !== "--json");
if (unknown !== undefined) {
  process.stderr.write(`conformance: unknown option ${unknown}; allowed is --json\n`);
  process.exit(2);
}
const json = options.includes("--json");

const folder = mkdtempSync(join(tmpdir(), "spillway-conformance-"));
try {
  const results = join(folder, "tests.json");
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(HERE, "report/reporter.mjs")}`];
  // Standard output is for the figures.
  const { status, signal } = spawnSync(process.execPath, [vitest, "run", "test/conformance", ...reporters], {
    cwd: ROOT,
    env: { ...process.env, CONFORMANCE_TESTS: results },
    stdio: ["ignore", 2, 2],
  });
  if (existsSync(results)) report(JSON.parse(readFileSync(results, "utf8")), status);
  else {
    const how = signal === null ? `with exit code ${status}` : `by ${signal}`;
    process.stderr.write(`conformance: the test run ended ${how} before it had results; nothing was written\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** Writes the page and prints the figures of a run whose exit code was `status`. */
function report(tests, status) {
  const { clauses } = JSON.parse(readFileSync(join(HERE, "clauses.json"), "utf8"));
  const coverage = coverageOf(clauses, tests);
  const figures = figuresOf(coverage);
  const trial = JSON.parse(readFileSync(join(HERE, "mutations.json"), "utf8"));
  writeFileSync(join(ROOT, "docs/spec-coverage.md"), coverageMarkdown(coverage, figures, trial));
  if (json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else printTable(figures, coverage);
  process.exitCode = status === 0 && figures.mandatory.untested === 0 ? 0 : 1;
}

function printTable({ clauses, mandatory, recommended }, coverage) {
  console.log(`${clauses} clauses of virtio 1.4 for devices`);
  for (const [name, counts] of Object.entries({ mandatory, recommended })) {
    const { total, tested, notApplicable, untested } = counts;
    console.log(`${name}: ${total}, tested ${tested}, not applicable ${notApplicable}, untested ${untested}`);
  }
  const untested = coverage.filter(({ state, level }) => state === "untested" && level !== "MAY");
  if (untested.length > 0) console.log(`untested: ${untested.map(({ id }) => id).join(" ")}`);
}
