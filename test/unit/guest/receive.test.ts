import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DriverObserver } from "../../../src/guest/ports.ts";
import { ALL_FEATURES, FEATURE } from "./fake-device.ts";
import { makeLiveMachine, patternFrame } from "./machine.ts";

const PLAIN = FEATURE.version1;

describe.each([
  ["EVENT_IDX", ALL_FEATURES],
  ["no EVENT_IDX", ALL_FEATURES & ~FEATURE.eventIdx],
  ["no feature but VERSION_1", PLAIN],
])("receiving with %s", (_, features) => {
  it("hands each frame to the handler, byte for byte, in order", () => {
    const { device, driver, collector } = makeLiveMachine({}, features);
    const frames = [60, 61, 62, 63, 64, 577, 1514].map(patternFrame);
    expect(device.deliver(...frames)).toBe(true);
    driver.interrupt(1);
    expect(driver.poll(64)).toBe(7);
    expect(collector.frames).toEqual(frames);
    expect(driver.received).toBe(7);
    expect(driver.receivedBytes).toBe(60 + 61 + 62 + 63 + 64 + 577 + 1514);
  });

  it("wants no interrupt between an interrupt and the poll that ends it, and one right after", () => {
    const { device, driver } = makeLiveMachine({}, features);
    expect(device.deliver(patternFrame(60, 1))).toBe(true);
    driver.interrupt(1);
    expect(driver.polling).toBe(true);
    for (let i = 0; i < 5; i++) {
      expect(device.deliver(patternFrame(60, i))).toBe(false);
      expect(driver.poll(1)).toBe(1);
    }
    driver.poll(64);
    expect(driver.foundEmpty).toBe(true);
    expect(driver.pollDone()).toBe(true);
    expect(driver.polling).toBe(false);
    expect(device.deliver(patternFrame(60, 9))).toBe(true);
  });

  it("goes on polling if frames came after the ring was found empty", () => {
    const { device, driver } = makeLiveMachine({}, features);
    device.deliver(patternFrame(60, 1));
    driver.interrupt(1);
    driver.poll(64);
    device.deliver(patternFrame(60, 2));
    expect(driver.pollDone()).toBe(false);
    expect(driver.polling).toBe(true);
    expect(device.deliver(patternFrame(60, 3))).toBe(false);
    expect(driver.poll(64)).toBe(2);
    expect(driver.pollDone()).toBe(true);
  });

  it("knows that the ring is empty even if the budget was just enough", () => {
    const { device, driver } = makeLiveMachine({}, features);
    device.deliver(patternFrame(60, 1), patternFrame(60, 2), patternFrame(60, 3));
    driver.interrupt(1);
    expect(driver.poll(2)).toBe(2);
    expect(driver.foundEmpty).toBe(false);
    expect(driver.poll(1)).toBe(1);
    expect(driver.foundEmpty).toBe(true);
  });
});

describe("polling without an end", () => {
  it("wants no interrupt however many frames it reads, past the wrap of the 16-bit indices too", () => {
    const { device, driver } = makeLiveMachine({ ring: 4, refillBatch: 1 });
    const frame = patternFrame(14, 1);
    driver.interrupt(1);
    let wanted = 0;
    for (let i = 0; i < 70_000; i++) {
      if (device.deliver(frame)) wanted++;
      driver.poll(1);
    }
    expect(driver.received).toBe(70_000);
    expect(wanted).toBe(0);
  });
});

describe("refilling", () => {
  it("gives buffers back a batch at a time, and all of them when the ring is found empty", () => {
    const { device, driver } = makeLiveMachine({ ring: 16, refillBatch: 4 });
    device.deliver(...Array.from({ length: 11 }, (_, i) => patternFrame(60, i)));
    driver.interrupt(1);
    const before = device.receive.availIdx;
    driver.poll(3);
    expect(device.receive.availIdx - before).toBe(0);
    expect(driver.freeToCard).toBe(13);
    driver.poll(1);
    expect(device.receive.availIdx - before).toBe(4);
    driver.poll(64);
    expect(device.receive.availIdx - before).toBe(11);
    expect(driver.freeToCard).toBe(16);
  });

  it("kicks the device only if it asked for that", () => {
    const { device, driver } = makeLiveMachine({ ring: 16, refillBatch: 4 });
    device.notified.length = 0;
    device.receive.availEvent = 0; // long passed
    device.deliver(...Array.from({ length: 4 }, (_, i) => patternFrame(60, i)));
    driver.interrupt(1);
    driver.poll(64);
    expect(device.notified).toEqual([]);
    device.receive.availEvent = device.receive.availIdx + 1;
    device.deliver(...Array.from({ length: 4 }, (_, i) => patternFrame(60, i)));
    driver.poll(64);
    expect(device.notified).toEqual([0]);
  });

  it("tells the observer what was read before it tells what was given back", () => {
    const log: string[] = [];
    const observer: DriverObserver = {
      drained: (queue, first, last, count) => log.push(`drained ${queue} ${first}-${last} ${count}`),
      refilled: (queue, count) => log.push(`refilled ${queue} ${count}`),
      notifications: (queue, on) => log.push(`notifications ${queue} ${on ? "on" : "off"}`),
    };
    const { device, driver } = makeLiveMachine({ ring: 16, refillBatch: 4 }, ALL_FEATURES, observer);
    device.deliver(...Array.from({ length: 6 }, (_, i) => patternFrame(60, i)));
    driver.interrupt(1);
    driver.poll(64);
    driver.pollDone();
    expect(log).toEqual([
      "notifications 0 off",
      "drained 0 0-3 4",
      "refilled 0 4",
      "drained 0 4-5 2",
      "refilled 0 2",
      "notifications 0 on",
    ]);
  });
});

describe("mergeable buffers", () => {
  it("puts a frame together from as many buffers as it takes", () => {
    const { device, driver, collector } = makeLiveMachine({ ring: 64, mergeableBufferBytes: 64, mtu: 1500 });
    // 12 bytes of header and 52 of the frame in the first buffer, 64 in each other.
    const frames = [52, 53, 116, 117, 1514].map((bytes, i) => patternFrame(bytes, i));
    device.deliver(...frames);
    driver.interrupt(1);
    expect(driver.poll(64)).toBe(5);
    expect(collector.segments).toEqual([1, 2, 2, 3, 24]);
    expect(collector.frames).toEqual(frames);
  });

  it("loses and changes nothing, whatever the lengths, the buffers and the budgets are", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(24, 64, 128, 1536),
        fc.array(fc.record({ bytes: fc.integer({ min: 14, max: 300 }), budget: fc.integer({ min: 0, max: 3 }) }), {
          minLength: 1,
          maxLength: 60,
        }),
        (mergeableBufferBytes, steps) => {
          const { device, driver, collector } = makeLiveMachine({
            ring: 64,
            mtu: 300,
            mergeableBufferBytes,
            refillBatch: 7,
          });
          driver.interrupt(1);
          const delivered: Uint8Array[] = [];
          steps.forEach(({ bytes, budget }, i) => {
            const frame = patternFrame(bytes, i);
            const before = device.receive.usedIdx;
            if (device.stageFrame(frame)) delivered.push(frame);
            device.publishReceive(before);
            driver.poll(budget);
          });
          driver.poll(1000);
          expect(collector.frames).toEqual(delivered);
          expect(driver.freeToCard).toBe(64);
          expect(driver.violations).toBe(0);
        },
      ),
    );
  });
});

describe("a device that breaks the rules of receiving is found out", () => {
  const frame = patternFrame(100, 1);
  it.each([
    ["num_buffers 0", { numBuffers: 0 }, ALL_FEATURES, /num_buffers is 0/],
    ["more buffers than were used", { numBuffers: 2 }, ALL_FEATURES, /num_buffers is 2, and only 1/],
    ["more buffers than the ring has", { numBuffers: 17 }, ALL_FEATURES, /num_buffers is 17/],
    ["two buffers without MRG_RXBUF", { numBuffers: 2 }, PLAIN, /without VIRTIO_NET_F_MRG_RXBUF/],
    ["a gso_type that was not negotiated", { gsoType: 1 }, ALL_FEATURES, /gso_type is 1/],
  ])("%s", (_, header, features, message) => {
    const { device, driver } = makeLiveMachine({}, features);
    device.stageFrame(frame, header);
    device.publishReceive(0);
    driver.interrupt(1);
    expect(() => driver.poll(64)).toThrow(message);
    expect(driver.violations).toBe(1);
  });

  it("a buffer that is not full though the frame goes on in the next", () => {
    const { device, driver } = makeLiveMachine();
    device.stageFrame(frame, { numBuffers: 2 });
    device.stageFrame(frame);
    device.publishReceive(0);
    driver.interrupt(1);
    expect(() => driver.poll(64)).toThrow(/buffer 1 of 2 holds 112 of 1536 bytes/);
  });

  it("a buffer shorter than its header", () => {
    const { device, driver } = makeLiveMachine();
    device.receive.writeUsed(device.receive.takeHead(), 11);
    device.publishReceive(0);
    driver.interrupt(1);
    expect(() => driver.poll(64)).toThrow(/11 bytes, less than its header/);
  });
});

describe("an interrupt", () => {
  it("reads InterruptStatus and acknowledges what it read, defined bits only (§4.2.2.2)", () => {
    const { device, driver } = makeLiveMachine();
    device.interruptStatus = 0xf1;
    device.log.length = 0;
    driver.interrupt(1);
    expect(device.log).toEqual(["R 060/4", "W 064/4 = 1"]);
  });

  it("starts polling even if InterruptStatus reads 0, for a late acknowledge may have cleared it", () => {
    const { device, driver } = makeLiveMachine();
    device.deliver(patternFrame(60, 1));
    driver.interrupt(1);
    expect(device.acknowledged).toEqual([]);
    expect(driver.statuslessInterrupts).toBe(1);
    expect(driver.poll(64)).toBe(1);
  });

  it("re-reads the link after a configuration change, acknowledging first", () => {
    const { device, driver } = makeLiveMachine();
    device.config[6] = 0;
    device.interruptStatus = 2;
    device.log.length = 0;
    driver.interrupt(1);
    expect(device.log).toEqual(["R 060/4", "W 064/4 = 2", "R 070/4", "R 0fc/4", "R 106/2", "R 0fc/4"]);
    expect(driver.linkUp).toBe(false);
    expect(driver.reserve(60)).toBe(-1);
    device.config[6] = 1;
    device.interruptStatus = 2;
    driver.interrupt(1);
    expect(driver.reserve(60)).toBeGreaterThan(0);
  });

  it("throws if the device asks for a reset", () => {
    const { device, driver } = makeLiveMachine();
    device.needsReset = true;
    device.interruptStatus = 2;
    expect(() => driver.interrupt(1)).toThrow(/needs a reset/);
  });
});
