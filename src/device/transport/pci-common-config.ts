/**
 * The common configuration structure of virtio over PCI, decoded onto the card (virtio 1.4 §4.1.4.3). Every field takes
 * accesses of its own width; 64-bit fields take two of 32 bits (PLAY-1).
 */

import { FAULT_REGISTER_ACCESS } from "../faults.ts";
import type { NetCard } from "../net/net-card.ts";
import { COMMON_CFG_BYTES } from "../spec/virtio-pci.ts";
import { NO_VECTOR } from "../throttle/throttle.ts";
import { PCI_COMMON_REGISTERS } from "./pci-common-registers.ts";
import { compileRegisters, NO_REGISTER } from "./register-table.ts";

const TABLE = compileRegisters(PCI_COMMON_REGISTERS, COMMON_CFG_BYTES);

/** What the common configuration works on, beside the card. */
export interface CommonConfigParts {
  /** Vectors that the driver may assign; 0 without MSI-X. */
  readonly msixVectors: number;
  /** queue_notify_off of a queue. */
  readonly notifyOffOf: (index: number) => number;
  /** The device was reset. */
  readonly onReset: (nowNs: number) => void;
}

export class PciCommonConfig {
  readonly card: NetCard;
  readonly parts: CommonConfigParts;
  deviceFeatureSelect = 0;
  driverFeatureSelect = 0;
  queueSelect = 0;
  #generation = 0;
  // The configuration's own generation when a driver last read any of it.
  #generationRead: number;

  constructor(card: NetCard, parts: CommonConfigParts) {
    this.card = card;
    this.parts = parts;
    this.#generationRead = card.config.generation;
  }

  /** Value of a field. Any other access is a fault, and reads the part of a field that it lies in, or 0. */
  read(offset: number, widthBytes: number, nowNs: number): number {
    const value = TABLE.read(this, offset, widthBytes, nowNs);
    if (value !== NO_REGISTER) return value;
    this.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    return this.#readPart(offset, widthBytes, nowNs);
  }

  /** No driver may read a field in parts (§4.1.3.1), but iPXE does, and finds no device that does not let it. */
  #readPart(offset: number, widthBytes: number, nowNs: number): number {
    for (let start = offset; start >= 0 && start > offset - 4; start--) {
      const field = TABLE.find(start);
      if (field === null) continue;
      if (start + field.width < offset + widthBytes) return 0;
      const value = TABLE.read(this, start, field.width, nowNs);
      return (value >>> (8 * (offset - start))) & (2 ** (8 * widthBytes) - 1);
    }
    return 0;
  }

  write(offset: number, widthBytes: number, value: number, nowNs: number): void {
    if (!TABLE.write(this, offset, widthBytes, value >>> 0, nowNs)) {
      this.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    }
  }

  /**
   * PCOM-6: eight bits that count on when a driver reads a configuration that has changed since it was last read. To
   * count changes themselves would miss 256 of them.
   */
  get generation(): number {
    return this.#generation;
  }

  /** A driver reads the device-specific configuration. */
  configRead(): void {
    const { generation } = this.card.config;
    if (generation === this.#generationRead) return;
    this.#generationRead = generation;
    this.#generation = (this.#generation + 1) & 0xff;
  }

  writeStatus(value: number, nowNs: number): void {
    this.card.writeStatus(value, nowNs);
    if (value !== 0) return;
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
    this.queueSelect = 0;
    this.parts.onReset(nowNs);
  }

  /** The vector that a register takes: PMSIX-9, one that does not exist is none. */
  vectorFrom(value: number): number {
    return value < this.parts.msixVectors ? value : NO_VECTOR;
  }

  saveState(): CommonConfigState {
    const { deviceFeatureSelect, driverFeatureSelect, queueSelect } = this;
    return { deviceFeatureSelect, driverFeatureSelect, queueSelect, generation: this.#generation };
  }

  /** To be called once the card is restored. */
  restoreState(state: CommonConfigState): void {
    this.deviceFeatureSelect = state.deviceFeatureSelect;
    this.driverFeatureSelect = state.driverFeatureSelect;
    this.queueSelect = state.queueSelect;
    // The driver may have read before it was saved, and reads on afterwards: that counts as a change.
    this.#generation = state.generation;
    this.#generationRead = -1;
  }
}

export interface CommonConfigState {
  readonly deviceFeatureSelect: number;
  readonly driverFeatureSelect: number;
  readonly queueSelect: number;
  readonly generation: number;
}
