/**
 * The checker as a command: `node main.js EVENTS.ndjson [RESULT.json] [--limit N] [--boost-share-max X]
 * [--max-inactive-delay-ns N] [--empty-within-ns N] [--json]`. Exit code 0: no violation; 1: violations; 2: bad use.
 */

import { createReadStream, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type CheckOptions, checkEvents } from "./check.ts";
import type { CheckReport } from "./report.ts";

/**
 * Lines of a file of any size. Chunks are cut by hand: readline awaits once per line, which for millions of lines costs
 * more than the checking does.
 */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of createReadStream(path, { encoding: "utf8", highWaterMark: 1 << 20 })) {
    const text: string = rest + String(chunk);
    let from = 0;
    for (let to = text.indexOf("\n"); to >= 0; to = text.indexOf("\n", from)) {
      yield text.slice(from, to);
      from = to + 1;
    }
    rest = text.slice(from);
  }
  if (rest !== "") yield rest;
}

function print(report: CheckReport): void {
  for (const run of report.runs) {
    const seconds = (run.endNs / 1e9).toFixed(3);
    console.log(
      `run ${run.run} ${run.policy} (${run.engine}): ${run.events} events, ${seconds} s, ${run.violations} violations`,
    );
  }
  const tested = Object.entries(report.tested).map(([rule, n]) => `${rule} ${n}`);
  console.log(`tested: ${tested.join(", ")}`);
  for (const note of report.notes) console.log(`note: ${note}`);
  for (const v of report.violations) {
    const where = `run ${v.run} ${v.policy}, t = ${v.tNs}${v.guest === null ? "" : `, ${v.guest}`}`;
    console.log(`${v.rule}: ${where}: expected ${v.expected}; seen ${v.seen}`);
  }
  const counts = Object.entries(report.counts).map(([rule, n]) => `${rule} ${n}`);
  console.log(report.ok ? "no violation" : `violations: ${counts.join(", ")}`);
}

function args() {
  return parseArgs({
    allowPositionals: true,
    options: {
      limit: { type: "string" },
      "boost-share-max": { type: "string" },
      "max-inactive-delay-ns": { type: "string" },
      "empty-within-ns": { type: "string" },
      json: { type: "boolean" },
    },
  });
}

async function main({ values, positionals }: ReturnType<typeof args>): Promise<number> {
  const [events, resultPath] = positionals;
  if (events === undefined || positionals.length > 2) {
    console.error("usage: main.js EVENTS.ndjson [RESULT.json] [--limit N] [--json] ...");
    return 2;
  }
  const options: { -readonly [K in keyof CheckOptions]: CheckOptions[K] } = {};
  if (values.limit !== undefined) options.limit = Number(values.limit);
  if (values["boost-share-max"] !== undefined) options.boostShareMax = Number(values["boost-share-max"]);
  if (values["max-inactive-delay-ns"] !== undefined) {
    options.maxInactiveDelayNs = Number(values["max-inactive-delay-ns"]);
  }
  if (values["empty-within-ns"] !== undefined) options.emptyWithinNs = Number(values["empty-within-ns"]);
  const result: unknown = resultPath === undefined ? undefined : JSON.parse(readFileSync(resultPath, "utf8"));
  const report = await checkEvents(linesOf(events), result, options);
  if (values.json === true) console.log(JSON.stringify(report, null, 2));
  else print(report);
  return report.ok ? 0 : 1;
}

try {
  process.exitCode = await main(args());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
