/**
 * virtio over PCI (virtio 1.4 §4.1): configuration space, BARs, and interrupts by MSI-X or INTx, onto one card.
 *
 * One BAR holds the virtio structures, in memory or I/O space; BAR 2, always memory, the MSI-X table and its pending bits.
 * Where the BARs lie is the guest's business and the embedder's: accesses come as BAR number and offset.
 */

import { checkFunction, checkInstance, checkObject } from "../embedder-parts.ts";
import { FAULT_CONFIG_WRITE, FAULT_QUEUE_INDEX, FAULT_REGISTER_ACCESS } from "../faults.ts";
import { NetCard } from "../net/net-card.ts";
import { byte, listOf, record, word16, word32 } from "../saved-value.ts";
import {
  MSIX_ENTRY_BYTES,
  MSIX_VECTORS_MAX,
  PCI_COMMAND,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_CONFIG_BYTES,
} from "../spec/pci.ts";
import { F_NOTIFICATION_DATA, NOTIFICATION_VQN_MASK } from "../spec/virtio.ts";
import { CONFIG_BYTES } from "../spec/virtio-net.ts";
import { COMMON_CFG_BYTES } from "../spec/virtio-pci.ts";
import { type CommonConfigState, PciCommonConfig } from "./pci-common-config.ts";
import type { PciConfigSpace } from "./pci-config-space.ts";
import { PciInterrupts } from "./pci-interrupts.ts";
import {
  layoutFor,
  MSIX_BAR,
  NOTIFY_MULTIPLIER,
  type PciLayout,
  type PciTransportOptions,
  PciWindow,
  VIRTIO_BAR,
} from "./pci-layout.ts";
import { PciSignalling } from "./pci-signalling.ts";

export class PciTransport {
  readonly card: NetCard;
  readonly #config: PciConfigSpace;
  readonly #layout: PciLayout;
  readonly #common: PciCommonConfig;
  readonly #signalling: PciSignalling;
  readonly #window: PciWindow;
  readonly #onBarChange: ((bar: number) => void) | null;

  /**
   * @param interrupts the same that the card has as its sink
   * @throws RangeError if a part is none or an option out of range, or the card has more vectors or queues than there is room for
   */
  constructor(card: NetCard, interrupts: PciInterrupts, options: PciTransportOptions = {}) {
    checkInstance("card", card, NetCard);
    checkInstance("interrupts", interrupts, PciInterrupts);
    if (card.interruptStatus.sink !== interrupts) {
      throw new RangeError("interrupts is not what the card has as its own interrupts; it must be the same object");
    }
    checkObject("options", options, "an object");
    if (options.onBarChange !== undefined) checkFunction("options.onBarChange", options.onBarChange);
    this.card = card;
    card.features.offerFromTransport("NOTIF_CONFIG_DATA");
    this.#layout = layoutFor(card.queues.count, card.throttle.vectors.length, options);
    this.#config = this.#layout.config;
    this.#signalling = new PciSignalling(card, this.#layout, interrupts);
    this.#common = new PciCommonConfig(card, {
      msixVectors: this.#layout.msixVectors,
      notifyOffOf: (index) => (this.#layout.notifyMultiplier === 0 || !card.queues.exists(index) ? 0 : index),
      onReset: (nowNs) => this.#signalling.deviceReset(nowNs),
    });
    this.#window = new PciWindow(this.#config, this.#layout.windowAt);
    this.#onBarChange = options.onBarChange ?? null;
    this.#applyCommand(0);
  }

  // --- configuration space -------------------------------------------------------------------------------------------

  /** Value of `widthBytes` (1, 2 or 4) bytes of configuration space. */
  readConfig(offset: number, widthBytes: number, nowNs: number): number {
    if (!isAccess(offset, widthBytes)) return this.#refuse(nowNs);
    if (this.#window.touches(offset, widthBytes)) {
      const { bar, offset: at, length } = this.#window;
      // PCFGA-3. Whoever dumps all of configuration space reads a window that nobody has set.
      if (this.#window.isValid) this.#window.store(this.readBar(bar, at, length, nowNs));
      else if (length !== 0) this.#refuse(nowNs);
    }
    return this.#config.read(offset, widthBytes);
  }

  writeConfig(offset: number, widthBytes: number, value: number, nowNs: number): void {
    if (!isAccess(offset, widthBytes)) {
      this.#refuse(nowNs);
      return;
    }
    const before = this.#barAddresses();
    this.#config.write(offset, widthBytes, value);
    this.#applyCommand(nowNs);
    if (this.#window.touches(offset, widthBytes)) {
      const { bar, offset: at, length } = this.#window;
      // PCFGA-2.
      if (this.#window.isValid) this.writeBar(bar, at, length, this.#window.data, nowNs);
      else this.#refuse(nowNs);
    }
    this.#signalling.apply(nowNs);
    this.#tellOfBars(before);
  }

  /**
   * A function that the driver has switched on, but not as a bus master, reaches no memory and sends no messages. One that
   * is not switched on at all is reached past its configuration space, by an embedder that has none: it is let work.
   */
  #applyCommand(nowNs: number): void {
    const command = this.#config.read(PCI_COMMAND, 2);
    const switchedOn = (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)) !== 0;
    this.card.allowMemory(!switchedOn || (command & PCI_COMMAND_MASTER) !== 0, nowNs);
  }

  #tellOfBars(before: readonly (number | null)[]): void {
    for (const [bar, address] of this.#barAddresses().entries()) {
      if (address !== before[bar]) this.#onBarChange?.(bar);
    }
  }

  /** Where a BAR lies; null while the guest has not placed it or has its space off, or if there is none of that index. */
  barAddress(bar: number): number | null {
    return this.#config.barAddress(bar);
  }

  /** "memory", "memory64" or "io", and the size in bytes; undefined if there is no BAR of that index. */
  bar(bar: number): { readonly kind: "io" | "memory" | "memory64"; readonly sizeBytes: number } | undefined {
    return this.#config.bar(bar);
  }

  #barAddresses(): (number | null)[] {
    return [0, 1, 2, 3, 4, 5].map((bar) => this.#config.barAddress(bar));
  }

  // --- BARs ----------------------------------------------------------------------------------------------------------

  /**
   * Value of `widthBytes` bytes at `offset` in a BAR, unsigned; 0 for an access that is not allowed. A guest's access of 64
   * bits is two of 32, the low half first; of a write as well.
   */
  readBar(bar: number, offset: number, widthBytes: number, nowNs: number): number {
    if (bar === MSIX_BAR) return this.#signalling.readTable(offset, widthBytes, nowNs);
    const { isrAt, deviceAt, notifyAt, notifyBytes } = this.#layout;
    if (bar !== VIRTIO_BAR || !isAccess(offset, widthBytes)) return this.#refuse(nowNs);
    if (offset < COMMON_CFG_BYTES) return this.#common.read(offset, widthBytes, nowNs);
    if (offset === isrAt && widthBytes === 1) return this.#signalling.readIsr(nowNs);
    if (offset >= deviceAt && offset + widthBytes <= deviceAt + CONFIG_BYTES) {
      this.#common.configRead();
      return this.card.config.read(offset - deviceAt, widthBytes);
    }
    // Notifications are write-only; reading them is no fault, for a driver may flush its writes so.
    if (offset >= notifyAt && offset < notifyAt + notifyBytes) return 0;
    return this.#refuse(nowNs);
  }

  writeBar(bar: number, offset: number, widthBytes: number, value: number, nowNs: number): void {
    if (bar === MSIX_BAR) {
      this.#signalling.writeTable(offset, widthBytes, value >>> 0, nowNs);
      return;
    }
    const { deviceAt, notifyAt, notifyBytes } = this.#layout;
    if (bar !== VIRTIO_BAR || !isAccess(offset, widthBytes)) this.#refuse(nowNs);
    else if (offset < COMMON_CFG_BYTES) this.#common.write(offset, widthBytes, value, nowNs);
    else if (offset >= notifyAt && offset < notifyAt + notifyBytes) {
      this.#kick(offset - notifyAt, widthBytes, value >>> 0, nowNs);
    } else if (offset >= deviceAt && offset + widthBytes <= deviceAt + CONFIG_BYTES) {
      this.card.guestFault(FAULT_CONFIG_WRITE, nowNs);
    } else this.#refuse(nowNs);
  }

  /**
   * §4.1.5.2: 16 bits, or with NOTIFICATION_DATA 32, whose lower half names the queue as the 16 do. In memory the address
   * names it too. A driver that gets width or value wrong there is at fault, but meant its queue all the same.
   */
  #kick(offset: number, widthBytes: number, value: number, nowNs: number): void {
    const { notifyMultiplier } = this.#layout;
    const wanted = this.card.features.has(F_NOTIFICATION_DATA) ? 4 : 2;
    const named = value & NOTIFICATION_VQN_MASK;
    const index = notifyMultiplier === 0 ? named : Math.floor(offset / notifyMultiplier);
    if (widthBytes !== wanted || offset % NOTIFY_MULTIPLIER !== 0) this.#refuse(nowNs);
    else if (named !== index) this.card.guestFault(FAULT_QUEUE_INDEX, nowNs);
    this.card.queues.kick(index, nowNs);
  }

  // --- reset, saving and restoring -----------------------------------------------------------------------------------

  /** The platform resets the function: configuration space, MSI-X and device are as after power-on. */
  resetFunction(nowNs: number): void {
    const before = this.#barAddresses();
    this.#common.writeStatus(0, nowNs);
    this.#config.restoreState(this.#layout.initial);
    this.#signalling.table.reset();
    this.#applyCommand(nowNs);
    this.#signalling.apply(nowNs);
    this.#tellOfBars(before);
  }

  /** All of the transport, as plain values; the card's state is apart. */
  saveState(): PciTransportState {
    return {
      format: PCI_STATE_FORMAT,
      version: PCI_STATE_VERSION,
      config: this.#config.saveState(),
      msix: this.#signalling.table.saveState(),
      common: this.#common.saveState(),
    };
  }

  /**
   * Goes on from a state, once the card has been restored.
   * @throws RangeError if it is no state of such a transport
   */
  restoreState(state: PciTransportState, nowNs: number): void {
    if (state?.format !== PCI_STATE_FORMAT || state.version !== PCI_STATE_VERSION) {
      throw new RangeError(
        `saved state: got ${String(state?.format)} ${String(state?.version)}, it must be ${PCI_STATE_FORMAT} ${PCI_STATE_VERSION}`,
      );
    }
    checkState("transport", state);
    const { table } = this.#signalling;
    if (state.msix.length !== table.saveState().length) {
      throw new RangeError(`saved state has ${state.msix.length / 4} vectors, but this transport ${table.vectors}`);
    }
    const before = this.#barAddresses();
    this.#config.restoreState(state.config);
    table.restoreState(state.msix);
    this.#common.restoreState(state.common);
    this.#applyCommand(nowNs);
    this.#signalling.apply(nowNs);
    this.#tellOfBars(before);
  }

  #refuse(nowNs: number): number {
    this.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    return 0;
  }
}

const PCI_STATE_FORMAT = "spillway-pci";
const PCI_STATE_VERSION = 1;

export interface PciTransportState {
  readonly format: typeof PCI_STATE_FORMAT;
  readonly version: typeof PCI_STATE_VERSION;
  readonly config: readonly number[];
  readonly msix: readonly number[];
  readonly common: CommonConfigState;
}

const checkState = record({
  config: listOf(byte, PCI_CONFIG_BYTES),
  msix: listOf(word32, 0, MSIX_VECTORS_MAX * (MSIX_ENTRY_BYTES / 4)),
  common: record({ deviceFeatureSelect: word32, driverFeatureSelect: word32, queueSelect: word16, generation: byte }),
});

function isAccess(offset: number, widthBytes: number): boolean {
  return Number.isInteger(offset) && offset >= 0 && (widthBytes === 1 || widthBytes === 2 || widthBytes === 4);
}
