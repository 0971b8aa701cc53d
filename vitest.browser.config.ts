import { defineConfig } from "vitest/config";
import { reporters } from "./test/reporters.ts";

/** The card in a real browser; needs Debian's chromium. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    globalSetup: ["test/build-dist.ts"],
    testTimeout: 60_000,
    ...reporters(),
  },
});
