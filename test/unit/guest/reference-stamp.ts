import fc from "fast-check";

// The frame stamp as device/spec/frame-stamp.ts words it, written for clearness, with BigInt and without its code.

export interface Stamp {
  readonly lengthBytes: number;
  readonly flow: number;
  readonly sequence: number;
  readonly arrivalNs: number;
  readonly state: number;
}

export function referenceCheck(frame: Uint8Array): number {
  const padded = new Uint8Array(Math.ceil(frame.length / 4) * 4);
  padded.set(frame);
  const view = new DataView(padded.buffer);
  let s1 = 0n;
  let s2 = 0n;
  for (let at = 16; at < padded.length; at += 4) {
    s1 = (s1 + (at === 20 ? 0n : BigInt(view.getUint32(at, true)))) & 0xffffffffn;
    s2 = (s2 + s1) & 0xffffffffn;
  }
  const rotated = ((s1 << 16n) | (s1 >> 16n)) & 0xffffffffn;
  return Number(s2 ^ rotated ^ BigInt(frame.length));
}

export function stampedFrame(stamp: Stamp, filler = 0x5a): Uint8Array {
  const frame = new Uint8Array(Math.max(36, stamp.lengthBytes)).map((_, i) => (i * filler) & 0xff);
  const view = new DataView(frame.buffer);
  frame.set([0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1]);
  view.setUint16(12, 0x88b5, false);
  view.setUint16(14, stamp.flow, true);
  view.setUint32(16, stamp.sequence, true);
  view.setUint32(24, stamp.arrivalNs % 2 ** 32, true);
  view.setUint32(28, Math.floor(stamp.arrivalNs / 2 ** 32), true);
  view.setUint32(32, stamp.state, true);
  view.setUint32(20, referenceCheck(frame), true);
  return frame;
}

export const anyStamp = (lengthMax = 400): fc.Arbitrary<Stamp> =>
  fc.record({
    lengthBytes: fc.integer({ min: 36, max: lengthMax }),
    flow: fc.integer({ min: 0, max: 0xffff }),
    sequence: fc.integer({ min: 0, max: 0xffffffff }),
    arrivalNs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    state: fc.integer({ min: 0, max: 0xffffffff }),
  });
