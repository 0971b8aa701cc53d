import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";

/** Worker entries run compiled: Node 20 loads no TypeScript. So every test run begins with a build of `dist`. */
export default function buildDist(): void {
  const tsc = createRequire(import.meta.url)
    .resolve("typescript/package.json")
    .replace(/package\.json$/, "bin/tsc");
  try {
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { stdio: "inherit" });
  } catch {}
}
