import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FAULTS } from "../../src/device/index.ts";

const CASES = 33;

interface Proof {
  readonly file: string;
  readonly titles: readonly string[];
}
interface Row {
  readonly number: number;
  readonly answer: string;
  readonly proofs: readonly Proof[];
}

const rows: Row[] = readFileSync("docs/hostile-guests.md", "utf8")
  .split("\n")
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [number, , answer, proofs] = line.slice(2, -2).split(" | ");
    return { number: Number(number), answer: answer!, proofs: proofs!.split("<br>").map(proofOf) };
  });

function proofOf(text: string): Proof {
  const file = /\]\(\.\.\/(test\/[^)]+)\)/.exec(text)?.[1] ?? "";
  return { file, titles: [...text.matchAll(/"([^"]+)"/g)].map((match) => match[1]!) };
}

/** True if `title` begins the arguments of a test, or a row of a table of tests, in the file's source. */
function isTitleIn(source: string, title: string): boolean {
  const quoted = JSON.stringify(title).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`[([]\\s*${quoted},`).test(source);
}

describe("docs/hostile-guests.md", () => {
  it("has every case once, in order, and a test for each", () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: CASES }, (_, i) => i + 1));
    for (const { number, proofs } of rows) {
      for (const { titles } of proofs) expect(titles.length, `case ${number}`).toBeGreaterThan(0);
    }
  });

  it("names files that exist, and titles that are in them", () => {
    const missing = rows.flatMap(({ number, proofs }) =>
      proofs.flatMap(({ file, titles }) => {
        if (!existsSync(file)) return [`case ${number}: no file ${file}`];
        const source = readFileSync(file, "utf8");
        return titles.filter((title) => !isTitleIn(source, title)).map((title) => `case ${number}: ${file}: ${title}`);
      }),
    );
    expect(missing).toEqual([]);
  });

  it("calls faults by the names that they are counted under", () => {
    const names = FAULTS.map(({ name }) => name);
    const named = rows.flatMap(({ answer }) =>
      [...answer.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map((match) => match[1]!),
    );
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(10);
  });

  it("leaves out no file of test/hostile whose titles say which case they are", () => {
    const unnamed = readdirSync("test/hostile")
      .filter((file) => file.endsWith(".test.ts"))
      .flatMap((file) => {
        const source = readFileSync(`test/hostile/${file}`, "utf8");
        const cases = [...source.matchAll(/["(](?:case|attack) (\d+)/g)].map((match) => Number(match[1]));
        return [...new Set(cases)]
          .filter((number) => !rows[number - 1]!.proofs.some((proof) => proof.file === `test/hostile/${file}`))
          .map((number) => `case ${number}: test/hostile/${file}`);
      });
    expect(unnamed).toEqual([]);
  });
});
