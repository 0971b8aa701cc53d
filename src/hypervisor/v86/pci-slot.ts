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

export class PciSlot {
  /** Bus, device and function, as v86 counts them. */
  readonly pciId: number;
  readonly #pci: EmulatorPci;
  readonly #ports: PortEntry[];
  readonly #nowNs: () => number;
  #transport: PciTransport | null = null;

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
    this.#ports = ports;
    this.#nowNs = nowNs;
  }

  /** Shows the card on the bus. */
  plug(transport: PciTransport): void {
    this.#transport = transport;
    // v86 answers for the slot as soon as it has a space; what the guest reads and writes of it is the card's.
    const space = Array.from({ length: 4 * CONFIG_WORDS }, (_, at) => transport.readConfig(at, 1, 0));
    this.#pci.register_device({ name: "spillway virtio-net", pci_id: this.pciId, pci_space: space, pci_bars: [] });
    this.#redirectWrites();
    for (let byte = 0; byte < CONFIG_DATA_PORTS; byte++) this.#redirectReads(byte);
    // No BIOS comes by a card that is plugged into a running machine; its driver reads here which line INTA leads to.
    const line = this.#pci.isa_bridge_space8[BRIDGE_ROUTES + this.#routedPin(transport)]!;
    if ((line & ROUTE_DISABLED) === 0) transport.writeConfig(INTERRUPT_LINE, 1, line, this.#nowNs());
  }

  /** The slot is empty from here on. The redirections stay: v86 itself throws at writes to an empty slot. */
  unplug(): void {
    this.#transport = null;
    this.#pci.devices[this.pciId] = undefined;
    this.#pci.device_spaces[this.pciId] = undefined;
  }

  /** As `raise_irq` of v86 routes it. */
  #routedPin(transport: PciTransport): number {
    const pin = transport.readConfig(INTERRUPT_LINE + 1, 1, 0) - 1;
    return (pin + (this.pciId >> 3) - 1) & 3;
  }

  #redirectWrites(): void {
    const pci = this.#pci;
    for (const [name, widthBytes] of WRITES) {
      const original = pci[name];
      pci[name] = (address, value) => {
        const pciId = (address >> 8) & 0xffff;
        if (pciId !== this.pciId) original.call(pci, address, value);
        else if (this.#transport !== null) {
          this.#transport.writeConfig(address & 0xff, widthBytes, value >>> 0, this.#nowNs());
        } else if (pci.device_spaces[pciId] !== undefined) original.call(pci, address, value);
      };
    }
  }

  #redirectReads(byte: number): void {
    const entry = this.#ports[CONFIG_DATA_PORT + byte]!;
    const { read8, read16, read32, device } = entry;
    const offset = () => (this.#pci.pci_addr32[0]! & OFFSET_MASK) + byte;
    const read = (widthBytes: number, original: () => number) => {
      const transport = this.#transport;
      if (transport === null || ((this.#pci.pci_addr32[0]! >> 8) & 0xffff) !== this.pciId) return original.call(device);
      // Ports carry signed words.
      return transport.readConfig(offset(), widthBytes, this.#nowNs()) | 0;
    };
    entry.read8 = () => read(1, read8);
    entry.read16 = () => read(2, read16);
    entry.read32 = () => read(4, read32);
  }
}
