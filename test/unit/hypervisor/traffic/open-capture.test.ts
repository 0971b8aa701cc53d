import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, hex, packetsOf, temporaryFolder } from "./capture-files.ts";

const ONE_PACKET = hex(
  "d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00 01 00 00 00",
  "01 00 00 00 00 00 00 00 00 00 00 00 40 00 00 00",
);

const DESCRIPTORS = "/proc/self/fd";

function refusalOf(path: string): string {
  try {
    openCapture(path);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const { message } = error as UserError;
    expect(message).not.toMatch(/\p{Cc}/u);
    return message;
  }
  throw new Error("it was opened");
}

describe("openCapture", () => {
  it("tells the format by the content, not by the name", () => {
    expect(packetsOf(openCapture(fileOf(ONE_PACKET, "holiday.csv")))).toEqual([[0, 64]]);
    expect(packetsOf(openCapture(fileOf("time_ns,length_bytes\n0,7\n", "list.pcapng")))).toEqual([[0, 7]]);
  });

  it("refuses a missing file, and a path through a file", () => {
    const path = fileOf(ONE_PACKET);
    expect(refusalOf(`${path}.not`)).toBe(`${path}.not: there is no such file; give a readable capture`);
    expect(refusalOf(`${path}/x`)).toBe(`${path}/x: there is no such file; give a readable capture`);
  });

  it("refuses a directory", () => {
    const path = temporaryFolder();
    expect(refusalOf(path)).toBe(`${path}: is a directory; a capture is a regular file with packets in it`);
  });

  it("refuses what is no regular file", () => {
    expect(refusalOf("/dev/null")).toBe(
      "/dev/null: is not a regular file; a capture is a regular file with packets in it",
    );
  });

  it("refuses an empty file", () => {
    const path = fileOf("");
    expect(refusalOf(path)).toBe(`${path}: is empty; a capture is a regular file with packets in it`);
  });

  it("refuses a file that it cannot open, naming the system's error", () => {
    const path = join(temporaryFolder(), "loop");
    symlinkSync(path, path);
    expect(refusalOf(path)).toBe(`${path}: it cannot be read (ELOOP); give a readable capture`);
  });

  // Root may read everything.
  it.skipIf(process.getuid?.() === 0)("refuses a file that it may not read", () => {
    const path = fileOf(ONE_PACKET);
    chmodSync(path, 0);
    expect(refusalOf(path)).toBe(`${path}: it may not be read (permission denied); give a readable capture`);
  });

  it("refuses a path that no file can have", () => {
    expect(refusalOf("a\0b")).toBe("a?b: it cannot be read (ERR_INVALID_ARG_VALUE); give a readable capture");
  });

  it("refuses unknown content", () => {
    const path = fileOf(hex("7f 45 4c 46 02 01 01 00"));
    expect(refusalOf(path)).toBe(
      `${path}: is of no known format; allowed are pcap, pcapng, and CSV with the header time_ns,length_bytes`,
    );
    expect(refusalOf(fileOf(hex("d4 c3")))).toContain("is of no known format");
  });

  it.each([
    ["gzip", "1f 8b 08 00 00 00"],
    ["zstd", "28 b5 2f fd 00 00"],
    ["xz", "fd 37 7a 58 5a 00"],
    ["bzip2", "42 5a 68 39 31 41"],
  ])("says of a file packed with %s that it is to be unpacked", (name, bytes) => {
    expect(refusalOf(fileOf(hex(bytes)))).toContain(`is packed with ${name}: unpack it first; allowed are pcap`);
  });

  it("names a file on one line, whatever its name", () => {
    const folder = join(temporaryFolder(), "two\nlines");
    mkdirSync(folder);
    expect(refusalOf(join(folder, "\u001b[2J"))).toContain("two?lines/?[2J: there is no such file");
  });

  it.skipIf(!existsSync(DESCRIPTORS))("leaves no file open, neither after an end nor after a refusal", () => {
    const good = fileOf(ONE_PACKET);
    const rows = fileOf("time_ns,length_bytes\n0,60\n1,60\n");
    const bad = [fileOf(hex("00 00 00 00")), fileOf("time_ns,length_bytes\nx\n"), fileOf(""), temporaryFolder()];
    const before = readdirSync(DESCRIPTORS).length;
    packetsOf(openCapture(good));
    for (const path of bad) refusalOf(path);
    const source = openCapture(rows);
    source.next();
    expect(readdirSync(DESCRIPTORS)).toHaveLength(before + 1);
    source.close();
    source.close();
    expect(source.next()).toBe(false);
    expect(readdirSync(DESCRIPTORS)).toHaveLength(before);
  });

  it("plays a file that shrinks meanwhile up to what is left of it", () => {
    const path = fileOf("time_ns,length_bytes\n".concat(...Array.from({ length: 50_000 }, (_, i) => `${i},60\n`)));
    const source = openCapture(path, 1024);
    packetsOf(source, 10);
    truncateSync(path, 4096);
    expect(packetsOf(source).length).toBeLessThan(1000);
    expect(source.next()).toBe(false);
  });
});
