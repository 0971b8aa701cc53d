/**
 * What of v86's CPU has to do with interrupts and lies in its wasm memory, in plain views that are kept: v86's own are
 * proxies, and a driver that takes the status waits for what they and new views cost (docs/decisions/006-in-v86.md).
 */

import type { EmulatorCpu } from "./emulator.ts";

// v86's interrupt controllers, in bytes: which lines are let in, which have a request.
const PIC_ENABLED = 0;
const PIC_IRR = 3;
const PIC_BYTES = 13;
/** The master's line at which the slave is. */
const PIC_CASCADE = 1 << 2;
// v86's local APIC in 32-bit words: interrupt requests from 16 on, trigger modes (1 is level) from 32 on.
const APIC_IRR = 16;
const APIC_TMR = 32;
const APIC_WORDS = 46;
/** Words of an APIC's vectors, a bit for each. */
const VECTOR_WORDS = 8;
// The flag by which the CPU lets interrupts in.
const FLAG_INTERRUPT = 1 << 9;

export class InterruptState {
  readonly #cpu: EmulatorCpu;
  #buffer: ArrayBuffer | null = null;
  #flags!: Int32Array;
  #master!: Uint8Array;
  #slave!: Uint8Array;
  #apic!: Uint32Array;

  constructor(cpu: EmulatorCpu) {
    this.#cpu = cpu;
  }

  /** To be called before the others: growth of the memory detaches its buffer. The places in it never change. */
  follow(): void {
    const cpu = this.#cpu;
    const { buffer } = cpu.wasm_memory;
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    this.#flags = new Int32Array(buffer, cpu.flags.byteOffset, 1);
    this.#master = new Uint8Array(buffer, cpu.get_pic_addr_master(), PIC_BYTES);
    this.#slave = new Uint8Array(buffer, cpu.get_pic_addr_slave(), PIC_BYTES);
    this.#apic = new Uint32Array(buffer, cpu.get_apic_addr(), APIC_WORDS);
  }

  /** Lets the CPU take no interrupt in; gives what `allow` is to be told afterwards. */
  forbid(): number {
    const allowed = this.#flags[0]! & FLAG_INTERRUPT;
    this.#flags[0]! &= ~FLAG_INTERRUPT;
    return allowed;
  }

  allow(allowed: number): void {
    this.#flags[0]! |= allowed;
  }

  /**
   * v86's master controller keeps a request of the slave's that the slave has taken back. The CPU would acknowledge it to
   * nobody, and the master wait for its end for ever, letting in neither the slave nor what is below it.
   */
  releaseCascade(): void {
    if ((this.#slave[PIC_IRR]! & this.#slave[PIC_ENABLED]!) === 0) this.#master[PIC_IRR]! &= ~PIC_CASCADE;
  }

  /** Requests in the local APIC, a bit for each vector, edge-triggered: v86 then sends no end of interrupt to its I/O APIC. */
  request(vectors: Uint32Array): void {
    for (let word = 0; word < VECTOR_WORDS; word++) {
      this.#apic[APIC_IRR + word]! |= vectors[word]!;
      this.#apic[APIC_TMR + word]! &= ~vectors[word]!;
    }
  }
}
