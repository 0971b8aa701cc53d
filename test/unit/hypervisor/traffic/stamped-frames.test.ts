import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import {
  areaBytes,
  StampedFrames,
  type StampedFramesOptions,
  slotCount,
} from "../../../../src/hypervisor/traffic/stamped-frames.ts";
import { checkOf } from "./check-of.ts";

const MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

function make(slotBytes: number, more: Partial<StampedFramesOptions> = {}) {
  const startOffset = more.startOffset ?? 0;
  const bytes = new Uint8Array(new SharedArrayBuffer(startOffset + areaBytes(slotBytes) + 4096));
  const frames = new StampedFrames({
    bytes,
    startOffset,
    lengthBytes: areaBytes(slotBytes),
    slotBytes,
    destinationMac: MAC,
    seed: 1,
    ...more,
  });
  return { bytes, frames, frame: new Frame(new Uint8Array(0)) };
}

function isPrime(n: number): boolean {
  for (let i = 2; i * i <= n; i++) if (n % i === 0) return false;
  return n > 1;
}

describe("checkOf", () => {
  it("is the sum that device/spec/frame-stamp.ts describes, on an example by hand", () => {
    const frame = new Uint8Array(41);
    const view = new DataView(frame.buffer);
    view.setUint32(16, 7, true); //          s1 = 7,  s2 = 7
    view.setUint32(20, 0xdead_beef, true); // counts as 0:  s2 = 14
    view.setUint32(24, 1, true); //          s1 = 8,  s2 = 22
    view.setUint32(28, 0, true); //          s1 = 8,  s2 = 30
    view.setUint32(32, 2, true); //          s1 = 10, s2 = 40
    view.setUint32(36, 0x1_0000, true); //   s1 = 65546, s2 = 65586
    view.setUint8(40, 3); //                 s1 = 65549, s2 = 131135
    // rotl(65549, 16) = 0x000d0001; 131135 = 0x2003f; length 41 = 0x29
    expect(checkOf(frame, 0, 41)).toBe(0x2003f ^ 0x000d_0001 ^ 0x29);
  });
});

describe("StampedFrames", () => {
  it("stamps what device/spec/frame-stamp.ts says, byte for byte", () => {
    const { frames, frame } = make(1514);
    frames.stamp(frame, 0x0102_0304, 60, 0x0005_0607_0809_0a0b, 0x1112_1314, 0xabcd);
    const { bytes, offset } = frame;
    expect(Buffer.from(bytes.slice(offset, offset + 20)).toString("hex")).toBe(
      "525400123456" + "025749524500" + "88b5" + "cdab" + "04030201", // MACs, ethertype, flow, sequence
    );
    expect(Buffer.from(bytes.slice(offset + 24, offset + 36)).toString("hex")).toBe(
      "0b0a0908" + "07060500" + "14131211",
    );
    expect(frame.lengthBytes).toBe(60);
    expect(frame.id).toBe(0x0102_0304);
  });

  it("agrees with the slow check for every length, sequence, time, state and flow", () => {
    const { frames, frame } = make(2048);
    const u32 = fc.nat({ max: 0xffff_ffff });
    const arrivals = fc.oneof(fc.nat(), fc.maxSafeNat());
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2048 }),
        u32,
        arrivals,
        u32,
        fc.nat({ max: 0xffff }),
        (length, n, t, s, f) => {
          frames.stamp(frame, n, length, t, s, f);
          const view = new DataView(frame.bytes.buffer, frame.offset);
          expect(frame.lengthBytes).toBe(Math.max(length, 36));
          expect(view.getUint32(20, true)).toBe(checkOf(frame.bytes, frame.offset, frame.lengthBytes));
          expect(view.getUint32(16, true)).toBe(n);
          expect(view.getUint32(28, true) * 2 ** 32 + view.getUint32(24, true)).toBe(t);
          expect(view.getUint32(32, true)).toBe(s);
          expect(view.getUint16(14, true)).toBe(f);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each([
    36, 37, 82, 1514, 2048, 2049, 9014, 16_384, 65_549,
  ])("agrees at the ends of slots of %i bytes", (slotBytes) => {
    const { frames, frame } = make(slotBytes);
    for (let i = 0; i < 2 * slotCount(slotBytes); i++) {
      for (const length of [36, slotBytes - 1, slotBytes]) {
        frames.stamp(frame, i, length, 123, 4, 5);
        const check = new DataView(frame.bytes.buffer, frame.offset).getUint32(20, true);
        expect(check).toBe(checkOf(frame.bytes, frame.offset, frame.lengthBytes));
      }
    }
  });

  it("raises lengths below 36 bytes, and refuses those above a slot's", () => {
    const { frames, frame } = make(101);
    frames.stamp(frame, 0, 1, 0, 0, 0);
    expect(frame.lengthBytes).toBe(36);
    frames.stamp(frame, 0, 101, 0, 0, 0);
    expect(() => frames.stamp(frame, 0, 102, 0, 0, 0)).toThrow(
      "lengthBytes: got 102, allowed are at most the slot's 101",
    );
  });

  it("leaves nothing of a frame's earlier use in its offload header", () => {
    const { frames, frame } = make(100);
    Object.assign(frame, { flags: 1, gsoType: 1, gsoSize: 2, hdrLen: 3, csumStart: 4, csumOffset: 5, urgent: true });
    frames.stamp(frame, 0, 60, 0, 0, 0);
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, urgent } = frame;
    expect([flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, urgent]).toEqual([0, 0, 0, 0, 0, 0, false]);
  });

  it.each([
    60, 1514, 9014, 65_549,
  ])("puts frames of %i bytes at 4 mod 8, and never 4 … 12 below a guest's buffer mod 4096", (n) => {
    const { frames, frame } = make(n, { startOffset: 1000 });
    for (let i = 0; i < slotCount(n); i++) {
      frames.stamp(frame, i, n, 0, 0, 0);
      expect(frame.offset % 8).toBe(4);
      for (let buffer = 0; buffer < 4096; buffer += 64) {
        const distance = (((buffer + 12 - frame.offset) % 4096) + 4096) % 4096;
        expect(distance < 4 || distance > 12).toBe(true);
      }
    }
  });

  it.each([
    60, 1514, 2048, 2049, 9014, 16_384, 65_549,
  ])("has a prime number of slots of %i bytes, in less than 0.5 MB", (n) => {
    expect(isPrime(slotCount(n))).toBe(true);
    expect(areaBytes(n)).toBeLessThan(500_000);
  });

  it.each([60, 1514, 2048, 9014, 65_549])("begins no two slots of %i bytes at the same place of a 4 KiB page", (n) => {
    const { frames, frame } = make(n);
    const places = new Set<number>();
    for (let i = 0; i < slotCount(n); i++) {
      frames.stamp(frame, i, n, 0, 0, 0);
      places.add(frame.offset % 4096);
    }
    expect(places.size).toBe(slotCount(n));
  });

  it("fills every slot differently, so that a stale frame shows in its filler too", () => {
    const { frames, frame } = make(64);
    const fillers = new Set<string>();
    for (let i = 0; i < slotCount(64); i++) {
      frames.stamp(frame, i, 64, 0, 0, 0);
      fillers.add(Buffer.from(frame.bytes.slice(frame.offset + 36, frame.offset + 64)).toString("hex"));
    }
    expect(fillers.size).toBe(slotCount(64));
  });

  it("writes nothing outside its area, however that is aligned and however full the slots", () => {
    const startOffset = 101;
    const { bytes, frames, frame } = make(192, { startOffset });
    for (let i = 0; i < 200; i++) frames.stamp(frame, 0xffff_ffff, 192, 2 ** 52, 0xffff_ffff, 0xffff);
    expect(bytes.slice(0, startOffset).every((byte) => byte === 0)).toBe(true);
    expect(bytes.slice(startOffset + areaBytes(192)).every((byte) => byte === 0)).toBe(true);
  });

  it("refuses areas, views and slots that it cannot use", () => {
    const bytes = new Uint8Array(areaBytes(100));
    const options = { bytes, startOffset: 0, lengthBytes: bytes.length, slotBytes: 100, destinationMac: MAC, seed: 1 };
    expect(() => new StampedFrames({ ...options, lengthBytes: bytes.length - 1 })).toThrow(
      `staging area: got ${bytes.length - 1} bytes at 0 of a buffer of ${bytes.length}, allowed are at least`,
    );
    expect(() => new StampedFrames({ ...options, startOffset: 1 })).toThrow(RangeError);
    expect(() => new StampedFrames({ ...options, bytes: bytes.subarray(4) })).toThrow("bytes: got a view of a part");
    expect(() => new StampedFrames({ ...options, slotBytes: 35 })).toThrow(
      "slotBytes: got 35, allowed are 36 to 131072",
    );
    expect(() => new StampedFrames({ ...options, destinationMac: [1, 2] })).toThrow("MAC address: got 2 bytes");
  });
});
