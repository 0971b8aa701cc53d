import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const BENCH = new URL("../../../bench/", import.meta.url);
/** Semi-space so large that nothing is collected meanwhile: what the heap grows by was allocated. */
const NO_SCAVENGES = ["--expose-gc", "--max-semi-space-size=256", "--min-semi-space-size=256"];

function allocationFigures(script: string): Record<string, number> {
  const path = fileURLToPath(new URL(script, BENCH));
  return JSON.parse(execFileSync(process.execPath, [...NO_SCAVENGES, path], { encoding: "utf8" }));
}

test("the card allocates nothing per frame, in either direction, on either ring", () => {
  const figures = allocationFigures("data-path/allocation.mjs");
  expect(Object.keys(figures)).toHaveLength(4);
  // A number that outgrows 31 bits is a few bytes per batch of 128 frames; the smallest object is 16 bytes per frame.
  for (const bytesPerFrame of Object.values(figures)) expect(bytesPerFrame).toBeLessThan(4);
});

test("the card allocates nothing per checksum or segment, whether it finishes them or passes them on", () => {
  const figures = allocationFigures("offloads/allocation.mjs");
  expect(Object.keys(figures)).toHaveLength(7);
  for (const [name, bytesPerFrame] of Object.entries(figures)) {
    // A long frame makes 45 segments, or fills 43 buffers.
    const pieces = name.endsWith("Cut") || name.endsWith("Whole") ? 43 : 1;
    expect(bytesPerFrame / pieces, name).toBeLessThan(8);
  }
});
