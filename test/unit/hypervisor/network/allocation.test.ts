import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../../bench/switch-allocation.mjs", import.meta.url));
/** Semi-space so large that nothing is collected meanwhile: what the heap grows by was allocated. */
const NO_SCAVENGES = ["--expose-gc", "--max-semi-space-size=256", "--min-semi-space-size=256"];

test("switch and rings allocate nothing per frame, whatever the lengths", () => {
  const output = execFileSync(process.execPath, [...NO_SCAVENGES, SCRIPT], { encoding: "utf8" });
  const figures = JSON.parse(output) as Record<string, number>;
  expect(Object.keys(figures)).toHaveLength(2);
  for (const bytesPerFrame of Object.values(figures)) expect(bytesPerFrame).toBeLessThan(4);
});
