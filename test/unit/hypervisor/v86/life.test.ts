import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ITR_LATENCY } from "../../../../src/device/index.ts";
import { attachVirtioNet } from "../../../../src/hypervisor/v86/index.ts";
import { patterned } from "../../../conformance/harness/frames.ts";
import { PciDriver } from "../../../conformance/harness/pci-driver.ts";
import { Machine } from "./machine.ts";

const HEADER = new Uint8Array(12);
const machines: Machine[] = [];

async function make(acpi = false): Promise<Machine> {
  const machine = await Machine.make(acpi);
  machines.push(machine);
  return machine;
}

afterEach(async () => {
  for (const machine of machines.splice(0)) await machine.destroy();
});

describe.each(["io", "memory"] as const)("the state of a card in v86 (%s BAR)", (bar) => {
  it("travels with the machine's: a card in another process goes on in mid-traffic", async () => {
    const first = await make(true);
    first.attach({ bar, msix: true });
    const { ram, receive, transmit } = first.bringUp(true);
    first.deliver(patterned(64, 1));
    first.endOfStretch();
    expect(receive.collectUsed()).toHaveLength(1);
    // Queued, but not all looked at yet when the state is saved.
    const queued = [2, 4].map((seed) => patterned(80, seed));
    for (const frame of queued) {
      transmit.add([{ address: ram.put([...HEADER, ...frame]), length: 92 }]);
      first.driver.notify(1);
    }
    const left = queued.slice(first.sent.length);
    expect(left).not.toEqual([]);
    const state = await first.emulator.save_state();

    const second = await make(true);
    second.attach({ bar, msix: true });
    await second.emulator.restore_state(state);
    second.endOfStretch();
    expect(second.sent).toEqual(left);
    second.deliver(patterned(100, 3));
    second.endOfStretch();
    expect(second.wordAt(receive.device + 2)).toBe(2);
    expect(second.readConfig(4, 2) & 7).toBe(7);
  });

  it("has its line up if it was, and the driver that reads why lowers it, however soon it does", async () => {
    const first = await make();
    first.attach({ bar });
    first.bringUp();
    first.deliver(patterned(64));
    first.endOfStretch();
    const state = await first.emulator.save_state();

    const second = await make();
    second.attach({ bar });
    await second.emulator.restore_state(state);
    const lowered = vi.spyOn(second.cpu.devices.pci, "lower_irq");
    // The CPU goes on in the middle of a stretch: nobody has asked the card yet.
    expect(new PciDriver(second.place, false).takeInterruptStatus()).toBe(1);
    expect(lowered.mock.calls).toEqual([[second.slot << 3]]);
  });

  it("has the latency interval that it had found, and goes on finding it", async () => {
    const first = await make();
    first.attachAdaptive({ bar });
    first.bringUp();
    for (let i = 0; i < 3; i++) await first.interruptWithFrame();
    expect(first.card.host.read(ITR_LATENCY, first.card.nowNs())).toBe(500_000);
    const state = await first.emulator.save_state();

    const second = await make();
    second.attachAdaptive({ bar });
    await second.emulator.restore_state(state);
    expect(second.card.host.read(ITR_LATENCY, second.card.nowNs())).toBe(500_000);
    second.driver = new PciDriver(second.place, false);
    await second.interruptWithFrame();
    expect(second.card.host.read(ITR_LATENCY, second.card.nowNs())).toBe(1_000_000);
  });

  it("that was saved without a card resets the card, which does not touch the rings of before", async () => {
    const machine = await make();
    const without = await machine.emulator.save_state();
    machine.attach({ bar });
    const { receive } = machine.bringUp();
    await machine.emulator.restore_state(without);
    expect(machine.card.card.status).toBe(0);
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(machine.wordAt(receive.device + 2)).toBe(0);
    machine.bringUp();
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(machine.card.card.statistics.queues[0]!.frames).toBe(1);
  });

  it("of another kind of card is refused, and the card is as after a reset", async () => {
    const first = await make();
    first.attach({ bar, queueSizeMax: 64 });
    first.bringUp();
    const state = await first.emulator.save_state();
    const second = await make();
    second.attach({ bar });
    second.bringUp();
    await expect(second.emulator.restore_state(state)).rejects.toThrow(/queueSizeMax|64/);
    expect(second.card.card.status).toBe(0);
  });

  it("of a card in another place is refused, and it is said where that was", async () => {
    const first = await make();
    first.attach({ bar });
    first.bringUp();
    const state = await first.emulator.save_state();
    for (const options of [{ bar, slot: 9 }, { bar: bar === "io" ? ("memory" as const) : ("io" as const) }]) {
      const second = await make();
      second.attach(options);
      await expect(second.emulator.restore_state(state)).rejects.toThrow(/was in slot 15 with .*; attach it as it was/);
      expect(second.card.card.status).toBe(0);
      expect(second.readConfig(4, 2) & 7).toBe(0);
    }
  });

  it("ends with a restart of the machine: status 0, no BAR, and no write to where the rings were", async () => {
    const machine = await make();
    machine.attach({ bar });
    const { receive } = machine.bringUp();
    machine.emulator.restart();
    expect(machine.card.card.status).toBe(0);
    expect(machine.readConfig(4, 2)).toBe(0);
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(machine.wordAt(receive.device + 2)).toBe(0);
  });
});

describe("a card that is pulled out of v86", () => {
  it.each([
    "io",
    "memory",
  ] as const)("in mid-traffic answers nothing, throws nothing, and can be put in again (%s)", async (bar) => {
    const machine = await make();
    machine.attach({ bar });
    const { ram, receive, transmit } = machine.bringUp();
    const { driver } = machine;
    const { address } = driver.pci.bars[0]!;
    machine.deliver(patterned(64));
    transmit.add([{ address: ram.put([...HEADER, ...patterned(64)]), length: 76 }]);
    driver.notify(1);
    machine.card.detach();
    machine.endOfStretch();
    expect(receive.collectUsed()).toEqual([]);
    expect(machine.sent).toEqual([]);
    expect(machine.readConfig(0, 4)).toBe(0xffffffff);
    for (const width of [1, 2, 4]) {
      machine.writeConfig(4, width, 0);
      if (bar === "io") machine.writePort(address, width, 1);
      else machine.writeMemory(address, width, 1);
    }
    expect(bar === "io" ? machine.readPort(address + 0x14, 1) : machine.readMemory(address + 0x14, 1)).toBe(0xff);
    machine.deliver(patterned(64));
    expect(machine.card.poll()).toBe(Number.POSITIVE_INFINITY);
    machine.card.detach();

    machine.attach({ bar });
    const again = machine.bringUp();
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(again.receive.collectUsed()).toHaveLength(1);
  });
});

describe("attachVirtioNet refuses", () => {
  let machine: Machine;
  beforeEach(async () => {
    machine = await make();
  });

  it("what is no emulator, and says what it got", () => {
    for (const [value, got] of [
      [null, "null"],
      [{}, "an object of Object"],
      [new Map(), "an object of Map"],
      [7, "7"],
    ] as const) {
      expect(() => attachVirtioNet(value as never)).toThrow(new RegExp(`got ${got}; it must be an emulator`));
    }
  });

  it("an emulator that has not loaded", () => {
    const { emulator_bus } = machine.emulator as never;
    expect(() => attachVirtioNet({ emulator_bus })).toThrow(/wait for its event "emulator-loaded"/);
  });

  it("an emulator whose inside has moved, and names what it misses", () => {
    const cpu = machine.cpu as unknown as Record<string, unknown>;
    cpu["stop_idling"] = undefined;
    expect(() => machine.attach()).toThrow(/no v86\.cpu\.stop_idling .*use v86 0\.5\.462/);
  });

  it("a second card", () => {
    machine.attach();
    expect(() => machine.attach({ slot: 11 })).toThrow(/has a card already; detach\(\) it first/);
  });

  it("a slot that is taken, and names the free ones", () => {
    expect(() => machine.attach({ slot: 1 })).toThrow(/PCI slot 1 is taken by .*; free are .*10/);
    expect(() => machine.attach({ slot: 32 })).toThrow(/slot is 32; it must be an integer from 0 to 31/);
  });

  it("MSI-X in a machine without ACPI", () => {
    expect(() => machine.attach({ msix: true })).toThrow(/acpi: true/);
  });

  it("an unknown kind of BAR", () => {
    expect(() => machine.attach({ bar: "port" as never })).toThrow(/bar is port; it must be "io" or "memory"/);
  });

  it("a network that has no number", () => {
    expect(() => machine.attach({ networkId: -1 })).toThrow(/networkId is -1; it must be an integer, 0 or more/);
  });

  it("a latency interval that its register cannot hold, and nothing is left behind", () => {
    expect(() => machine.attach({ latencyIntervalNs: -1 })).toThrow(RangeError);
    expect(() => machine.attach({ mac: [1, 2, 3] })).toThrow(/mac/);
    machine.attach();
    machine.bringUp();
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(machine.card.card.statistics.queues[0]!.frames).toBe(1);
  });
});

describe("ports that others have", () => {
  it("stay theirs: a BAR that the guest puts there is not decoded, and elsewhere it is again", async () => {
    const machine = await make();
    machine.attach();
    machine.bringUp();
    const { ports } = machine.cpu.io;
    const theirs = ports[0xd010]!;
    theirs.device = { name: "theirs" };
    machine.writeConfig(0x10, 4, 0xd000);
    expect(ports[0xd010]).toBe(theirs);
    expect(machine.readPort(0xd014, 1)).toBe(0xff);
    machine.writeConfig(0x10, 4, 0xe000);
    expect(machine.readPort(0xe014, 1)).toBe(15);
    expect(ports[0xd010]).toBe(theirs);
  });
});
