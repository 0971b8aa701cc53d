/** Which clauses are tested: those that at least one test names that ran and passed, and none that failed. */

const MANDATORY = ["MUST", "MUST NOT"];
const RECOMMENDED = ["SHOULD", "SHOULD NOT", "RECOMMENDED"];

/**
 * @param clauses the table's clauses
 * @param tests what the reporter has written
 * @returns each clause with `state` (tested, notApplicable, untested) and `tests`: [{file, title}], sorted
 */
export function coverageOf(clauses, tests) {
  return clauses.map((clause) => {
    const naming = tests.filter((test) => test.clauses.includes(clause.id) && test.state !== "skipped");
    const tested = naming.length > 0 && naming.every((test) => test.state === "passed");
    const places = new Map(naming.map(({ file, title }) => [`${file}\n${title}`, { file, title }]));
    const state = clause.notApplicable !== undefined ? "notApplicable" : tested ? "tested" : "untested";
    return { ...clause, state, tests: [...places.keys()].sort().map((key) => places.get(key)) };
  });
}

/** The figures that `npm run conformance -- --json` prints. MAY is in the total alone: it asks for nothing. */
export function figuresOf(coverage) {
  return {
    clauses: coverage.length,
    mandatory: countsOf(coverage, MANDATORY),
    recommended: countsOf(coverage, RECOMMENDED),
  };
}

function countsOf(coverage, levels) {
  const counts = { total: 0, tested: 0, notApplicable: 0, untested: 0 };
  for (const { level, state } of coverage) {
    if (!levels.includes(level)) continue;
    counts.total++;
    counts[state]++;
  }
  return counts;
}
