import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { FrameSink } from "../../../../src/hypervisor/traffic/frame-sink.ts";
import { areaBytes, StampedFrames } from "../../../../src/hypervisor/traffic/stamped-frames.ts";
import { TrafficPort } from "../../../../src/hypervisor/traffic/traffic-port.ts";
import { ListSource, type Packet } from "./capture-files.ts";

function make(packets: readonly Packet[], more: { startNs?: number; flow?: number; linkRateBps?: number } = {}) {
  const bytes = new Uint8Array(areaBytes(1514));
  const destinationMac = [2, 0, 0, 0, 0, 1];
  const area = { bytes, startOffset: 0, lengthBytes: bytes.length };
  const frames = new StampedFrames({ ...area, slotBytes: 1514, destinationMac, seed: 1 });
  const source = new ListSource(packets, ["a note"]);
  const sink = new FrameSink();
  return { source, sink, frame: new Frame(bytes), port: new TrafficPort({ source, frames, sink, ...more }) };
}

describe("TrafficPort", () => {
  it("gives each frame at its time, not before, and says exactly when the next is due", () => {
    const { port, frame } = make([
      [0, 60],
      [100, 61],
      [100, 62],
      [250, 63],
    ]);
    expect(port.nextArrivalNs()).toBe(0);
    expect(port.receive(frame, 0)).toBe(true);
    expect(port.nextArrivalNs()).toBe(100);
    expect(port.receive(frame, 99)).toBe(false);
    expect(port.receive(frame, 100)).toBe(true);
    expect([frame.lengthBytes, frame.id]).toEqual([61, 1]);
    expect(port.nextArrivalNs()).toBe(100);
    expect(port.receive(frame, 100)).toBe(true);
    expect(port.receive(frame, 100)).toBe(false);
    expect(port.receive(frame, 1000)).toBe(true);
    expect(port.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
    expect(port.receive(frame, 1e15)).toBe(false);
    expect(port.taken).toBe(4);
  });

  it("stamps a frame when it is taken: with that time, the state word then, and its number", () => {
    const { port, frame } = make(
      [
        [0, 60],
        [10, 60],
      ],
      { flow: 7 },
    );
    port.receive(frame, 5);
    port.stateWord = 0x8000_0001;
    port.receive(frame, 2 ** 33 + 1);
    const view = new DataView(frame.bytes.buffer, frame.offset);
    expect(view.getUint32(16, true)).toBe(1);
    expect(view.getUint32(24, true)).toBe(1);
    expect(view.getUint32(28, true)).toBe(2);
    expect(view.getUint32(32, true)).toBe(0x8000_0001);
    expect(view.getUint16(14, true)).toBe(7);
    expect(port.lastScheduledNs).toBe(10);
  });

  it("counts the source's times from its start", () => {
    const { port, frame } = make([[3, 60]], { startNs: 1000 });
    expect(port.nextArrivalNs()).toBe(1003);
    port.receive(frame, 2000);
    expect(port.lastScheduledNs).toBe(1003);
  });

  it("gives nothing before it begins, if its start is left open", () => {
    const { port, frame } = make(
      [
        [3, 60],
        [5, 60],
      ],
      { startNs: Number.POSITIVE_INFINITY },
    );
    expect(port.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
    expect(port.receive(frame, 1e15)).toBe(false);
    port.begin(100);
    expect(port.nextArrivalNs()).toBe(103);
    expect(port.receive(frame, 103)).toBe(true);
    expect(port.nextArrivalNs()).toBe(105);
  });

  it("has nothing to begin if its source has no packet", () => {
    const { port } = make([], { startNs: Number.POSITIVE_INFINITY });
    port.begin(0);
    expect(port.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("cuts frames that are longer than its slots, and says so behind the source's notes", () => {
    const { port, frame } = make([
      [0, 1514],
      [0, 1515],
    ]);
    port.receive(frame, 0);
    expect(port.notes).toEqual(["a note"]);
    port.receive(frame, 0);
    expect(frame.lengthBytes).toBe(1514);
    expect(port.notes).toEqual(["a note", "1 frame cut to 1,514 bytes, the longest that is staged"]);
  });

  it("hands what is transmitted to its sink", () => {
    const { port, frame, sink } = make([[0, 60]]);
    port.receive(frame, 0);
    expect(port.transmit(frame)).toBe(true);
    expect(sink).toMatchObject({ frames: 1, bytes: 60, corrupted: 0, lost: 0 });
  });

  it("gives nothing more once it is closed, and closes its source", () => {
    const { port, frame, source } = make([[0, 60]]);
    port.close();
    expect(port.receive(frame, 1)).toBe(false);
    expect(port.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
    expect(source.closed).toBe(1);
  });

  it("lets overdue frames follow one another as they were meant to, or as densely as the link can carry them", () => {
    // 1226 bytes and 24 of overhead are 10 µs at 1 Gbit/s.
    const packets = [0, 1_000, 2_000, 500_000, 500_000].map((timeNs): Packet => [timeNs, 1226]);
    const { port, frame } = make(packets, { linkRateBps: 1e9 });
    const taken: [number, number][] = [];
    for (
      let nowNs = 100_000;
      port.nextArrivalNs() < Number.POSITIVE_INFINITY;
      nowNs = Math.max(nowNs, port.nextArrivalNs())
    ) {
      while (port.receive(frame, nowNs)) taken.push([nowNs, port.lastScheduledNs]);
    }
    expect(taken).toEqual([
      [100_000, 0],
      // Meant to come 1 µs apart, which is denser than the wire time.
      [101_000, 1_000],
      [102_000, 2_000],
      // Nobody is late any more: the burst comes as captured.
      [500_000, 500_000],
      [500_000, 500_000],
    ]);
    const slow = make(
      [0, 50_000, 100_000].map((timeNs): Packet => [timeNs, 1226]),
      { linkRateBps: 1e9 },
    );
    const times: number[] = [];
    for (
      let nowNs = 1e6;
      slow.port.nextArrivalNs() < Number.POSITIVE_INFINITY;
      nowNs = Math.max(nowNs, slow.port.nextArrivalNs())
    ) {
      if (slow.port.receive(slow.frame, nowNs)) times.push(nowNs);
    }
    expect(times).toEqual([1_000_000, 1_010_000, 1_020_000]);
  });
});
