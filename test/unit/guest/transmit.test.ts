import { describe, expect, it } from "vitest";
import type { TransmitFraming } from "../../../src/guest/transmit-queue.ts";
import { ALL_FEATURES, FEATURE } from "./fake-device.ts";
import { type Machine, makeLiveMachine, patternFrame } from "./machine.ts";

function send({ driver }: Machine, frame: Uint8Array): boolean {
  const address = driver.reserve(frame.length);
  if (address < 0) return false;
  driver.ram.u8.set(frame, address);
  driver.commit();
  return true;
}

describe.each<[TransmitFraming, number]>([
  ["joined", 1],
  ["chained", 2],
  ["indirect", 1],
])("sending with header and frame %s", (transmitFraming, descriptorsEach) => {
  it("puts a header of twelve zeros before the frame (§5.1.9.2.1), every time", () => {
    const machine = makeLiveMachine({ transmitFraming });
    const frames = Array.from({ length: 40 }, (_, i) => patternFrame(60 + i, i));
    for (const frame of frames) {
      expect(send(machine, frame)).toBe(true);
      machine.driver.flush();
      machine.device.sendFrames();
    }
    expect(machine.device.sent).toEqual(frames.map((frame) => new Uint8Array([...new Uint8Array(12), ...frame])));
    expect(machine.driver.violations).toBe(0);
  });

  it("fills the ring, is told when it is three quarters empty, and goes on", () => {
    const machine = makeLiveMachine({ ring: 16, transmitFraming });
    const { device, driver } = machine;
    const room = 16 / descriptorsEach;
    let sent = 0;
    while (send(machine, patternFrame(60, sent))) sent++;
    expect(sent).toBe(room);
    expect(driver.sendStalled).toBe(true);
    // What was committed was published, though nobody called flush: the device must be able to make room.
    expect(device.transmit.waiting).toBe(room);
    expect(device.sendFrames((room * 3) / 4 - 1)).toBe(false);
    expect(device.sendFrames(1)).toBe(true);
    driver.interrupt(1);
    expect(driver.sendStalled).toBe(false);
    expect(device.sendFrames()).toBe(false);
    expect(send(machine, patternFrame(60, sent))).toBe(true);
    expect(driver.sendsInFlight).toBe(room / 4 + 1);
  });
});

describe("sending", () => {
  it("shows committed frames to the device all at once, with one kick", () => {
    const machine = makeLiveMachine();
    const { device, driver } = machine;
    device.notified.length = 0;
    for (let i = 0; i < 5; i++) send(machine, patternFrame(60, i));
    expect(device.transmit.waiting).toBe(0);
    driver.flush();
    expect(device.transmit.waiting).toBe(5);
    expect(device.notified).toEqual([1]);
    driver.flush();
    expect(device.notified).toEqual([1]);
  });

  it("wants no interrupts for sent frames while there is room", () => {
    for (const features of [ALL_FEATURES, ALL_FEATURES & ~FEATURE.eventIdx]) {
      const machine = makeLiveMachine({ ring: 8 }, features);
      for (let i = 0; i < 100; i++) {
        expect(send(machine, patternFrame(60, i))).toBe(true);
        machine.driver.flush();
        expect(machine.device.sendFrames()).toBe(false);
      }
    }
  });

  it("takes finished buffers back at a poll if the ring was full, without an interrupt", () => {
    const machine = makeLiveMachine({ ring: 8 });
    while (send(machine, patternFrame(60, 1)));
    machine.device.sendFrames();
    machine.driver.poll(1);
    expect(machine.driver.sendStalled).toBe(false);
    expect(machine.driver.sendsInFlight).toBe(0);
  });

  it("falls back to chains if indirect tables were not negotiated", () => {
    const machine = makeLiveMachine({ transmitFraming: "indirect" }, ALL_FEATURES & ~FEATURE.indirect);
    send(machine, patternFrame(60, 1));
    machine.driver.flush();
    expect(machine.device.transmit.chain(0).length).toBe(2);
  });

  it("refuses frames that the link does not take", () => {
    const { driver } = makeLiveMachine();
    expect(() => driver.reserve(1515)).toThrow(RangeError);
    expect(() => driver.reserve(0)).toThrow(RangeError);
  });

  it("finds out a device that claims to have written into a frame to send", () => {
    const machine = makeLiveMachine();
    send(machine, patternFrame(60, 1));
    machine.driver.flush();
    machine.device.transmit.writeUsed(machine.device.transmit.takeHead(), 12);
    machine.device.transmit.publishUsed();
    expect(() => machine.driver.reclaim()).toThrow(/used.len of id 0 is 12/);
    expect(machine.driver.violations).toBe(1);
  });
});
