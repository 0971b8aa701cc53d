/** A machine that runs: v86's own loop, its CPU and its JIT, under a small program that takes the card's interrupts. */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { VirtioNetOptions } from "../../../../src/hypervisor/v86/index.ts";
import { patterned } from "../../../conformance/harness/frames.ts";
import type { GuestRam } from "../../../conformance/harness/guest-ram.ts";
import { CFG_ISR, CFG_NOTIFY } from "../../../conformance/harness/pci-numbers.ts";
import type { SplitRing } from "../../../conformance/harness/split-ring.ts";
import { LOW_RAM_BYTES, Machine } from "./machine.ts";
import * as program from "./program.ts";

/** v86's bridge keeps the lines of INTA to INTD here; a BIOS would have written them. */
const BRIDGE_ROUTES = 0x60;
const MEMORY_BAR = 0xe8000000;
const FRAME_BYTES = 100;
const HEADER_BYTES = 12;
const GIVE_UP_MS = 30_000;

export class RunningGuest {
  readonly machine: Machine;
  ram!: GuestRam;
  receive!: SplitRing;
  transmit!: SplitRing;
  readonly #msix: boolean;

  private constructor(machine: Machine, msix: boolean) {
    this.machine = machine;
    this.#msix = msix;
  }

  /** A machine with a card, switched off. */
  static async make(options: VirtioNetOptions): Promise<RunningGuest> {
    const { msix = false } = options;
    const machine = await Machine.make(msix, program.bios());
    machine.cpu.devices.pci.isa_bridge_space8.fill(program.IRQ, BRIDGE_ROUTES, BRIDGE_ROUTES + 4);
    machine.attach(options);
    return new RunningGuest(machine, msix);
  }

  /** Sets the card's rings up, and lets the program run: until the next interrupt only, or without halt if `busy`. */
  async start(busy = false): Promise<void> {
    const { machine } = this;
    const { ram, receive, transmit } = machine.bringUp(this.#msix);
    Object.assign(this, { ram, receive, transmit });
    for (let at = program.WORDS; at <= program.DEAF; at += 4) this.set(at, 0);
    const { driver } = machine;
    const [isr, notify] = [driver.structure(CFG_ISR), driver.structure(CFG_NOTIFY)];
    const bar = 0x10 + 4 * isr.bar;
    const inMemory = (machine.readConfig(bar, 4) & 1) === 0;
    // v86 itself answers for what the conformance driver has chosen: its VGA's frame buffer lies there.
    if (inMemory) machine.writeConfig(bar, 4, MEMORY_BAR);
    const address = machine.readConfig(bar, 4) & (inMemory ? ~0xf : ~3);
    this.set(program.BUSY, busy ? 1 : 0);
    this.set(program.IN_MEMORY, inMemory ? 1 : 0);
    this.set(program.ISR_AT, address + isr.offset);
    this.set(program.KICK_QUEUE, 1);
    this.set(program.KICK_AT, address + notify.offset + driver.notifyMultiplier);
    if (this.#msix) {
      const { tableBar, tableOffset, vectors } = driver.msix!;
      for (let vector = 0; vector < vectors; vector++) {
        driver.pci.writeBar(tableBar, tableOffset + 16 * vector + 8, 4, program.MESSAGE_VECTOR + vector);
      }
    }
    await machine.emulator.run();
    await this.until("the program has begun", () => this.get(program.STARTS) === 1);
  }

  get(at: number): number {
    return this.#memory().getUint32(at, true);
  }

  set(at: number, value: number): void {
    this.#memory().setUint32(at, value, true);
  }

  /** The program has no more to do, so that its CPU halts until an interrupt comes. */
  async sleep(): Promise<void> {
    await this.until("the CPU has halted", () => this.machine.isHalted);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    while (!holds()) {
      if (performance.now() > giveUpAt) throw new Error(`waited in vain until ${what}`);
      await nextTurn();
    }
  }

  /** A frame of FRAME_BYTES comes in from the network. */
  deliver(seed: number): void {
    this.machine.deliver(patterned(FRAME_BYTES, seed));
  }

  /** Frames that the card has written since the last call; their buffers are given back to it. */
  takeReceived(): Uint8Array[] {
    this.#memory();
    return this.receive.collectUsed().map(({ buffers, usedLength }) => {
      const [buffer] = buffers;
      this.receive.add([buffer!]);
      return this.ram.bytes(buffer!.address + HEADER_BYTES, usedLength - HEADER_BYTES);
    });
  }

  /** Queues a frame for sending; the program is to kick. */
  queue(seed: number): void {
    this.#memory();
    const bytes = [...new Uint8Array(HEADER_BYTES), ...patterned(FRAME_BYTES, seed)];
    this.transmit.add([{ address: this.ram.put(bytes), length: bytes.length }]);
  }

  takeSent(): number {
    this.#memory();
    return this.transmit.collectUsed().length;
  }

  /** v86's memory grows as its JIT needs more, and then lies elsewhere. */
  #memory(): DataView {
    const { wasm_memory, mem8 } = this.machine.cpu;
    const { ram } = this;
    if (ram.u8.buffer !== wasm_memory.buffer) {
      const place = [wasm_memory.buffer, mem8.byteOffset, LOW_RAM_BYTES] as const;
      Object.assign(ram, {
        u8: new Uint8Array(...place),
        view: new DataView(...place),
        u16: new Uint16Array(wasm_memory.buffer, mem8.byteOffset, LOW_RAM_BYTES / 2),
      });
    }
    return ram.view;
  }
}
