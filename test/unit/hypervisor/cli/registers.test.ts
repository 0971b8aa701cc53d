import { describe, expect, it } from "vitest";
import type { RegisterBlock } from "../../../../src/hypervisor/cli/register-blocks.ts";
import { REGISTER_BLOCKS } from "../../../../src/hypervisor/cli/register-blocks.ts";
import { registersJson, registersMarkdown, registersTable } from "../../../../src/hypervisor/cli/registers.ts";

const BLOCKS: readonly RegisterBlock[] = [
  {
    title: "Block A",
    registers: [
      { name: "MAGIC", offset: 0, width: 4, access: "RO", reset: 0x74726976, section: "§1", summary: "A | B." },
      {
        name: "EITR",
        offset: 0x10,
        width: 2,
        access: "RW",
        reset: 0,
        section: "§2",
        summary: "C.",
        count: 3,
        stride: 8,
      },
    ],
  },
];

describe("the register list", () => {
  it("gives offsets and reset values in hexadecimal, and arrays with their stride", () => {
    const lines = registersTable(BLOCKS, false)
      .split("\n")
      .filter((line) => line.startsWith("│"))
      .map((line) =>
        line
          .split("│")
          .map((cell) => cell.trim())
          .slice(1, -1),
      );
    expect(lines[1]).toEqual(["0x000", "MAGIC", "4", "RO", "0x74726976", "§1", "A | B."]);
    expect(lines[2]).toEqual(["0x010 + n × 0x8", "EITR(n), n < 3", "2", "RW", "0", "§2", "C."]);
  });

  it("is valid Markdown even if a meaning has a bar in it", () => {
    expect(registersMarkdown(BLOCKS)).toContain(
      "## Block A\n\n| offset | register | bytes | access | reset | defined in | meaning |\n" +
        "| --- | --- | --- | --- | --- | --- | --- |\n" +
        "| 0x000 | MAGIC | 4 | RO | 0x74726976 | §1 | A \\| B. |\n",
    );
  });

  it("is JSON with plain numbers", () => {
    expect(JSON.parse(registersJson(BLOCKS))[0].registers[1]).toEqual({
      name: "EITR",
      offset: 16,
      widthBytes: 2,
      access: "RW",
      reset: 0,
      section: "§2",
      summary: "C.",
      count: 3,
      strideBytes: 8,
    });
  });

  it("has the throttle's block with the registers of docs/throttling.md", () => {
    const names = REGISTER_BLOCKS.flatMap(({ registers }) => registers.map(({ name }) => name));
    expect(names).toEqual(
      expect.arrayContaining(["GUEST_STATE", "ITR_LATENCY", "ITR_OVERFLOW", "RX_FREE_MIN", "MASK"]),
    );
  });
});
