/**
 * A v86 machine without a BIOS and without an operating system. Tests are its guest: they reach ports and memory as its
 * CPU would, and drive the card with the conformance suite's driver.
 */

import { createRequire } from "node:module";
import { V86 } from "v86";
import { vi } from "vitest";
import type { EmulatorCpu } from "../../../../src/hypervisor/v86/emulator.ts";
import { type AttachedCard, attachVirtioNet, type VirtioNetOptions } from "../../../../src/hypervisor/v86/index.ts";
import { GuestRam } from "../../../conformance/harness/guest-ram.ts";
import { ACKNOWLEDGE, DRIVER, FEATURES_OK, RUNNING } from "../../../conformance/harness/numbers.ts";
import { PciDriver } from "../../../conformance/harness/pci-driver.ts";
import type { Place } from "../../../conformance/harness/places.ts";
import { SplitRing } from "../../../conformance/harness/split-ring.ts";

export const MAC = [0x02, 0, 0, 0, 0, 1];
const CONFIG_SPACE = -1;
const RAM_BYTES = 4 << 20;
/** Ordinary memory of the guest ends here. */
export const LOW_RAM_BYTES = 0xa0000;
const QUEUE_SIZE = 16;

interface PortIo {
  port_read8(port: number): number;
  port_read16(port: number): number;
  port_read32(port: number): number;
  port_write8(port: number, value: number): void;
  port_write16(port: number, value: number): void;
  port_write32(port: number, value: number): void;
}

interface Bus {
  register(name: string, listener: (value: never) => void): void;
  send(name: string, value: unknown): void;
}

/** What tests use of v86's inside besides what the adapter does. */
export interface Inside {
  readonly bus: Bus;
  readonly v86: {
    readonly cpu: EmulatorCpu & {
      readonly io: PortIo;
      readonly in_hlt: ArrayLike<number>;
      device_raise_irq(line: number): void;
      device_lower_irq(line: number): void;
      mmap_read8(address: number): number;
      mmap_read32(address: number): number;
      mmap_write8(address: number, value: number): void;
      mmap_write16(address: number, value: number): void;
      mmap_write32(address: number, value: number): void;
    };
  };
}

export class Machine {
  readonly emulator: V86;
  readonly sent: Uint8Array[] = [];
  slot = 15;
  card!: AttachedCard;
  driver!: PciDriver;

  private constructor(emulator: V86) {
    this.emulator = emulator;
    this.inside.bus.register("net0-send", (bytes: Uint8Array) => this.sent.push(bytes));
  }

  /**
   * @param bios what the CPU is to run, if it is to run at all
   * @param network which of v86's own network back ends to have
   */
  static async make(acpi = false, bios?: ArrayBuffer, network?: { relay_url: string; id?: number }): Promise<Machine> {
    const emulator = new V86({
      wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
      memory_size: RAM_BYTES,
      vga_memory_size: 1 << 20,
      // "none" is not in the types of v86 0.5.462.
      net_device: { type: "none" as "virtio", ...network },
      acpi,
      ...(bios === undefined ? {} : { bios: { buffer: bios } }),
      autostart: false,
      disable_speaker: true,
      disable_keyboard: true,
      disable_mouse: true,
    });
    await new Promise<void>((resolve) => emulator.add_listener("emulator-loaded", () => resolve()));
    const machine = new Machine(emulator);
    machine.#actAsBios();
    return machine;
  }

  get inside(): Inside {
    return this.emulator as unknown as Inside;
  }

  get cpu(): Inside["v86"]["cpu"] {
    return this.inside.v86.cpu;
  }

  /** v86 cannot restore BARs that it has numbers for but no device; a BIOS writes over them. */
  #actAsBios(): void {
    const { devices, device_spaces } = this.cpu.devices.pci;
    for (const [id, device] of devices.entries()) {
      const { pci_bars } = (device ?? { pci_bars: [] }) as { pci_bars: readonly unknown[] };
      for (const [bar, shape] of pci_bars.entries()) if (shape === undefined) device_spaces[id]![4 + bar] = 0;
    }
  }

  attach(options: VirtioNetOptions = {}): AttachedCard {
    return this.attachAdaptive({ latencyIntervalNs: 0, ...options });
  }

  /** A card that finds its latency interval itself. */
  attachAdaptive(options: VirtioNetOptions = {}): AttachedCard {
    this.slot = options.slot ?? 15;
    this.card = attachVirtioNet(this.emulator, { mac: MAC, ...options });
    return this.card;
  }

  get isHalted(): boolean {
    return this.cpu.in_hlt[0] !== 0;
  }

  /** Word at an address of the guest, wherever its memory lies now. */
  wordAt(address: number): number {
    const { wasm_memory, mem8 } = this.cpu;
    return new Uint16Array(wasm_memory.buffer, mem8.byteOffset + address, 1)[0]!;
  }

  // --- as the CPU ----------------------------------------------------------------------------------------------------

  readConfig(offset: number, widthBytes: number): number {
    const { io } = this.cpu;
    io.port_write32(0xcf8, 0x80000000 | (this.slot << 11) | (offset & 0xfc));
    const port = 0xcfc + (offset & 3);
    if (widthBytes === 1) return io.port_read8(port);
    return widthBytes === 2 ? io.port_read16(port) : io.port_read32(port) >>> 0;
  }

  writeConfig(offset: number, widthBytes: number, value: number): void {
    const { io } = this.cpu;
    io.port_write32(0xcf8, 0x80000000 | (this.slot << 11) | (offset & 0xfc));
    const port = 0xcfc + (offset & 3);
    if (widthBytes === 1) io.port_write8(port, value);
    else if (widthBytes === 2) io.port_write16(port, value);
    else io.port_write32(port, value | 0);
  }

  /** v86 breaks reads of 16 bits from memory that is not RAM into two of 8. */
  readMemory(address: number, widthBytes: number): number {
    const { cpu } = this;
    if (widthBytes === 4) return cpu.mmap_read32(address | 0) >>> 0;
    if (widthBytes === 1) return cpu.mmap_read8(address | 0);
    return cpu.mmap_read8(address | 0) | (cpu.mmap_read8((address + 1) | 0) << 8);
  }

  writeMemory(address: number, widthBytes: number, value: number): void {
    const { cpu } = this;
    if (widthBytes === 4) cpu.mmap_write32(address | 0, value | 0);
    else if (widthBytes === 2) cpu.mmap_write16(address | 0, value);
    else cpu.mmap_write8(address | 0, value);
  }

  readPort(port: number, widthBytes: number): number {
    const { io } = this.cpu;
    if (widthBytes === 1) return io.port_read8(port);
    return widthBytes === 2 ? io.port_read16(port) : io.port_read32(port) >>> 0;
  }

  writePort(port: number, widthBytes: number, value: number): void {
    const { io } = this.cpu;
    if (widthBytes === 1) io.port_write8(port, value);
    else if (widthBytes === 2) io.port_write16(port, value);
    else io.port_write32(port, value | 0);
  }

  #access(bar: number, offset: number): { io: boolean; at: number } {
    const value = this.readConfig(0x10 + 4 * bar, 4);
    const io = (value & 1) === 1;
    return { io, at: ((value & (io ? ~3 : ~15)) >>> 0) + offset };
  }

  /** What a driver reaches the card through. */
  get place(): Place {
    const read = (bar: number, offset: number, widthBytes: number) => {
      if (bar === CONFIG_SPACE) return this.readConfig(offset, widthBytes);
      const { io, at } = this.#access(bar, offset);
      return io ? this.readPort(at, widthBytes) : this.readMemory(at, widthBytes);
    };
    const write = (bar: number, offset: number, widthBytes: number, value: number) => {
      if (bar === CONFIG_SPACE) return this.writeConfig(offset, widthBytes, value);
      const { io, at } = this.#access(bar, offset);
      return io ? this.writePort(at, widthBytes, value) : this.writeMemory(at, widthBytes, value);
    };
    const call = (method: string, ...args: unknown[]) =>
      (method === "read" ? read : write)(...(args as [number, number, number, number]));
    return { call } as unknown as Place;
  }

  // --- as a driver ---------------------------------------------------------------------------------------------------

  /** Finds the card, accepts VERSION_1 alone, and sets up a pair of queues with 8 receive buffers. */
  bringUp(useMsix = false): { ram: GuestRam; receive: SplitRing; transmit: SplitRing } {
    const { wasm_memory, mem8 } = this.cpu;
    const ram = new GuestRam(wasm_memory.buffer, mem8.byteOffset, LOW_RAM_BYTES);
    this.driver = new PciDriver(this.place, useMsix);
    const { driver } = this;
    driver.status = 0;
    driver.status = ACKNOWLEDGE;
    driver.status = ACKNOWLEDGE | DRIVER;
    driver.acceptWord(0, 0);
    driver.acceptWord(1, 1);
    driver.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    driver.prepare();
    const receive = new SplitRing(ram, QUEUE_SIZE);
    const transmit = new SplitRing(ram, QUEUE_SIZE);
    for (const [index, ring] of [receive, transmit].entries()) {
      driver.setQueue(index, ring);
      driver.enableQueue(index);
    }
    driver.status = RUNNING;
    for (let i = 0; i < 8; i++) receive.add([{ address: ram.alloc(1526), length: 1526, write: true }]);
    driver.notify(0);
    return { ram, receive, transmit };
  }

  /** A stretch of instructions has ended: what v86 does then. Returns for how many ms it may sleep. */
  endOfStretch(): number {
    return this.cpu.run_hardware_timers(0, performance.now());
  }

  /** A frame comes in, and its interrupt; the driver looks why, but answers nothing. */
  async interruptWithFrame(): Promise<void> {
    this.deliver(new Uint8Array(64));
    let status = 0;
    await vi.waitFor(() => {
      this.endOfStretch();
      status |= this.driver.takeInterruptStatus();
      if (status === 0) throw new Error("no interrupt has come");
    });
  }

  /** A back end of the network sends a frame. */
  deliver(bytes: Uint8Array): void {
    this.inside.bus.send("net0-receive", bytes);
  }

  destroy(): Promise<void> {
    return this.emulator.destroy();
  }
}
