import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RamViews } from "../../../src/guest/ram-views.ts";
import { ReceivedFrame } from "../../../src/guest/received-frame.ts";
import { StampCheck } from "../../../src/guest/stamp-check.ts";
import { StampWriter } from "../../../src/guest/stamp-writer.ts";
import { anyStamp, referenceCheck, stampedFrame } from "./reference-stamp.ts";

const RAM_BYTES = 1 << 17;
const ram = new RamViews({ buffer: new SharedArrayBuffer(RAM_BYTES), byteOffset: 0, sizeBytes: RAM_BYTES });

/** Lays `frame` into RAM in pieces of `lengths`, the first at `alignment` past a multiple of 8; the rest is one piece. */
function laidOut(frame: Uint8Array, lengths: readonly number[] = [], alignment = 4): ReceivedFrame {
  ram.u8.fill(0xee);
  const received = new ReceivedFrame(ram.u8, ram.u32, 64);
  let at = 0;
  let address = 64 + alignment;
  for (const bytes of [...lengths, frame.length]) {
    const piece = frame.subarray(at, Math.min(at + bytes, frame.length));
    if (piece.length === 0) break;
    ram.u8.set(piece, address);
    received.append(address, piece.length);
    at += piece.length;
    address += piece.length + alignment + 1;
  }
  return received;
}

describe("checking a stamp", () => {
  it("reads every field of a frame that is whole, however it is laid out", () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 20 });
    fc.assert(
      fc.property(anyStamp(), pieces, fc.integer({ min: 0, max: 7 }), (stamp, lengths, alignment) => {
        const check = new StampCheck(stamp.sequence);
        expect(check.verify(laidOut(stampedFrame(stamp), lengths, alignment))).toBe(true);
        expect([check.flow, check.sequence, check.arrivalNs, check.arrivalState]).toEqual([
          stamp.flow,
          stamp.sequence,
          stamp.arrivalNs,
          stamp.state,
        ]);
        expect([check.corrupted, check.lost]).toEqual([0, 0]);
      }),
    );
  });

  it("finds any change of any one byte from the ethertype on, but for the flow number", () => {
    // The check begins at the sequence number; a wrong source address shows as a loss.
    fc.assert(
      fc.property(anyStamp(120), fc.integer({ min: 1, max: 255 }), (stamp, flip) => {
        const frame = stampedFrame(stamp);
        for (let at = 12; at < frame.length; at++) {
          if (at === 14 || at === 15) continue;
          frame[at]! ^= flip;
          const check = new StampCheck();
          expect(check.verify(laidOut(frame))).toBe(false);
          expect(check.corrupted).toBe(1);
          frame[at]! ^= flip;
        }
      }),
    );
  });

  it("finds every change of every byte of a 1514-byte frame", () => {
    const frame = stampedFrame({ lengthBytes: 1514, flow: 0, sequence: 7, arrivalNs: 123_456_789_012, state: 5 });
    const received = laidOut(frame);
    const check = new StampCheck(7);
    const address = received.segmentAddress[0]!;
    let missed = 0;
    for (let at = 16; at < frame.length; at++) {
      for (let flip = 1; flip < 256; flip++) {
        ram.u8[address + at]! ^= flip;
        if (check.verify(received)) missed++;
        ram.u8[address + at]! ^= flip;
      }
    }
    expect(missed).toBe(0);
    expect(check.verify(received)).toBe(true);
  });

  it("finds two words that changed places, a frame cut short, and one grown by zeros", () => {
    fc.assert(
      fc.property(anyStamp(), fc.nat(), fc.nat(), (stamp, i, j) => {
        const frame = stampedFrame(stamp);
        const words = (frame.length - 16) >>> 2;
        const view = new DataView(frame.buffer);
        const [a, b] = [16 + 4 * (i % words), 16 + 4 * (j % words)];
        const [wordA, wordB] = [view.getUint32(a, true), view.getUint32(b, true)];
        // A difference of 2^31 at an even distance would cancel out: the price of a sum that is fast.
        fc.pre(Math.imul(wordA - wordB, (a - b) >> 2) !== 0);
        view.setUint32(a, wordB, true);
        view.setUint32(b, wordA, true);
        expect(new StampCheck().verify(laidOut(frame))).toBe(false);
      }),
    );
    const frame = stampedFrame({ lengthBytes: 100, flow: 0, sequence: 0, arrivalNs: 5, state: 1 });
    expect(new StampCheck().verify(laidOut(frame.subarray(0, 99)))).toBe(false);
    expect(new StampCheck().verify(laidOut(frame.subarray(0, 20)))).toBe(false);
    expect(new StampCheck().verify(laidOut(new Uint8Array([...frame, 0])))).toBe(false);
  });

  it("follows the sequence of each sender by itself, across its flows", () => {
    const check = new StampCheck();
    for (const [sender, sequence] of [
      [1, 0],
      [2, 0],
      [1, 1],
      [2, 2],
      [1, 2],
      [2, 1],
      [1, 5],
      [1, 5],
    ] as const) {
      const frame = stampedFrame({ lengthBytes: 60, flow: sequence, sequence, arrivalNs: 0, state: 0 });
      frame[11] = sender;
      check.verify(laidOut(frame));
    }
    expect([check.lost, check.reordered, check.duplicated]).toEqual([2, 1, 1]);
  });
});

describe("writing a stamp", () => {
  it("makes the frame that the layout describes, whatever the buffer held", () => {
    fc.assert(
      fc.property(anyStamp(), fc.integer({ min: 0, max: 255 }), (stamp, dirt) => {
        ram.u8.fill(dirt);
        const writer = new StampWriter(ram, stamp.lengthBytes, [1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]);
        writer.write(76, stamp.flow, stamp.sequence, stamp.arrivalNs, stamp.state);
        const frame = ram.u8.slice(76, 76 + stamp.lengthBytes);
        const view = new DataView(frame.buffer);
        expect([...frame.subarray(0, 14)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xb5]);
        expect(view.getUint16(14, true)).toBe(stamp.flow);
        expect(view.getUint32(16, true)).toBe(stamp.sequence);
        expect(view.getUint32(24, true) + view.getUint32(28, true) * 2 ** 32).toBe(stamp.arrivalNs);
        expect(view.getUint32(32, true)).toBe(stamp.state);
        expect(view.getUint32(20, true)).toBe(referenceCheck(frame));
        expect(ram.u8[75]).toBe(dirt);
        expect(ram.u8[76 + stamp.lengthBytes]).toBe(dirt);
      }),
    );
  });

  it("lengthens a frame that is too short for its stamp", () => {
    expect(new StampWriter(ram, 20, [], []).lengthBytes).toBe(36);
  });
});
