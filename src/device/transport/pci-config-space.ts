/**
 * 256 bytes of PCI configuration space, each bit read-only unless its mask says otherwise. It knows neither virtio nor the
 * card; its owner looks at what was written.
 */

import {
  PCI_BAR_0,
  PCI_BAR_IO,
  PCI_BAR_MEMORY_64,
  PCI_BARS,
  PCI_CAPABILITIES,
  PCI_COMMAND,
  PCI_COMMAND_IO,
  PCI_COMMAND_MEMORY,
  PCI_CONFIG_BYTES,
  PCI_STATUS,
  PCI_STATUS_CAPABILITIES,
} from "../spec/pci.ts";

/** Capabilities begin here, after the header. */
const FIRST_CAPABILITY = 0x40;
const TWO_POW_32 = 2 ** 32;

export interface Bar {
  readonly kind: "io" | "memory" | "memory64";
  /** A power of two, 4 or more; 16 or more for memory. */
  readonly sizeBytes: number;
}

export class PciConfigSpace {
  readonly #bytes = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #mask = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #bars: (Bar | undefined)[] = new Array(PCI_BARS);
  #capabilitiesEnd = FIRST_CAPABILITY;
  #lastCapability = PCI_CAPABILITIES - 1;

  /** Little-endian value; bytes beyond the end read 0. */
  read(offset: number, widthBytes: number): number {
    let value = 0;
    for (let byte = widthBytes - 1; byte >= 0; byte--) value = value * 256 + (this.#bytes[offset + byte] ?? 0);
    return value;
  }

  /** Writes the bits that the guest may write. */
  write(offset: number, widthBytes: number, value: number): void {
    for (let byte = 0; byte < widthBytes; byte++) {
      const at = offset + byte;
      const mask = this.#mask[at] ?? 0;
      if (mask !== 0) this.#bytes[at] = (this.#bytes[at]! & ~mask) | ((value >>> (8 * byte)) & mask);
    }
  }

  // --- building it, and the device's own writes ----------------------------------------------------------------------

  /** Sets bytes, whether the guest may write them or not. */
  set(offset: number, widthBytes: number, value: number): void {
    for (let byte = 0; byte < widthBytes; byte++) this.#bytes[offset + byte] = value >>> (8 * byte);
  }

  /** Lets the guest write the bits of `mask`. */
  allow(offset: number, widthBytes: number, mask: number): void {
    for (let byte = 0; byte < widthBytes; byte++) this.#mask[offset + byte] = mask >>> (8 * byte);
  }

  /** Declares a BAR; one of 64 bits takes the next index too. The guest sizes it by writing all ones. */
  addBar(index: number, bar: Bar): void {
    const at = PCI_BAR_0 + 4 * index;
    const flags = bar.kind === "io" ? PCI_BAR_IO : bar.kind === "memory64" ? PCI_BAR_MEMORY_64 : 0;
    this.#bars[index] = bar;
    this.set(at, 4, flags);
    this.allow(at, 4, -bar.sizeBytes);
    if (bar.kind === "memory64") this.allow(at + 4, 4, 0xffffffff);
  }

  /** Appends a capability of `sizeBytes` bytes to the list; gives its offset. */
  addCapability(id: number, sizeBytes: number): number {
    const at = this.#capabilitiesEnd;
    this.set(at, 1, id);
    // The pointer to the first one lies where the next pointer of a capability at 0x33 would.
    this.set(this.#lastCapability + 1, 1, at);
    this.#lastCapability = at;
    this.#capabilitiesEnd = at + Math.ceil(sizeBytes / 4) * 4;
    this.set(PCI_STATUS, 2, this.read(PCI_STATUS, 2) | PCI_STATUS_CAPABILITIES);
    return at;
  }

  /** The BAR of an index, undefined if there is none. */
  bar(index: number): Bar | undefined {
    return this.#bars[index];
  }

  /**
   * Where a BAR lies now; null if it does not exist, the command register has its space off, or the guest has not placed it:
   * it is at 0, as after power-on, or at the very end, where it seems to be while the guest asks for its size.
   */
  barAddress(index: number): number | null {
    const bar = this.#bars[index];
    if (bar === undefined) return null;
    const decodes = bar.kind === "io" ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    if ((this.read(PCI_COMMAND, 2) & decodes) === 0) return null;
    const at = PCI_BAR_0 + 4 * index;
    const low = this.read(at, 4) - (this.read(at, 4) % bar.sizeBytes);
    const address = bar.kind === "memory64" ? low + this.read(at + 4, 4) * TWO_POW_32 : low;
    return address === 0 || low + bar.sizeBytes === TWO_POW_32 ? null : address;
  }

  saveState(): readonly number[] {
    return [...this.#bytes];
  }

  /** Takes over what the guest may write; the rest is the card's own. */
  restoreState(bytes: readonly number[]): void {
    for (let at = 0; at < PCI_CONFIG_BYTES; at++) {
      const mask = this.#mask[at]!;
      this.#bytes[at] = (this.#bytes[at]! & ~mask) | (bytes[at]! & mask);
    }
  }
}
