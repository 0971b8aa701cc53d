import { describe, expect, test } from "vitest";
import { FAULTS, MMIO_REGISTERS } from "../../../../src/device/index.ts";
import {
  BUFFERS,
  CardMachine,
  CTRL,
  frameOf,
  MAC,
  PLAIN_FEATURES,
  REG,
  RUNNING,
  RX,
  TX,
} from "../../../rings/card-machine.ts";

function faultNames(machine: CardMachine): string[] {
  return machine.faults.map(({ code }) => FAULTS[code]!.name);
}

describe("identification", () => {
  test("MagicValue, Version, DeviceID and VendorID (MMIO-1, MMIO-2)", () => {
    const machine = new CardMachine();
    expect(machine.read(REG.MAGIC)).toBe(0x74726976);
    expect(machine.read(REG.VERSION)).toBe(2);
    expect(machine.read(REG.DEVICE_ID)).toBe(1);
    expect(machine.read(REG.VENDOR_ID)).toBe(0x1af4);
  });

  test("no shared memory region exists (§4.2.2)", () => {
    const machine = new CardMachine();
    machine.write(0x0ac, 3);
    for (const register of [REG.SHM_LEN_LOW, REG.SHM_LEN_HIGH, REG.SHM_BASE_LOW, REG.SHM_BASE_HIGH]) {
      expect(machine.read(register)).toBe(0xffffffff);
    }
  });
});

describe("every register", () => {
  test("reads its declared reset value in a card made with defaults", () => {
    const machine = new CardMachine({ queueSizeMax: 1024 });
    for (const { name, offset, width, access, reset } of MMIO_REGISTERS) {
      if (access === "WO" || name === "Config") continue;
      expect(machine.read(offset, width), name).toBe(reset);
    }
    expect(machine.faults).toEqual([]);
  });

  test("takes no access of another width, and none in its middle (§4.2.2.2)", () => {
    const machine = new CardMachine().bringUp();
    let expected = 0;
    for (const { offset, name } of MMIO_REGISTERS) {
      if (name === "Config") continue;
      for (const [at, width] of [
        [offset, 1],
        [offset, 2],
        [offset + 1, 1],
        [offset + 2, 2],
        [offset + 1, 4],
        [offset + 2, 4],
      ] as const) {
        expect(machine.read(at, width)).toBe(0);
        machine.write(at, 0xffffffff, width);
        expected += 2;
      }
    }
    expect(faultNames(machine)).toEqual(new Array(expected).fill("register-access"));
    expect(machine.status).toBe(RUNNING);
  });

  test("that is read-only takes no write, and one that is write-only reads 0, as faults", () => {
    const machine = new CardMachine().bringUp();
    for (const { offset, access, width, name } of MMIO_REGISTERS) {
      if (name === "Config") continue;
      if (access === "RO") machine.write(offset, 0xffffffff, width);
      if (access === "WO") expect(machine.read(offset, width)).toBe(0);
    }
    const count = MMIO_REGISTERS.filter(({ access, name }) => access !== "RW" && name !== "Config").length;
    expect(faultNames(machine)).toEqual(new Array(count).fill("register-access"));
    expect(machine.read(REG.MAGIC)).toBe(0x74726976);
  });

  test("offsets without a register read 0 and ignore writes", () => {
    const machine = new CardMachine().bringUp();
    for (const offset of [0x00c + 0x10 * 3, 0x0c4, 0x0f8, 0x200, 0x10000, -4]) {
      expect(machine.mmio.read(offset, 4, 0)).toBe(0);
      machine.mmio.write(offset, 4, 1, 0);
    }
    expect(faultNames(machine)).toHaveLength(12);
    machine.write(REG.QUEUE_SEL, RX);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
  });
});

describe("features", () => {
  test("are read and written in words of 32", () => {
    const machine = new CardMachine({ offer: PLAIN_FEATURES });
    const offered = [0, 1, 2, 0xffffffff].map((word) => {
      machine.write(REG.DEVICE_FEATURES_SEL, word);
      return machine.read(REG.DEVICE_FEATURES);
    });
    const low = (1 << 3) | (1 << 5) | (1 << 15) | (1 << 16) | (1 << 17) | (1 << 28) | (1 << 29);
    const high = (1 << 0) | (1 << 11) | (1 << 20) | (1 << 21);
    expect(offered).toEqual([low, high, 0, 0]);
  });

  test("written after FEATURES_OK change nothing, and are a fault", () => {
    const machine = new CardMachine().bringUp();
    machine.write(REG.DRIVER_FEATURES_SEL, 0);
    machine.write(REG.DRIVER_FEATURES, 0);
    expect(faultNames(machine)).toEqual(["features-late"]);
    expect(machine.card.features.has(28)).toBe(true);
  });
});

describe("queue reset", () => {
  test("takes a queue back to where it was before it was enabled; the others go on (VQRST-1, VQRST-2, MMIO-10)", () => {
    const machine = new CardMachine().bringUp([...PLAIN_FEATURES, "RING_RESET"]);
    machine.write(REG.QUEUE_SEL, TX);
    machine.write(REG.QUEUE_RESET, 1);
    expect([machine.read(REG.QUEUE_RESET), machine.read(REG.QUEUE_READY)]).toEqual([0, 0]);
    machine.write(REG.QUEUE_SEL, RX);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
    machine.setUpQueue(TX, 0x30000, 4);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
    machine.send(frameOf(60));
    expect(machine.port.sent).toHaveLength(1);
    expect(machine.faults).toEqual([]);
  });

  test("is a fault without RING_RESET, for a queue that does not exist, and with any other value", () => {
    const without = new CardMachine().bringUp();
    without.write(REG.QUEUE_SEL, TX);
    without.write(REG.QUEUE_RESET, 1);
    expect([without.read(REG.QUEUE_READY), ...faultNames(without)]).toEqual([1, "register-access"]);
    const machine = new CardMachine().bringUp([...PLAIN_FEATURES, "RING_RESET"]);
    machine.write(REG.QUEUE_SEL, TX);
    machine.write(REG.QUEUE_RESET, 2);
    machine.write(REG.QUEUE_SEL, 9);
    machine.write(REG.QUEUE_RESET, 1);
    expect(faultNames(machine)).toEqual(["register-access", "queue-index"]);
  });
});

describe("notification data", () => {
  test("says how far the driver has got beside the queue's index (§4.2.3.3)", () => {
    const machine = new CardMachine().bringUp([...PLAIN_FEATURES, "NOTIFICATION_DATA"]);
    machine.write(REG.QUEUE_NOTIFY, (7 << 16) | TX);
    machine.write(REG.QUEUE_NOTIFY, (0x8001 << 16) | CTRL);
    expect(machine.card.statistics.queues.map((queue) => queue.kicks)).toEqual([0, 1, 1]);
    const without = new CardMachine().bringUp();
    without.write(REG.QUEUE_NOTIFY, (7 << 16) | TX);
    expect(faultNames(without)).toEqual(["queue-index"]);
  });

  test("NOTIF_CONFIG_DATA cannot be offered here: only PCI has its register", () => {
    expect(() => new CardMachine({ extra: ["NOTIF_CONFIG_DATA"] })).toThrow(/NOTIF_CONFIG_DATA.* PCI alone/);
  });
});

describe("queues", () => {
  test("QueueSizeMax is 0 for a queue that does not exist", () => {
    const machine = new CardMachine();
    const sizes = [RX, TX, CTRL, 3, 0xffffffff].map((queue) => {
      machine.write(REG.QUEUE_SEL, queue);
      return machine.read(REG.QUEUE_SIZE_MAX);
    });
    expect(sizes).toEqual([1024, 1024, 1024, 0, 0]);
  });

  test("there is no control queue without CTRL_VQ", () => {
    const machine = new CardMachine({ withhold: ["CTRL_VQ"] });
    machine.write(REG.QUEUE_SEL, CTRL);
    expect(machine.read(REG.QUEUE_SIZE_MAX)).toBe(0);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    expect(faultNames(machine)).toEqual(["queue-index"]);
  });

  test("QueueReady reads back 1 once the setup is good, and 0 after it was written 0", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(RX, 0x1000, 8);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
    machine.write(REG.QUEUE_READY, 0);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
    expect(machine.faults).toEqual([]);
  });

  test("QueueReady takes 0 and 1 alone", () => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(RX, 0x1000, 8);
    machine.write(REG.QUEUE_READY, 2);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
    expect(faultNames(machine)).toEqual(["register-access"]);
  });

  test.each([
    ["a size that is no power of two", REG.QUEUE_SIZE, 6],
    ["a size of 0", REG.QUEUE_SIZE, 0],
    ["a size beyond the largest", REG.QUEUE_SIZE, 2048],
    ["a misaligned descriptor area", REG.QUEUE_DESC_LOW, 0x1008],
    ["a misaligned driver area", REG.QUEUE_DRIVER_LOW, 0x1081],
    ["a misaligned device area", REG.QUEUE_DEVICE_LOW, 0x1092],
    ["an area above memory", REG.QUEUE_DESC_LOW, 0x40000],
    ["an area above 4 GiB", REG.QUEUE_DEVICE_HIGH, 1],
    ["an area at the top of the address space", REG.QUEUE_DRIVER_HIGH, 0xffffffff],
  ])("are not enabled with %s (§2.7)", (_, register, value) => {
    const machine = new CardMachine();
    machine.negotiate();
    machine.setUpQueue(RX, 0x1000, 8);
    machine.write(REG.QUEUE_READY, 0);
    machine.write(register, value);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    expect(faultNames(machine)).toEqual(["queue-setup"]);
    expect(machine.faults[0]!.queue).toBe(RX);
  });

  test("are not enabled before FEATURES_OK, and the control queue not without CTRL_VQ", () => {
    const machine = new CardMachine();
    machine.setUpQueue(RX, 0x1000, 8);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    machine.negotiate(["VERSION_1"]);
    machine.setUpQueue(CTRL, 0x8000, 8);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    expect(faultNames(machine)).toEqual(["queue-setup", "queue-setup"]);
  });

  test("that are ready ignore writes to their setup (§4.2.2.2)", () => {
    const machine = new CardMachine().bringUp();
    machine.write(REG.QUEUE_SEL, RX);
    machine.write(REG.QUEUE_SIZE, 2);
    machine.write(REG.QUEUE_DESC_LOW, 0x9000);
    machine.write(REG.QUEUE_DESC_HIGH, 1);
    machine.write(REG.QUEUE_READY, 1);
    expect(faultNames(machine)).toEqual(new Array(4).fill("queue-in-use"));
    machine.offerReceiveBuffers([2048]);
    expect(machine.receive(new Uint8Array(60))).toHaveLength(1);
    machine.write(REG.QUEUE_READY, 0);
    machine.write(REG.QUEUE_READY, 1);
    expect(machine.read(REG.QUEUE_READY)).toBe(1);
  });

  test("a selector out of range reaches no queue", () => {
    const machine = new CardMachine().bringUp();
    machine.write(REG.QUEUE_SEL, 0xffffffff);
    machine.write(REG.QUEUE_SIZE, 8);
    machine.write(REG.QUEUE_DESC_LOW, 0);
    machine.write(REG.QUEUE_READY, 1);
    machine.write(REG.QUEUE_READY, 0);
    machine.write(REG.QUEUE_NOTIFY, 3);
    machine.write(REG.QUEUE_NOTIFY, 0xffffffff);
    expect(machine.read(REG.QUEUE_READY)).toBe(0);
    expect(faultNames(machine)).toEqual(new Array(6).fill("queue-index"));
  });
});

describe("the configuration space", () => {
  test("is read at any width, before FEATURES_OK too (CFG-1)", () => {
    const machine = new CardMachine();
    expect(MAC.map((_, i) => machine.read(REG.CONFIG + i, 1))).toEqual(MAC);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(1);
    expect(machine.read(REG.CONFIG + 3, 4)).toBe(0x01010000);
    expect(machine.read(REG.CONFIG + 8, 4)).toBe(0x05dc0000);
    expect(machine.faults).toEqual([]);
  });

  test("reads 0 past its end, and nothing wider than a word", () => {
    const machine = new CardMachine();
    expect(machine.read(REG.CONFIG + 24, 4)).toBe(0);
    expect(machine.read(REG.CONFIG + 0xff, 1)).toBe(0);
    expect(machine.faults).toEqual([]);
    expect(machine.mmio.read(REG.CONFIG, 8, 0)).toBe(0);
    expect(machine.mmio.read(REG.CONFIG, 3, 0)).toBe(0);
    expect(faultNames(machine)).toEqual(["register-access", "register-access"]);
  });

  test("takes no write (§5.1.4.2)", () => {
    const machine = new CardMachine().bringUp();
    machine.write(REG.CONFIG, 0xff, 1);
    machine.write(REG.CONFIG + 6, 0, 2);
    machine.write(REG.CONFIG + 8, 0, 4);
    expect(machine.read(REG.CONFIG, 1)).toBe(MAC[0]);
    expect(machine.read(REG.CONFIG + 6, 2)).toBe(1);
    expect(faultNames(machine)).toEqual(new Array(3).fill("config-write"));
  });
});

test("a reset clears the selectors, so that the next driver begins at 0", () => {
  const machine = new CardMachine().bringUp();
  machine.write(REG.QUEUE_SEL, 7);
  machine.write(REG.DEVICE_FEATURES_SEL, 1);
  machine.write(REG.STATUS, 0);
  expect(machine.read(REG.QUEUE_SIZE_MAX)).toBe(1024);
  expect(machine.read(REG.DEVICE_FEATURES) & (1 << 5)).not.toBe(0);
  expect(machine.bytes(BUFFERS, 1)[0]).toBe(0xa5);
});
