import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import {
  FrameRingMemory,
  frameRingBytes,
  RING_HEAD,
  RING_TAIL,
} from "../../../../src/hypervisor/network/frame-ring.ts";
import { FrameRingConsumer } from "../../../../src/hypervisor/network/frame-ring-consumer.ts";
import { FrameRingProducer } from "../../../../src/hypervisor/network/frame-ring-producer.ts";
import { contentOf, frameBetween, type Received, stationMac } from "./frames.ts";

const MAX_FRAME_BYTES = 100;

function makeRing(capacityBytes = 256) {
  const memory = new FrameRingMemory(new SharedArrayBuffer(frameRingBytes(capacityBytes)), MAX_FRAME_BYTES);
  const producer = new FrameRingProducer(memory);
  const consumer = new FrameRingConsumer(memory);
  const frame = new Frame(new Uint8Array(0));
  return {
    memory,
    producer,
    consumer,
    put: (id: number, lengthBytes = 60): boolean => {
      const sent = frameBetween(stationMac(1), stationMac(2), id, lengthBytes);
      return producer.put(sent, sent.bytes.subarray(12), 1000 + id);
    },
    take: (): Received | null => (consumer.take(frame) ? contentOf(frame) : null),
    frame,
  };
}

describe("a frame ring", () => {
  it("gives every frame as it was put, with its offload header, in order", () => {
    const { producer, consumer, take } = makeRing(1024);
    const sent = [20, 61, 100, 0].map((lengthBytes, id) => frameBetween(stationMac(3), stationMac(4), id, lengthBytes));
    for (const frame of sent) {
      Object.assign(frame, {
        flags: 1,
        gsoType: 0x81,
        gsoSize: 0xfffe,
        hdrLen: 0x8001,
        csumStart: 34,
        csumOffset: 65535,
      });
      frame.urgent = frame.id === 2;
      expect(producer.put(frame, frame.bytes.subarray(12), 5e9 + frame.id)).toBe(true);
    }
    producer.publish();
    for (const frame of sent) {
      expect(take()).toEqual(contentOf(frame));
      expect(consumer.sentAtNs).toBe(5e9 + frame.id);
    }
    expect(take()).toBeNull();
  });

  it("shows nothing before it is published", () => {
    const { put, producer, take } = makeRing();
    put(1);
    expect(take()).toBeNull();
    producer.publish();
    expect(take()?.id).toBe(1);
  });

  it("takes frames until its bytes are used up, and again when they were read; none is ever in two pieces", () => {
    const { put, producer, take } = makeRing();
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 200; round++) {
      // 88 to 128 bytes each, so that they end at every place there is.
      while (put(next, 60 + (next % 40))) {
        producer.publish();
        next++;
      }
      expect(next - expected).toBeGreaterThanOrEqual(1);
      expect(next - expected).toBeLessThanOrEqual(2);
      for (; expected < next; expected++) {
        const { id, content } = take()!;
        expect(id).toBe(expected);
        expect(content).toHaveLength(60 + (expected % 40));
      }
      expect(take()).toBeNull();
    }
  });

  it("frames begin at 4 mod 8, as those in guest memory do", () => {
    const { put, producer, take, frame } = makeRing();
    for (let id = 0; id < 20; id++) {
      put(id, 40 + id);
      producer.publish();
      take();
      expect((frame.bytes.byteOffset + frame.offset) % 8).toBe(4);
    }
  });

  it("goes on when its positions pass 2^32", () => {
    const lengthBytes = 1 << 20;
    const memory = new FrameRingMemory(new ArrayBuffer(frameRingBytes(4 << 20)), lengthBytes);
    const [producer, consumer] = [new FrameRingProducer(memory), new FrameRingConsumer(memory)];
    const [sent, received] = [new Frame(new Uint8Array(0)), new Frame(new Uint8Array(0))];
    sent.lengthBytes = lengthBytes;
    // More than 4 GiB; that they have no content saves the time to copy it.
    for (sent.id = 0; sent.id < 4200; sent.id++) {
      expect([producer.put(sent, sent.bytes, 0), producer.publish()]).toEqual([true, true]);
      expect([consumer.take(received), received.id, consumer.hasFrame()]).toEqual([true, sent.id, false]);
    }
    expect(consumer.broken).toBe(0);
  });

  it("says that the consumer is to be woken when it may have found the ring empty, and only then", () => {
    const { put, producer, take, consumer } = makeRing(1024);
    put(1);
    expect(producer.publish()).toBe(true);
    put(2);
    // It was woken for frame 1, and has not looked yet.
    expect(producer.publish()).toBe(false);
    take();
    put(3);
    expect(producer.publish()).toBe(false);
    take();
    take();
    put(4);
    // Frame 3 is in its hands: it will look once more when it is done with it.
    expect(producer.publish()).toBe(false);
    take();
    expect(consumer.hasFrame()).toBe(false);
    put(5);
    expect(producer.publish()).toBe(true);
    expect(producer.publish()).toBe(false);
  });

  it("refuses a frame that is longer than it was made for", () => {
    const { put, producer, take } = makeRing();
    expect([put(1, 101), put(2, 100)]).toEqual([false, true]);
    producer.publish();
    expect(take()?.id).toBe(2);
  });

  it.each([
    ["no power of two", 300, /is 300 bytes; it must be a power of two from 8 to 1073741824/],
    ["too small for its longest frame", 128, /is 128 bytes; for frames of 100 it must be at least 256/],
    ["nothing", 0, /is 0 bytes/],
  ])("is refused if its capacity is %s", (_, capacityBytes, message) => {
    expect(() => makeRing(capacityBytes)).toThrow(message);
  });
});

describe("a frame ring whose producer writes nonsense", () => {
  const nonsense: readonly [string, (memory: FrameRingMemory) => void][] = [
    ["a head beyond the ring", ({ control }) => Atomics.store(control, RING_HEAD, 4096)],
    ["a head behind what was read", ({ control }) => Atomics.store(control, RING_HEAD, -8)],
    ["a head inside a record", ({ control }) => Atomics.add(control, RING_HEAD, 4)],
    ["a length that ends behind the head", ({ words }) => words.fill(90)],
    ["a length above the longest", ({ words }) => words.fill(101)],
    ["a negative length", ({ words }) => words.fill(-2)],
    ["nothing but fillers", ({ words }) => words.fill(-1)],
    ["the largest length", ({ words }) => words.fill(0x7fffffff)],
  ];

  it.each(nonsense)("%s: what is in it is thrown away and counted, and later frames come through", (_, spoil) => {
    const { memory, put, producer, consumer, take } = makeRing();
    put(1);
    producer.publish();
    spoil(memory);
    for (let i = 0; i < 8; i++) {
      const taken = take();
      if (taken !== null) expect(taken.content.length).toBeLessThanOrEqual(MAX_FRAME_BYTES);
    }
    expect(consumer.broken).toBeGreaterThanOrEqual(1);
    for (let id = 2; id < 6; id++) {
      put(id);
      producer.publish();
      take();
    }
    put(6);
    producer.publish();
    expect(take()?.id).toBe(6);
  });
});

describe("a frame ring whose consumer writes nonsense", () => {
  it.each([4096, -1, 12, 0x7fffffff])("takes no more than the ring is long: tail %i", (tail) => {
    const { memory, put, producer } = makeRing();
    put(1);
    put(2);
    producer.publish();
    Atomics.store(memory.control, RING_TAIL, tail);
    let taken = 0;
    while (taken < 100 && put(3)) taken++;
    expect(taken).toBeLessThanOrEqual(2);
  });
});
