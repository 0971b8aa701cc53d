import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { fileOf, hex, joined } from "./capture-files.ts";

/** More packets than a file of these sizes can hold: every packet takes 4 bytes of it at least. */
function playable(path: string, sizeBytes: number, bufferBytes: number): number {
  let source: ReturnType<typeof openCapture>;
  try {
    source = openCapture(path, bufferBytes);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).not.toMatch(/\p{Cc}/u);
    return 0;
  }
  let packets = 0;
  let lastNs = 0;
  while (source.next()) {
    packets++;
    if (packets > sizeBytes / 4) throw new Error("the reader does not come to an end");
    if (!Number.isInteger(source.timeNs) || source.timeNs < lastNs) throw new Error(`time ${source.timeNs}`);
    if (!(source.lengthBytes >= 1 && source.lengthBytes <= 65_549)) throw new Error(`length ${source.lengthBytes}`);
    lastNs = source.timeNs;
  }
  for (const note of source.notes) expect(note).not.toMatch(/\p{Cc}/u);
  return packets;
}

/** One file for all of a test's contents: thousands of files are slow to remove. */
let path: string;
beforeAll(() => {
  path = fileOf("");
});

function playsOrRefuses(content: Uint8Array): void {
  writeFileSync(path, content);
  const packets = playable(path, content.length, 4096);
  // Where the buffer ends must make no difference.
  expect(playable(path, content.length, 64)).toBe(packets);
}

const PCAP = joined(
  hex("d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00 01 00 00 00"),
  hex("00 5e 0b 66 00 00 00 00 04 00 00 00 40 00 00 00 01 02 03 04"),
  hex("01 5e 0b 66 00 00 00 00 08 00 00 00 40 00 00 00 01 02 03 04 05 06 07 08"),
  hex("02 5e 0b 66 00 00 00 00 00 00 00 00 40 00 00 00"),
);
const PCAPNG = joined(
  hex("0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1a 01 00 00 00 ff ff ff ff ff ff ff ff 1c 00 00 00"),
  hex("01 00 00 00 2c 00 00 00 01 00 00 00 00 00 04 00 02 00 04 00 65 74 68 30 09 00 01 00 09 00 00 00"),
  hex("00 00 00 00 00 00 00 00 2c 00 00 00"),
  hex("06 00 00 00 24 00 00 00 00 00 00 00 66 27 06 00 01 00 00 00 04 00 00 00 40 00 00 00 aa bb cc dd 24 00 00 00"),
  hex("03 00 00 00 14 00 00 00 2a 00 00 00 aa bb cc dd 14 00 00 00"),
  hex("02 00 00 00 20 00 00 00 00 00 00 00 66 27 06 00 09 00 00 00 00 00 00 00 40 00 00 00 20 00 00 00"),
  hex("0a 0d 0d 0a 00 00 00 1c 1a 2b 3c 4d 00 01 00 00 ff ff ff ff ff ff ff ff 00 00 00 1c"),
  hex("00 00 00 01 00 00 00 14 00 01 00 00 00 04 00 00 00 00 00 14"),
  hex("00 00 00 06 00 00 00 20 00 00 00 00 00 06 27 66 00 00 00 0c 00 00 00 00 00 00 00 40 00 00 00 20"),
);
const CSV = new TextEncoder().encode("time_ns,length_bytes\n0,60\n1500,1514\r\n1712020992999999999,64\n");

describe.each([
  ["pcap", PCAP, 3],
  ["pcapng", PCAPNG, 4],
  ["CSV", CSV, 3],
] as const)("a %s capture", (_format, valid, packets) => {
  it("is sound as the following tests take it", () => {
    expect(playable(fileOf(valid), valid.length, 64)).toBe(packets);
  });

  it("plays or is refused with a UserError, cut off at any byte", () => {
    for (let length = 0; length < valid.length; length++) playsOrRefuses(valid.subarray(0, length));
  });

  it("plays or is refused with a UserError, whatever bytes of it are changed", () => {
    const change = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 255)));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const content = valid.slice();
        for (const [at, byte] of changes) content[at] = byte;
        playsOrRefuses(content);
      }),
      { numRuns: 300 },
    );
  });

  it("plays or is refused with a UserError, with random bytes put in", () => {
    const junk = fc.uint8Array({ minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.nat({ max: valid.length }), junk, (at, bytes) => {
        playsOrRefuses(joined(valid.subarray(0, at), bytes, valid.subarray(at)));
      }),
      { numRuns: 300 },
    );
  });

  it("plays or is refused with a UserError, with any 32-bit word of it an extreme one", () => {
    for (let at = 0; at + 4 <= valid.length; at += 4) {
      for (const word of [0, 12, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_ffff]) {
        const content = valid.slice();
        new DataView(content.buffer).setUint32(at, word, true);
        playsOrRefuses(content);
      }
    }
  });
});

describe("a file of random bytes", () => {
  it("is refused with a UserError, or plays", () => {
    const magics = fc.constantFrom("", "d4 c3 b2 a1 02 00", "a1 b2 3c 4d 00 02", "0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1a");
    fc.assert(
      fc.property(magics, fc.uint8Array({ maxLength: 500 }), (magic, bytes) =>
        playsOrRefuses(joined(hex(magic), bytes)),
      ),
      { numRuns: 300 },
    );
  });
});

describe("a pcapng capture with very many interfaces", () => {
  it("is taken for damaged at the 65,537th of a section, which bounds their memory", () => {
    const section = hex("0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1a 01 00 00 00 ff ff ff ff ff ff ff ff 1c 00 00 00");
    const description = hex("01 00 00 00 14 00 00 00 01 00 00 00 00 00 00 00 14 00 00 00");
    const packet = hex("03 00 00 00 10 00 00 00 2a 00 00 00 10 00 00 00");
    const many = (count: number) => {
      const bytes = new Uint8Array(count * description.length);
      for (let i = 0; i < count; i++) bytes.set(description, i * description.length);
      return bytes;
    };
    expect(playable(fileOf(joined(section, many(65_536), packet)), 2e6, 256 * 1024)).toBe(1);
    const source = openCapture(fileOf(joined(section, many(1), packet, many(65_536))));
    while (source.next());
    expect(source.notes).toHaveLength(1);
    expect(source.notes[0]).toContain("damaged (more than 65536 interfaces");
  });
});
