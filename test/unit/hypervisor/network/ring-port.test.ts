import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { createFrameRings, RingPort } from "../../../../src/hypervisor/network/ring-port.ts";
import { contentOf, drain, frameBetween, stationMac } from "./frames.ts";

const MAX_FRAME_BYTES = 1514;
/** So many are less than half of the ring that they travel in. */
const UNDER_WAY_MAX = 10;

function makeEnds(capacityBytes = 1 << 12) {
  const rings = createFrameRings(capacityBytes, MAX_FRAME_BYTES);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const card = new RingPort({ rings, end: "card", doorbell: { words, index: 0 } });
  const wire = new RingPort({ rings, end: "wire", doorbell: { words, index: 1 }, takesSegmentation: false });
  return { card, wire, words };
}

const frame = (id: number, lengthBytes = 60): Frame => frameBetween(stationMac(1), stationMac(2), id, lengthBytes);

describe("a wire's end in another thread", () => {
  it("carries frames both ways, each with its offload header and the time when it was sent", () => {
    const { card, wire } = makeEnds();
    const toCard = Object.assign(frame(1), { flags: 1, csumStart: 34, csumOffset: 6 });
    expect([wire.transmit(toCard, 100), card.transmit(frame(2), 200)]).toEqual([true, true]);
    expect(drain(card)).toEqual([contentOf(toCard)]);
    expect(card.lastSentAtNs).toBe(100);
    expect(drain(wire)).toEqual([contentOf(frame(2))]);
    expect(wire.lastSentAtNs).toBe(200);
    expect([card.sent, card.taken, wire.sent, wire.taken]).toEqual([1, 1, 1, 1]);
  });

  it("says what its other end takes", () => {
    const { card, wire } = makeEnds();
    expect(card).toMatchObject({ takesChecksum: true, takesSegmentation: true, maxFrameBytes: MAX_FRAME_BYTES });
    expect(wire).toMatchObject({ takesChecksum: true, takesSegmentation: false, maxFrameBytes: MAX_FRAME_BYTES });
  });

  it("rings the other end's doorbell when that may sleep", () => {
    const { card, wire, words } = makeEnds();
    for (let id = 0; id < 3; id++) wire.transmit(frame(id), 0);
    expect([...words]).toEqual([0, 1]);
    drain(card);
    wire.transmit(frame(3), 0);
    expect([...words]).toEqual([0, 2]);
  });

  it("drops what finds no room, or is too long, and counts it", () => {
    const { card, wire } = makeEnds();
    let sent = 0;
    while (wire.transmit(frame(sent), 0)) sent++;
    expect(wire.transmit(frame(99, MAX_FRAME_BYTES + 1), 0)).toBe(false);
    expect([wire.sent, wire.dropped]).toEqual([sent, 2]);
    expect(drain(card).map(({ id }) => id)).toEqual(Array.from({ length: sent }, (_, id) => id));
    expect(wire.transmit(frame(sent), 0)).toBe(true);
  });

  it("says when something is due: since ever if a frame waits, never otherwise", () => {
    const { card, wire } = makeEnds();
    expect(card.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
    wire.transmit(frame(1), 50);
    expect(card.nextArrivalNs()).toBe(0);
  });

  it("is refused a ring that cannot hold its longest frame", () => {
    expect(() => createFrameRings(2048, MAX_FRAME_BYTES)).toThrow(
      /is 2048 bytes; for frames of 1514 it must be at least 3088/,
    );
  });

  it("brings 20,000 frames through another thread and back, in order, with both ends asleep in between", async () => {
    const rings = createFrameRings(1 << 15, MAX_FRAME_BYTES);
    const bells = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL("./echo-thread.mjs", import.meta.url), { workerData: { rings, bells } });
    try {
      const wire = new RingPort({ rings, end: "wire", doorbell: { words: bells, index: 1 } });
      const received = new Frame(new Uint8Array(0));
      const deadlineMs = Date.now() + 60_000;
      let [sent, back] = [0, 0];
      while (back < 20_000) {
        const bell = Atomics.load(bells, 0);
        while (sent < 20_000 && sent - back < UNDER_WAY_MAX && wire.transmit(frame(sent, 60 + (sent % 1455)), 0))
          sent++;
        let took = 0;
        for (; wire.receive(received); took++, back++) {
          const expected = frame(back, 60 + (back % 1455));
          if (received.id !== back || received.lengthBytes !== expected.lengthBytes) {
            throw new Error(`frame ${received.id} of ${received.lengthBytes} bytes came in place of ${back}`);
          }
          const { bytes, offset, lengthBytes } = received;
          expect(bytes[offset + lengthBytes - 1]).toBe(expected.bytes[12 + lengthBytes - 1]);
        }
        if (took === 0) Atomics.wait(bells, 0, bell, 1000);
        if (Date.now() > deadlineMs) throw new Error(`${back} of 20000 frames came back`);
      }
      expect(wire.broken).toBe(0);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      await worker.terminate();
    }
  });
});
