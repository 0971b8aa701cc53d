import { describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, hex, joined, packetsOf } from "./capture-files.ts";

const HEADER = hex(
  "d4 c3 b2 a1", // magic a1b2c3d4, little-endian: microseconds
  "02 00 04 00", // version 2.4
  "00 00 00 00 00 00 00 00", // reserved
  "00 00 04 00", // snapshot length 262144
  "01 00 00 00", // Ethernet
);

function open(...parts: Uint8Array[]) {
  return openCapture(fileOf(joined(...parts)));
}

/** A little-endian record with `captured` bytes of data. */
function record(seconds: number, fraction: number, captured: number, original: number): Uint8Array {
  const bytes = new Uint8Array(16 + captured).fill(0xee);
  const view = new DataView(bytes.buffer);
  [seconds, fraction, captured, original].forEach((field, i) => {
    view.setUint32(4 * i, field, true);
  });
  return bytes;
}

describe("pcap", () => {
  it("gives the time since the first packet and the original length, not the captured one", () => {
    const source = open(
      HEADER,
      hex("00 5e 0b 66", "3f 42 0f 00", "02 00 00 00", "40 00 00 00", "aa bb"), // 1712020992.999999, 2 of 64 bytes
      hex("01 5e 0b 66", "01 00 00 00", "00 00 00 00", "ea 05 00 00"), // 1712020993.000001, none of 1514
    );
    expect(packetsOf(source)).toEqual([
      [0, 64],
      [2000, 1514],
    ]);
    expect(source.notes).toEqual([]);
  });

  it("is read in big-endian order if the magic number says so", () => {
    const source = open(
      hex("a1 b2 c3 d4", "00 02 00 04", "00 00 00 00 00 00 00 00", "00 04 00 00", "00 00 00 01"),
      hex("66 0b 5e 00", "00 00 00 05", "00 00 00 01", "00 00 00 40", "aa"),
      hex("66 0b 5e 02", "00 00 00 00", "00 00 00 00", "00 00 01 00"),
    );
    expect(packetsOf(source)).toEqual([
      [0, 64],
      [1_999_995_000, 256],
    ]);
  });

  it("counts nanoseconds after magic a1b23c4d, in both byte orders", () => {
    const little = open(
      hex("4d 3c b2 a1", "02 00 04 00", "00 00 00 00 00 00 00 00", "00 00 04 00", "01 00 00 00"),
      hex("00 5e 0b 66", "ff c9 9a 3b", "00 00 00 00", "40 00 00 00"), // …992.999999999
      hex("01 5e 0b 66", "01 00 00 00", "00 00 00 00", "41 00 00 00"), // …993.000000001
    );
    const big = open(
      hex("a1 b2 3c 4d", "00 02 00 04", "00 00 00 00 00 00 00 00", "00 04 00 00", "00 00 00 01"),
      hex("66 0b 5e 00", "3b 9a c9 ff", "00 00 00 00", "00 00 00 40"),
      hex("66 0b 5e 01", "00 00 00 01", "00 00 00 00", "00 00 00 41"),
    );
    const packets = [
      [0, 64],
      [2, 65],
    ];
    expect(packetsOf(little)).toEqual(packets);
    expect(packetsOf(big)).toEqual(packets);
  });

  it("takes seconds for unsigned: they do not wrap in 2038", () => {
    const source = open(HEADER, record(0x7fff_ffff, 0, 0, 64), record(0x8000_0000, 0, 0, 64));
    expect(packetsOf(source).at(-1)).toEqual([1e9, 64]);
  });

  it("takes lengths as they are for any link type, whatever the FCS bits say", () => {
    const rawIpWithFcs = hex("d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00", "65 00 00 44"); // link type 101
    expect(packetsOf(open(rawIpWithFcs, record(1, 0, 4, 40)))).toEqual([[0, 40]]);
  });

  it("keeps the latest time when the clock goes back, and says so", () => {
    const source = open(HEADER, record(9, 5, 0, 60), record(9, 2, 0, 61), record(9, 4, 0, 62), record(9, 6, 0, 63));
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [0, 61],
      [0, 62],
      [1000, 63],
    ]);
    expect(source.notes).toEqual(["the clock goes back, by up to 3.00 µs: 2 packets moved to the latest time"]);
  });

  it("shortens lengths above 65549 and leaves out packets of length 0, with a note for each", () => {
    const source = open(
      HEADER,
      record(0, 0, 0, 0), // left out: the first packet is the next one
      record(1, 0, 0, 65_549),
      record(2, 0, 0, 65_550),
      record(3, 0, 0, 0xffff_ffff),
    );
    expect(packetsOf(source)).toEqual([
      [0, 65_549],
      [1e9, 65_549],
      [2e9, 65_549],
    ]);
    expect(source.notes).toEqual(["1 packet of length 0 left out", "2 packets shortened to 65,549 bytes"]);
  });

  it("skips a record that is larger than the reader's buffer", () => {
    const path = fileOf(joined(HEADER, record(1, 0, 1000, 1000), record(2, 0, 999, 999), record(3, 0, 0, 7)));
    expect(packetsOf(openCapture(path, 64))).toEqual([
      [0, 1000],
      [1e9, 999],
      [2e9, 7],
    ]);
  });

  it.each([
    ["in a record's data", record(2, 0, 8, 64).subarray(0, 23)],
    ["in a record's header", record(2, 0, 8, 64).subarray(0, 5)],
    ["after a record's header", record(2, 0, 8, 64).subarray(0, 16)],
  ])("plays up to the last whole packet if it is cut off %s", (_where, rest) => {
    const source = open(HEADER, record(1, 0, 8, 64), record(1, 500, 8, 65), rest);
    expect(packetsOf(source)).toEqual([
      [0, 64],
      [500_000, 65],
    ]);
    expect(source.notes).toEqual(["truncated after 2 packets"]);
    expect(source.next()).toBe(false);
  });

  it("stops at a record whose captured length no capture can have, with a note", () => {
    const source = open(HEADER, record(1, 0, 0, 64), hex("00 00 00 00 00 00 00 00 01 00 00 08 40 00 00 00"));
    expect(packetsOf(source)).toEqual([[0, 64]]);
    expect(source.notes).toEqual(["damaged (134217729 captured bytes at byte 40) after 1 packet"]);
  });

  it.each([
    ["ends inside the file header", HEADER.subarray(0, 23), "is truncated before its first whole packet"],
    ["has a file header only", HEADER, "has no packet;"],
    ["is cut off in its first packet", joined(HEADER, record(1, 0, 8, 8).subarray(0, 20)), "is truncated before its"],
    [
      "has no packet but empty ones",
      joined(HEADER, record(1, 0, 0, 0)),
      "has no packet (1 packet of length 0 left out)",
    ],
    [
      "is of another version",
      hex("d4 c3 b2 a1", "03 00 00 00", "00 ".repeat(16)),
      "damaged (pcap version 3, known is 2)",
    ],
  ])("is refused if it %s", (_what, content, message) => {
    const path = fileOf(content);
    expect(() => openCapture(path)).toThrow(UserError);
    expect(() => openCapture(path)).toThrow(`${path}: `);
    expect(() => openCapture(path)).toThrow(message);
  });
});
