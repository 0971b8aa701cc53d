import { describe, expect, it } from "vitest";
import { HostWindow, THROTTLE_REGISTERS } from "../../../../src/device/throttle/host-window.ts";
import { ThrottleRig } from "./throttle-rig.ts";

// Offsets retyped from docs/throttling.md.
const GUEST_STATE = 0x00;
const STATE_SEQ = 0x04;
const TARGET = 0x08;
const ITR_LATENCY = 0x10;
const ITR_OVERFLOW = 0x14;
const ITR_COUNT = 0x18;
const RX_FREE_MIN = 0x1c;
const SLICE_END_LOW = 0x20;
const SLICE_END_HIGH = 0x24;
const URGENT_CTRL = 0x28;
const CAUSE = 0x2c;
const MASK = 0x30;
const NOTIFY_LATENCY_COUNT = 0x40;

function rigWithWindow(vectors = 1, vcpus = 1) {
  const rig = new ThrottleRig(vectors, vcpus);
  return { rig, window: new HostWindow(rig.throttle) };
}

describe("the host window", () => {
  it("every register reads back its reset value before anything was written", () => {
    const { window } = rigWithWindow();
    for (const register of THROTTLE_REGISTERS)
      expect([register.name, window.read(register.offset, 0)]).toEqual([register.name, register.reset]);
  });

  it("every read-write register reads back what was written", () => {
    const { window } = rigWithWindow(1, 4);
    const values: [number, number][] = [
      [GUEST_STATE, 2],
      [ITR_LATENCY, 125_000],
      [ITR_OVERFLOW, 0xffffffff],
      [RX_FREE_MIN, 77],
      [URGENT_CTRL, (1000 << 8) | 3],
      [MASK, 1],
      [TARGET, 3],
    ];
    for (const [offset, value] of values) {
      window.write(offset, value, 5);
      expect(window.read(offset, 5)).toBe(value);
    }
  });

  it("GUEST_STATE moves the throttle between its two intervals, and STATE_SEQ counts the changes", () => {
    const { rig, window } = rigWithWindow();
    window.write(ITR_LATENCY, 50_000, 0);
    window.write(ITR_OVERFLOW, 1_000_000, 0);
    rig.frame(0);
    rig.rx.finishPoll();
    window.write(GUEST_STATE, 0, 1_000);
    rig.frame(2_000);
    expect(window.read(ITR_COUNT, 3_000)).toBe(999_000);
    rig.advance(1_002_000);
    window.write(GUEST_STATE, 1, 1_500_000);
    expect(window.read(STATE_SEQ, 0)).toBe(2);
    expect(window.read(ITR_COUNT, 1_510_000)).toBe(40_000);
    expect(rig.log).toEqual(["0 notify latency", "1002000 wake overflow", "1500000 notify wake"]);
    expect(window.read(NOTIFY_LATENCY_COUNT, 0)).toBe(1);
  });

  it("SLICE_END takes effect with its high half, and all ones mean unknown", () => {
    const { rig, window } = rigWithWindow();
    window.write(SLICE_END_LOW, 5, 0);
    expect(rig.vector.sliceEndNs).toBe(Number.POSITIVE_INFINITY);
    window.write(SLICE_END_HIGH, 2, 0);
    expect(rig.vector.sliceEndNs).toBe(2 * 2 ** 32 + 5);
    expect(window.read(SLICE_END_LOW, 0)).toBe(5);
    expect(window.read(SLICE_END_HIGH, 0)).toBe(2);
    window.write(SLICE_END_HIGH, 0xffffffff, 0);
    expect(rig.vector.sliceEndNs).toBe(Number.POSITIVE_INFINITY);
  });

  it("MASK keeps a cause in CAUSE, and clearing it sends the notification", () => {
    const { rig, window } = rigWithWindow();
    window.write(MASK, 1, 0);
    rig.frame(1);
    expect(window.read(CAUSE, 1)).toBe(1);
    window.write(MASK, 0, 9);
    expect(rig.log).toEqual(["9 notify latency"]);
    expect(window.read(CAUSE, 9)).toBe(0);
  });

  it("has one block per vector, 0x100 bytes apart", () => {
    const { rig, window } = rigWithWindow(3);
    window.write(2 * 0x100 + ITR_LATENCY, 42, 0);
    expect(rig.throttle.vectors[2]!.latencyNs).toBe(42);
    expect(window.read(ITR_LATENCY, 0)).toBe(0);
    expect(window.sizeBytes).toBe(0x300);
  });

  it("a TARGET that does not exist is not taken", () => {
    const { window } = rigWithWindow(1, 2);
    window.write(TARGET, 2, 0);
    expect(window.read(TARGET, 0)).toBe(0);
  });

  it("moving a vector to an inactive TARGET holds its cause back until that vCPU runs", () => {
    const { rig, window } = rigWithWindow(1, 2);
    rig.program(50_000, 1_000_000);
    rig.state(0, 0, 1);
    rig.frame(0);
    rig.rx.finishPoll();
    rig.frame(10);
    window.write(TARGET, 1, 20);
    rig.advance(900_000);
    expect(rig.log).toEqual(["0 notify latency"]);
    rig.advance(2_000_000);
    expect(rig.log[1]).toBe("1000020 wake c1 overflow");
  });

  it("refuses an offset, an access or a value that does not exist", () => {
    const { window } = rigWithWindow();
    expect(() => window.read(0x100, 0)).toThrow("got offset 256, allowed are 0 to 252");
    expect(() => window.read(0x02, 0)).toThrow("no readable register at 0x2");
    expect(() => window.write(STATE_SEQ, 1, 0)).toThrow("no writable register at 0x4");
    expect(() => window.write(ITR_LATENCY, -1, 0)).toThrow("got value -1");
    expect(() => window.write(ITR_LATENCY, 2 ** 32, 0)).toThrow("allowed are whole numbers from 0 to 4294967295");
  });
});
