import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { LoopbackPort } from "../../../../src/device/link/loopback.ts";

function sent(port: LoopbackPort, bytes: number[], id: number, nowNs = 0): boolean {
  const frame = new Frame(Uint8Array.of(99, ...bytes));
  frame.offset = 1;
  frame.lengthBytes = bytes.length;
  frame.id = id;
  frame.flags = 1;
  frame.gsoType = 4;
  frame.gsoSize = 1460;
  frame.hdrLen = 54;
  frame.csumStart = 34;
  frame.csumOffset = 16;
  frame.urgent = id === 2;
  return port.transmit(frame, nowNs);
}

function received(port: LoopbackPort): { bytes: number[]; frame: Frame } | null {
  const frame = new Frame(new Uint8Array(0));
  if (!port.receive(frame, 0)) return null;
  return { bytes: [...frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes)], frame };
}

test("frames come back in order, with all that they carry", () => {
  const port = new LoopbackPort();
  sent(port, [1, 2, 3], 1);
  sent(port, [4, 5], 2);
  expect(received(port)!.bytes).toEqual([1, 2, 3]);
  const second = received(port)!;
  expect(second.bytes).toEqual([4, 5]);
  expect(second.frame).toMatchObject({
    id: 2,
    urgent: true,
    flags: 1,
    gsoType: 4,
    gsoSize: 1460,
    hdrLen: 54,
    csumStart: 34,
    csumOffset: 16,
  });
  expect(received(port)).toBeNull();
});

test("frames begin at 4 mod 8, as those in guest memory do", () => {
  const port = new LoopbackPort(4, 61);
  for (let i = 0; i < 4; i++) sent(port, [i], i);
  for (let i = 0; i < 4; i++) expect(received(port)!.frame.offset % 8).toBe(4);
});

test("a full queue drops, and counts what it drops", () => {
  const port = new LoopbackPort(2, 64);
  expect([sent(port, [1], 1), sent(port, [2], 2), sent(port, [3], 3)]).toEqual([true, true, false]);
  expect(port.dropped).toBe(1);
  received(port);
  expect(sent(port, [4], 4)).toBe(true);
  expect([received(port)!.bytes, received(port)!.bytes]).toEqual([[2], [4]]);
});

test("a frame that is too long is dropped", () => {
  const port = new LoopbackPort(2, 3);
  expect(sent(port, [1, 2, 3, 4], 1)).toBe(false);
  expect(port.dropped).toBe(1);
});

test("the oldest frame is due since it was sent", () => {
  const port = new LoopbackPort();
  expect(port.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
  sent(port, [1], 1, 10);
  sent(port, [2], 2, 20);
  expect(port.nextArrivalNs()).toBe(10);
  received(port);
  expect(port.nextArrivalNs()).toBe(20);
});

describe("misuse", () => {
  test.each([
    [0, 64],
    [1.5, 64],
    [4, 0],
    [4, Number.NaN],
  ])("a port of %d frames of %d bytes is refused", (capacity, bytes) => {
    expect(() => new LoopbackPort(capacity, bytes)).toThrow(/it must be a positive integer/);
  });
});
