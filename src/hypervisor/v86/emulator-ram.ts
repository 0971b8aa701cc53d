/**
 * A v86 guest's memory, as the card sees it: RAM below and above the hole of the VGA, inside the emulator's wasm memory.
 *
 * v86 translates code to wasm, and must hear of every write to memory that did not come from its CPU, or it would go on
 * running what was there before. It is told when the card is given a place to write to, before anything is written: the
 * card works between two stretches of instructions, so nothing can be translated anew in between.
 */

import { GuestMemory, type MemoryRegion } from "../../device/index.ts";
import type { EmulatorCpu } from "./emulator.ts";

const VGA_START = 0xa0000;
const VGA_END = 0xc0000;

export class EmulatorRam extends GuestMemory {
  readonly #cpu: EmulatorCpu;

  constructor(cpu: EmulatorCpu) {
    super(cpu.wasm_memory.buffer, regionsOf(cpu));
    this.#cpu = cpu;
  }

  /** Follows the wasm memory, which detaches its buffer when it grows. To be called before the card is. */
  follow(): void {
    const { buffer } = this.#cpu.wasm_memory;
    if (buffer !== this.u8.buffer) this.rebind(buffer);
  }

  override translate(address: number, lengthBytes: number, write = false): number {
    const offset = super.translate(address, lengthBytes, write);
    // The short cut of whoever takes many buffers must not pass this by.
    this.nearBytes = 0;
    if (write && offset >= 0 && lengthBytes > 0) this.#cpu.jit_dirty_cache(address, address + lengthBytes);
    return offset;
  }
}

function regionsOf({ memory_size, mem8 }: EmulatorCpu): MemoryRegion[] {
  const sizeBytes = memory_size[0]!;
  const { byteOffset } = mem8;
  return [
    { guestAddress: 0, sizeBytes: VGA_START, byteOffset },
    { guestAddress: VGA_END, sizeBytes: sizeBytes - VGA_END, byteOffset: byteOffset + VGA_END },
  ];
}
