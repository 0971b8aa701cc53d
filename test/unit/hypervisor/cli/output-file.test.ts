import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OutputFile } from "../../../../src/hypervisor/cli/output-file.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-output-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("an output file", () => {
  it("has its name only from commit on, and its whole text then", () => {
    const path = join(folder, "out");
    const file = new OutputFile(path, "--events");
    file.write("one\n");
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.spillway-.*\.partial$/)]);
    file.write("zwei – drei\n");
    file.commit();
    expect(readdirSync(folder)).toEqual(["out"]);
    expect(readFileSync(path, "utf8")).toBe("one\nzwei – drei\n");
  });

  it("leaves what was there before untouched if it is discarded", () => {
    const path = join(folder, "out");
    writeFileSync(path, "old");
    const file = new OutputFile(path, "--events");
    file.write("new");
    file.discard();
    expect(readdirSync(folder)).toEqual(["out"]);
    expect(readFileSync(path, "utf8")).toBe("old");
  });

  it("is not undone by a discard after its commit", () => {
    const file = new OutputFile(join(folder, "out"), "--events");
    file.commit();
    file.discard();
    expect(readdirSync(folder)).toEqual(["out"]);
  });

  it("replaces the file behind a symbolic link, not the link", () => {
    writeFileSync(join(folder, "real"), "old");
    symlinkSync("real", join(folder, "link"));
    const file = new OutputFile(join(folder, "link"), "--events");
    file.write("new");
    file.commit();
    expect(readFileSync(join(folder, "real"), "utf8")).toBe("new");
    expect(readdirSync(folder).sort()).toEqual(["link", "real"]);
  });

  it("writes into a device as it stands, and does not replace it", () => {
    const file = new OutputFile("/dev/null", "--events");
    file.write("gone");
    file.commit();
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  it("takes a name as long as the file system does", () => {
    const name = "x".repeat(255);
    new OutputFile(join(folder, name), "--events").commit();
    expect(readdirSync(folder)).toEqual([name]);
  });

  it("says in one line what the system refuses", () => {
    const attempt = (path: string): (() => OutputFile) => {
      return () => new OutputFile(path, "--events");
    };
    expect(attempt(folder)).toThrow(new UserError(`--events: cannot write "${folder}": it is a folder`));
    const nowhere = join(folder, "no", "where");
    expect(attempt(nowhere)).toThrow(new UserError(`--events: cannot write "${nowhere}": no such file or folder`));
    const full = new OutputFile("/dev/full", "--events");
    expect(() => full.write("x")).toThrow(
      new UserError('--events: cannot write "/dev/full": no space left on the device'),
    );
    full.discard();
  });

  it("stays out of the way of the process's end once it is done", () => {
    const before = process.listenerCount("exit");
    const committed = new OutputFile(join(folder, "a"), "--events");
    const discarded = new OutputFile(join(folder, "b"), "--events");
    expect(process.listenerCount("exit")).toBe(before + 2);
    committed.commit();
    discarded.discard();
    expect(process.listenerCount("exit")).toBe(before);
  });
});
