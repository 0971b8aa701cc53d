import { describe, expect, it } from "vitest";
import { countOf, countText, shareText, timeText } from "../../../../src/hypervisor/report/quantity.ts";

describe("timeText", () => {
  it.each<[ns: number | null, text: string]>([
    [null, "-"],
    [0, "0"],
    [1, "1 ns"],
    [850, "850 ns"],
    [999, "999 ns"],
    [1000, "1.00 µs"],
    [12_345, "12.3 µs"],
    [123_456, "123 µs"],
    [999_400, "999 µs"],
    [999_600, "1.00 ms"],
    [2_500_000, "2.50 ms"],
    [1e9, "1.00 s"],
    [59.96e9, "60.0 s"],
    [1234e9, "1,230 s"],
  ])("gives %j ns as %s", (ns, text) => {
    expect(timeText(ns)).toBe(text);
  });
});

describe("counts and shares", () => {
  it("are grouped by thousands and agree with their nouns", () => {
    expect(countText(1_234_567)).toBe("1,234,567");
    expect([countOf(0, "frame"), countOf(1, "frame"), countOf(1000, "frame")]).toEqual([
      "0 frames",
      "1 frame",
      "1,000 frames",
    ]);
  });

  it("have one decimal as shares", () => {
    expect([shareText(0), shareText(1 / 3), shareText(1)]).toEqual(["0.0 %", "33.3 %", "100.0 %"]);
  });
});
