import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import {
  ACKNOWLEDGE,
  CardMachine,
  DEVICE_NEEDS_RESET,
  DRIVER,
  DRIVER_OK,
  FEATURES_OK,
  frameOf,
  MAC,
  PLAIN_FEATURES,
  REG,
  RUNNING,
  RX,
} from "../rings/card-machine.ts";
import { withinBounds, worksAfterReset } from "./survival.ts";

describe("case 21: queue registers", () => {
  test("written after DRIVER_OK change no queue that is ready", () => {
    const machine = new CardMachine().bringUp();
    machine.offerReceiveBuffers([2048, 2048]);
    machine.write(REG.QUEUE_SEL, RX);
    for (const register of [REG.QUEUE_SIZE, REG.QUEUE_DESC_LOW, REG.QUEUE_DRIVER_LOW, REG.QUEUE_DEVICE_LOW]) {
      machine.write(register, 0x20000);
    }
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
    expect(machine.card.statistics.faultTotal).toBe(4);
    worksAfterReset(machine);
  });

  test.each([0, 3, 5, 0xffff, 0x10000, 0xffffffff])("a size of %i enables nothing", (size) => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(RX, 0x1000, 8);
    machine.write(REG.QUEUE_READY, 0);
    machine.write(REG.QUEUE_SIZE, size);
    machine.write(REG.QUEUE_READY, 1);
    machine.write(REG.STATUS, RUNNING);
    withinBounds(machine, [], () => machine.receive(frameOf(60)));
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    worksAfterReset(machine);
  });

  test("selectors and kicks out of range do nothing", () => {
    const machine = new CardMachine().bringUp();
    withinBounds(machine, [], () => {
      for (const queue of [3, 255, 0x7fffffff, 0x80000000, 0xffffffff]) {
        machine.write(REG.QUEUE_SEL, queue);
        machine.write(REG.QUEUE_READY, 1);
        machine.write(REG.QUEUE_NOTIFY, queue);
        expect(machine.read(REG.QUEUE_READY)).toBe(0);
        expect(machine.read(REG.QUEUE_SIZE_MAX)).toBe(0);
      }
      machine.poll();
    });
    worksAfterReset(machine);
  });

  test("a queue that was never set up is not used, whatever is kicked", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.write(REG.STATUS, RUNNING);
    withinBounds(machine, [], () => {
      for (const queue of [0, 1, 2]) machine.write(REG.QUEUE_NOTIFY, queue);
      machine.port.arrivals.push({ bytes: frameOf(60) });
      machine.poll();
    });
    worksAfterReset(machine);
  });
});

describe("case 22: negotiation", () => {
  test.each([
    ["a feature that was not offered", [1 << 4, 1]],
    ["a feature of a word that does not exist", [0, 1, 1]],
    ["all bits", [0xffffffff, 0xffffffff]],
    ["no VERSION_1", [0, 0]],
    ["NOTF_COAL without CTRL_VQ", [0, 1 | (1 << 21)]],
  ])("%s: FEATURES_OK stays clear, DRIVER_OK too, and a better set is taken", (_, words) => {
    const machine = new CardMachine();
    machine.write(REG.STATUS, ACKNOWLEDGE | DRIVER);
    const accept = (values: number[]) => {
      values.forEach((value, word) => {
        machine.write(REG.DRIVER_FEATURES_SEL, word);
        machine.write(REG.DRIVER_FEATURES, value);
      });
    };
    accept(words);
    machine.write(REG.STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    expect(machine.status).toBe(ACKNOWLEDGE | DRIVER);
    machine.write(REG.STATUS, RUNNING);
    expect(machine.status).toBe(ACKNOWLEDGE | DRIVER);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("features-refused");
    machine.write(REG.STATUS, 0);
    machine.write(REG.STATUS, ACKNOWLEDGE | DRIVER);
    accept([0, 1, 0]);
    machine.write(REG.STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    expect(machine.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    worksAfterReset(machine);
  });

  test.each([
    ["FEATURES_OK", false],
    ["DRIVER_OK", true],
  ])("features written after %s change nothing: merging stays off", (_, running) => {
    const machine = new CardMachine();
    const acceptLate = (): void => {
      machine.write(REG.DRIVER_FEATURES_SEL, 0);
      machine.write(REG.DRIVER_FEATURES, 1 << 15);
    };
    machine.negotiate(["VERSION_1"]);
    if (!running) acceptLate();
    machine.setUpQueue(RX, 0x1000, 8);
    machine.write(REG.STATUS, RUNNING);
    if (running) acceptLate();
    machine.offerReceiveBuffers([100, 100]);
    expect(machine.receive(frameOf(150))).toEqual([{ head: 0, length: 0 }]);
    expect(machine.faults.map(({ code }) => FAULTS[code]!.name)).toEqual(["features-late", "rx-too-small"]);
    worksAfterReset(machine);
  });

  test("every single status value, written to a fresh card, leaves it able to come up", () => {
    for (let value = 0; value < 256; value++) {
      const machine = new CardMachine();
      machine.write(REG.STATUS, value);
      expect(machine.status & DEVICE_NEEDS_RESET).toBe(0);
      expect(machine.status & DRIVER_OK, `status ${value}`).toBe(0);
      machine.poll();
      machine.bringUp();
      expect(machine.status).toBe(RUNNING);
    }
  });

  test("every status value, written to a running card, leaves it able to come up again", () => {
    const machine = new CardMachine().bringUp();
    for (let value = 0; value < 256; value++) {
      machine.write(REG.STATUS, value);
      machine.port.arrivals.push({ bytes: frameOf(60) });
      machine.poll();
      machine.bringUp();
      expect(machine.status).toBe(RUNNING);
    }
    worksAfterReset(machine);
  });
});

describe("case 31: the configuration space", () => {
  test("reads of any width, at any place, give its bytes and nothing else", () => {
    const machine = new CardMachine({ offer: PLAIN_FEATURES });
    const bytes = [...MAC, 1, 0, 0, 0, 0xdc, 0x05];
    for (const width of [1, 2, 4] as const) {
      for (let offset = 0; offset < 0x100; offset++) {
        let expected = 0;
        for (let i = 0; i < width; i++) expected += (bytes[offset + i] ?? 0) * 256 ** i;
        expect(machine.read(REG.CONFIG + offset, width)).toBe(expected);
      }
    }
    expect(machine.faults).toEqual([]);
  });

  test("writes change nothing", () => {
    const machine = new CardMachine().bringUp();
    for (const width of [1, 2, 4] as const) {
      for (let offset = 0; offset < 16; offset++) machine.write(REG.CONFIG + offset, 0xffffffff, width);
    }
    expect(MAC.map((_, i) => machine.read(REG.CONFIG + i, 1))).toEqual(MAC);
    expect(machine.read(REG.CONFIG_GENERATION)).toBe(0);
    worksAfterReset(machine);
  });

  test("a driver that reads while the link changes sees another generation (MMIO-6)", () => {
    const machine = new CardMachine().bringUp();
    const before = machine.read(REG.CONFIG_GENERATION);
    const low = machine.read(REG.CONFIG + 6, 1);
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.read(REG.CONFIG + 6, 1)).not.toBe(low);
    expect(machine.read(REG.CONFIG_GENERATION)).not.toBe(before);
  });
});

test("every register, written with every kind of value, in every width, leaves the card able to come up", () => {
  const machine = new CardMachine().bringUp();
  for (const value of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, -1, 0.5, Number.NaN]) {
    for (let offset = 0; offset < 0x200; offset++) {
      for (const width of [1, 2, 4] as const) {
        machine.write(offset, value, width);
        machine.read(offset, width);
      }
    }
    machine.poll();
  }
  worksAfterReset(machine);
});
