/**
 * npm run bench:linux [-- --json] [-- --quick] [-- --latency-us N]: our card and v86's own under the same unmodified Linux.
 * Each design has a process of its own. They take turns at short measurements, so that a machine whose speed drifts slows
 * both alike; the ratios are medians of the turns' own ratios.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { runnerImport } from "vite";
import { figuresOf, tableOf } from "./figures.mjs";

const FRAMES = ["receiveBurst", "receiveTrickle", "transmit"].flatMap((way) => [`${way}64`, `${way}1514`]);
const SCENES = [
  ["wire", [...FRAMES, "exchange", "pingIdle", "pingRunning"]],
  ["tcp", ["tcp"]],
];
const DESIGNS = ["spillway", "v86"];

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
/** Where a process has its code and memory makes a tenth of its speed, so there are several of each design. */
const PAIRS = quick ? 1 : 3;
const TURNS_PER_PAIR = quick ? 3 : 5;
const share = quick ? 0.3 : 1;

/** What `child` answers to `message`, or to its start. */
function ask(child, message) {
  if (message !== null) child.send(message);
  return new Promise((resolve) => {
    child.removeAllListeners();
    child.on("message", ({ error, figures }) => (error === undefined ? resolve(figures) : fail(error)));
    child.on("exit", (code) => fail(`a process of the bench has ended with ${code}`));
  });
}

const { module } = await runnerImport("./test/linux/bench/bench-guest.ts");
try {
  await module.prepareGuests();
} catch (error) {
  fail(error.message);
}
/** Figures of both designs, by name of what was measured: one entry for each turn. */
const turns = new Map();
for (const [scene, names] of SCENES.flatMap((entry) => new Array(PAIRS).fill(entry))) {
  const children = {};
  for (const design of DESIGNS) {
    children[design] = fork(join(import.meta.dirname, "scene-process.mjs"));
    await ask(children[design], null);
    await ask(children[design], { options: { design, scene, share, latencyIntervalNs } });
  }
  for (let turn = 0; turn < TURNS_PER_PAIR; turn++) {
    for (const name of names) {
      const figures = {};
      // Neither is always the first.
      for (const design of turn % 2 === 0 ? DESIGNS : DESIGNS.toReversed()) {
        figures[design] = await ask(children[design], { name });
      }
      if (!turns.has(name)) turns.set(name, []);
      turns.get(name).push(figures);
    }
    if (!json) process.stderr.write(".");
  }
  for (const child of Object.values(children)) {
    child.removeAllListeners();
    child.disconnect();
  }
}
if (!json) process.stderr.write("\n");
const figures = figuresOf(turns);
process.stdout.write(json ? `${JSON.stringify(figures, null, 2)}\n` : tableOf(figures));
