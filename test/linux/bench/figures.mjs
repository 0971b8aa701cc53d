/** Figures and ratios of the turns, and a table of them. */

/** Figures of which our card's ratio to v86's own is taken, its target if there is one, and which side of that is good. */
const RATIOS = [
  ["receiveBurst64", "framesPerS", 1, "at least"],
  ["receiveBurst1514", "framesPerS", 1, "at least"],
  ["receiveTrickle64", "framesPerS", 4, "at least"],
  ["receiveTrickle1514", "framesPerS", 4, "at least"],
  ["transmit64", "framesPerS", 1.5, "at least"],
  ["transmit1514", "framesPerS", 1.5, "at least"],
  ["tcp", "mibPerS", 4, "at least"],
  ["exchange", "answersPerS", null],
  ["pingIdle", "medianUs", 1, "at most"],
  ["pingRunning", "medianUs", 1, "at most"],
  ["receiveTrickle64", "interruptsPerFrame", 1 / 8, "at most"],
  ["receiveTrickle1514", "interruptsPerFrame", 1 / 8, "at most"],
];
/** Figures of which every turn's counts; of the others the median is shown. */
const COUNTS = ["missing", "lost", "retransmitted", "emptyInterrupts"];

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** `turns`: by name of what was measured, figures of both designs in each turn. */
export function figuresOf(turns) {
  const of = (design) =>
    Object.fromEntries(
      [...turns].map(([name, entries]) => {
        const figure = (key) => {
          const values = entries.map((entry) => entry[design][key]);
          return COUNTS.includes(key) ? sum(values) : median(values);
        };
        return [name, Object.fromEntries(Object.keys(entries[0][design]).map((key) => [key, figure(key)]))];
      }),
    );
  const ratios = RATIOS.map(([name, key, target, side]) => {
    const ratio = median(turns.get(name).map(({ spillway, v86 }) => spillway[key] / v86[key]));
    if (target === null) return { name, figure: key, ratio };
    return { name, figure: key, ratio, target, side, reached: side === "at least" ? ratio >= target : ratio <= target };
  });
  return { turns: turns.get("tcp").length, spillway: of("spillway"), v86: of("v86"), ratios };
}

export function tableOf({ spillway, v86, ratios }) {
  const number = (value) => String(Number(value.toPrecision(4))).padStart(12);
  const lines = Object.keys(spillway).flatMap((name) =>
    Object.keys(spillway[name]).map((key) => {
      const ratio = ratios.find((entry) => entry.name === name && entry.figure === key);
      const target = ratio?.target === undefined ? "" : `  ${ratio.side} ${ratio.target}`;
      const verdict = ratio === undefined ? "" : `${number(ratio.ratio)}${target}`;
      return `${`${name}.${key}`.padEnd(38)}${number(spillway[name][key])}${number(v86[name][key])}${verdict}`;
    }),
  );
  const head = `${"".padEnd(38)}${"spillway".padStart(12)}${"v86's own".padStart(12)}${"ratio".padStart(12)}`;
  return `${[head, ...lines].join("\n")}\n`;
}
