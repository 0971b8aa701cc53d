import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { POLICY_NAMES } from "../../../../src/hypervisor/scenario/defaults.ts";
import { scenarioSchema } from "../../../../src/hypervisor/scenario/schema.ts";

const TEXT = readFileSync("docs/scenarios.md", "utf8");

/** Every word that the page sets as code. */
const NAMED = [...TEXT.matchAll(/`([^`]+)`/g)].flatMap((match) => match[1]?.match(/[\w-]+/g) ?? []);

/** What is refused says which keys are allowed: so the schema tells its own keys. */
function keysAt(json: object): string[] {
  const { error } = scenarioSchema.safeParse(json);
  const line = error?.issues.find((issue) => issue.code === "unrecognized_keys")?.message ?? "";
  return line.replace(/^the keys /, "").split(", ");
}

describe("docs/scenarios.md", () => {
  it.each([
    ["the scenario", { zz: 1 }, 18],
    ["linux", { linux: { zz: 1 } }, 7],
    ["urgent", { urgent: { zz: 1 } }, 2],
    ["scheduler", { scheduler: { zz: 1 } }, 5],
    ["costs", { costs: { zz: 1 } }, 5],
    ["a guest", { guests: [{ zz: 1 }] }, 9],
    ["on-off traffic", { guests: [{ traffic: { kind: "on-off", zz: 1 } }] }, 6],
    ["burst traffic", { guests: [{ traffic: { kind: "burst", zz: 1 } }] }, 5],
    ["requests", { guests: [{ traffic: { kind: "requests", zz: 1 } }] }, 5],
    ["cooperative", { policies: [{ name: "cooperative", zz: 1 }] }, 3],
    ["cooperative-adaptive", { policies: [{ name: "cooperative-adaptive", zz: 1 }] }, 4],
  ])("has every key of %s", (_what, json, count) => {
    const keys = keysAt(json);
    expect(keys).toHaveLength(count);
    for (const key of keys) expect(NAMED, key).toContain(key);
  });

  it("has every policy", () => {
    for (const name of POLICY_NAMES) expect(TEXT).toContain(`| \`${name}\` |`);
  });
});
