/**
 * How interrupts leave a function on PCI: as MSI-X messages, or on the INTx line. Which of the two, and what is masked, the
 * driver says in configuration space and in the MSI-X table; the throttle keeps what is held back.
 */

import { FAULT_REGISTER_ACCESS } from "../faults.ts";
import type { NetCard } from "../net/net-card.ts";
import {
  MSIX_CONTROL,
  MSIX_CONTROL_ENABLE,
  MSIX_CONTROL_MASK_ALL,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_STATUS,
  PCI_STATUS_INTERRUPT,
} from "../spec/pci.ts";
import { INTERRUPT_CONFIG_CHANGE, INTERRUPT_USED_BUFFER } from "../spec/virtio.ts";
import { MsixTable } from "./msix-table.ts";
import type { PciConfigSpace } from "./pci-config-space.ts";
import type { PciInterrupts } from "./pci-interrupts.ts";
import type { PciLayout } from "./pci-layout.ts";

/** The vector of all causes while the line stands for them. */
const LINE_VECTOR = 0;

export class PciSignalling {
  readonly table: MsixTable;
  readonly #card: NetCard;
  readonly #config: PciConfigSpace;
  readonly #layout: PciLayout;
  readonly #interrupts: PciInterrupts;
  #lineAsserted = false;
  #msixEnabled = false;

  /** @param interrupts what the card has as its sink */
  constructor(card: NetCard, layout: PciLayout, interrupts: PciInterrupts) {
    this.#card = card;
    this.#config = layout.config;
    this.#layout = layout;
    this.table = new MsixTable(layout.msixVectors);
    this.#interrupts = interrupts;
    interrupts.onNotify = (vector, nowNs) => this.#notify(vector, nowNs);
  }

  /** Configuration space was written, or the table replaced: what they say now holds. */
  apply(nowNs: number): void {
    this.#applyControl(nowNs);
    this.#updateLine(nowNs);
  }

  /** The device was reset. Masks and the enable bit of MSI-X are the function's, and outlast that. */
  deviceReset(nowNs: number): void {
    this.#applyMasks(nowNs);
    this.#updateLine(nowNs);
  }

  /** PISR-5. */
  readIsr(nowNs: number): number {
    const { interruptStatus } = this.#card;
    const { value } = interruptStatus;
    interruptStatus.acknowledge(value);
    if (!this.#msixEnabled && (value & INTERRUPT_USED_BUFFER) !== 0)
      this.#card.throttle.driverLooks(LINE_VECTOR, nowNs);
    this.#updateLine(nowNs);
    return value;
  }

  /** Value of a word of the MSI-X table, or of the pending bits behind it. */
  readTable(offset: number, widthBytes: number, nowNs: number): number {
    const { pbaAt } = this.#layout;
    if (widthBytes !== 4 || offset % 4 !== 0 || this.table.vectors === 0) return this.#refuse(nowNs);
    if (offset < this.table.sizeBytes) return this.table.read(offset);
    const word = (offset - pbaAt) / 4;
    if (word < 0 || word * 32 >= Math.ceil(this.table.vectors / 64) * 64) return this.#refuse(nowNs);
    let bits = 0;
    for (let bit = 0; bit < 32; bit++)
      if (this.#card.throttle.vectors[word * 32 + bit]?.heldByDriver === true) bits |= 1 << bit;
    return bits >>> 0;
  }

  writeTable(offset: number, widthBytes: number, value: number, nowNs: number): void {
    if (widthBytes !== 4 || offset % 4 !== 0 || offset >= this.table.sizeBytes) {
      this.#refuse(nowNs);
      return;
    }
    const vector = this.table.write(offset, value);
    if (vector >= 0) this.#applyMask(vector, nowNs);
  }

  /** The throttle has let an interrupt through; the ISR bits are set (PISR-2, PISR-3). */
  #notify(vector: number, nowNs: number): void {
    if (!this.#msixEnabled) this.#updateLine(nowNs);
    else this.#interrupts.sink.message(this.table.address(vector), this.table.data(vector), vector, nowNs);
  }

  /** PISR-4, and the interrupt disable bit of the command register. */
  #updateLine(nowNs: number): void {
    const raised = !this.#msixEnabled && this.#card.interruptStatus.value !== 0;
    const status = this.#config.read(PCI_STATUS, 2) & ~PCI_STATUS_INTERRUPT;
    this.#config.set(PCI_STATUS, 2, raised ? status | PCI_STATUS_INTERRUPT : status);
    const asserted = raised && (this.#config.read(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE) === 0;
    if (asserted === this.#lineAsserted) return;
    this.#lineAsserted = asserted;
    this.#interrupts.sink.line(asserted, nowNs);
  }

  /** The driver may have enabled MSI-X, or masked it as a whole. What is due moves to vectors whose masks are in force. */
  #applyControl(nowNs: number): void {
    const enabled = this.#layout.msixAt !== 0 && (this.#msixControl & MSIX_CONTROL_ENABLE) !== 0;
    // Messages have told of these; nobody has cleared them, and they must not raise the line.
    if (this.#msixEnabled && !enabled)
      this.#card.interruptStatus.acknowledge(INTERRUPT_USED_BUFFER | INTERRUPT_CONFIG_CHANGE);
    this.#msixEnabled = enabled;
    if (enabled) this.#applyMasks(nowNs);
    this.#card.useSharedVector(!enabled, nowNs);
    if (!enabled) this.#applyMasks(nowNs);
  }

  get #msixControl(): number {
    return this.#config.read(this.#layout.msixAt + MSIX_CONTROL, 2);
  }

  /** R9: the throttle keeps the causes of a masked vector, and sends what is due when it is unmasked. */
  #applyMasks(nowNs: number): void {
    for (let vector = 0; vector < this.table.vectors; vector++) this.#applyMask(vector, nowNs);
  }

  #applyMask(vector: number, nowNs: number): void {
    const all = (this.#msixControl & MSIX_CONTROL_MASK_ALL) !== 0;
    const masked = this.#msixEnabled && (all || this.table.isMasked(vector));
    this.#card.throttle.maskByDriver(vector, masked, nowNs);
  }

  #refuse(nowNs: number): number {
    this.#card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    return 0;
  }
}
