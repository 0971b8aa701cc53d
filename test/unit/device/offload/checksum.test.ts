import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import {
  fold,
  onesComplementSum,
  PayloadSum,
  transportChecksum,
} from "../../../../src/device/offload/internet-checksum.ts";
import { completeChecksum, hasChecksumField } from "../../../../src/device/offload/partial-checksum.ts";

const sumOf = (bytes: readonly number[], initial = 0) =>
  onesComplementSum(Uint8Array.from(bytes), 0, bytes.length, initial);

describe("the ones' complement sum", () => {
  test("of the example of RFC 1071 is ddf2", () => {
    expect(sumOf([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])).toBe(0xddf2);
  });

  test("of an IPv4 header of a textbook gives its checksum b861", () => {
    const header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    expect(~sumOf(header) & 0xffff).toBe(0xb861);
  });

  test("takes a last odd byte as the high half of a word", () => {
    expect(sumOf([0x12])).toBe(0x1200);
    expect(sumOf([1, 2, 3, 4, 5, 6, 7, 8, 0x12])).toBe(sumOf([1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0]));
  });

  test("of nothing is what it began with", () => {
    expect(sumOf([])).toBe(0);
    expect(sumOf([], 0xffff)).toBe(0xffff);
  });

  test("looks at its range only", () => {
    const bytes = Uint8Array.of(9, 9, 0x12, 0x34, 0x56, 9);
    expect(onesComplementSum(bytes, 2, 5, 0)).toBe(0x1234 + 0x5600);
  });

  test("of 65,535 bytes of ones is right, which is the largest there is", () => {
    const bytes = new Uint8Array(65535).fill(0xff);
    // 32,767 words of ffff sum up to ffff, which is 0; the odd byte remains.
    expect(onesComplementSum(bytes, 0, bytes.length, 0xffff)).toBe(0xff00);
  });

  test("of any length is that of a plain sum of words", () => {
    for (let length = 0; length < 40; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 97 + 211) & 0xff);
      let plain = 0x1234;
      for (let i = 0; i < length; i += 2) plain += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
      while (plain > 0xffff) plain = (plain % 0x10000) + Math.floor(plain / 0x10000);
      expect(onesComplementSum(bytes, 0, length, 0x1234)).toBe(plain);
    }
  });

  test("folds carries until there are none", () => {
    expect(fold(0x1ffff)).toBe(1);
    expect(fold(0xffffffff)).toBe(0xffff);
  });

  test("of ffff gives the checksum ffff, because 0 says in UDP that there is none", () => {
    expect(transportChecksum(0xffff)).toBe(0xffff);
    expect(transportChecksum(0)).toBe(0xffff);
    expect(transportChecksum(0x1234)).toBe(0xedcb);
  });
});

// Hand-made packets: addresses, ports and what the checksums come to by pencil and paper.
const UDP4_PSEUDO = [192, 0, 2, 1, 192, 0, 2, 2, 0, 17, 0, 12];
const UDP6_PSEUDO = [
  ...[0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 1],
  ...[0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 2],
  ...[0, 0, 0, 12, 0, 0, 0, 17],
];

function frameWith(parts: readonly number[], csumStart: number, csumOffset: number): Frame {
  // The frame lies in the middle of other bytes.
  const frame = new Frame(Uint8Array.from([7, 7, 7, ...parts, 7, 7]));
  frame.offset = 3;
  frame.lengthBytes = parts.length;
  frame.flags = 1;
  frame.csumStart = csumStart;
  frame.csumOffset = csumOffset;
  return frame;
}

describe("the sum by words", () => {
  test("is the sum by bytes, wherever the range and its array begin and end", () => {
    const buffer = Uint8Array.from({ length: 80 }, (_, i) => (i * 151 + 77) & 0xff).buffer;
    const sum = new PayloadSum();
    for (let skew = 0; skew < 4; skew++) {
      const bytes = new Uint8Array(buffer, skew, 76);
      for (let from = 0; from < 8; from++) {
        for (let to = from; to <= 76; to++) expect(sum.of(bytes, from, to)).toBe(onesComplementSum(bytes, from, to, 0));
      }
    }
  });

  test("of the longest range of ones is right, which is the largest there is", () => {
    const bytes = new Uint8Array(2 ** 17).fill(0xff);
    expect(new PayloadSum().of(bytes, 0, 2 ** 17)).toBe(0xffff);
    expect(new PayloadSum().of(bytes, 1, 2 ** 17)).toBe(0xff00);
  });
});

describe("a partial checksum", () => {
  test.each([
    ["UDP over IPv4", UDP4_PSEUDO],
    ["UDP over IPv6", UDP6_PSEUDO],
  ])("of %s is finished so that pseudo header and datagram sum up to ffff", (_, pseudo) => {
    const pseudoSum = sumOf(pseudo);
    const udp = [0x30, 0x39, 0, 53, 0, 12, pseudoSum >>> 8, pseudoSum & 0xff, 1, 2, 3, 4];
    const frame = frameWith([0, 0, ...udp], 2, 6);
    expect(hasChecksumField(frame)).toBe(true);
    completeChecksum(frame, new PayloadSum());
    expect([frame.flags, frame.csumStart, frame.csumOffset]).toEqual([0, 0, 0]);
    const datagram = [...frame.bytes.slice(5, 17)];
    expect(sumOf([...pseudo, ...datagram])).toBe(0xffff);
    expect([...frame.bytes.slice(0, 5), ...frame.bytes.slice(17)]).toEqual([7, 7, 7, 0, 0, 7, 7]);
  });

  test("of a known datagram is the known number", () => {
    // c000 + 0201 + c000 + 0202 + 0011 + 000c = 18420 → 8421; 3039 + 0035 + 000c + 0102 + 0304 = 3480.
    const frame = frameWith([0x30, 0x39, 0, 53, 0, 12, 0x84, 0x21, 1, 2, 3, 4], 0, 6);
    completeChecksum(frame, new PayloadSum());
    expect([frame.bytes[9], frame.bytes[10]]).toEqual([0x47, 0x5e]);
  });

  test("that comes to 0 is written as ffff", () => {
    const frame = frameWith([0xff, 0xff, 0, 0], 0, 2);
    completeChecksum(frame, new PayloadSum());
    expect([...frame.bytes.slice(3, 7)]).toEqual([0xff, 0xff, 0xff, 0xff]);
  });

  test.each([
    [0, 4, true],
    [4, 0, true],
    [5, 0, false],
    [0, 5, false],
    [6, 0, false],
    [65535, 65535, false],
  ])("of 6 bytes from %i, field %i after it: lies in the frame: %s", (start, offset, fits) => {
    expect(hasChecksumField(frameWith([1, 2, 3, 4, 5, 6], start, offset))).toBe(fits);
  });
});
