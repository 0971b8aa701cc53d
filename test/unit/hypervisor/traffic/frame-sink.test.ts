import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { FrameSink } from "../../../../src/hypervisor/traffic/frame-sink.ts";
import { areaBytes, StampedFrames } from "../../../../src/hypervisor/traffic/stamped-frames.ts";
import { checkOf } from "./check-of.ts";

function stamped() {
  const bytes = new Uint8Array(areaBytes(1514));
  const frames = new StampedFrames({
    bytes,
    startOffset: 0,
    lengthBytes: bytes.length,
    slotBytes: 1514,
    destinationMac: [2, 0, 0, 0, 0, 1],
    seed: 3,
  });
  return { frames, frame: new Frame(bytes), sink: new FrameSink() };
}

describe("FrameSink", () => {
  it("counts sound frames and their bytes, and tells what the last one's stamp says", () => {
    const { frames, frame, sink } = stamped();
    for (const [sequence, lengthBytes] of [60, 61, 62, 63, 1514].entries()) {
      frames.stamp(frame, sequence, lengthBytes, 2 ** 40 + sequence, 9, 0xfffe);
      expect(sink.accept(frame)).toBe(true);
    }
    expect(sink).toMatchObject({
      frames: 5,
      bytes: 1760,
      foreign: 0,
      corrupted: 0,
      lost: 0,
      duplicated: 0,
      reordered: 0,
    });
    expect(sink).toMatchObject({ sequence: 4, flow: 0xfffe, arrivalNs: 2 ** 40 + 4 });
  });

  it("finds any changed byte from the sequence number on, and any changed length", () => {
    const { frames, frame } = stamped();
    const lengths = fc.integer({ min: 37, max: 200 });
    fc.assert(
      fc.property(lengths, fc.nat(), fc.integer({ min: 1, max: 255 }), (lengthBytes, where, flip) => {
        const sink = new FrameSink();
        frames.stamp(frame, 0, lengthBytes, 12345, 0, 0);
        const at = frame.offset + 16 + (where % (lengthBytes - 16));
        frame.bytes[at]! ^= flip;
        expect(sink.accept(frame)).toBe(false);
        frame.bytes[at]! ^= flip;
        expect(sink.accept(frame)).toBe(true);
        frame.lengthBytes--;
        expect(sink.accept(frame)).toBe(false);
        expect(sink).toMatchObject({ frames: 3, corrupted: 2, foreign: 0 });
      }),
    );
  });

  it("reads frames at any alignment, and in views of a part of their buffer", () => {
    const { frames, frame, sink } = stamped();
    for (let shift = 0; shift < 8; shift++) {
      frames.stamp(frame, shift, 99, 5, 6, 7);
      const copy = new Uint8Array(200).subarray(3);
      copy.set(frame.bytes.subarray(frame.offset, frame.offset + 99), shift);
      const moved = new Frame(copy);
      moved.offset = shift;
      moved.lengthBytes = 99;
      expect(checkOf(copy, shift, 99)).toBe(checkOf(frame.bytes, frame.offset, 99));
      expect(sink.accept(moved)).toBe(true);
    }
  });

  it("does not judge frames without a stamp: too short, or of another ethertype", () => {
    const { sink } = stamped();
    const frame = new Frame(new Uint8Array(60));
    frame.lengthBytes = 60;
    expect(sink.accept(frame)).toBe(false);
    frame.bytes.set([0x88, 0xb5], 12);
    frame.lengthBytes = 35;
    expect(sink.accept(frame)).toBe(false);
    expect(sink).toMatchObject({ frames: 2, bytes: 95, foreign: 2, corrupted: 0, lost: 0 });
  });

  it("does not believe the sequence number of a corrupted frame", () => {
    const { frames, frame, sink } = stamped();
    frames.stamp(frame, 1_000_000, 60, 0, 0, 0);
    frame.bytes[frame.offset + 59]! ^= 1;
    sink.accept(frame);
    frames.stamp(frame, 0, 60, 0, 0, 0);
    sink.accept(frame);
    expect(sink).toMatchObject({ corrupted: 1, lost: 0, reordered: 0 });
  });
});
