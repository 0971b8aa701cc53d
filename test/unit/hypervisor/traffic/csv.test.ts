import { describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, packetsOf } from "./capture-files.ts";

const ROWS_ALLOWED = "a line is time_ns,length_bytes, as in 1500,64: whole numbers of at most 19 and 9 digits";

describe("a CSV capture", () => {
  it("gives the times since its first row, and the lengths", () => {
    const source = openCapture(fileOf("time_ns,length_bytes\n1000,60\n1000,1514\n2500,64\n"));
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [0, 1514],
      [1500, 64],
    ]);
    expect(source.notes).toEqual([]);
  });

  it("may end its lines with CR LF, and its last line with nothing", () => {
    expect(packetsOf(openCapture(fileOf("time_ns,length_bytes\r\n0,60\r\n5,61")))).toEqual([
      [0, 60],
      [5, 61],
    ]);
  });

  it("that was cut off in mid-line plays up to its last whole line, and says so", () => {
    for (const rest of ["12", "12,"]) {
      const source = openCapture(fileOf(`time_ns,length_bytes\n0,60\n5,61\n${rest}`));
      expect(packetsOf(source)).toEqual([
        [0, 60],
        [5, 61],
      ]);
      expect(source.notes).toEqual(["truncated after 2 packets"]);
    }
  });

  it("keeps nanoseconds since 1970 exact", () => {
    const text = "time_ns,length_bytes\n1712020992999999999,60\n1712020993000000002,61\n";
    expect(packetsOf(openCapture(fileOf(text)))).toEqual([
      [0, 60],
      [3, 61],
    ]);
  });

  it("keeps the latest time when a row goes back, and shortens lengths, with notes", () => {
    const source = openCapture(fileOf("time_ns,length_bytes\n10,60\n5,0\n7,999999999\n"));
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [0, 65_549],
    ]);
    expect(source.notes).toEqual([
      "the clock goes back, by up to 3 ns: 1 packet moved to the latest time",
      "1 packet of length 0 left out",
      "1 packet shortened to 65,549 bytes",
    ]);
  });

  it.each([
    ["12;64"],
    ["12"],
    [""],
    [","],
    ["12,"],
    [",64"],
    ["-1,64"],
    ["1.5,64"],
    ["1e3,64"],
    [" 1,64"],
    ["1,64 "],
    ["1,64,7"],
    ["12345678901234567890,64"],
    ["1,1234567890"],
    ["1,0x40"],
  ])("is refused for the row %j, by its line number, before any packet is played", (row) => {
    const path = fileOf(`time_ns,length_bytes\n0,60\n${row}\n5,61\n`);
    expect(() => openCapture(path)).toThrow(UserError);
    expect(() => openCapture(path)).toThrow(`${path}, line 3: got ${JSON.stringify(row)}; ${ROWS_ALLOWED}`);
  });

  it("shows whatever is not printable in a bad row as ?, for messages go to terminals", () => {
    const path = fileOf(new Uint8Array([...Buffer.from("time_ns,length_bytes\n"), 0x1b, 0x5b, 0x9b, 0x7f, 0x22]));
    expect(() => openCapture(path)).toThrow('line 2: got "?[??\\""; ');
  });

  it("is refused for a bad row far behind the first buffer", () => {
    const path = fileOf(`time_ns,length_bytes\n${"1,60\n".repeat(100_000)}x,60\n`);
    expect(() => openCapture(path)).toThrow(`${path}, line 100002: got "x,60"; ${ROWS_ALLOWED}`);
  });

  it("is refused for a row that never ends, of which the message shows the beginning", () => {
    const path = fileOf(`time_ns,length_bytes\n${"1".repeat(600_000)}`);
    expect(() => openCapture(path)).toThrow(`${path}, line 2: got "${"1".repeat(40)}…"; ${ROWS_ALLOWED}`);
  });

  it.each([
    ["time,length\n0,60\n", '"time,length"'],
    ["0,60\n5,61\n", '"0,60"'],
    ["time_ns,length_bytes,flow\n0,60,1\n", '"time_ns,length_bytes,flow"'],
    [`${"a".repeat(100)}\n`, `"${"a".repeat(40)}…"`],
  ])("is refused for another first line: %j", (text, shown) => {
    const path = fileOf(text);
    expect(() => openCapture(path)).toThrow(UserError);
    expect(() => openCapture(path)).toThrow(
      `${path}, line 1: got ${shown}; the first line of a CSV capture is time_ns,length_bytes`,
    );
  });

  it("is refused if it has a header only", () => {
    const path = fileOf("time_ns,length_bytes\n");
    expect(() => openCapture(path)).toThrow(`${path}: has no packet; a capture needs at least one`);
  });
});
