/**
 * Interrupts into v86: INTx through its PCI bridge, MSI-X into its local APIC.
 *
 * They are kept until the emulator is between two stretches of instructions. Raised inside the handler of a store to
 * memory, an interrupt would change the CPU's state under the instruction that is running (a guest hung by it).
 *
 * v86 does not join what several devices say on one line: whoever lowers it lowers it for all. So the card's line is
 * raised again after each stretch for as long as the card asserts it, and cannot be lost to another's driver.
 */

import type { PciInterruptSink } from "../../device/index.ts";
import type { EmulatorCpu } from "./emulator.ts";
import { InterruptState } from "./interrupt-state.ts";

// Intel SDM 3A §11.11: MSI messages go to 0xfee….; the low byte of the data is the vector.
const MSI_ADDRESS = 0xfee;
const MSI_ADDRESS_SHIFT = 20;
const MSI_VECTOR_MASK = 0xff;

export class InterruptPins implements PciInterruptSink {
  /** Messages to an address that is no local APIC's: lost, as in a machine where nothing decodes it. */
  messagesLost = 0;
  readonly #cpu: EmulatorCpu;
  readonly #state: InterruptState;
  readonly #pciId: number;
  readonly #onWake: ((vcpu: number, why: number, nowNs: number) => void) | null;
  #lineAsserted = false;
  #lineRaised = false;
  // CPU vectors that are due, a bit for each.
  readonly #due = new Uint32Array(8);
  #anyDue = false;

  constructor(cpu: EmulatorCpu, pciId: number, onWake: ((vcpu: number, why: number, nowNs: number) => void) | null) {
    this.#cpu = cpu;
    this.#state = new InterruptState(cpu);
    this.#pciId = pciId;
    this.#onWake = onWake;
  }

  message(address: number, data: number): void {
    if (address >>> MSI_ADDRESS_SHIFT !== MSI_ADDRESS) {
      this.messagesLost++;
      return;
    }
    const vector = data & MSI_VECTOR_MASK;
    this.#due[vector >>> 5]! |= 1 << (vector & 31);
    this.#anyDue = true;
  }

  line(asserted: boolean): void {
    this.#lineAsserted = asserted;
    // At once, for the driver that has just read the status must not be interrupted once more.
    if (!asserted && this.#lineRaised) this.#lowerLine();
  }

  wake(vcpu: number, why: number, nowNs: number): void {
    this.#onWake?.(vcpu, why, nowNs);
  }

  /** Delivers what is due. To be called between two stretches of instructions only. */
  flush(): void {
    if (this.#lineAsserted) {
      this.#lineRaised = true;
      this.#cpu.devices.pci.raise_irq(this.#pciId);
    }
    if (this.#anyDue) this.#deliverMessages();
  }

  /** v86 takes the chance to deliver what is pending from others; inside an instruction it must not. */
  #lowerLine(): void {
    const state = this.#state;
    this.#lineRaised = false;
    state.follow();
    const allowed = state.forbid();
    this.#cpu.devices.pci.lower_irq(this.#pciId);
    state.allow(allowed);
    state.releaseCascade();
  }

  #deliverMessages(): void {
    this.#state.follow();
    this.#state.request(this.#due);
    this.#due.fill(0);
    this.#anyDue = false;
  }

  saveState(): readonly number[] {
    return [...this.#due];
  }

  /** What was due is due again; the line follows the card, whatever v86's own interrupt controllers have been restored to. */
  restoreState(due: readonly number[]): void {
    this.#due.set(due);
    this.#anyDue = due.some((bits) => bits !== 0);
    // It may have been up when it was saved, and the driver may read why before `flush` has had a turn.
    this.#lineRaised = this.#lineAsserted;
    if (!this.#lineAsserted) this.#lowerLine();
  }

  /** The machine was reset, or the card is pulled out. */
  clear(): void {
    this.#due.fill(0);
    this.#anyDue = false;
    this.line(false);
  }
}
