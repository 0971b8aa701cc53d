/**
 * npm run bench [-- --json] [-- --quick]: how fast the virtual engine and the data path are, what they allocate, and how
 * promptly threads answer. Each case runs in a process of its own, and all cases take turns, so that a machine whose
 * speed drifts slows all of them alike. Figures are minima (costs) or medians (latencies, the data path) over the
 * rounds; cases of seconds take part in the first rounds only.
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { addSamples, dataPathCases, dataPathFigures, dataPathTable } from "./data-path/figures.mjs";
import { CASES as OFFLOAD_CASES } from "./offloads/cases.mjs";

const args = process.argv.slice(2);
const unknown = args.filter((arg) => !["--json", "--quick"].includes(arg));
if (unknown.length > 0) {
  process.stderr.write(`bench: unknown option ${unknown[0]}; allowed are --json, --quick\n`);
  process.exit(2);
}
const quick = args.includes("--quick");
const rounds = quick ? 2 : 5;
const slowRounds = quick ? 1 : 2;
/** Ratios of the data path are what is asked of it, so it has the most rounds. */
const dataPathRounds = quick ? 3 : 11;
/** Milliseconds for which each length of each subject of the data path is warmed up, and then measured. */
const dataPathMs = quick ? "40" : "60";
const folder = import.meta.dirname;

/** Semi-space so large that nothing is collected while allocation is measured: what the heap grows by was allocated. */
const NO_SCAVENGES = ["--expose-gc", "--max-semi-space-size=256", "--min-semi-space-size=256"];
const slowCases = [
  ["virtual.mjs", ["64"], []],
  ["virtual.mjs", ["1514"], []],
  ["virtual.mjs", ["capture"], []],
  ["threads.mjs", [], []],
];
const fastCases = [
  ["receive.mjs", ["64"], []],
  ["receive.mjs", ["1514"], []],
  ["allocation.mjs", [], NO_SCAVENGES],
  ["data-path/allocation.mjs", [], NO_SCAVENGES],
  ...Object.keys(OFFLOAD_CASES).map((name) => ["offloads/time.mjs", [name], []]),
  ["many-cards.mjs", [], ["--expose-gc"]],
];

function runCase(file, argumentsOf, flags) {
  const output = execFileSync(process.execPath, [...flags, resolve(folder, file), ...argumentsOf], {
    encoding: "utf8",
  });
  if (!args.includes("--json")) process.stderr.write(".");
  return JSON.parse(output);
}

const samples = new Map();
const dataPathSamples = new Map();
for (let round = 0; round < rounds; round++) {
  for (const [file, argumentsOf, flags] of round < slowRounds ? [...slowCases, ...fastCases] : fastCases) {
    for (const [name, value] of Object.entries(runCase(file, argumentsOf, flags))) {
      if (!samples.has(name)) samples.set(name, []);
      samples.get(name).push(value);
    }
  }
}
for (let round = 0; round < dataPathRounds; round++) {
  for (const names of dataPathCases) {
    addSamples(dataPathSamples, names, runCase("data-path/measure.mjs", [...names, dataPathMs], []));
  }
}
if (!args.includes("--json")) process.stderr.write("\n");

const sorted = (name) =>
  samples
    .get(name)
    .filter((value) => value !== null)
    .sort((a, b) => a - b);
const min = (name) => sorted(name)[0];
const max = (name) => sorted(name).at(-1);
const median = (name) => sorted(name)[Math.floor(sorted(name).length / 2)] ?? null;

const figures = {
  rounds,
  virtual: {
    framesPerS64: max("virtual64FramesPerS"),
    framesPerS1514: max("virtual1514FramesPerS"),
    framesPerSCapture: max("virtualCaptureFramesPerS"),
  },
  receive: {
    cardNs64: min("receive64CardNs"),
    copyNs64: min("receive64CopyNs"),
    ratio64: min("receive64CardNs") / min("receive64CopyNs"),
    cardNs1514: min("receive1514CardNs"),
    copyNs1514: min("receive1514CopyNs"),
    ratio1514: min("receive1514CardNs") / min("receive1514CopyNs"),
  },
  dataPath: dataPathFigures(dataPathSamples),
  offloads: Object.fromEntries(
    Object.keys(OFFLOAD_CASES).flatMap((name) => [
      [`${name}Ns`, min(`${name}Ns`)],
      [`${name}CopyNs`, min(`${name}CopyNs`)],
    ]),
  ),
  allocation: {
    deviceAndDriverBytesPerFrame: median("allocationBytesPerFrame"),
    rxSplitBytesPerFrame: median("rxSplitBytesPerFrame"),
    txSplitBytesPerFrame: median("txSplitBytesPerFrame"),
    rxPackedBytesPerFrame: median("rxPackedBytesPerFrame"),
    txPackedBytesPerFrame: median("txPackedBytesPerFrame"),
  },
  manyCards: { working: min("cardsWorking"), bytesPerCard: median("bytesPerCard") },
  threads: {
    stateChangeP50Us: median("stateChangeP50Us"),
    latenessP50Us: median("latenessP50Us"),
    peakRssMb: median("peakRssMb"),
    dropped: median("dropped"),
  },
};
if (args.includes("--json")) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
else {
  for (const [group, values] of Object.entries(figures)) {
    if (group === "dataPath") {
      process.stdout.write(dataPathTable(values));
      continue;
    }
    if (typeof values !== "object") continue;
    for (const [name, value] of Object.entries(values)) {
      const figure = typeof value === "number" ? Number(value.toPrecision(4)) : value;
      const label = `${group}.${name}`.padEnd(44);
      process.stdout.write(`${label}${figure}\n`);
    }
  }
}
