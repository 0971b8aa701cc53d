import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { GUEST_PREEMPTED, GUEST_STATE, ITR_LATENCY, LoopbackPort } from "../../../../src/device/index.ts";
import type { VirtioNetOptions } from "../../../../src/hypervisor/v86/index.ts";
import { patterned } from "../../../conformance/harness/frames.ts";
import { ALL_FEATURES, FEATURE_BIT, type Feature } from "../../../conformance/harness/numbers.ts";
import { Machine } from "./machine.ts";

const HEADER = new Uint8Array(12);

describe.each([
  { bar: "io" as const, acpi: false },
  { bar: "memory" as const, acpi: false },
  { bar: "io" as const, acpi: true },
  { bar: "memory" as const, acpi: true },
])("a card in v86 with its registers in $bar space, ACPI $acpi", ({ bar, acpi }) => {
  let machine: Machine;
  beforeEach(async () => {
    machine = await Machine.make(acpi);
    machine.attach({ bar, msix: acpi });
  });
  afterEach(() => machine.destroy());

  it("is a virtio network card on the PCI bus, whose ids nobody can write", () => {
    expect(machine.readConfig(0, 4)).toBe(0x10411af4);
    machine.writeConfig(0, 4, 0);
    machine.writeConfig(2, 2, 0);
    machine.writeConfig(0, 1, 0);
    expect(machine.readConfig(0, 2)).toBe(0x1af4);
    expect(machine.readConfig(2, 2)).toBe(0x1041);
    expect(machine.readConfig(3, 1)).toBe(0x10);
    expect(machine.card.card.statistics.faults.every((count) => count === 0)).toBe(true);
  });

  it("receives what v86's network back end sends", () => {
    const { ram, receive } = machine.bringUp(acpi);
    const frame = patterned(200);
    machine.deliver(frame);
    machine.endOfStretch();
    const [chain] = receive.collectUsed();
    expect(chain!.usedLength).toBe(212);
    expect(ram.bytes(chain!.buffers[0]!.address + 12, 200)).toEqual(frame);
  });

  it("sends the first frame of a stretch at the kick, if that is an I/O access, and the others at the end of it", () => {
    const { ram, transmit } = machine.bringUp(acpi);
    machine.endOfStretch();
    const frames = [1, 2, 3].map((seed) => patterned(60 + seed, seed));
    for (const frame of frames) {
      transmit.add([{ address: ram.put([...HEADER, ...frame]), length: 12 + frame.length }]);
      machine.driver.notify(1);
    }
    expect(machine.sent).toEqual(bar === "io" ? [frames[0]] : []);
    // VIRTQ_USED_F_NO_NOTIFY: nobody need kick for the others.
    expect(machine.wordAt(transmit.device)).toBe(bar === "io" ? 1 : 0);
    machine.endOfStretch();
    expect(machine.sent).toEqual(frames);
    expect(transmit.collectUsed()).toHaveLength(3);
    expect(machine.wordAt(transmit.device)).toBe(0);
  });

  it("goes on when the emulator's memory has grown and lies elsewhere", () => {
    const { receive } = machine.bringUp(acpi);
    const memory = machine.cpu.wasm_memory as unknown as { grow(pages: number): void; buffer: ArrayBuffer };
    const before = memory.buffer;
    memory.grow(1);
    expect(memory.buffer).not.toBe(before);
    machine.deliver(patterned(100));
    machine.endOfStretch();
    expect(machine.wordAt(receive.device + 2)).toBe(1);
  });

  it("tells v86 of every byte that it writes outside of the rings, of which v86 heard when they were enabled", () => {
    const { ram, receive, transmit } = machine.bringUp(acpi);
    const told = vi.spyOn(machine.cpu, "jit_dirty_cache");
    const before = ram.snapshot();
    machine.deliver(patterned(1000));
    machine.endOfStretch();
    const inRing = (at: number) => [receive, transmit].some(({ deviceMayWrite: [from, to] }) => at >= from && at < to);
    const changed = ram.changedSince(before).filter((at) => !inRing(at));
    expect(changed.length).toBeGreaterThan(900);
    const untold = changed.filter((at) => !told.mock.calls.some(([start, end]) => at >= start && at < end));
    expect(untold).toEqual([]);
  });

  it("may be put elsewhere by the guest, and is no longer where it was", () => {
    machine.bringUp(acpi);
    const { driver } = machine;
    const { address } = driver.pci.bars[0]!;
    const elsewhere = bar === "io" ? 0xd000 : 0xe8000000;
    machine.writeConfig(0x10, 4, elsewhere);
    expect(driver.status).toBe(15);
    const read = bar === "io" ? machine.readPort(address + 0x14, 1) : machine.readMemory(address + 0x14, 1);
    expect(read).toBe(0xff);
    machine.writeConfig(4, 2, 0);
    expect(bar === "io" ? machine.readPort(elsewhere + 0x14, 1) : machine.readMemory(elsewhere + 0x14, 1)).toBe(0xff);
  });

  it("may be moved by the guest for ever, each BAR by turns", () => {
    machine.bringUp(acpi);
    const [first, second] = bar === "io" ? [0xd000, 0xe000] : [0xe8000000, 0xe9000000];
    for (let i = 0; i < 10_000; i++) {
      for (const address of [second, first]) machine.writeConfig(0x10, 4, address);
      if (acpi) for (const address of [0xe9008000, 0xe8008000]) machine.writeConfig(0x18, 4, address);
    }
    expect(machine.driver.status).toBe(15);
    expect(machine.readMemory(0xe8010000, 1)).toBe(0xff);
    expect(machine.readMemory(0xe9008000, 1)).toBe(0xff);
  });

  it("counts frames that are too short or too long for any wire, and delivers none of them", () => {
    const { receive } = machine.bringUp(acpi);
    machine.deliver(new Uint8Array(13));
    machine.deliver(new Uint8Array(65550));
    machine.endOfStretch();
    expect(receive.collectUsed()).toEqual([]);
    expect(machine.card.undelivered).toEqual({ malformed: 2, dropped: 0 });
  });

  it("counts what its queue has no room for while the emulator does not run", () => {
    machine.bringUp(acpi);
    for (let i = 0; i < 1030; i++) machine.deliver(patterned(64));
    expect(machine.card.undelivered.dropped).toBe(6);
  });

  it("does not send a frame that is too short, but gives it back and counts it", () => {
    const { ram, transmit } = machine.bringUp(acpi);
    transmit.add([{ address: ram.put(new Uint8Array(20)), length: 20 }]);
    machine.driver.notify(1);
    machine.endOfStretch();
    expect(machine.sent).toEqual([]);
    expect(transmit.collectUsed()).toHaveLength(1);
    expect(machine.card.card.statistics.queues[1]!.drops.reduce((sum, count) => sum + count, 0)).toBe(1);
  });
});

describe("what a card in v86 offers", () => {
  const MERGING = [
    "MRG_RXBUF",
    "GUEST_TSO4",
    "GUEST_TSO6",
    "GUEST_ECN",
    "GUEST_UFO",
    "GUEST_USO4",
    "GUEST_USO6",
  ] as const;
  const offered = async (options: VirtioNetOptions): Promise<(name: Feature) => boolean> => {
    const machine = await Machine.make();
    const { features } = machine.attach(options).card;
    await machine.destroy();
    return (name) => features.isOffered(FEATURE_BIT[name]);
  };

  it("on v86's own network leaves out what serves frames that none of its back ends sends", async () => {
    const isOffered = await offered({});
    expect([...MERGING, "RING_PACKED"].filter((name) => isOffered(name as Feature))).toEqual([]);
    expect((["CSUM", "HOST_TSO4", "GUEST_CSUM", "MTU", "CTRL_VQ"] as const).every(isOffered)).toBe(true);
  });

  it.each<[string, VirtioNetOptions]>([
    ["at a port of the embedder's", { port: new LoopbackPort() }],
    ["with jumbo frames", { mtu: 9000 }],
  ])("is all but packed rings %s", async (_, options) => {
    const isOffered = await offered(options);
    expect(MERGING.every(isOffered)).toBe(true);
    expect(isOffered("RING_PACKED")).toBe(false);
  });

  it("is also what the embedder asks for, and never what it does not want", async () => {
    const isOffered = await offered({ extra: ["RING_PACKED", "MRG_RXBUF"], withhold: ["STATUS"] });
    expect((["RING_PACKED", "MRG_RXBUF"] as const).every(isOffered)).toBe(true);
    expect((["STATUS", "GUEST_TSO4"] as const).some(isOffered)).toBe(false);
    const only = await offered({ offer: ["VERSION_1", "MAC", "RING_PACKED"] });
    expect(ALL_FEATURES.filter(only)).toEqual(["MAC", "VERSION_1", "RING_PACKED"]);
  });
});

describe("interrupts of a card in v86", () => {
  it("raise its line between two stretches of instructions, never inside a store, until the driver reads why", async () => {
    const machine = await Machine.make();
    machine.attach();
    const { receive } = machine.bringUp();
    const { pci } = machine.cpu.devices;
    const raised = vi.spyOn(pci, "raise_irq");
    const lowered = vi.spyOn(pci, "lower_irq");
    machine.deliver(patterned(64));
    machine.card.poll();
    expect(receive.collectUsed()).toHaveLength(1);
    expect(raised).not.toHaveBeenCalled();
    machine.endOfStretch();
    expect(raised.mock.calls).toEqual([[machine.slot << 3]]);
    expect(machine.driver.takeInterruptStatus()).toBe(1);
    expect(lowered.mock.calls).toEqual([[machine.slot << 3]]);
    await machine.destroy();
  });

  it("of others do not come in while the driver takes the card's status, in the middle of its instruction", async () => {
    const machine = await Machine.make();
    machine.attach();
    machine.bringUp();
    machine.deliver(patterned(64));
    machine.endOfStretch();
    const { flags, devices } = machine.cpu;
    const enabled = 1 << 9;
    flags[0]! |= enabled;
    const seen: number[] = [];
    vi.spyOn(devices.pci, "lower_irq").mockImplementation(() => seen.push(flags[0]! & enabled));
    expect(machine.driver.takeInterruptStatus()).toBe(1);
    expect(seen).toEqual([0]);
    expect(flags[0]! & enabled).toBe(enabled);
    await machine.destroy();
  });

  it("sent to where no local APIC is are counted", async () => {
    const machine = await Machine.make(true);
    machine.attach({ msix: true });
    machine.bringUp(true);
    const { pci, msix } = machine.driver;
    pci.writeBar(msix!.tableBar, msix!.tableOffset + 16, 4, 0x12340000);
    machine.deliver(patterned(64));
    machine.endOfStretch();
    expect(machine.card.messagesLost).toBe(1);
    await machine.destroy();
  });

  it("are requests to the local APIC with MSI-X, edge-triggered, one for each vector", async () => {
    const machine = await Machine.make(true);
    machine.attach({ msix: true });
    const { transmit, ram } = machine.bringUp(true);
    const words = new Uint32Array(machine.cpu.wasm_memory.buffer, machine.cpu.get_apic_addr(), 46);
    // The driver has given vector n the data 0x4000 + n: the APIC's vector n.
    words[32]! |= 0b110;
    machine.deliver(patterned(64));
    transmit.add([{ address: ram.put([...HEADER, ...patterned(64)]), length: 76 }]);
    machine.driver.notify(1);
    machine.endOfStretch();
    expect(words[16]).toBe(0b110);
    expect(words[32]! & 0b110).toBe(0);
    await machine.destroy();
  });

  it("come no closer than the latency interval, and v86 is told when to come back", async () => {
    const machine = await Machine.make();
    machine.attach({ latencyIntervalNs: 3_000_000_000 });
    machine.bringUp();
    machine.deliver(patterned(64));
    machine.endOfStretch();
    machine.driver.takeInterruptStatus();
    machine.deliver(patterned(64));
    const raised = vi.spyOn(machine.cpu.devices.pci, "raise_irq");
    machine.endOfStretch();
    expect(raised).not.toHaveBeenCalled();
    const dueNs = machine.card.poll();
    expect(dueNs - machine.card.nowNs()).toBeGreaterThan(2_000_000_000);
    machine.card.host.write(ITR_LATENCY, 0, machine.card.nowNs());
    machine.endOfStretch();
    expect(raised).toHaveBeenCalledTimes(1);
    await machine.destroy();
  });
});

describe("the latency interval of a card in v86", () => {
  const made: Machine[] = [];
  afterEach(async () => {
    for (const machine of made.splice(0)) await machine.destroy();
  });
  const intervalOf = ({ card }: Machine): number => card.host.read(ITR_LATENCY, card.nowNs());

  it("follows by default what the guest is at: it grows while frames come unanswered, and goes when each is answered", async () => {
    const machine = await Machine.make();
    made.push(machine);
    machine.attachAdaptive();
    const { ram, transmit } = machine.bringUp();
    expect(intervalOf(machine)).toBe(0);
    for (let i = 0; i < 3; i++) await machine.interruptWithFrame();
    expect(intervalOf(machine)).toBe(500_000);
    for (let i = 0; i < 3; i++) {
      transmit.add([{ address: ram.put([...HEADER, ...patterned(64)]), length: 76 }]);
      machine.driver.notify(1);
      await machine.interruptWithFrame();
    }
    expect(intervalOf(machine)).toBe(0);
  });

  it("stays as the embedder has said", async () => {
    const machine = await Machine.make();
    made.push(machine);
    machine.attach({ latencyIntervalNs: 50_000 });
    machine.bringUp();
    for (let i = 0; i < 3; i++) await machine.interruptWithFrame();
    expect(intervalOf(machine)).toBe(50_000);
  });
});

describe("an emulator that sleeps", () => {
  let machine: Machine;
  let port: LoopbackPort;
  let woken: MockInstance;
  /** What v86 has of the state of its loop. */
  const loop = () => machine.inside.v86 as unknown as { running: boolean; stopping: boolean };
  /** The port says that it has something for the card so soon, and the card is told. */
  const frameIn = async (inMs: number): Promise<void> => {
    const dueNs = machine.card.nowNs() + inMs * 1e6;
    port.nextArrivalNs = () => dueNs;
    machine.card.wakeLoop();
    await Promise.resolve();
  };

  beforeEach(async () => {
    machine = await Machine.make();
    port = new LoopbackPort();
    machine.attach({ port });
    machine.bringUp();
    woken = vi.spyOn(machine.cpu, "stop_idling").mockImplementation(() => {});
    loop().running = true;
    expect(machine.endOfStretch()).toBeGreaterThan(50);
  });

  afterEach(async () => {
    Object.assign(loop(), { running: false, stopping: false });
    await machine.destroy();
  });

  it("is woken, once, if the card is due before it would wake", async () => {
    await frameIn(20);
    await frameIn(10);
    expect(woken).toHaveBeenCalledTimes(1);
    expect(machine.endOfStretch()).toBeLessThanOrEqual(10);
  });

  it("sleeps on if the card is due no sooner than it wakes by itself", async () => {
    await frameIn(1000);
    expect(woken).not.toHaveBeenCalled();
  });

  it("sleeps on, however often the card is asked, if it sleeps until the card is due", async () => {
    await frameIn(40);
    for (let i = 0; i < 30; i++) {
      machine.endOfStretch();
      woken.mockClear();
      machine.card.wakeLoop();
      await Promise.resolve();
      expect(woken).not.toHaveBeenCalled();
    }
  });

  it("is not woken if its sleep is shorter than a millisecond: it comes back in the next turn of the event loop", async () => {
    await frameIn(0.5);
    machine.endOfStretch();
    woken.mockClear();
    await frameIn(0.1);
    expect(woken).not.toHaveBeenCalled();
  });

  it("is woken to stop, if its host has called stop() and tells the card", () => {
    machine.card.wakeLoop();
    expect(woken).not.toHaveBeenCalled();
    loop().stopping = true;
    machine.card.wakeLoop();
    expect(woken).toHaveBeenCalledTimes(1);
  });

  it("is left alone while it does not run", async () => {
    loop().running = false;
    await frameIn(1);
    expect(woken).not.toHaveBeenCalled();
  });
});

describe("a card in v86 with a port of the embedder's", () => {
  it("takes frames from there", async () => {
    const machine = await Machine.make();
    machine.attach({ port: new LoopbackPort() });
    const { ram, receive, transmit } = machine.bringUp();
    transmit.add([{ address: ram.put([...HEADER, ...patterned(64)]), length: 76 }]);
    machine.driver.notify(1);
    machine.endOfStretch();
    expect(receive.collectUsed()).toHaveLength(1);
    expect(machine.sent).toEqual([]);
    await machine.destroy();
  });

  it("asks the host to run a guest that it has stopped", async () => {
    const machine = await Machine.make();
    const wakes: number[] = [];
    machine.attach({ onWake: (vcpu) => wakes.push(vcpu) });
    machine.bringUp();
    const { host } = machine.card;
    host.write(GUEST_STATE, GUEST_PREEMPTED, machine.card.nowNs());
    machine.deliver(patterned(64));
    machine.card.poll();
    expect(wakes).toEqual([0]);
    await machine.destroy();
  });
});
