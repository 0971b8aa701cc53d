import { defineConfig } from "vitest/config";
import { reporters } from "./test/reporters.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/soak/**", "test/browser/**", "test/linux/**"],
    globalSetup: ["test/build-dist.ts"],
    testTimeout: 60_000,
    ...reporters(),
  },
});
