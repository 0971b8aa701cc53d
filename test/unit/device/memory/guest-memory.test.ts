import { describe, expect, test, vi } from "vitest";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";

const MIB = 2 ** 20;

/** RAM of 1 MiB at 0, a hole, and 1 MiB at 4 GiB; both in one buffer, the second one first. */
function twoRegions(): GuestMemory {
  return new GuestMemory(new ArrayBuffer(2 * MIB + 64), [
    { guestAddress: 0, sizeBytes: MIB, byteOffset: MIB },
    { guestAddress: 2 ** 32, sizeBytes: MIB, byteOffset: 0 },
  ]);
}

describe("translate", () => {
  test("gives the byte offset of a range inside a region", () => {
    const memory = twoRegions();
    expect(memory.translate(0, 1)).toBe(MIB);
    expect(memory.translate(MIB - 1, 1)).toBe(2 * MIB - 1);
    expect(memory.translate(2 ** 32, MIB)).toBe(0);
    expect(memory.translate(2 ** 32 + 5, 7)).toBe(5);
  });

  test("refuses what lies outside, in a hole, or in two regions", () => {
    const memory = twoRegions();
    expect(memory.translate(MIB, 1)).toBe(-1);
    expect(memory.translate(MIB - 1, 2)).toBe(-1);
    expect(memory.translate(2 ** 32 - 1, 2)).toBe(-1);
    expect(memory.translate(2 ** 32 + MIB, 1)).toBe(-1);
    expect(memory.translate(2 ** 63, 1)).toBe(-1);
  });

  test("refuses adjacent regions as one range, for they need not be adjacent in the buffer", () => {
    const memory = new GuestMemory(new ArrayBuffer(128), [
      { guestAddress: 0, sizeBytes: 64, byteOffset: 64 },
      { guestAddress: 64, sizeBytes: 64, byteOffset: 0 },
    ]);
    expect(memory.translate(60, 4)).toBe(124);
    expect(memory.translate(60, 5)).toBe(-1);
    expect(memory.translate(64, 64)).toBe(0);
  });

  test("takes an empty range inside a region and at its end", () => {
    const memory = twoRegions();
    expect(memory.translate(16, 0)).toBe(MIB + 16);
    expect(memory.translate(MIB, 0)).toBe(2 * MIB);
    expect(memory.translate(MIB + 1, 0)).toBe(-1);
  });

  test("refuses what is no address", () => {
    const memory = twoRegions();
    for (const address of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -(2 ** 40)]) {
      expect(memory.translate(address, 1)).toBe(-1);
    }
    expect(memory.translate(0, -1)).toBe(-1);
    expect(memory.translate(0, Number.NaN)).toBe(-1);
    expect(memory.translate(0, 2 ** 32)).toBe(-1);
  });

  test("goes on finding both regions when hits alternate", () => {
    const memory = twoRegions();
    for (let i = 0; i < 4; i++) {
      expect(memory.translate(8 * i, 8)).toBe(MIB + 8 * i);
      expect(memory.translate(2 ** 32 + 8 * i, 8)).toBe(8 * i);
    }
  });
});

describe("words", () => {
  test("loadAcquireU16 and storeReleaseU16 are little-endian and work on both kinds of buffer", () => {
    for (const buffer of [new ArrayBuffer(16), new SharedArrayBuffer(16)]) {
      const memory = new GuestMemory(buffer);
      memory.storeReleaseU16(2, 0x1234);
      expect([memory.u8[2], memory.u8[3]]).toEqual([0x34, 0x12]);
      expect(memory.loadAcquireU16(2)).toBe(0x1234);
    }
  });

  test.each([0, 1, 2, 3])("storeThreeWords writes twelve bytes at offset 8 + %i, and loadU32 reads them", (shift) => {
    const memory = new GuestMemory(new ArrayBuffer(32));
    memory.u8.fill(0xee);
    memory.storeThreeWords(8 + shift, 0x04030201, 0x08070605, 0xfffe0000);
    const bytes = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0xfe, 0xff];
    expect([...memory.u8.slice(8 + shift, 20 + shift)]).toEqual(bytes);
    expect(memory.u8[7 + shift]).toBe(0xee);
    expect(memory.u8[20 + shift]).toBe(0xee);
    expect(memory.loadU32(8 + shift)).toBe(0x04030201);
    expect(memory.loadU32(16 + shift)).toBe(0xfffe0000);
  });
});

describe("copies", () => {
  test("bytes of the guest's own buffer take the injected copy", () => {
    const copy = vi.fn();
    const memory = new GuestMemory(new ArrayBuffer(64), undefined, copy);
    memory.copyIn(memory.u8, 4, 32, 8);
    expect(copy).toHaveBeenLastCalledWith(32, 4, 8);
    memory.copyOut(40, memory.u8, 0, 8);
    expect(copy).toHaveBeenLastCalledWith(0, 40, 8);
  });

  test("without an injected copy the bytes still arrive, overlapping or not", () => {
    const memory = new GuestMemory(new ArrayBuffer(32));
    memory.u8.set([1, 2, 3, 4, 5, 6], 0);
    memory.copyIn(memory.u8, 0, 2, 6);
    expect([...memory.u8.slice(0, 8)]).toEqual([1, 2, 1, 2, 3, 4, 5, 6]);
  });

  test("foreign bytes are copied whole without a subarray, and in part", () => {
    const memory = new GuestMemory(new ArrayBuffer(32));
    const whole = Uint8Array.of(1, 2, 3);
    const subarray = vi.spyOn(whole, "subarray");
    memory.copyIn(whole, 0, 8, 3);
    expect(subarray).not.toHaveBeenCalled();
    memory.copyIn(whole, 1, 16, 2);
    expect([...memory.u8.slice(8, 18)]).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 2, 3]);
    const out = new Uint8Array(4);
    memory.copyOut(8, out, 1, 3);
    expect([...out]).toEqual([0, 1, 2, 3]);
  });
});

describe("rebind", () => {
  test("goes on with the buffer of a memory that has grown", () => {
    const memory = new GuestMemory(new ArrayBuffer(16), [{ guestAddress: 0, sizeBytes: 16, byteOffset: 0 }]);
    const grown = new ArrayBuffer(64);
    memory.rebind(grown);
    memory.u8[3] = 7;
    expect(new Uint8Array(grown)[3]).toBe(7);
    expect(memory.translate(0, 17)).toBe(-1);
  });

  test("refuses a buffer that no longer holds a region", () => {
    const memory = new GuestMemory(new ArrayBuffer(16));
    expect(() => memory.rebind(new ArrayBuffer(8))).toThrow(/16 bytes, but the buffer ends at 8/);
  });
});

describe("misuse", () => {
  const buffer = new ArrayBuffer(64);
  test.each([
    ["no region", [], /at least one/],
    ["a misaligned offset", [{ guestAddress: 0, sizeBytes: 8, byteOffset: 4 }], /multiples of 8, got 4/],
    ["a misaligned address", [{ guestAddress: 4, sizeBytes: 8, byteOffset: 0 }], /multiples of 8, got 4/],
    ["a negative address", [{ guestAddress: -8, sizeBytes: 8, byteOffset: 0 }], /got -8/],
    ["an empty region", [{ guestAddress: 0, sizeBytes: 0, byteOffset: 0 }], /positive integer, got 0/],
    ["a region outside the buffer", [{ guestAddress: 0, sizeBytes: 65, byteOffset: 0 }], /buffer ends at 64/],
    ["a region beyond 2^53", [{ guestAddress: 2 ** 53 - 8, sizeBytes: 16, byteOffset: 0 }], /beyond 2\^53/],
    [
      "regions out of order",
      [
        { guestAddress: 32, sizeBytes: 8, byteOffset: 0 },
        { guestAddress: 0, sizeBytes: 8, byteOffset: 8 },
      ],
      /begins before 40/,
    ],
    [
      "overlapping regions",
      [
        { guestAddress: 0, sizeBytes: 16, byteOffset: 0 },
        { guestAddress: 8, sizeBytes: 8, byteOffset: 16 },
      ],
      /begins before 16/,
    ],
  ])("throws for %s", (_, regions, message) => {
    expect(() => new GuestMemory(buffer, regions)).toThrow(RangeError);
    expect(() => new GuestMemory(buffer, regions)).toThrow(message);
  });
});
