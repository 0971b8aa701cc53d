/** A PCI function as an operating system finds it: capabilities, and BARs that it sizes and places. */

import {
  COMMAND_BUS_MASTER,
  COMMAND_INTX_DISABLE,
  COMMAND_IO,
  COMMAND_MEMORY,
  PCI_CONFIG,
  STATUS_CAPABILITIES,
} from "./pci-numbers.ts";
import type { Place } from "./places.ts";

const CONFIG_SPACE = -1;
const BARS = 6;
/** Where the first BAR is placed, in memory and in I/O space. */
const MEMORY_BASE = 0xe0000000;
const IO_BASE = 0xc000;

export interface PciCapability {
  readonly id: number;
  /** Where it lies in configuration space. */
  readonly at: number;
}

export interface PciBar {
  readonly index: number;
  readonly kind: "io" | "memory" | "memory64";
  readonly sizeBytes: number;
  readonly address: number;
}

export class PciFunction {
  readonly capabilities: readonly PciCapability[];
  readonly bars: readonly PciBar[];
  readonly #place: Place;

  /** @param intx false: the line is switched off, as a driver does that uses MSI-X */
  constructor(place: Place, intx: boolean) {
    this.#place = place;
    this.capabilities = this.#findCapabilities();
    this.bars = this.#placeBars();
    const spaces = COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER;
    this.write(PCI_CONFIG.command, 2, intx ? spaces : spaces | COMMAND_INTX_DISABLE);
  }

  read(offset: number, widthBytes: number): number {
    return this.#place.call("read", CONFIG_SPACE, offset, widthBytes);
  }

  write(offset: number, widthBytes: number, value: number): void {
    this.#place.call("write", CONFIG_SPACE, offset, widthBytes, value >>> 0);
  }

  readBar(bar: number, offset: number, widthBytes: number): number {
    return this.#place.call("read", bar, offset, widthBytes);
  }

  writeBar(bar: number, offset: number, widthBytes: number, value: number): void {
    this.#place.call("write", bar, offset, widthBytes, value >>> 0);
  }

  #findCapabilities(): PciCapability[] {
    if ((this.read(PCI_CONFIG.status, 2) & STATUS_CAPABILITIES) === 0) return [];
    const found: PciCapability[] = [];
    for (let at = this.read(PCI_CONFIG.capabilities, 1) & 0xfc; at !== 0; at = this.read(at + 1, 1) & 0xfc) {
      if (found.some((capability) => capability.at === at)) throw new Error("the list of capabilities is a ring");
      found.push({ id: this.read(at, 1), at });
    }
    return found;
  }

  /** Writes all ones, reads back which bits stick, and gives each BAR an address of its own. */
  #placeBars(): PciBar[] {
    const bars: PciBar[] = [];
    let memory = MEMORY_BASE;
    let io = IO_BASE;
    for (let index = 0; index < BARS; index++) {
      const at = PCI_CONFIG.bar0 + 4 * index;
      this.write(at, 4, 0xffffffff);
      const mask = this.read(at, 4);
      if (mask === 0) continue;
      const isIo = (mask & 1) === 1;
      const wide = !isIo && (mask & 6) === 4;
      const sizeBytes = (~(mask & (isIo ? ~3 : ~15)) + 1) >>> 0;
      const address = Math.ceil((isIo ? io : memory) / sizeBytes) * sizeBytes;
      if (isIo) io = address + sizeBytes;
      else memory = address + sizeBytes;
      this.write(at, 4, address);
      if (wide) this.write(at + 4, 4, 0);
      bars.push({ index, kind: isIo ? "io" : wide ? "memory64" : "memory", sizeBytes, address });
      if (wide) index++;
    }
    return bars;
  }
}
