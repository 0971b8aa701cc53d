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

// Intel SDM 3A §11.11: MSI messages go to 0xfee….; the low byte of the data is the vector.
const MSI_ADDRESS = 0xfee;
const MSI_ADDRESS_SHIFT = 20;
const MSI_VECTOR_MASK = 0xff;
// The flag by which the CPU lets interrupts in.
const FLAG_INTERRUPT = 1 << 9;
// v86's local APIC in 32-bit words: interrupt requests from 16 on, trigger modes (1 is level) from 32 on.
const APIC_IRR = 16;
const APIC_TMR = 32;
const APIC_BYTES = 4 * 46;
// v86's interrupt controllers, in bytes: which lines are let in, which have a request.
const PIC_ENABLED = 0;
const PIC_IRR = 3;
const PIC_BYTES = 13;
/** The master's line at which the slave is. */
const PIC_CASCADE = 1 << 2;

export class InterruptPins implements PciInterruptSink {
  /** Messages to an address that is no local APIC's: lost, as in a machine where nothing decodes it. */
  messagesLost = 0;
  readonly #cpu: EmulatorCpu;
  readonly #pciId: number;
  readonly #onWake: ((vcpu: number, why: number, nowNs: number) => void) | null;
  #lineAsserted = false;
  #lineRaised = false;
  // CPU vectors that are due, a bit for each.
  readonly #due = new Uint32Array(8);
  #anyDue = false;

  constructor(cpu: EmulatorCpu, pciId: number, onWake: ((vcpu: number, why: number, nowNs: number) => void) | null) {
    this.#cpu = cpu;
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
    this.#lineRaised = false;
    const { flags, devices } = this.#cpu;
    const enabled = flags[0]! & FLAG_INTERRUPT;
    flags[0]! &= ~FLAG_INTERRUPT;
    devices.pci.lower_irq(this.#pciId);
    flags[0]! |= enabled;
    this.#releaseCascade();
  }

  /**
   * v86's master controller keeps a request of the slave's that the slave has taken back. The CPU would acknowledge it to
   * nobody, and the master wait for its end for ever, letting in neither the slave nor what is below it.
   */
  #releaseCascade(): void {
    const { wasm_memory, get_pic_addr_master, get_pic_addr_slave } = this.#cpu;
    const slave = new Uint8Array(wasm_memory.buffer, get_pic_addr_slave(), PIC_BYTES);
    if ((slave[PIC_IRR]! & slave[PIC_ENABLED]!) !== 0) return;
    const master = new Uint8Array(wasm_memory.buffer, get_pic_addr_master(), PIC_BYTES);
    master[PIC_IRR]! &= ~PIC_CASCADE;
  }

  /** MSI is edge-triggered: a request, and the trigger mode that makes v86 send no end of interrupt to its I/O APIC. */
  #deliverMessages(): void {
    const apic = new Uint32Array(this.#cpu.wasm_memory.buffer, this.#cpu.get_apic_addr(), APIC_BYTES / 4);
    for (let word = 0; word < this.#due.length; word++) {
      apic[APIC_IRR + word]! |= this.#due[word]!;
      apic[APIC_TMR + word]! &= ~this.#due[word]!;
    }
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
