/**
 * One descriptor chain, read once from the ring into private memory and checked: what the guest changes afterwards
 * changes nothing here. A chain object is reused for every buffer; nothing is allocated per chain.
 */

import {
  FAULT_ADDRESS,
  FAULT_CHAIN_BYTES,
  FAULT_CHAIN_TOO_LONG,
  FAULT_INDIRECT_LENGTH,
  FAULT_INDIRECT_NESTED,
  FAULT_INDIRECT_NOT_NEGOTIATED,
  FAULT_INDIRECT_WITH_NEXT,
  FAULT_NEXT_OUT_OF_RANGE,
  FAULT_NONE,
  FAULT_READABLE_AFTER_WRITABLE,
} from "../faults.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  DESC_ADDR_HIGH,
  DESC_ADDR_LOW,
  DESC_BYTES,
  DESC_F_INDIRECT,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_FLAGS,
  DESC_LEN,
} from "../spec/split-ring.ts";

const TWO_POW_32 = 2 ** 32;
// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NOT_LAST_OR_INDIRECT = DESC_F_NEXT | DESC_F_INDIRECT;
const WRITABLE = DESC_F_WRITE;
const NO_FAULT = FAULT_NONE;

export class DescriptorChain {
  /** Index of the chain's first descriptor: what the used ring gives back. */
  head = 0;
  /** Segments, those of no bytes left out; the first `readableCount` are device-readable, the others writable. */
  count = 0;
  readableCount = 0;
  /** Descriptors that were read, empty ones too: what the walk has cost. */
  descriptors = 0;
  /** Byte offset in the guest's buffer, and length, of each segment. */
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;

  constructor(descriptorsMax: number) {
    this.offsets = new Uint32Array(descriptorsMax);
    this.lengths = new Uint32Array(descriptorsMax);
  }

  get readableBytes(): number {
    return this.#sum(0, this.readableCount);
  }

  get writableBytes(): number {
    return this.#sum(this.readableCount, this.count);
  }

  #sum(from: number, to: number): number {
    let bytes = 0;
    for (let segment = from; segment < to; segment++) bytes += this.lengths[segment]!;
    return bytes;
  }

  /**
   * Reads the chain that begins at descriptor `head` of the table at byte offset `table`.
   * Returns FAULT_NONE, or the first fault; then only `head` and `descriptors` mean anything.
   */
  read(memory: GuestMemory, table: number, size: number, head: number, indirectAllowed: boolean): number {
    this.head = head;
    const u32 = memory.u32;
    const index = (table >>> 2) + head * 4;
    const low = u32[index]!;
    const high = u32[index + 1]!;
    const length = u32[index + 2]!;
    const flagsAndNext = u32[index + 3]!;
    // Most addresses are below 4 GiB, where they stay integers.
    const address = high === 0 ? low : low + high * TWO_POW_32;
    if ((flagsAndNext & NOT_LAST_OR_INDIRECT) !== 0 || length === 0) {
      return this.#walk(memory, table, size, indirectAllowed, address, length, flagsAndNext);
    }
    // Most buffers are one descriptor.
    const offset = memory.translate(address, length);
    this.descriptors = 1;
    if (offset < 0) return FAULT_ADDRESS;
    this.count = 1;
    this.offsets[0] = offset;
    this.lengths[0] = length;
    this.readableCount = (flagsAndNext & WRITABLE) === 0 ? 1 : 0;
    return NO_FAULT;
  }

  /** Goes on from the first descriptor, whose fields are given: no word is read twice. */
  #walk(
    memory: GuestMemory,
    table: number,
    size: number,
    indirectAllowed: boolean,
    address: number,
    length: number,
    flagsAndNext: number,
  ): number {
    this.count = 0;
    this.readableCount = 0;
    this.descriptors = 0;
    let totalBytes = 0;
    let tableOffset = table;
    let entries = size;
    let indirect = false;
    for (;;) {
      let next = flagsAndNext >>> 16;
      if ((flagsAndNext & DESC_F_INDIRECT) !== 0) {
        // virtio 1.4 §2.7.5.3.1: no table inside a table, not without the feature, not together with NEXT.
        if (indirect) return FAULT_INDIRECT_NESTED;
        if (!indirectAllowed) return FAULT_INDIRECT_NOT_NEGOTIATED;
        if ((flagsAndNext & DESC_F_NEXT) !== 0) return FAULT_INDIRECT_WITH_NEXT;
        if (length === 0 || length % DESC_BYTES !== 0) return FAULT_INDIRECT_LENGTH;
        const offset = memory.translate(address, length);
        if (offset < 0) return FAULT_ADDRESS;
        // The WRITE flag of this descriptor says nothing (virtio 1.4 §2.7.5.3.2, SIND-1).
        indirect = true;
        tableOffset = offset;
        entries = length / DESC_BYTES;
        next = 0;
      } else {
        // More descriptors than the queue size is a loop, or a chain that §2.7.5.3.1 forbids: this ends every walk.
        if (this.descriptors === size) return FAULT_CHAIN_TOO_LONG;
        this.descriptors++;
        const fault = this.#append(memory, address, length, (flagsAndNext & DESC_F_WRITE) !== 0);
        if (fault !== FAULT_NONE) return fault;
        totalBytes += length;
        if (totalBytes > TWO_POW_32) return FAULT_CHAIN_BYTES;
        if ((flagsAndNext & DESC_F_NEXT) === 0) return FAULT_NONE;
        if (next >= entries) return FAULT_NEXT_OUT_OF_RANGE;
      }
      const at = tableOffset + next * DESC_BYTES;
      address = memory.loadU32(at + DESC_ADDR_LOW) + memory.loadU32(at + DESC_ADDR_HIGH) * TWO_POW_32;
      length = memory.loadU32(at + DESC_LEN);
      flagsAndNext = memory.loadU32(at + DESC_FLAGS);
    }
  }

  #append(memory: GuestMemory, address: number, length: number, writable: boolean): number {
    // The standard does not forbid an empty descriptor: it counts, and holds nothing.
    if (length === 0) return FAULT_NONE;
    const offset = memory.translate(address, length);
    if (offset < 0) return FAULT_ADDRESS;
    // virtio 1.4 §2.7.4.2: writable elements come after readable ones.
    if (!writable && this.count > this.readableCount) return FAULT_READABLE_AFTER_WRITABLE;
    this.offsets[this.count] = offset;
    this.lengths[this.count] = length;
    this.count++;
    if (!writable) this.readableCount++;
    return FAULT_NONE;
  }
}
