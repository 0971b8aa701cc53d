import { describe, expect, it } from "vitest";
import { allocateSharedRam, copyWithinOf } from "../../../../src/hypervisor/machine/shared-ram.ts";

describe("shared guest memory", () => {
  it("is a SharedArrayBuffer of whole pages, the staging area behind the guest's own", () => {
    const ram = allocateSharedRam(100_000, 1);
    expect(ram.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(ram).toMatchObject({ ramBytes: 131_072, stagingOffset: 131_072, stagingBytes: 65_536 });
    expect(ram.buffer.byteLength).toBe(196_608);
  });

  it("copies like memmove, at any alignment and overlapping", () => {
    const ram = allocateSharedRam(65_536, 0);
    const copy = copyWithinOf(ram.memory);
    const bytes = new Uint8Array(ram.buffer);
    for (let i = 0; i < 64; i++) bytes[i] = i;
    copy(13, 0, 64);
    expect([...bytes.slice(13, 77)]).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  it("refuses more than 4 GiB", () => {
    expect(() => allocateSharedRam(2 ** 32, 1)).toThrow("at most 4 GiB");
  });
});
