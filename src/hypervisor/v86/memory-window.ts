/**
 * A BAR in memory space. v86 hands out the addresses above RAM in blocks of 128 KiB; a block may hold several BARs, so
 * what lies outside of this one goes on to whoever had the block before.
 *
 * v86 breaks accesses of 16 bits into two of 8. They are joined here, for a register of 16 bits has no halves: a queue
 * notification written in two would kick a wrong queue first.
 */

import type { PciTransport } from "../../device/index.ts";
import type { EmulatorCpu } from "./emulator.ts";

const BLOCK_BITS = 17;
const NOTHING_HELD = -1;
export class MemoryWindow {
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
    if (this.address !== null) this.#giveBack = this.#claim(this.address);
  }

  #isFree(address: number): boolean {
    return address >= this.#cpu.memory_size[0]! && address + this.#sizeBytes <= 2 ** 32;
  }

  /** Takes the blocks at `address`; what it returns gives them back. */
  #claim(address: number): () => void {
    const { memory_map_read8, memory_map_write8, memory_map_read32, memory_map_write32 } = this.#cpu;
    const first = address >>> BLOCK_BITS;
    const count = ((address + this.#sizeBytes - 1) >>> BLOCK_BITS) - first + 1;
    const maps = [memory_map_read8, memory_map_write8, memory_map_read32, memory_map_write32] as const;
    const before = maps.map((map) => map.slice(first, first + count));
    for (let block = first; block < first + count; block++) {
      const read8 = memory_map_read8[block]!;
      const write8 = memory_map_write8[block]!;
      const read32 = memory_map_read32[block]!;
      const write32 = memory_map_write32[block]!;
      memory_map_read8[block] = (at) => (this.#has(at) ? this.#read8(this.#offset(at)) : read8(at));
      memory_map_read32[block] = (at) => (this.#has(at) ? this.#read32(this.#offset(at)) : read32(at));
      memory_map_write8[block] = (at, value) => {
        if (this.#has(at)) this.#write8(this.#offset(at), value);
        else write8(at, value);
      };
      memory_map_write32[block] = (at, value) => {
        if (this.#has(at)) this.#write32(this.#offset(at), value);
        else write32(at, value);
      };
    }
    const mine = maps.map((map) => map.slice(first, first + count));
    return () => {
      for (const [i, map] of maps.entries()) {
        for (let block = 0; block < count; block++) {
          // If somebody has come after us, ours stay in their chain, and pass everything on.
          if (map[first + block] === mine[i]![block]) (map as unknown[])[first + block] = before[i]![block];
        }
      }
    };
  }

  /** Addresses come as signed words. */
  #has(at: number): boolean {
    return this.address !== null && this.#offset(at) < this.#sizeBytes;
  }

  #offset(at: number): number {
    return ((at >>> 0) - this.address!) >>> 0;
  }

  #read8(offset: number): number {
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

  #read32(offset: number): number {
    this.#writtenAt = NOTHING_HELD;
    return this.#transport.readBar(this.#bar, offset, 4, this.#nowNs()) | 0;
  }

  #write8(offset: number, value: number): void {
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

  #write32(offset: number, value: number): void {
    this.#readAt = NOTHING_HELD;
    this.#writtenAt = NOTHING_HELD;
    this.#transport.writeBar(this.#bar, offset, 4, value >>> 0, this.#nowNs());
  }
}
