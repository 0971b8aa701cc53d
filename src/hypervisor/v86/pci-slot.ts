/**
 * A place on v86's PCI bus. v86 keeps the configuration space of its devices itself, without masks and without telling
 * them; here every access to the slot goes to the card instead.
 */

import type { PciTransport } from "../../device/index.ts";
import type { EmulatorPci, PortEntry } from "./emulator.ts";

/** Four ports, one for each byte of the word that 0xcf8 names. */
const CONFIG_DATA_PORT = 0xcfc;
const CONFIG_DATA_PORTS = 4;
const OFFSET_MASK = 0xfc;
const SLOTS = 32;
const HEADER_BYTES = 64;
const CONFIG_WORDS = 64;
const INTERRUPT_LINE = 0x3c;
/** Where the bridge keeps the interrupt line of INTA to INTD; bit 7 says that it leads nowhere. */
const BRIDGE_ROUTES = 0x60;
const ROUTE_DISABLED = 0x80;

type ConfigWrite = "pci_write8" | "pci_write16" | "pci_write32";
const WRITES: readonly [ConfigWrite, widthBytes: number][] = [
  ["pci_write8", 1],
  ["pci_write16", 2],
  ["pci_write32", 4],
];

/** By slot: who answers there, or null once it was unplugged. */
type Answering = Map<number, { readonly transport: PciTransport; readonly nowNs: () => number } | null>;
const redirected = new WeakMap<EmulatorPci, Answering>();

export class PciSlot {
  /** Bus, device and function, as v86 counts them. */
  readonly pciId: number;
  readonly #pci: EmulatorPci;
  readonly #answering: Answering;
  readonly #nowNs: () => number;

  /**
   * @param slot device number on bus 0
   * @throws RangeError if there is no such slot, or it is taken
   */
  constructor(pci: EmulatorPci, ports: PortEntry[], slot: number, nowNs: () => number) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS) {
      throw new RangeError(`attachVirtioNet: slot is ${slot}; it must be an integer from 0 to ${SLOTS - 1}`);
    }
    this.pciId = slot << 3;
    const taken = pci.devices[this.pciId] as { readonly name?: string } | undefined;
    if (taken !== undefined) {
      const free = Array.from({ length: SLOTS }, (_, i) => i).filter((i) => pci.devices[i << 3] === undefined);
      throw new RangeError(
        `attachVirtioNet: PCI slot ${slot} is taken by ${taken.name ?? "another device"}; free are ${free.join(", ")}`,
      );
    }
    this.#pci = pci;
    this.#answering = redirected.get(pci) ?? redirect(pci, ports);
    this.#nowNs = nowNs;
  }

  /** Shows the card on the bus. */
  plug(transport: PciTransport): void {
    this.#answering.set(this.pciId, { transport, nowNs: this.#nowNs });
    // v86 answers for the slot as soon as it has a space; what the guest reads and writes of it is the card's. v86 itself
    // looks at the header only, and behind it lies the window to the BARs, which nobody may read before it is set up.
    const space = Array.from({ length: 4 * CONFIG_WORDS }, (_, at) =>
      at < HEADER_BYTES ? transport.readConfig(at, 1, 0) : 0,
    );
    this.#pci.register_device({ name: "spillway virtio-net", pci_id: this.pciId, pci_space: space, pci_bars: [] });
    // No BIOS comes by a card that is plugged into a running machine; its driver reads here which line INTA leads to.
    const line = this.#pci.isa_bridge_space8[BRIDGE_ROUTES + this.#routedPin(transport)]!;
    if ((line & ROUTE_DISABLED) === 0) transport.writeConfig(INTERRUPT_LINE, 1, line, this.#nowNs());
  }

  /** The slot is empty from here on; it stays redirected, for v86 itself throws at writes to an empty one. */
  unplug(): void {
    this.#answering.set(this.pciId, null);
    this.#pci.devices[this.pciId] = undefined;
    this.#pci.device_spaces[this.pciId] = undefined;
  }

  /** As `raise_irq` of v86 routes it. */
  #routedPin(transport: PciTransport): number {
    const pin = transport.readConfig(INTERRUPT_LINE + 1, 1, 0) - 1;
    return (pin + (this.pciId >> 3) - 1) & 3;
  }
}

/** Sends accesses to slots of cards to them, and leaves all others to v86; once for each machine. */
function redirect(pci: EmulatorPci, ports: readonly PortEntry[]): Answering {
  const answering: Answering = new Map();
  redirected.set(pci, answering);
  for (const [name, widthBytes] of WRITES) {
    const original = pci[name];
    pci[name] = (address, value) => {
      const slot = answering.get(pciIdOf(address));
      // Another device may have come to a slot that a card has left.
      const isOthers = slot === undefined || (slot === null && pci.device_spaces[pciIdOf(address)] !== undefined);
      if (isOthers) original.call(pci, address, value);
      else slot?.transport.writeConfig(address & 0xff, widthBytes, value >>> 0, slot.nowNs());
    };
  }
  for (let byte = 0; byte < CONFIG_DATA_PORTS; byte++)
    redirectReads(pci, ports[CONFIG_DATA_PORT + byte]!, byte, answering);
  return answering;
}

function redirectReads(pci: EmulatorPci, entry: PortEntry, byte: number, answering: Answering): void {
  const { read8, read16, read32, device } = entry;
  const read = (widthBytes: number, original: () => number) => {
    const address = pci.pci_addr32[0]!;
    const slot = answering.get(pciIdOf(address));
    if (slot === undefined || slot === null) return original.call(device);
    // Ports carry signed words.
    return slot.transport.readConfig((address & OFFSET_MASK) + byte, widthBytes, slot.nowNs()) | 0;
  };
  entry.read8 = () => read(1, read8);
  entry.read16 = () => read(2, read16);
  entry.read32 = () => read(4, read32);
}

function pciIdOf(address: number): number {
  return (address >> 8) & 0xffff;
}
