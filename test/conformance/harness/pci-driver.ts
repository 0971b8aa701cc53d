/** virtio over PCI, from the driver's side: virtio 1.4 §4.1 alone. */

import { PciFunction } from "./pci-function.ts";
import {
  CAP_MSIX,
  CAP_VENDOR,
  CFG_COMMON,
  CFG_DEVICE,
  CFG_ISR,
  CFG_NOTIFY,
  CFG_PCI,
  COMMON,
  type CommonField,
  MSIX_ENABLE,
  NO_VECTOR,
} from "./pci-numbers.ts";
import type { Place } from "./places.ts";
import type { QueuePlaces, TransportDriver } from "./transport.ts";

/** struct virtio_pci_cap. */
export interface VirtioCapability {
  /** Where it lies in configuration space. */
  readonly at: number;
  readonly capLength: number;
  readonly type: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

export interface Msix {
  /** Where the capability lies in configuration space. */
  readonly at: number;
  readonly vectors: number;
  readonly tableBar: number;
  readonly tableOffset: number;
  readonly pendingBar: number;
  readonly pendingOffset: number;
}

/** What the driver programs: message `vector` writes MESSAGE_DATA + vector to MESSAGE_ADDRESS. */
export const MESSAGE_ADDRESS = 0xfee00000;
export const MESSAGE_DATA = 0x4000;

export class PciDriver implements TransportDriver {
  readonly pci: PciFunction;
  /** All virtio capabilities, in the order of the list. */
  readonly structures: readonly VirtioCapability[];
  /** Null if the function has no MSI-X. */
  readonly msix: Msix | null;
  readonly notifyMultiplier: number;
  /** NOTIF_CONFIG_DATA was negotiated: kicks carry the card's own names of the queues. */
  usesNotifyData = false;
  readonly #common: VirtioCapability;
  readonly #notify: VirtioCapability;
  readonly #isr: VirtioCapability;
  readonly #device: VirtioCapability;
  readonly #usesMsix: boolean;

  /** Finds the structures; with `useMsix`, programs and unmasks all vectors and enables them. */
  constructor(place: Place, useMsix: boolean) {
    this.pci = new PciFunction(place, !useMsix);
    this.structures = this.pci.capabilities
      .filter(({ id }) => id === CAP_VENDOR)
      .map(({ at }) => this.#structureAt(at));
    this.#common = this.structure(CFG_COMMON);
    this.#notify = this.structure(CFG_NOTIFY);
    this.#isr = this.structure(CFG_ISR);
    this.#device = this.structure(CFG_DEVICE);
    this.notifyMultiplier = this.pci.read(this.#notify.at + 16, 4);
    this.msix = this.#findMsix();
    this.#usesMsix = useMsix && this.msix !== null;
    if (this.#usesMsix) this.#enableMsix();
  }

  /** The first structure of a kind: the one that the card prefers. */
  structure(type: number): VirtioCapability {
    const found = this.structures.find((structure) => structure.type === type);
    if (found === undefined) throw new Error(`the function has no virtio structure of type ${type}`);
    return found;
  }

  #structureAt(at: number): VirtioCapability {
    return {
      at,
      capLength: this.pci.read(at + 2, 1),
      type: this.pci.read(at + 3, 1),
      bar: this.pci.read(at + 4, 1),
      offset: this.pci.read(at + 8, 4),
      length: this.pci.read(at + 12, 4),
    };
  }

  #findMsix(): Msix | null {
    const at = this.pci.capabilities.find(({ id }) => id === CAP_MSIX)?.at;
    if (at === undefined) return null;
    const table = this.pci.read(at + 4, 4);
    const pending = this.pci.read(at + 8, 4);
    return {
      at,
      vectors: (this.pci.read(at + 2, 2) & 0x7ff) + 1,
      tableBar: table & 7,
      tableOffset: (table & ~7) >>> 0,
      pendingBar: pending & 7,
      pendingOffset: (pending & ~7) >>> 0,
    };
  }

  #enableMsix(): void {
    const { at, vectors, tableBar, tableOffset } = this.msix!;
    for (let vector = 0; vector < vectors; vector++) {
      const entry = tableOffset + 16 * vector;
      this.pci.writeBar(tableBar, entry, 4, MESSAGE_ADDRESS);
      this.pci.writeBar(tableBar, entry + 4, 4, 0);
      this.pci.writeBar(tableBar, entry + 8, 4, MESSAGE_DATA + vector);
      this.pci.writeBar(tableBar, entry + 12, 4, 0);
    }
    this.pci.write(at + 2, 2, this.pci.read(at + 2, 2) | MSIX_ENABLE);
  }

  /** Masks or unmasks one entry of the MSI-X table. */
  maskVector(vector: number, masked: boolean): void {
    const { tableBar, tableOffset } = this.msix!;
    this.pci.writeBar(tableBar, tableOffset + 16 * vector + 12, 4, masked ? 1 : 0);
  }

  isPending(vector: number): boolean {
    const { pendingBar, pendingOffset } = this.msix!;
    const word = this.pci.readBar(pendingBar, pendingOffset + 4 * (vector >> 5), 4);
    return ((word >>> (vector & 31)) & 1) === 1;
  }

  /** A field of the common configuration, at its own width; the 64-bit ones have halves of their own. */
  common(field: CommonField): number {
    const [offset, bytes] = COMMON[field];
    return this.pci.readBar(this.#common.bar, this.#common.offset + offset, Math.min(bytes, 4));
  }

  setCommon(field: CommonField, value: number): void {
    const { bar, offset: base } = this.#common;
    const [offset, bytes] = COMMON[field];
    this.pci.writeBar(bar, base + offset, Math.min(bytes, 4), value % 2 ** 32);
    if (bytes === 8) this.pci.writeBar(bar, base + offset + 4, 4, Math.floor(value / 2 ** 32));
  }

  /** A read of a BAR through the window of the PCI_CFG capability (§4.1.4.9). */
  windowRead(bar: number, offset: number, widthBytes: number): number {
    const at = this.#setWindow(bar, offset, widthBytes);
    return this.pci.read(at, widthBytes);
  }

  windowWrite(bar: number, offset: number, widthBytes: number, value: number): void {
    const at = this.#setWindow(bar, offset, widthBytes);
    this.pci.write(at, widthBytes, value);
  }

  /** Says what the window shows, and gives the place of its data in configuration space. */
  #setWindow(bar: number, offset: number, widthBytes: number): number {
    const { at } = this.structure(CFG_PCI);
    this.pci.write(at + 4, 1, bar);
    this.pci.write(at + 8, 4, offset);
    this.pci.write(at + 12, 4, widthBytes);
    return at + 16;
  }

  get status(): number {
    return this.common("deviceStatus");
  }

  set status(value: number) {
    this.setCommon("deviceStatus", value);
  }

  offeredWord(word: number): number {
    this.setCommon("deviceFeatureSelect", word);
    return this.common("deviceFeature");
  }

  acceptWord(word: number, value: number): void {
    this.setCommon("driverFeatureSelect", word);
    this.setCommon("driverFeature", value);
  }

  config(offset: number, widthBytes: number): number {
    return this.pci.readBar(this.#device.bar, this.#device.offset + offset, widthBytes);
  }

  writeConfig(offset: number, widthBytes: number, value: number): void {
    this.pci.writeBar(this.#device.bar, this.#device.offset + offset, widthBytes, value);
  }

  get configGeneration(): number {
    return this.common("configGeneration");
  }

  prepare(): void {
    if (this.#usesMsix) this.setCommon("configMsixVector", 0);
  }

  queueSizeMax(index: number): number {
    this.setCommon("queueSelect", index);
    return this.common("queueSize");
  }

  setQueue(index: number, { size, desc, driver, device }: QueuePlaces): void {
    this.setCommon("queueSelect", index);
    this.setCommon("queueSize", size);
    this.setCommon("queueDesc", desc);
    this.setCommon("queueDriver", driver);
    this.setCommon("queueDevice", device);
    this.setCommon("queueMsixVector", this.vectorOf(index));
  }

  /** Vector 0 for the configuration, one for each queue while they last, the last for all others. */
  vectorOf(index: number): number {
    return this.#usesMsix ? Math.min(index + 1, this.msix!.vectors - 1) : NO_VECTOR;
  }

  enableQueue(index: number): void {
    this.setCommon("queueSelect", index);
    this.setCommon("queueEnable", 1);
  }

  isQueueEnabled(index: number): boolean {
    this.setCommon("queueSelect", index);
    return this.common("queueEnable") === 1;
  }

  resetQueue(index: number): void {
    this.setCommon("queueSelect", index);
    this.setCommon("queueReset", 1);
    if (this.common("queueReset") !== 0) throw new Error(`queue ${index} is still in reset`);
  }

  notify(index: number, next?: number): void {
    this.setCommon("queueSelect", index);
    const { bar, offset } = this.#notify;
    const at = offset + this.common("queueNotifyOff") * this.notifyMultiplier;
    const name = this.usesNotifyData ? this.common("queueNotifConfigData") : index;
    if (next === undefined) this.pci.writeBar(bar, at, 2, name);
    else this.pci.writeBar(bar, at, 4, (name | (next << 16)) >>> 0);
  }

  /** Reading acknowledges (§4.1.4.5). */
  takeInterruptStatus(): number {
    return this.pci.readBar(this.#isr.bar, this.#isr.offset, 1);
  }
}
