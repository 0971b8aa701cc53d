/**
 * What the adapter uses of v86's inside. v86 has no interface for foreign devices; these are properties of its objects,
 * whose names its builds keep. `insideOf` looks at each of them, so that a version that has moved one is refused by name
 * rather than failing in mid-run. Source: the npm package v86, 0.5.462.
 */

/** Who decodes an I/O port; `device` is undefined where nobody does. */
export interface PortEntry {
  read8(): number;
  read16(): number;
  read32(): number;
  write8(value: number): void;
  write16(value: number): void;
  write32(value: number): void;
  device: object | undefined;
}

export interface EmulatorIo {
  readonly ports: PortEntry[];
  create_empty_entry(): PortEntry;
}

export interface EmulatorPci {
  readonly devices: (object | undefined)[];
  readonly device_spaces: (Int32Array | undefined)[];
  /** The last address written to port 0xcf8. */
  readonly pci_addr32: Int32Array;
  /** Configuration of the bridge that routes INTA to INTD; their interrupt lines at 0x60 … 0x63. */
  readonly isa_bridge_space8: Uint8Array;
  register_device(device: object): Int32Array;
  pci_write8(address: number, value: number): void;
  pci_write16(address: number, value: number): void;
  pci_write32(address: number, value: number): void;
  raise_irq(pciId: number): void;
  lower_irq(pciId: number): void;
}

type Read = (address: number) => number;
type Write = (address: number, value: number) => void;

export interface EmulatorCpu {
  readonly io: EmulatorIo;
  readonly devices: { readonly pci: EmulatorPci; virtio_net?: object | undefined; readonly net?: object | undefined };
  readonly wasm_memory: { readonly buffer: ArrayBuffer };
  /** Guest RAM, a view that follows growth; where it begins never changes. */
  readonly mem8: { readonly byteOffset: number };
  readonly memory_size: ArrayLike<number>;
  readonly acpi_enabled: ArrayLike<number>;
  /** EFLAGS; those that arithmetic sets may be elsewhere. */
  readonly flags: Int32Array;
  /** Handlers of accesses outside of RAM, by address >>> 17. */
  readonly memory_map_read8: Read[];
  readonly memory_map_write8: Write[];
  readonly memory_map_read32: Read[];
  readonly memory_map_write32: Write[];
  jit_dirty_cache(start: number, end: number): void;
  get_apic_addr(): number;
  get_pic_addr_master(): number;
  get_pic_addr_slave(): number;
  /** Called between two stretches of instructions, and before each sleep; returns for how many ms it may sleep. */
  run_hardware_timers(acpiEnabled: number, nowMs: number): number;
  /** Interrupts the CPU, between two stretches, if it lets that happen and something is pending. */
  handle_irqs(): void;
  /** Ends the emulator's sleep. */
  stop_idling(): void;
  set_state(state: unknown[]): void;
}

/** v86's message bus; both ends see each other's messages. */
export interface EmulatorBus {
  register(name: string, listener: (value: never) => void, thisValue?: unknown): void;
  unregister(name: string, listener: (value: never) => void): void;
  send(name: string, value?: unknown): void;
}

export interface EmulatorInside {
  readonly cpu: EmulatorCpu;
  /** The device's end of the bus. */
  readonly bus: EmulatorBus;
  /** The emulator's loop. */
  readonly loop: { readonly running: boolean; readonly stopping: boolean };
  /** Its clock, ms. */
  readonly microtickMs: () => number;
}

const VERSION = "0.5.462";

/** What must be there, as paths from the emulator, and of what type. */
const NEEDED: readonly (readonly [path: string, type: "function" | "object" | "number" | "boolean"])[] = [
  ["emulator_bus.register", "function"],
  ["emulator_bus.unregister", "function"],
  ["emulator_bus.send", "function"],
  ["v86.running", "boolean"],
  ["v86.stopping", "boolean"],
  ["v86.constructor.microtick", "function"],
  ["v86.cpu.stop_idling", "function"],
  ["v86.cpu.handle_irqs", "function"],
  ["v86.cpu.run_hardware_timers", "function"],
  ["v86.cpu.set_state", "function"],
  ["v86.cpu.jit_dirty_cache", "function"],
  ["v86.cpu.get_apic_addr", "function"],
  ["v86.cpu.get_pic_addr_master", "function"],
  ["v86.cpu.get_pic_addr_slave", "function"],
  ["v86.cpu.wasm_memory.buffer", "object"],
  ["v86.cpu.memory_size.0", "number"],
  ["v86.cpu.acpi_enabled.0", "number"],
  ["v86.cpu.flags.byteOffset", "number"],
  ["v86.cpu.mem8.byteOffset", "number"],
  ["v86.cpu.memory_map_read8", "object"],
  ["v86.cpu.memory_map_write8", "object"],
  ["v86.cpu.memory_map_read32", "object"],
  ["v86.cpu.memory_map_write32", "object"],
  ["v86.cpu.io.ports", "object"],
  ["v86.cpu.io.create_empty_entry", "function"],
  ["v86.cpu.devices.pci.devices", "object"],
  ["v86.cpu.devices.pci.device_spaces", "object"],
  ["v86.cpu.devices.pci.pci_addr32", "object"],
  ["v86.cpu.devices.pci.isa_bridge_space8", "object"],
  ["v86.cpu.devices.pci.register_device", "function"],
  ["v86.cpu.devices.pci.pci_write8", "function"],
  ["v86.cpu.devices.pci.pci_write16", "function"],
  ["v86.cpu.devices.pci.pci_write32", "function"],
  ["v86.cpu.devices.pci.raise_irq", "function"],
  ["v86.cpu.devices.pci.lower_irq", "function"],
];

/**
 * The inside of a v86 emulator that has loaded.
 * @throws TypeError if `emulator` is none, has not loaded yet, or is of a version whose inside is another
 */
export function insideOf(emulator: unknown): EmulatorInside {
  const bus = at(emulator, "emulator_bus");
  if (typeof emulator !== "object" || emulator === null || bus === undefined) {
    throw new TypeError(
      `attachVirtioNet: got ${describe(emulator)}; it must be an emulator, made by new V86(…) of the npm package v86`,
    );
  }
  if (at(emulator, "v86.cpu.devices.pci") === undefined) {
    throw new TypeError(
      'attachVirtioNet: the emulator has not loaded yet; wait for its event "emulator-loaded" (add_listener)',
    );
  }
  for (const [path, type] of NEEDED) {
    const found = typeof at(emulator, path);
    if (found !== type) {
      throw new TypeError(
        `attachVirtioNet: this v86 has no ${path} (${type}, got ${found}): its inside has moved; use v86 ${VERSION}, or a newer spillway`,
      );
    }
  }
  return {
    cpu: at(emulator, "v86.cpu") as EmulatorCpu,
    bus: bus as EmulatorBus,
    loop: at(emulator, "v86") as EmulatorInside["loop"],
    microtickMs: at(emulator, "v86.constructor.microtick") as () => number,
  };
}

function at(from: unknown, path: string): unknown {
  let value = from;
  for (const name of path.split(".")) {
    if (value === null || value === undefined) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? `an object of ${value.constructor?.name ?? "no class"}` : String(value);
}
