/**
 * The blocks of 128 KiB in which v86 hands out the addresses above RAM. A block may hold several windows; what lies
 * outside of them goes on to whoever had the block before. The guest moves its windows as often as it likes, so a block
 * is taken once for all that lie in it: layers upon layers would end in an overflow of the emulator's stack.
 */

import type { EmulatorCpu } from "./emulator.ts";

const BLOCK_BITS = 17;

/** A range of addresses above RAM. Addresses come as signed words. */
export interface MappedRange {
  has(at: number): boolean;
  read8(at: number): number;
  read32(at: number): number;
  write8(at: number, value: number): void;
  write32(at: number, value: number): void;
}

const layers = new WeakMap<EmulatorCpu, Map<number, Layer>>();

/** Leads accesses to the range's blocks to it, at `address … address + sizeBytes`; what it returns takes that back. */
export function mapRange(cpu: EmulatorCpu, range: MappedRange, address: number, sizeBytes: number): () => void {
  let ours = layers.get(cpu);
  if (ours === undefined) {
    ours = new Map();
    layers.set(cpu, ours);
  }
  const taken: Layer[] = [];
  const last = (address + sizeBytes - 1) >>> BLOCK_BITS;
  for (let block = address >>> BLOCK_BITS; block <= last; block++) {
    let layer = ours.get(block);
    // Somebody may have registered the block since, over ours.
    if (layer === undefined || !layer.isOnTop) {
      layer = new Layer(cpu, block);
      ours.set(block, layer);
    }
    layer.ranges.push(range);
    taken.push(layer);
  }
  return () => {
    for (const layer of taken) layer.remove(range);
  };
}

/** Our handlers of one block, above those that were there. */
class Layer {
  readonly ranges: MappedRange[] = [];
  readonly #cpu: EmulatorCpu;
  readonly #block: number;
  readonly #before: Handlers;
  readonly #handlers: Handlers;

  constructor(cpu: EmulatorCpu, block: number) {
    this.#cpu = cpu;
    this.#block = block;
    const before: Handlers = {
      read8: cpu.memory_map_read8[block]!,
      read32: cpu.memory_map_read32[block]!,
      write8: cpu.memory_map_write8[block]!,
      write32: cpu.memory_map_write32[block]!,
    };
    this.#before = before;
    this.#handlers = {
      read8: (at) => (this.#rangeAt(at) ?? before).read8(at),
      read32: (at) => (this.#rangeAt(at) ?? before).read32(at),
      write8: (at, value) => (this.#rangeAt(at) ?? before).write8(at, value),
      write32: (at, value) => (this.#rangeAt(at) ?? before).write32(at, value),
    };
    this.#install(this.#handlers);
  }

  get isOnTop(): boolean {
    return this.#cpu.memory_map_read8[this.#block] === this.#handlers.read8;
  }

  /** If somebody has come after us, the empty layer stays in their chain, and passes everything on. */
  remove(range: MappedRange): void {
    this.ranges.splice(this.ranges.indexOf(range), 1);
    if (this.ranges.length > 0 || !this.isOnTop) return;
    this.#install(this.#before);
    layers.get(this.#cpu)!.delete(this.#block);
  }

  #rangeAt(at: number): MappedRange | undefined {
    // The one that came last wins, as with layers.
    for (let i = this.ranges.length - 1; i >= 0; i--) if (this.ranges[i]!.has(at)) return this.ranges[i];
    return undefined;
  }

  #install({ read8, read32, write8, write32 }: Handlers): void {
    this.#cpu.memory_map_read8[this.#block] = read8;
    this.#cpu.memory_map_read32[this.#block] = read32;
    this.#cpu.memory_map_write8[this.#block] = write8;
    this.#cpu.memory_map_write32[this.#block] = write32;
  }
}

type Handlers = Omit<MappedRange, "has">;
