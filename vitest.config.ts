import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/soak/**", "test/fuzz/**"],
    globalSetup: ["test/build-dist.ts"],
    testTimeout: 30_000,
  },
});
