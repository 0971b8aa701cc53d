import { describe, expect, it } from "vitest";
import { ALL_FEATURES, FEATURE } from "./fake-device.ts";
import { makeLiveMachine } from "./machine.ts";

describe.each([
  ["an indirect table", ALL_FEATURES],
  ["a chain", ALL_FEATURES & ~FEATURE.indirect],
])("a control command through %s", (_, features) => {
  it("sets the coalescing of all receive or all transmit queues: max_packets first (§5.1.9.5)", () => {
    const { device, driver } = makeLiveMachine({}, features);
    const commands: number[][] = [];
    device.control = (command) => {
      commands.push([...command]);
      return { ack: 0 };
    };
    expect(driver.setCoalescing("rx", 125, 64)).toBe(true);
    expect(driver.setCoalescing("tx", 0x01020304, 0x05060708)).toBe(true);
    expect(commands).toEqual([
      [6, 1, 64, 0, 0, 0, 125, 0, 0, 0],
      [6, 0, 8, 7, 6, 5, 4, 3, 2, 1],
    ]);
  });

  it("sets and gets the coalescing of one queue; the result follows the ack", () => {
    const { device, driver } = makeLiveMachine({}, features);
    const commands: number[][] = [];
    device.control = (command) => {
      commands.push([...command]);
      return command[1] === 3 ? { ack: 0, result: [9, 0, 0, 0, 0x10, 0x27, 0, 0] } : { ack: 0 };
    };
    expect(driver.setQueueCoalescing(1, 50, 3)).toBe(true);
    expect(driver.getQueueCoalescing(1)).toEqual({ maxPackets: 9, maxUsecs: 10000 });
    expect(commands).toEqual([
      [6, 2, 1, 0, 0, 0, 3, 0, 0, 0, 50, 0, 0, 0],
      [6, 3, 1, 0, 0, 0],
    ]);
  });

  it("tells that the device refused, and ignores the values it gave with the refusal", () => {
    const { device, driver } = makeLiveMachine({}, features);
    device.control = () => ({ ack: 1, result: [9, 9, 9, 9, 9, 9, 9, 9] });
    expect(driver.setQueueCoalescing(0, 50, 3)).toBe(false);
    expect(driver.getQueueCoalescing(0)).toBeNull();
  });

  it("can be given hundreds of times", () => {
    const { driver } = makeLiveMachine({}, features);
    for (let i = 0; i < 500; i++) expect(driver.setCoalescing("rx", i, 1)).toBe(true);
  });
});

describe("the control queue", () => {
  it("finds out an ack that is neither OK nor ERR, and one that was not written", () => {
    const { device, driver } = makeLiveMachine();
    device.control = () => ({ ack: 7 });
    expect(() => driver.setCoalescing("rx", 1, 1)).toThrow(/ack 7/);
    device.control = () => ({ ack: 0, usedBytes: 0 });
    expect(() => driver.setCoalescing("rx", 1, 1)).toThrow(/used.len 0/);
    expect(driver.violations).toBe(2);
  });

  it("waits for the answer, but not for ever", () => {
    const { device, driver, relaxes } = makeLiveMachine();
    device.queues[2]!.availEvent = 100; // the device asks for no kick, and never looks
    expect(() => driver.setCoalescing("rx", 1, 1)).toThrow(/unanswered for 10 looks/);
    expect(relaxes.count).toBe(10);
  });

  it("sends no command whose feature was not negotiated", () => {
    const { driver } = makeLiveMachine({ dropFeatures: [52] });
    expect(() => driver.setQueueCoalescing(0, 1, 1)).toThrow(/VQ_NOTF_COAL was not negotiated/);
    expect(driver.setCoalescing("rx", 1, 1)).toBe(true);
  });
});
