import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";

const CAPTURES = new URL("../../../../captures/", import.meta.url);

/** Most packets in any window of this length, one of its ends left out. */
function peak(times: readonly number[], windowNs: number): number {
  let most = 0;
  let first = 0;
  times.forEach((timeNs, i) => {
    while (times[first]! <= timeNs - windowNs) first++;
    most = Math.max(most, i - first + 1);
  });
  return most;
}

/** A row of the table in captures/README.md, as the reader measures it. */
function rowOf(name: string): string {
  const source = openCapture(new URL(name, CAPTURES).pathname);
  const times: number[] = [];
  let bytes = 0;
  let shortest = Number.POSITIVE_INFINITY;
  let longest = 0;
  while (source.next()) {
    times.push(source.timeNs);
    bytes += source.lengthBytes;
    shortest = Math.min(shortest, source.lengthBytes);
    longest = Math.max(longest, source.lengthBytes);
  }
  expect(source.notes).toEqual([]);
  const figures = [
    times.length.toLocaleString("en-US"),
    `${(times.at(-1)! / 1e9).toFixed(3)} s`,
    `${(bytes / 1e6).toFixed(2)} MB`,
    `${shortest}–${longest.toLocaleString("en-US")}`,
    String(peak(times, 1e6)),
    String(peak(times, 30e6)),
  ];
  return `| \`${name}\` | ${figures.join(" | ")} |`;
}

describe("captures/", () => {
  const files = readdirSync(CAPTURES).filter((name) => name.endsWith(".csv"));

  it("has the six captures", () => {
    expect(files.toSorted()).toEqual([
      "chrome.csv",
      "quic-33.csv",
      "reddit.csv",
      "skype.csv",
      "tumblr.csv",
      "zoom2.csv",
    ]);
  });

  it.each(files)("has in its README what our reader measures of %s", (name) => {
    expect(readFileSync(new URL("README.md", CAPTURES), "utf8")).toContain(rowOf(name));
  });
});
