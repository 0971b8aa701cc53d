/**
 * npm run bench:linux [-- --json] [-- --quick] [-- --latency-us N]: our card and v86's own under the same unmodified Linux.
 * Each round of each design is a process of its own, and the designs take turns, so that a machine whose speed drifts
 * slows both alike. Figures are medians over the rounds; ratios are medians of the rounds' own ratios.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { runnerImport } from "vite";
import { figuresOf, tableOf } from "./figures.mjs";

const args = process.argv.slice(2);
const fail = (message) => {
  process.stderr.write(`bench:linux: ${message}\n`);
  process.exit(2);
};
let json = false;
let quick = false;
let latencyIntervalNs;
while (args.length > 0) {
  const arg = args.shift();
  if (arg === "--json") json = true;
  else if (arg === "--quick") quick = true;
  else if (arg === "--latency-us") {
    const micros = Number(args.shift());
    if (!(micros >= 0 && micros <= 4e6)) fail("--latency-us must be a number from 0 to 4000000");
    latencyIntervalNs = micros * 1000;
  } else fail(`unknown option ${arg}; allowed are --json, --quick, --latency-us N`);
}

const ROUNDS = quick ? 1 : 3;
const { module } = await runnerImport("./test/linux/bench/bench-guest.ts");
try {
  await module.prepareGuests();
} catch (error) {
  fail(error.message);
}
const rounds = [];
for (let round = 0; round < ROUNDS; round++) {
  const figures = {};
  for (const design of ["spillway", "v86"]) {
    const options = JSON.stringify({ design, share: quick ? 0.25 : 1, latencyIntervalNs });
    const output = execFileSync(process.execPath, [join(import.meta.dirname, "round.mjs"), options], {
      encoding: "utf8",
    });
    figures[design] = JSON.parse(output);
    if (!json) process.stderr.write(".");
  }
  rounds.push(figures);
}
if (!json) process.stderr.write("\n");
const figures = figuresOf(rounds);
process.stdout.write(json ? `${JSON.stringify(figures, null, 2)}\n` : tableOf(figures));
process.exit(0);
