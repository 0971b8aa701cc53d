/** Which processes a round of the data path takes, and what their samples say. */

/** Of one direction and ring: subjects that take turns, so that card and floor meet the same machine. */
const SPLIT = ["device", "floor", "plain", "v86"];
const PACKED = ["device", "floor"];
const GROUPS = [
  ["rx", "split", SPLIT],
  ["tx", "split", SPLIT],
  ["rx", "packed", PACKED],
  ["tx", "packed", PACKED],
];
const LENGTHS = [64, 1514];

/** Arguments of measure.mjs, in the order of one round, the milliseconds left out. */
export const dataPathCases = GROUPS.flatMap(([direction, ring, kinds]) => kinds.map((kind) => [kind, direction, ring]));

/** Sorts one round's output into `samples`: by `rx split 64 device` and so on, null for a ring that is not offered. */
export function addSamples(samples, [kind, direction, ring], output) {
  for (const lengthBytes of LENGTHS) {
    const name = `${direction} ${ring} ${lengthBytes} ${kind}`;
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push(output === null ? null : output[lengthBytes]);
  }
}

function median(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[sorted.length >> 1];
}

/** Median of the rounds' own ratios: a slow round slows both. */
function medianRatio(numerators, denominators) {
  return median(numerators.map((value, round) => (value === null ? null : value / denominators[round])));
}

/**
 * `{ rx64Split: { deviceNs, floorNs, ratio, plainNs, v86Ns, timesFasterThanV86 }, …, tx1514Packed: { deviceNs, … } }`,
 * times in ns per frame.
 */
export function dataPathFigures(samples) {
  const figures = {};
  for (const [direction, ring, kinds] of GROUPS) {
    for (const lengthBytes of LENGTHS) {
      const of = (kind) => samples.get(`${direction} ${ring} ${lengthBytes} ${kind}`);
      const cell = {
        deviceNs: median(of("device")),
        floorNs: median(of("floor")),
        ratio: medianRatio(of("device"), of("floor")),
      };
      if (kinds.includes("v86")) {
        cell.plainNs = median(of("plain"));
        cell.v86Ns = median(of("v86"));
        cell.timesFasterThanV86 = medianRatio(of("v86"), of("plain"));
      }
      figures[`${direction}${lengthBytes}${ring === "split" ? "Split" : "Packed"}`] = cell;
    }
  }
  return figures;
}

const COLUMNS = ["deviceNs", "floorNs", "ratio", "plainNs", "v86Ns", "timesFasterThanV86"];
const HEADINGS = ["card ns", "floor ns", "ratio", "plain ns", "v86 ns", "× v86"];

/** The same for people. */
export function dataPathTable(figures) {
  const line = (cells) =>
    `${cells[0].padEnd(18)}${cells
      .slice(1)
      .map((cell) => cell.padStart(10))
      .join("")}\n`;
  const rows = Object.entries(figures).map(([name, cell]) => {
    const values = COLUMNS.map((column) => (typeof cell[column] === "number" ? cell[column].toFixed(1) : "–"));
    return line([name, ...values]);
  });
  return line(["ns per frame", ...HEADINGS]) + rows.join("");
}
