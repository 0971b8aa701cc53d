import { defineConfig } from "vitest/config";
import { reporters } from "./test/reporters.ts";

/** The slower suites: threads for minutes, fuzzing for a bounded time. One file at a time: they measure and load the CPUs. */
export default defineConfig({
  test: {
    include: ["test/soak/**/*.test.ts"],
    globalSetup: ["test/build-dist.ts"],
    testTimeout: 600_000,
    fileParallelism: false,
    ...reporters(),
  },
});
