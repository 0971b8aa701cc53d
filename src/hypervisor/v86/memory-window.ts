/**
 * A BAR in memory space.
 *
 * v86 breaks accesses of 16 bits into two of 8. They are joined here, for a register of 16 bits has no halves: a queue
 * notification written in two would kick a wrong queue first.
 */

import type { PciTransport } from "../../device/index.ts";
import type { EmulatorCpu } from "./emulator.ts";
import { type MappedRange, mapRange } from "./memory-blocks.ts";

const NOTHING_HELD = -1;

export class MemoryWindow implements MappedRange {
  /** Where it lies; null while the guest has not put it anywhere, or where RAM is. */
  address: number | null = null;
  readonly #cpu: EmulatorCpu;
  readonly #transport: PciTransport;
  readonly #bar: number;
  readonly #sizeBytes: number;
  readonly #isWord: (offset: number) => boolean;
  readonly #nowNs: () => number;
  #giveBack: (() => void) | null = null;
  // The first half of an access of 16 bits: its offset, and what was written, or the half that is still to be read.
  #writtenAt = NOTHING_HELD;
  #written = 0;
  #readAt = NOTHING_HELD;
  #read = 0;

  /** @param isWord true if there is a register of 16 bits at an offset: an access of 8 bits to it is half of one of 16 */
  constructor(
    cpu: EmulatorCpu,
    transport: PciTransport,
    bar: number,
    sizeBytes: number,
    isWord: (offset: number) => boolean,
    nowNs: () => number,
  ) {
    this.#cpu = cpu;
    this.#transport = transport;
    this.#bar = bar;
    this.#sizeBytes = sizeBytes;
    this.#isWord = isWord;
    this.#nowNs = nowNs;
  }

  /** Puts it to `address`, or nowhere. */
  move(address: number | null): void {
    if (address === this.address) return;
    this.#giveBack?.();
    this.#giveBack = null;
    this.address = address !== null && this.#isFree(address) ? address : null;
    if (this.address !== null) this.#giveBack = mapRange(this.#cpu, this, this.address, this.#sizeBytes);
  }

  #isFree(address: number): boolean {
    return address >= this.#cpu.memory_size[0]! && address + this.#sizeBytes <= 2 ** 32;
  }

  has(at: number): boolean {
    return this.address !== null && this.#offset(at) < this.#sizeBytes;
  }

  #offset(at: number): number {
    return ((at >>> 0) - this.address!) >>> 0;
  }

  read8(at: number): number {
    const offset = this.#offset(at);
    this.#writtenAt = NOTHING_HELD;
    if (!this.#isWord(offset & ~1)) return this.#transport.readBar(this.#bar, offset, 1, this.#nowNs());
    if ((offset & 1) === 1 && this.#readAt === offset - 1) {
      this.#readAt = NOTHING_HELD;
      return this.#read;
    }
    const value = this.#transport.readBar(this.#bar, offset & ~1, 2, this.#nowNs());
    this.#readAt = offset;
    this.#read = value >>> 8;
    return (offset & 1) === 0 ? value & 0xff : this.#read;
  }

  read32(at: number): number {
    this.#writtenAt = NOTHING_HELD;
    return this.#transport.readBar(this.#bar, this.#offset(at), 4, this.#nowNs()) | 0;
  }

  write8(at: number, value: number): void {
    const offset = this.#offset(at);
    this.#readAt = NOTHING_HELD;
    const joins = (offset & 1) === 1 && this.#writtenAt === offset - 1;
    const low = this.#written;
    this.#writtenAt = NOTHING_HELD;
    if (joins) this.#transport.writeBar(this.#bar, offset - 1, 2, low | ((value & 0xff) << 8), this.#nowNs());
    else if ((offset & 1) === 0 && this.#isWord(offset & ~1)) {
      this.#writtenAt = offset;
      this.#written = value & 0xff;
    } else this.#transport.writeBar(this.#bar, offset, 1, value & 0xff, this.#nowNs());
  }

  write32(at: number, value: number): void {
    this.#readAt = NOTHING_HELD;
    this.#writtenAt = NOTHING_HELD;
    this.#transport.writeBar(this.#bar, this.#offset(at), 4, value >>> 0, this.#nowNs());
  }
}
