import { defineConfig } from "vitest/config";
import { reporters } from "./test/reporters.ts";

/** The card under an unmodified Linux in v86, whose parts come from Debian's packages. */
export default defineConfig({
  test: {
    include: ["test/linux/**/*.test.ts"],
    globalSetup: ["test/build-dist.ts", "test/linux/debian/prepare.ts"],
    testTimeout: 600_000,
    hookTimeout: 900_000,
    maxWorkers: 2,
    // Guests live in real time; a host that stalls for a second makes one late.
    retry: 1,
    ...reporters(),
  },
});
