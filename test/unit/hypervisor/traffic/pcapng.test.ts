import { describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, hex, joined, packetsOf } from "./capture-files.ts";

/** A block with its two lengths around the body, which must be a whole number of words. */
function block(type: number, body: Uint8Array, littleEndian = true): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, littleEndian);
  view.setUint32(4, bytes.length, littleEndian);
  view.setUint32(bytes.length - 4, bytes.length, littleEndian);
  bytes.set(body, 8);
  return bytes;
}

const SECTION = block(0x0a0d0d0a, hex("4d 3c 2b 1a", "01 00 00 00", "ff ff ff ff ff ff ff ff"));
const SECTION_BIG = block(0x0a0d0d0a, hex("1a 2b 3c 4d", "00 01 00 00", "ff ff ff ff ff ff ff ff"), false);

/** An Ethernet interface without a snapshot limit. */
function interfaceBlock(...options: string[]): Uint8Array {
  return block(1, hex("01 00 00 00", "00 00 00 00", ...options));
}
const MICROSECONDS = interfaceBlock();

/** An Enhanced Packet Block without data. */
function packet(interfaceNumber: number, units: bigint, originalBytes: number): Uint8Array {
  const body = new Uint8Array(20);
  const view = new DataView(body.buffer);
  view.setUint32(0, interfaceNumber, true);
  view.setUint32(4, Number(units >> 32n), true);
  view.setUint32(8, Number(units & 0xffff_ffffn), true);
  view.setUint32(16, originalBytes, true);
  return block(6, body);
}

function open(...blocks: Uint8Array[]) {
  return openCapture(fileOf(joined(...blocks)));
}

describe("pcapng", () => {
  it("gives the time since the first packet and the original length of Enhanced Packet Blocks", () => {
    const source = open(
      hex(
        "0a 0d 0d 0a", // Section Header Block
        "1c 00 00 00", // 28 bytes
        "4d 3c 2b 1a", // byte-order magic: little-endian
        "01 00 00 00", // version 1.0
        "ff ff ff ff ff ff ff ff", // section length unknown
        "1c 00 00 00",
      ),
      hex(
        "01 00 00 00", // Interface Description Block
        "14 00 00 00", // 20 bytes
        "01 00 00 00", // Ethernet
        "00 00 04 00", // snapshot length
        "14 00 00 00",
      ),
      hex(
        "06 00 00 00", // Enhanced Packet Block
        "24 00 00 00", // 36 bytes
        "00 00 00 00", // interface 0
        "66 27 06 00", // 0x00062766_00000001 µs: April 2024
        "01 00 00 00",
        "03 00 00 00", // 3 captured bytes
        "40 00 00 00", // of 64
        "aa bb cc 00", // padded
        "24 00 00 00",
      ),
      hex("06 00 00 00", "20 00 00 00", "00 00 00 00", "66 27 06 00", "04 00 00 00"), // 3 µs later
      hex("00 00 00 00", "ea 05 00 00", "20 00 00 00"), // none captured of 1514
    );
    expect(packetsOf(source)).toEqual([
      [0, 64],
      [3000, 1514],
    ]);
    expect(source.notes).toEqual([]);
  });

  it("is read in big-endian order if the byte-order magic says so", () => {
    const source = open(
      SECTION_BIG,
      block(1, hex("00 01 00 00", "00 04 00 00", "00 09 00 01 09 00 00 00", "00 00 00 00"), false), // if_tsresol 10^-9
      block(6, hex("00 00 00 00", "17 be 8a 00 00 00 00 07", "00 00 00 00", "00 00 00 40"), false),
      block(6, hex("00 00 00 00", "17 be 8a 01 00 00 00 09", "00 00 00 00", "00 00 05 ea"), false),
    );
    expect(packetsOf(source)).toEqual([
      [0, 64],
      [2 ** 32 + 2, 1514],
    ]);
  });

  it("counts each interface in its own units, by if_tsresol and if_tsoffset", () => {
    const source = open(
      SECTION,
      MICROSECONDS,
      interfaceBlock("09 00 01 00 09 00 00 00", "00 00 00 00"), // 10^-9
      interfaceBlock("09 00 01 00 8a 00 00 00", "00 00 00 00"), // 2^-10
      interfaceBlock("0e 00 08 00 64 00 00 00 00 00 00 00", "09 00 01 00 00 00 00 00"), // +100 s, 10^0, no opt_endofopt
      interfaceBlock("0e 00 08 00 9c ff ff ff ff ff ff ff", "00 00 00 00"), // -100 s, microseconds
      packet(0, 1_000_000n, 60), // 1 s
      packet(1, 1_500_000_000n, 61), // 1.5 s
      packet(2, 2048n + 512n, 62), // 2.5 s
      packet(4, 103_000_001n, 63), // 3.000001 s
      packet(3, 0xffff_ffff_ffff_ffffn, 64), // far away: the clock was set
    );
    expect(packetsOf(source, 4)).toEqual([
      [0, 60],
      [500_000_000, 61],
      [1_500_000_000, 62],
      [2_000_001_000, 63],
    ]);
    expect(source.notes).toEqual([]);
    expect(packetsOf(source)).toEqual([[2_000_001_000 + 86_400e9, 64]]);
    expect(source.notes[0]).toContain("the clock was set 1 time");
  });

  it("skips options that it does not know, wherever they stand, and stops at opt_endofopt", () => {
    const source = open(
      SECTION,
      interfaceBlock(
        "02 00 05 00 65 74 68 30 31 00 00 00", // if_name "eth01", padded
        "0b 00 00 00", // if_filter, empty
        "09 00 01 00 03 00 00 00", // if_tsresol 10^-3
        "00 00 00 00", // opt_endofopt
        "09 00 01 00 09 00 00 00", // not an option any more
      ),
      packet(0, 5n, 60),
      packet(0, 6n, 60),
    );
    expect(packetsOf(source).at(-1)).toEqual([1_000_000, 60]);
  });

  it("gives a Simple Packet Block the last packet's time, for it has none", () => {
    const simple = block(3, hex("2a 00 00 00", "aa bb cc dd")); // 42 bytes, 4 captured
    const source = open(SECTION, MICROSECONDS, simple, packet(0, 1000n, 60), packet(0, 1007n, 61), simple);
    expect(packetsOf(source)).toEqual([
      [0, 42],
      [0, 60],
      [7000, 61],
      [7000, 42],
    ]);
    expect(source.notes).toEqual([]);
  });

  it("reads the obsolete Packet Block, whose interface number has 16 bits", () => {
    const old = (low: string) =>
      block(2, hex("01 00", "ff ff", "66 27 06 00", low, "02 00 00 00", "50 00 00 00", "aa bb 00 00"));
    const source = open(SECTION, MICROSECONDS, MICROSECONDS, old("05 00 00 00"), old("06 00 00 00"));
    expect(packetsOf(source)).toEqual([
      [0, 80],
      [1000, 80],
    ]);
  });

  it("skips blocks of unknown types, also such as are larger than the reader's buffer", () => {
    const path = fileOf(
      joined(
        SECTION,
        block(0x8000_0bad, hex()),
        MICROSECONDS,
        packet(0, 1n, 60),
        block(5, new Uint8Array(100_000)), // interface statistics
        packet(0, 2n, 61),
      ),
    );
    expect(packetsOf(openCapture(path, 64))).toEqual([
      [0, 60],
      [1000, 61],
    ]);
  });

  it("numbers interfaces anew in each section, whose byte order may differ", () => {
    const source = open(
      SECTION,
      interfaceBlock("09 00 01 00 09 00 00 00"), // 10^-9
      packet(0, 2_000_000_000n, 60),
      SECTION_BIG,
      block(1, hex("00 01 00 00", "00 00 00 00"), false), // microseconds
      block(6, hex("00 00 00 00", "00 00 00 00 00 1e 84 83", "00 00 00 00", "00 00 00 3d"), false), // 2.000003 s
      SECTION,
      packet(0, 2_000_000_000n, 62),
    );
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [3000, 61],
    ]);
    expect(source.notes).toEqual([
      "damaged (a packet of interface 0, which is not described, in the block at byte 196) after 2 packets",
    ]);
  });

  it("reads version 1.2 like 1.0, and leaves out a section of version 2, with a note", () => {
    const version = (major: string, minor: string) =>
      block(0x0a0d0d0a, hex("4d 3c 2b 1a", major, minor, "ff ff ff ff ff ff ff ff"));
    const source = open(
      version("01 00", "02 00"),
      MICROSECONDS,
      packet(0, 1n, 60),
      version("02 00", "00 00"),
      packet(7, 1n, 61), // whatever version 2 means by it
      SECTION,
      MICROSECONDS,
      packet(0, 2n, 62),
    );
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [1000, 62],
    ]);
    expect(source.notes).toEqual(["a section of pcapng version 2 left out, known is 1"]);
  });

  it.each([
    1, 5, 8, 11, 12, 20, 31,
  ])("plays up to the last whole packet if %i bytes of the next block are there", (n) => {
    const source = open(SECTION, MICROSECONDS, packet(0, 1n, 60), packet(0, 2n, 61), packet(0, 3n, 62).subarray(0, n));
    expect(packetsOf(source)).toEqual([
      [0, 60],
      [1000, 61],
    ]);
    expect(source.notes).toEqual(["truncated after 2 packets"]);
  });

  const wrongTrailer = packet(0, 2n, 61);
  wrongTrailer[28] = 0x24;
  it.each([
    ["a block length below 12", hex("06 00 00 00 08 00 00 00 08 00 00 00"), "a block length of 8"],
    ["a block length of 0", new Uint8Array(64), "a block length of 0"],
    [
      "a block length that is no multiple of 4",
      hex("06 00 00 00 21 00 00 00", "00 ".repeat(25)),
      "a block length of 33",
    ],
    ["two block lengths that differ", wrongTrailer, "block lengths 32 and 36, which must be the same"],
    ["a packet block that is too short", block(6, hex("00 00 00 00")), "a block too short for its type"],
    ["a simple packet block without a length", block(3, hex()), "a block too short for its type"],
    [
      "more captured bytes than the block holds",
      block(6, hex("00 ".repeat(12), "01 00 00 00", "40 00 00 00")),
      "1 captured",
    ],
    ["an interface that is not described", packet(3, 2n, 61), "a packet of interface 3, which is not described"],
    ["an option that is longer than its block", interfaceBlock("02 00 ff ff 00 00 00 00"), "an option of 65535 bytes"],
    ["if_tsresol of 2 bytes", interfaceBlock("09 00 02 00 06 06 00 00"), "an option of 2 bytes"],
    ["if_tsoffset of 4 bytes", interfaceBlock("0e 00 04 00 00 00 00 00"), "an option of 4 bytes"],
    ["a section header without byte-order magic", block(0x0a0d0d0a, new Uint8Array(16)), "no byte-order magic"],
  ])("stops at %s, with a note", (_what, damage, note) => {
    const source = open(SECTION, MICROSECONDS, packet(0, 1n, 60), damage, packet(0, 9n, 69));
    expect(packetsOf(source)).toEqual([[0, 60]]);
    expect(source.notes).toHaveLength(1);
    expect(source.notes[0]).toContain(`damaged (${note}`);
    expect(source.notes[0]).toContain("in the block at byte 80) after 1 packet");
  });

  it("stops at a simple packet in a section without an interface, with a note", () => {
    const source = open(SECTION, MICROSECONDS, packet(0, 1n, 60), SECTION, block(3, hex("2a 00 00 00")));
    expect(packetsOf(source)).toEqual([[0, 60]]);
    expect(source.notes).toEqual(["damaged (a packet without an interface, in the block at byte 108) after 1 packet"]);
  });

  it.each([
    ["ends inside its section header", SECTION.subarray(0, 27), "is truncated before its first whole packet"],
    ["is a section header only", SECTION, "has no packet;"],
    ["has interfaces only", joined(SECTION, MICROSECONDS), "has no packet;"],
    [
      "is cut off in its first packet",
      joined(SECTION, MICROSECONDS, packet(0, 1n, 60).subarray(0, 31)),
      "is truncated",
    ],
    ["begins with nonsense", hex("0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1b 01 00 00 00"), "is damaged (no byte-order magic"],
    [
      "is of version 2",
      block(0x0a0d0d0a, hex("4d 3c 2b 1a", "02 00 00 00", "ff ff ff ff ff ff ff ff")),
      "has no packet (a section of pcapng version 2 left out, known is 1)",
    ],
  ])("is refused if it %s", (_what, content, message) => {
    const path = fileOf(content);
    expect(() => openCapture(path)).toThrow(UserError);
    expect(() => openCapture(path)).toThrow(`${path}: ${message}`);
  });
});
