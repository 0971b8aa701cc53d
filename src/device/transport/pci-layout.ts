/**
 * What lies where on PCI: the header, the capabilities and the BARs of a card with so many queues and vectors, and the
 * window of the PCI_CFG capability.
 */

import {
  MSIX_CAP_BYTES,
  MSIX_CONTROL,
  MSIX_CONTROL_ENABLE,
  MSIX_CONTROL_MASK_ALL,
  MSIX_ENTRY_BYTES,
  MSIX_PBA,
  MSIX_TABLE,
  PCI_CACHE_LINE_SIZE,
  PCI_CAP_ID_MSIX,
  PCI_CAP_ID_VENDOR,
  PCI_CLASS_CODE,
  PCI_CLASS_ETHERNET,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_DEVICE_ID,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_REVISION_ID,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from "../spec/pci.ts";
import { CONFIG_BYTES } from "../spec/virtio-net.ts";
import {
  COMMON_CFG_BYTES,
  PCI_DEVICE_NET,
  PCI_REVISION_VIRTIO,
  PCI_SUBSYSTEM_VIRTIO,
  PCI_VENDOR_VIRTIO,
  VIRTIO_PCI_CAP_BAR,
  VIRTIO_PCI_CAP_BYTES,
  VIRTIO_PCI_CAP_COMMON_CFG,
  VIRTIO_PCI_CAP_DEVICE_CFG,
  VIRTIO_PCI_CAP_EXTRA,
  VIRTIO_PCI_CAP_ISR_CFG,
  VIRTIO_PCI_CAP_LEN,
  VIRTIO_PCI_CAP_LENGTH,
  VIRTIO_PCI_CAP_NOTIFY_CFG,
  VIRTIO_PCI_CAP_OFFSET,
  VIRTIO_PCI_CAP_PCI_CFG,
  VIRTIO_PCI_CAP_TYPE,
} from "../spec/virtio-pci.ts";
import { PciConfigSpace } from "./pci-config-space.ts";

export interface PciTransportOptions {
  /** Space of the BAR that holds the virtio structures: 32- or 64-bit memory, or I/O. Default memory. */
  readonly bar?: "memory" | "memory64" | "io";
  /** False: no MSI-X, all interrupts by INTx. By default there is MSI-X if the card has two vectors or more. */
  readonly msix?: boolean;
  /** Ids of the platform, which drivers may show (PDISC-3). */
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** 1 to 4 for INTA to INTD; default 1. */
  readonly interruptPin?: number;
  /**
   * Called after a BAR was moved, or its space switched on or off, by the guest, a reset or a restored state; `barAddress`
   * tells where it is now.
   */
  readonly onBarChange?: (bar: number) => void;
}

export const VIRTIO_BAR = 0;
export const MSIX_BAR = 2;
/** Bytes from one queue's notification address to the next, in memory; all queues share one in I/O space (PNOT-7). */
export const NOTIFY_MULTIPLIER = 4;

// Within the virtio BAR. The notifications of a memory BAR have pages of their own, which a hypervisor may trap apart.
const ISR_AT = COMMON_CFG_BYTES;
const DEVICE_AT = ISR_AT + 4;
const NOTIFY_AT_IO = DEVICE_AT + CONFIG_BYTES;
export const NOTIFY_AT_MEMORY = 0x1000;
const ISR_BYTES = 1;
const WINDOW_DATA_BYTES = 4;
const SUBSYSTEM_ID_LEAST = 0x40;
const QUEUES_MAX = 0xffff;

export interface PciLayout {
  readonly config: PciConfigSpace;
  /** Configuration space as after power-on. */
  readonly initial: readonly number[];
  readonly isrAt: number;
  readonly deviceAt: number;
  readonly notifyAt: number;
  readonly notifyBytes: number;
  readonly notifyMultiplier: number;
  /** Offset of the PCI_CFG capability. */
  readonly windowAt: number;
  /** Offset of the MSI-X capability, 0 if there is none. */
  readonly msixAt: number;
  readonly msixVectors: number;
  /** Offset of the pending bits in their BAR. */
  readonly pbaAt: number;
}

/** @throws RangeError for an option out of range */
export function layoutFor(queueCount: number, vectors: number, options: PciTransportOptions): PciLayout {
  const { bar = "memory", msix = vectors >= 2 } = options;
  if (queueCount > QUEUES_MAX) {
    throw new RangeError(
      `the card has ${queueCount} queues; registers of PCI count ${QUEUES_MAX} at most: take fewer pairs`,
    );
  }
  if (!["memory", "memory64", "io"].includes(bar)) {
    throw new RangeError(`bar is ${String(bar)}; it must be "memory", "memory64" or "io"`);
  }
  const config = new PciConfigSpace();
  writeHeader(config, options);
  const io = bar === "io";
  const notifyAt = io ? NOTIFY_AT_IO : NOTIFY_AT_MEMORY;
  const notifyMultiplier = io ? 0 : NOTIFY_MULTIPLIER;
  const notifyBytes = io ? NOTIFY_MULTIPLIER : NOTIFY_MULTIPLIER * queueCount;
  config.addBar(VIRTIO_BAR, { kind: bar, sizeBytes: powerOfTwoFrom(notifyAt + notifyBytes) });
  addVirtioCapability(config, VIRTIO_PCI_CAP_COMMON_CFG, 0, COMMON_CFG_BYTES);
  const notify = addVirtioCapability(config, VIRTIO_PCI_CAP_NOTIFY_CFG, notifyAt, notifyBytes, 4);
  config.set(notify + VIRTIO_PCI_CAP_EXTRA, 4, notifyMultiplier);
  addVirtioCapability(config, VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, ISR_BYTES);
  addVirtioCapability(config, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, CONFIG_BYTES);
  const windowAt = addVirtioCapability(config, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, WINDOW_DATA_BYTES);
  config.allow(windowAt + VIRTIO_PCI_CAP_BAR, 1, 0xff);
  config.allow(windowAt + VIRTIO_PCI_CAP_OFFSET, 4, 0xffffffff);
  config.allow(windowAt + VIRTIO_PCI_CAP_LENGTH, 4, 0xffffffff);
  config.allow(windowAt + VIRTIO_PCI_CAP_EXTRA, 4, 0xffffffff);
  const pbaAt = Math.ceil((vectors * MSIX_ENTRY_BYTES) / 8) * 8;
  const msixAt = msix ? addMsix(config, vectors, pbaAt) : 0;
  const places = { isrAt: ISR_AT, deviceAt: DEVICE_AT, notifyAt, notifyBytes, notifyMultiplier };
  const msixVectors = msix ? vectors : 0;
  return { config, initial: config.saveState(), ...places, windowAt, msixAt, msixVectors, pbaAt };
}

function writeHeader(config: PciConfigSpace, options: PciTransportOptions): void {
  const { subsystemVendorId = PCI_VENDOR_VIRTIO, subsystemId = PCI_SUBSYSTEM_VIRTIO, interruptPin = 1 } = options;
  check("subsystemVendorId", subsystemVendorId, 0, 0xffff);
  check("subsystemId", subsystemId, SUBSYSTEM_ID_LEAST, 0xffff);
  check("interruptPin", interruptPin, 1, 4);
  config.set(PCI_VENDOR_ID, 2, PCI_VENDOR_VIRTIO);
  config.set(PCI_DEVICE_ID, 2, PCI_DEVICE_NET);
  config.set(PCI_REVISION_ID, 1, PCI_REVISION_VIRTIO);
  config.set(PCI_CLASS_CODE, 3, PCI_CLASS_ETHERNET);
  config.set(PCI_SUBSYSTEM_VENDOR_ID, 2, subsystemVendorId);
  config.set(PCI_SUBSYSTEM_ID, 2, subsystemId);
  config.set(PCI_INTERRUPT_PIN, 1, interruptPin);
  config.allow(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
  config.allow(PCI_CACHE_LINE_SIZE, 1, 0xff);
  config.allow(PCI_INTERRUPT_LINE, 1, 0xff);
}

/** Appends a virtio capability for a structure in the virtio BAR, with `extraBytes` after it; gives its offset. */
function addVirtioCapability(
  config: PciConfigSpace,
  type: number,
  offset: number,
  lengthBytes: number,
  extraBytes = 0,
): number {
  const at = config.addCapability(PCI_CAP_ID_VENDOR, VIRTIO_PCI_CAP_BYTES + extraBytes);
  config.set(at + VIRTIO_PCI_CAP_LEN, 1, VIRTIO_PCI_CAP_BYTES + extraBytes);
  config.set(at + VIRTIO_PCI_CAP_TYPE, 1, type);
  config.set(at + VIRTIO_PCI_CAP_BAR, 1, VIRTIO_BAR);
  config.set(at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
  config.set(at + VIRTIO_PCI_CAP_LENGTH, 4, lengthBytes);
  return at;
}

function addMsix(config: PciConfigSpace, vectors: number, pbaAt: number): number {
  const pbaBytes = Math.ceil(vectors / 64) * 8;
  config.addBar(MSIX_BAR, { kind: "memory", sizeBytes: powerOfTwoFrom(Math.max(pbaAt + pbaBytes, 4096)) });
  const at = config.addCapability(PCI_CAP_ID_MSIX, MSIX_CAP_BYTES);
  // The table size is written as one less than it is.
  config.set(at + MSIX_CONTROL, 2, vectors - 1);
  config.allow(at + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
  config.set(at + MSIX_TABLE, 4, MSIX_BAR);
  config.set(at + MSIX_PBA, 4, pbaAt | MSIX_BAR);
  return at;
}

function powerOfTwoFrom(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes));
}

function check(option: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${option} is ${value}; it must be an integer from ${least} to ${most}`);
  }
}

/** The window of the PCI_CFG capability: an access to its data is one to a BAR (virtio 1.4 §4.1.4.9). */
export class PciWindow {
  readonly #config: PciConfigSpace;
  readonly #at: number;

  constructor(config: PciConfigSpace, at: number) {
    this.#config = config;
    this.#at = at;
  }

  /** True if an access reaches pci_cfg_data. */
  touches(offset: number, widthBytes: number): boolean {
    const data = this.#at + VIRTIO_PCI_CAP_EXTRA;
    return offset < data + WINDOW_DATA_BYTES && offset + widthBytes > data;
  }

  /** True if what the driver has set is an access that there can be: aligned, 1, 2 or 4 bytes, within a BAR. */
  get isValid(): boolean {
    const { bar, offset, length } = this;
    const sizeBytes = this.#config.bar(bar)?.sizeBytes ?? 0;
    return (length === 1 || length === 2 || length === 4) && offset % length === 0 && offset + length <= sizeBytes;
  }

  get bar(): number {
    return this.#config.read(this.#at + VIRTIO_PCI_CAP_BAR, 1);
  }

  get offset(): number {
    return this.#config.read(this.#at + VIRTIO_PCI_CAP_OFFSET, 4);
  }

  get length(): number {
    return this.#config.read(this.#at + VIRTIO_PCI_CAP_LENGTH, 4);
  }

  /** The first `length` bytes of the data. */
  get data(): number {
    return this.#config.read(this.#at + VIRTIO_PCI_CAP_EXTRA, this.length);
  }

  store(value: number): void {
    this.#config.set(this.#at + VIRTIO_PCI_CAP_EXTRA, this.length, value);
  }
}
