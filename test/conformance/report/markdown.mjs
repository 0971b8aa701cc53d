/** `docs/spec-coverage.md`, from the coverage of a run: the same run gives the same text. */

export function coverageMarkdown(coverage, figures, { seed, mutations }) {
  const lines = [
    "# Which clause of virtio 1.4 is held by which test",
    "",
    "Written by `npm run conformance` from a run of the tests; do not edit. One row for each normative clause for devices in",
    "virtio 1.4 (cs01), in our own words. A clause is *tested* if tests that name it ran, on every ring, transport and in",
    "every place for which they make sense, and all of them passed. One that does not apply needs something that the card",
    "does not offer. `MAY` clauses ask for nothing; what the card makes of them is tested where it shows.",
    "",
    "| level | total | tested | not applicable | untested |",
    "|---|--:|--:|--:|--:|",
    figureRow("mandatory (MUST, MUST NOT)", figures.mandatory),
    figureRow("recommended (SHOULD, SHOULD NOT, RECOMMENDED)", figures.recommended),
    "",
  ];
  if (mutations.length > 0) lines.push(...mutationLines(seed, mutations));
  let section = "";
  for (const clause of coverage) {
    if (clause.section !== section) {
      section = clause.section;
      lines.push(`## ${section}`, "", "| id | level | clause | held by |", "|---|---|---|---|");
    }
    const { id, level, text, remark } = clause;
    const words = remark === undefined ? cell(text) : `${cell(text)}. *${cell(remark)}*`;
    lines.push(`| ${id} | ${level} | ${words} | ${heldBy(clause)} |`);
    if (coverage[coverage.indexOf(clause) + 1]?.section !== section) lines.push("");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

function figureRow(name, { total, tested, notApplicable, untested }) {
  return `| ${name} | ${total} | ${tested} | ${notApplicable} | ${untested} |`;
}

function mutationLines(seed, mutations) {
  return [
    `## ${mutations.length} clauses, drawn by lot, broken on purpose`,
    "",
    `Drawn by \`node test/conformance/draw-by-lot.mjs ${seed} ${mutations.length}\`. Each was broken in the card's code,`,
    "and a test that names the clause failed.",
    "",
    "| clause | what was broken | test that failed |",
    "|---|---|---|",
    ...mutations.map(({ clause, broken, failed }) => `| ${clause} | ${cell(broken)} | ${cell(failed)} |`),
    "",
  ];
}

function heldBy({ state, tests, notApplicable, level }) {
  if (state === "notApplicable") return `not applicable: ${cell(notApplicable)}`;
  if (tests.length > 0) {
    const list = tests
      .map(({ file, title }) => `${cell(title)} (\`${file.replace("test/conformance/", "")}\`)`)
      .join("; ");
    return state === "tested" ? list : `**failed**: ${list}`;
  }
  return level === "MAY" ? "optional" : "**untested**";
}

function cell(text) {
  return text.replaceAll("|", "\\|");
}
