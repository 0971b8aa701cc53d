/** Medians and ratios of the rounds, and a table of them. */

/** Ratio of our card to v86's own, the target, and which side of it is good. */
const TARGETS = [
  ["receiveBurst64.framesPerS", 1, "at least"],
  ["receiveBurst1514.framesPerS", 1, "at least"],
  ["receiveTrickle64.framesPerS", 4, "at least"],
  ["receiveTrickle1514.framesPerS", 4, "at least"],
  ["transmit64.framesPerS", 1.5, "at least"],
  ["transmit1514.framesPerS", 1.5, "at least"],
  ["tcp.mibPerS", 4, "at least"],
  ["receiveTrickle64.interruptsPerFrame", 1 / 8, "at most"],
  ["receiveTrickle1514.interruptsPerFrame", 1 / 8, "at most"],
];

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** `rounds`: figures of both designs, by name. */
export function figuresOf(rounds) {
  const medians = (design) =>
    Object.fromEntries(
      Object.keys(rounds[0][design]).map((name) => [name, median(rounds.map((round) => round[design][name]))]),
    );
  const ratios = TARGETS.map(([name, target, side]) => {
    const ratio = median(rounds.map((round) => round.spillway[name] / round.v86[name]));
    return { name, ratio, target, side, reached: side === "at least" ? ratio >= target : ratio <= target };
  });
  return { rounds: rounds.length, spillway: medians("spillway"), v86: medians("v86"), ratios };
}

export function tableOf({ spillway, v86, ratios }) {
  const number = (value) => String(Number(value.toPrecision(4))).padStart(12);
  const lines = Object.keys(spillway).map((name) => {
    const ratio = ratios.find((entry) => entry.name === name);
    const verdict = ratio === undefined ? "" : `${number(ratio.ratio)}  ${ratio.side} ${ratio.target}`;
    return `${name.padEnd(38)}${number(spillway[name])}${number(v86[name])}${verdict}`;
  });
  const head = `${"".padEnd(38)}${"spillway".padStart(12)}${"v86's own".padStart(12)}${"ratio".padStart(12)}`;
  return `${[head, ...lines].join("\n")}\n`;
}
