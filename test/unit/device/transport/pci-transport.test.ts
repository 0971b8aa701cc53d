import { describe, expect, test } from "vitest";
import { frameOf, PLAIN_FEATURES } from "../../../rings/card-machine.ts";
import { COMMON, MESSAGE_ADDRESS, PciMachine, RUNNING } from "../../../rings/pci-machine.ts";

const FEATURES = PLAIN_FEATURES.filter((name) => name !== "RING_EVENT_IDX");

describe("a frame's way over PCI", () => {
  test("with MSI-X each queue, and each configuration change, has its own message", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    expect(machine.status).toBe(RUNNING);
    machine.loop(frameOf(60));
    expect(machine.queues[0]!.takeUsed()).toEqual([{ head: 0, length: 72 }]);
    expect(machine.messages).toEqual([
      { address: MESSAGE_ADDRESS, data: 0x41, vector: 1 },
      { address: MESSAGE_ADDRESS, data: 0x40, vector: 0 },
    ]);
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.messages.at(-1)).toEqual({ address: MESSAGE_ADDRESS, data: 0x43, vector: 3 });
    expect([machine.lineChanges, machine.faults]).toEqual([[], []]);
  });

  test("without it INTx is asserted until the ISR status is read, which says what was the matter (PISR-3, PISR-5)", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    machine.loop(frameOf(60));
    expect([machine.line, machine.config(6, 2) & 8, machine.messages]).toEqual([true, 8, []]);
    expect([machine.isr(), machine.line, machine.isr(), machine.config(6, 2) & 8]).toEqual([1, false, 0, 0]);
    machine.card.setLinkUp(false, machine.nowNs);
    expect([machine.line, machine.isr(), machine.line]).toEqual([true, 2, false]);
  });

  test("what is used before the driver reads the ISR status needs no interrupt of its own (§4.1.5.5, R9)", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    const { throttle } = machine.card;
    throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.loop(frameOf(60));
    machine.nowNs += 1000;
    machine.loop(frameOf(60));
    expect([machine.lineChanges, throttle.nextDeadlineNs()]).toEqual([[true], machine.nowNs - 1000 + 1_000_000]);
    expect(machine.isr()).toBe(1);
    expect([throttle.nextDeadlineNs(), throttle.vectors[0]!.counters.causesSuppressed]).toEqual([Infinity, 2]);
    machine.nowNs += 2_000_000;
    machine.poll();
    expect(machine.lineChanges).toEqual([true, false]);
    machine.loop(frameOf(60));
    expect(machine.line).toBe(true);
  });

  test("what is used after the driver has read the ISR status has an interrupt once the interval is over", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.loop(frameOf(60));
    expect(machine.isr()).toBe(1);
    machine.loop(frameOf(60));
    // A driver that looks at a status of 0 looks at nothing else.
    expect([machine.line, machine.isr()]).toEqual([false, 0]);
    machine.nowNs += 1_000_000;
    machine.poll();
    expect(machine.line).toBe(true);
  });

  test("a change of the configuration says nothing of rings to a driver that reads the ISR status", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    machine.card.throttle.vectors[0]!.latencyNs = 1_000_000;
    machine.loop(frameOf(60));
    expect(machine.isr()).toBe(1);
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.isr()).toBe(2);
    machine.nowNs += 1_000_000;
    machine.poll();
    expect(machine.isr()).toBe(1);
  });

  test("the interrupt disable bit silences INTx, and the status bit still tells (PISR-4)", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    machine.setConfig(4, 2, 0x0407);
    machine.loop(frameOf(60));
    expect([machine.line, machine.config(6, 2) & 8]).toEqual([false, 8]);
    machine.setConfig(4, 2, 0x0007);
    expect(machine.line).toBe(true);
  });

  test("works through an I/O BAR, and through a 64-bit one", () => {
    for (const bar of ["io", "memory64"] as const) {
      const machine = new PciMachine({}, { bar });
      machine.enableMsix();
      machine.bringUp(FEATURES);
      machine.loop(frameOf(60));
      expect(machine.queues[0]!.takeUsed()).toHaveLength(1);
      expect(machine.messages).toHaveLength(2);
    }
  });
});

describe("MSI-X", () => {
  test("a masked vector keeps what is due, shows it as pending, and sends it when it is unmasked (R9)", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    const pba = machine.config(machine.msixAt + 8) & ~7;
    const bar = machine.config(machine.msixAt + 8) & 7;
    machine.write(bar, 12, 4, 1);
    machine.loop(frameOf(60));
    expect([machine.messages.map(({ vector }) => vector), machine.read(bar, pba, 4)]).toEqual([[1], 1]);
    machine.write(bar, 12, 4, 0);
    expect([machine.messages.map(({ vector }) => vector), machine.read(bar, pba, 4)]).toEqual([[1, 0], 0]);
  });

  test("the function's mask holds all vectors back, and what was masked survives a reset of the device", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.setConfig(machine.msixAt + 2, 2, 0xc000);
    machine.bringUp(FEATURES);
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    const pba = machine.config(machine.msixAt + 8);
    expect([machine.messages, machine.read(pba & 7, pba & ~7, 4)]).toEqual([[], 0b1011]);
    machine.setConfig(machine.msixAt + 2, 2, 0x8000);
    expect(machine.messages.map(({ vector }) => vector).sort()).toEqual([0, 1, 3]);
  });

  test("an event without a vector interrupts nobody (PUSED-1, PCCHG-1)", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    machine.setCommon(COMMON.CONFIG_MSIX_VECTOR, 2, 0xffff);
    for (const index of [0, 1]) {
      machine.setCommon(COMMON.QUEUE_SELECT, 2, index);
      machine.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, 0xffff);
    }
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    expect([machine.messages, machine.line]).toEqual([[], false]);
  });

  test("vectors read back as they were mapped, NO_VECTOR if there are not so many, and after reset (PMSIX-6, -7, -9)", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    const vectors = () => {
      machine.setCommon(COMMON.QUEUE_SELECT, 2, 1);
      return [machine.common(COMMON.QUEUE_MSIX_VECTOR, 2), machine.common(COMMON.CONFIG_MSIX_VECTOR, 2)];
    };
    expect(vectors()).toEqual([1, 3]);
    machine.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, 4);
    machine.setCommon(COMMON.CONFIG_MSIX_VECTOR, 2, 0x7ff);
    expect(vectors()).toEqual([0xffff, 0xffff]);
    machine.bringUp(FEATURES);
    machine.status = 0;
    expect(vectors()).toEqual([0xffff, 0xffff]);
  });

  test("is not there if the embedder does not want it, or the card has one vector", () => {
    for (const machine of [new PciMachine({}, { msix: false }), new PciMachine({ vectors: 1 })]) {
      expect(machine.msixAt).toBe(0);
      machine.bringUp(FEATURES);
      machine.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, 0);
      expect(machine.common(COMMON.QUEUE_MSIX_VECTOR, 2)).toBe(0xffff);
      machine.loop(frameOf(60));
      expect([machine.line, machine.isr()]).toEqual([true, 1]);
    }
  });

  test("switched on in mid-life, takes over from INTx without losing what is due", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    machine.card.throttle.vectors[0]!.latencyNs = 1e6;
    machine.loop(frameOf(60));
    machine.isr();
    machine.loop(frameOf(60));
    machine.enableMsix();
    machine.nowNs += 1e6;
    machine.poll();
    expect(machine.messages.map(({ vector }) => vector).sort()).toEqual([0, 1]);
  });
});

describe("notifications", () => {
  test("are 16 bits, or with NOTIFICATION_DATA 32 bits; another width, place or queue is a fault", () => {
    const plain = new PciMachine().bringUp(FEATURES);
    plain.notify(1, 4);
    plain.notify(1, 1);
    plain.notify(1, 2, 2);
    plain.notify(1, 2, 9);
    expect(plain.faults).toEqual(["register-access", "register-access", "queue-index", "queue-index"]);
    const data = new PciMachine().bringUp([...FEATURES, "NOTIFICATION_DATA"]);
    data.notify(1, 4, 0x8007_0001);
    data.notify(1, 2);
    expect([data.faults, data.card.statistics.queues[1]!.kicks]).toEqual([["register-access"], 2]);
  });

  test("in memory reach the queue of their address, whatever their width and value", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    for (const [width, value] of [
      [4, 1],
      [1, 1],
      [2, 0],
      [2, 0xffff],
    ] as const) {
      machine.notify(1, width, value);
    }
    expect(machine.card.statistics.queues.map(({ kicks }) => kicks)).toEqual([0, 4, 0]);
    const io = new PciMachine({}, { bar: "io" }).bringUp(FEATURES);
    io.notify(0, 2, 1);
    expect(io.card.statistics.queues.map(({ kicks }) => kicks)).toEqual([0, 1, 0]);
  });

  test("with NOTIF_CONFIG_DATA queue_notif_config_data names the queue, and reads 0 without (§4.1.4.3)", () => {
    const machine = new PciMachine().bringUp([...FEATURES, "NOTIF_CONFIG_DATA"]);
    machine.setCommon(COMMON.QUEUE_SELECT, 2, 1);
    const name = machine.common(COMMON.QUEUE_NOTIF_CONFIG_DATA, 2);
    machine.notify(1, 2, name);
    expect([machine.faults, machine.card.statistics.queues[1]!.kicks]).toEqual([[], 1]);
    const without = new PciMachine().bringUp(FEATURES);
    without.setCommon(COMMON.QUEUE_SELECT, 2, 1);
    expect(without.common(COMMON.QUEUE_NOTIF_CONFIG_DATA, 2)).toBe(0);
  });
});

describe("the common configuration", () => {
  test("shows features and queues of the selected word and queue; what does not exist reads 0 (PCOM-3, PCOM-4, PCOM-14)", () => {
    const machine = new PciMachine();
    machine.setCommon(COMMON.DEVICE_FEATURE_SELECT, 4, 1);
    expect(machine.common(COMMON.DEVICE_FEATURE, 4) & 1).toBe(1);
    machine.setCommon(COMMON.DEVICE_FEATURE_SELECT, 4, 77);
    expect(machine.common(COMMON.DEVICE_FEATURE, 4)).toBe(0);
    machine.setCommon(COMMON.DRIVER_FEATURE_SELECT, 4, 1);
    machine.setCommon(COMMON.DRIVER_FEATURE, 4, 1);
    expect([machine.common(COMMON.DRIVER_FEATURE, 4), machine.common(COMMON.NUM_QUEUES, 2)]).toEqual([1, 3]);
    machine.setCommon(COMMON.QUEUE_SELECT, 2, 3);
    expect([machine.common(COMMON.QUEUE_SIZE, 2), machine.common(COMMON.QUEUE_ENABLE, 2)]).toEqual([0, 0]);
    machine.setCommon(COMMON.QUEUE_ENABLE, 2, 1);
    machine.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, 0);
    expect(machine.faults).toEqual(["queue-index", "queue-index"]);
  });

  test("addresses are written and read in halves (PLAY-1)", () => {
    const machine = new PciMachine();
    machine.negotiate(FEATURES);
    machine.setCommon(COMMON.QUEUE_DESC + 4, 4, 0x12);
    machine.setCommon(COMMON.QUEUE_DESC, 4, 0x3456_7890);
    expect([machine.common(COMMON.QUEUE_DESC, 4), machine.common(COMMON.QUEUE_DESC + 4, 4)]).toEqual([
      0x34567890, 0x12,
    ]);
  });

  test("every other width is a fault that changes nothing", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    expect(machine.common(COMMON.DEVICE_STATUS, 4)).toBe(0);
    machine.setCommon(COMMON.DEVICE_STATUS, 2, 0);
    machine.setCommon(COMMON.QUEUE_SELECT, 1, 2);
    machine.setCommon(COMMON.QUEUE_DESC, 8, 0);
    expect([machine.status, machine.faults]).toEqual([RUNNING, new Array(4).fill("register-access")]);
  });

  test("a field that is read in parts is a fault, but gives its parts, as a driver of iPXE needs it", () => {
    const machine = new PciMachine();
    machine.negotiate(FEATURES);
    machine.setCommon(COMMON.DEVICE_FEATURE_SELECT, 4, 1);
    const whole = machine.common(COMMON.DEVICE_FEATURE, 4);
    expect(whole & 1).toBe(1);
    const halves = [0, 2].map((at) => machine.common(COMMON.DEVICE_FEATURE + at, 2));
    const bytes = [0, 1, 2, 3].map((at) => machine.common(COMMON.DEVICE_FEATURE + at, 1));
    expect([halves[0]! + halves[1]! * 0x10000, bytes.reduceRight((sum, byte) => sum * 256 + byte, 0)]).toEqual([
      whole,
      whole,
    ]);
    expect(machine.faults).toEqual(new Array(6).fill("register-access"));
    // What lies in two fields, or in none, reads 0.
    expect([machine.common(COMMON.DEVICE_FEATURE + 2, 4), machine.common(COMMON.DEVICE_STATUS, 2)]).toEqual([0, 0]);
  });

  test("queue_enable takes 1 alone, and queue_reset lets a queue begin anew with another size (PCOM-11, PCOM-13)", () => {
    const machine = new PciMachine().bringUp([...FEATURES, "RING_RESET"]);
    machine.setCommon(COMMON.QUEUE_SELECT, 2, 1);
    machine.setCommon(COMMON.QUEUE_ENABLE, 2, 0);
    expect([machine.common(COMMON.QUEUE_ENABLE, 2), machine.faults.splice(0)]).toEqual([1, ["register-access"]]);
    machine.setCommon(COMMON.QUEUE_RESET, 2, 1);
    expect([machine.common(COMMON.QUEUE_ENABLE, 2), machine.common(COMMON.QUEUE_RESET, 2)]).toEqual([0, 0]);
    machine.setUpQueue(1, 0x8000, 4, 1);
    machine.loop(frameOf(60));
    expect(machine.queues[0]!.takeUsed()).toHaveLength(1);
    const without = new PciMachine().bringUp(FEATURES);
    without.setCommon(COMMON.QUEUE_SELECT, 2, 1);
    without.setCommon(COMMON.QUEUE_RESET, 2, 1);
    expect([without.common(COMMON.QUEUE_ENABLE, 2), without.faults]).toEqual([1, ["register-access"]]);
  });

  test("config_generation counts changes that a driver reads, and no wrap hides one (PCOM-6)", () => {
    const machine = new PciMachine().bringUp(FEATURES);
    const { bar, offset } = machine.virtio(4);
    const generation = () => machine.common(COMMON.CONFIG_GENERATION, 1);
    machine.read(bar, offset, 4);
    const before = generation();
    for (let i = 0; i < 256; i++) machine.card.setLinkUp(i % 2 === 1, machine.nowNs);
    expect(machine.read(bar, offset + 6, 2)).toBe(1);
    expect(generation()).not.toBe(before);
    const after = generation();
    machine.read(bar, offset + 6, 2);
    expect(generation()).toBe(after);
  });
});

describe("saving and restoring", () => {
  test("another transport goes on with BARs, vectors, masks and selectors as they were", () => {
    const machine = new PciMachine();
    machine.setConfig(0x10, 4, 0xfe00_0000);
    machine.setConfig(4, 2, 7);
    machine.enableMsix();
    machine.bringUp(FEATURES);
    const other = new PciMachine();
    other.ram.set(machine.ram);
    other.card.restoreState(JSON.parse(JSON.stringify(machine.card.saveState(machine.nowNs))), other.nowNs);
    other.pci.restoreState(JSON.parse(JSON.stringify(machine.pci.saveState())), other.nowNs);
    expect(other.pci.saveState()).toEqual(machine.pci.saveState());
    expect(other.pci.barAddress(0)).toBe(0xfe00_0000);
    other.card.setLinkUp(false, other.nowNs);
    expect(other.messages).toEqual([{ address: MESSAGE_ADDRESS, data: 0x43, vector: 3 }]);
  });

  test("a state of another kind is refused", () => {
    const machine = new PciMachine();
    const state = machine.pci.saveState();
    expect(() => machine.pci.restoreState({ ...state, version: 2 as 1 }, 0)).toThrow(/must be spillway-pci 1/);
    const other = new PciMachine({ vectors: 3 });
    expect(() => other.pci.restoreState(state, 0)).toThrow(/4 vectors, but this transport 3/);
  });

  test("a reset of the function takes BARs, MSI-X and the device back to power-on", () => {
    const machine = new PciMachine();
    const fresh = machine.pci.saveState();
    machine.setConfig(4, 2, 7);
    machine.enableMsix();
    machine.bringUp(FEATURES);
    machine.pci.resetFunction(machine.nowNs);
    expect([machine.pci.saveState(), machine.status]).toEqual([fresh, 0]);
    machine.bringUp(FEATURES);
    machine.loop(frameOf(60));
    expect(machine.line).toBe(true);
  });
});
