/**
 * npm run bench [-- --json] [-- --quick]: how fast the virtual engine and the data path are, what they allocate, and how
 * promptly threads answer. Each case runs in a process of its own, and all cases take turns, so that a machine whose
 * speed drifts slows all of them alike. Figures are minima (costs) or medians (latencies) over the rounds.
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

const args = process.argv.slice(2);
const unknown = args.filter((arg) => !["--json", "--quick"].includes(arg));
if (unknown.length > 0) {
  process.stderr.write(`bench: unknown option ${unknown[0]}; allowed are --json, --quick\n`);
  process.exit(2);
}
const quick = args.includes("--quick");
const rounds = quick ? 2 : 5;
const folder = import.meta.dirname;

/** Semi-space so large that nothing is collected while allocation is measured: what the heap grows by was allocated. */
const NO_SCAVENGES = ["--expose-gc", "--max-semi-space-size=256", "--min-semi-space-size=256"];
const cases = [
  ["virtual.mjs", "64", []],
  ["virtual.mjs", "1514", []],
  ["virtual.mjs", "capture", []],
  ["receive.mjs", "64", []],
  ["receive.mjs", "1514", []],
  ["allocation.mjs", "", NO_SCAVENGES],
  ["threads.mjs", "", []],
];

const samples = new Map();
for (let round = 0; round < rounds; round++) {
  for (const [file, argument, flags] of cases) {
    const output = execFileSync(process.execPath, [...flags, resolve(folder, file), argument], { encoding: "utf8" });
    for (const [name, value] of Object.entries(JSON.parse(output))) {
      if (!samples.has(name)) samples.set(name, []);
      samples.get(name).push(value);
    }
    if (!args.includes("--json")) process.stderr.write(".");
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
const median = (name) => sorted(name)[Math.floor(sorted(name).length / 2)];

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
  allocation: { deviceAndDriverBytesPerFrame: median("allocationBytesPerFrame") },
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
    if (typeof values !== "object") continue;
    for (const [name, value] of Object.entries(values)) {
      const figure = typeof value === "number" ? Number(value.toPrecision(4)) : value;
      const label = `${group}.${name}`.padEnd(44);
      process.stdout.write(`${label}${figure}\n`);
    }
  }
}
