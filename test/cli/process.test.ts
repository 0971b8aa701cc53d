import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { said, Workplace } from "./spillway-process.ts";

let place = new Workplace();
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => {
  place.remove();
});

describe("the process", () => {
  it("ends with 0 and says nothing on standard error, where nobody watches a terminal", async () => {
    const { code, stdout, stderr } = await place.start("finish", ["run", "--json"]).end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout).runs).toHaveLength(1);
  });

  it("ends quietly when the reader of its output has seen enough", async () => {
    const { stdout, stderr } = await place.shell("$FAKE run --json | head -c 10; echo; echo $PIPESTATUS");
    expect(stderr).toBe("");
    expect(stdout).toBe('{\n  "schem\n0\n');
  });

  it("says in one line that its output cannot be written", async () => {
    const { stdout, stderr } = await place.shell("$FAKE run --json > /dev/full; echo $?");
    expect(stderr).toBe("spillway: standard output: ENOSPC\n");
    expect(stdout).toBe("2\n");
  });

  it("ends with 1 and a stack if the fault is ours, and leaves no half-written file", async () => {
    const { code, stdout, stderr } = await place.start("throw", ["run", "--events", "e.ndjson"]).end;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^Error: a fault of ours\n {4}at /);
    expect(place.list()).toEqual([]);
  });
});

describe("a signal", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends the run early: the result so far is printed, the events are kept, the exit code is %d", async (signal, exit) => {
    const { child, end } = place.start("wait", ["compare", "--json", "--events", "e.ndjson"]);
    await said(child, "running\n");
    expect(place.list()).toEqual([expect.stringMatching(/\.partial$/)]);
    child.kill(signal);
    const { code, stdout } = await end;
    expect(code).toBe(exit);
    const { runs } = JSON.parse(stdout);
    expect(runs).toHaveLength(1);
    expect(runs[0].interrupted).toBe(true);
    expect(place.list()).toEqual(["e.ndjson"]);
    const lines = readFileSync(join(place.folder, "e.ndjson"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).ev)).toEqual(["run", "wake", "end"]);
  });

  it("that comes a second time ends the process at once, and leaves no half-written file", async () => {
    const { child, end } = place.start("hang", ["run", "--events", "e.ndjson"]);
    await said(child, "running\n");
    child.kill("SIGINT");
    await said(child, "aborted\n");
    child.kill("SIGINT");
    const { code, stdout } = await end;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(place.list()).toEqual([]);
  });
});
