/** Writes which clauses each test has named and how it went to the file that CONFORMANCE_TESTS names. */

import { writeFileSync } from "node:fs";
import { relative } from "node:path";

export default class ConformanceReporter {
  onTestRunEnd(modules) {
    const tests = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({
        file: relative(process.cwd(), module.moduleId),
        name: test.name,
        title: test.meta().title ?? test.name,
        clauses: test.meta().clauses ?? [],
        state: test.result().state,
      })),
    );
    writeFileSync(process.env.CONFORMANCE_TESTS, JSON.stringify(tests));
  }
}
