import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../../bench/many-cards.mjs", import.meta.url));
const MIB = 2 ** 20;

test("a thousand cards work in one process, and each takes less than 1 MB beside its guest's memory", () => {
  // A process of its own: its heap holds nothing else.
  const output = execFileSync(process.execPath, ["--expose-gc", SCRIPT], { encoding: "utf8" });
  const { cardsWorking, bytesPerCard } = JSON.parse(output) as { cardsWorking: number; bytesPerCard: number };
  expect(cardsWorking).toBe(1000);
  expect(bytesPerCard).toBeGreaterThan(0);
  expect(bytesPerCard).toBeLessThan(MIB);
});
