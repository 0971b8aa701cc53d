/**
 * One descriptor chain, read once from the ring into private memory and checked: what the guest changes afterwards
 * changes nothing here. A chain object is reused for every buffer; nothing is allocated per chain.
 *
 * Both rings are read here, and their descriptors checked by the same code. They differ in how a chain goes on: by
 * `next` in the split ring (virtio 1.4 §2.7.5), in ring order in the packed one (§2.8.6); and in indirect tables.
 */

import {
  FAULT_ADDRESS,
  FAULT_CHAIN_BYTES,
  FAULT_CHAIN_TOO_LONG,
  FAULT_CHAIN_UNENDED,
  FAULT_INDIRECT_LENGTH,
  FAULT_INDIRECT_NESTED,
  FAULT_INDIRECT_NOT_NEGOTIATED,
  FAULT_INDIRECT_WITH_NEXT,
  FAULT_NEXT_OUT_OF_RANGE,
  FAULT_NONE,
  FAULT_READABLE_AFTER_WRITABLE,
} from "../faults.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { PACKED_DESC_FLAGS, PACKED_DESC_ID, PACKED_F_AVAIL, PACKED_F_USED } from "../spec/packed-ring.ts";
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
// Room for buffers in pieces: a chain of usual buffers that each cross a page, or a 64 KiB one in pages of 4 KiB.
const PIECES_PER_DESCRIPTOR = 2;
const PIECES_SPARE = 32;
// V8 folds constants of this module into hot code, but looks imported ones up at every use. NEXT, WRITE and INDIRECT,
// address and length are the same in both rings.
const NOT_LAST_OR_INDIRECT = DESC_F_NEXT | DESC_F_INDIRECT;
const WRITABLE = DESC_F_WRITE;
const NO_FAULT = FAULT_NONE;
const OWNER_BITS = PACKED_F_AVAIL | PACKED_F_USED;
const PACKED_ID_16 = PACKED_DESC_ID >>> 1;
const PACKED_FLAGS_16 = PACKED_DESC_FLAGS >>> 1;

export class DescriptorChain {
  /** What gives the chain back: the index of its first descriptor in a split ring, its buffer id in a packed one. */
  head = 0;
  /** Slots of the packed ring that the chain occupies. */
  span = 0;
  /** Segments, those of no bytes left out; the first `readableCount` are device-readable, the others writable. */
  count = 0;
  readableCount = 0;
  /** Descriptors that were read, empty ones too: what the walk has cost. */
  descriptors = 0;
  /** Byte offset in the guest's buffer, and length, of each segment. An empty chain has a first length of 0. */
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  #totalBytes = 0;
  // Byte offset of the indirect table that was found last.
  #tableAt = 0;

  /** `inPieces`: the memory has a translator, behind which a buffer may lie in several pieces. */
  constructor(descriptorsMax: number, inPieces = false) {
    const segmentsMax = inPieces ? descriptorsMax * PIECES_PER_DESCRIPTOR + PIECES_SPARE : descriptorsMax;
    this.offsets = new Uint32Array(segmentsMax);
    this.lengths = new Uint32Array(segmentsMax);
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
   * Reads the chain that begins at descriptor `head` of the split ring's table at byte offset `table`.
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
    // Most buffers are one descriptor.
    if ((flagsAndNext & NOT_LAST_OR_INDIRECT) === 0 && length !== 0) {
      return this.#readOne(memory, address, length, flagsAndNext);
    }
    return this.#walk(memory, table, size, indirectAllowed, address, length, flagsAndNext);
  }

  /**
   * Reads the chain that begins at slot `slot` of the packed ring at byte offset `ring`. `flags` are those of its first
   * descriptor, which the caller has loaded and found available; `spanMax` (1 or more) slots are the driver's to fill.
   * Returns FAULT_NONE, or the first fault; then only `head`, `span` and `descriptors` mean anything, and after
   * FAULT_CHAIN_UNENDED, which leaves open where the next chain begins, not even `head` and `span`.
   */
  readPacked(
    memory: GuestMemory,
    ring: number,
    size: number,
    slot: number,
    flags: number,
    spanMax: number,
    indirectAllowed: boolean,
  ): number {
    const u32 = memory.u32;
    const index = (ring >>> 2) + slot * 4;
    const low = u32[index]!;
    const high = u32[index + 1]!;
    const length = u32[index + 2]!;
    const address = high === 0 ? low : low + high * TWO_POW_32;
    if ((flags & NOT_LAST_OR_INDIRECT) === 0 && length !== 0) {
      this.head = memory.u16[index * 2 + PACKED_ID_16]!;
      this.span = 1;
      return this.#readOne(memory, address, length, flags);
    }
    return this.#walkPacked(memory, ring, size, slot, flags, spanMax, indirectAllowed, address, length);
  }

  #readOne(memory: GuestMemory, address: number, length: number, flags: number): number {
    const offset = memory.translate(address, length, (flags & WRITABLE) !== 0);
    this.descriptors = 1;
    if (offset < 0)
      return memory.translator === null ? FAULT_ADDRESS : this.#readOneInPieces(memory, address, length, flags);
    this.count = 1;
    this.offsets[0] = offset;
    this.lengths[0] = length;
    this.readableCount = (flags & WRITABLE) === 0 ? 1 : 0;
    return NO_FAULT;
  }

  #readOneInPieces(memory: GuestMemory, address: number, length: number, flags: number): number {
    this.#begin();
    return this.#append(memory, address, length, flags);
  }

  /** Goes on from the first descriptor, whose fields are given: no word is read twice. */
  #walk(
    memory: GuestMemory,
    table: number,
    size: number,
    indirectAllowed: boolean,
    firstAddress: number,
    firstLength: number,
    firstFlagsAndNext: number,
  ): number {
    this.#begin();
    let address = firstAddress;
    let length = firstLength;
    let flagsAndNext = firstFlagsAndNext;
    let tableOffset = table;
    let entries = size;
    let indirect = false;
    for (;;) {
      let next = flagsAndNext >>> 16;
      if ((flagsAndNext & DESC_F_INDIRECT) !== 0) {
        // virtio 1.4 §2.7.5.3.1: no table inside a table.
        if (indirect) return FAULT_INDIRECT_NESTED;
        const fault = this.#findTable(memory, address, length, flagsAndNext, indirectAllowed);
        if (fault !== FAULT_NONE) return fault;
        indirect = true;
        tableOffset = this.#tableAt;
        entries = length / DESC_BYTES;
        next = 0;
      } else {
        // More descriptors than the queue size is a loop, or a chain that §2.7.5.3.1 forbids: this ends every walk.
        if (this.descriptors === size) return FAULT_CHAIN_TOO_LONG;
        const fault = this.#append(memory, address, length, flagsAndNext);
        if (fault !== FAULT_NONE) return fault;
        if ((flagsAndNext & DESC_F_NEXT) === 0) return FAULT_NONE;
        if (next >= entries) return FAULT_NEXT_OUT_OF_RANGE;
      }
      const at = tableOffset + next * DESC_BYTES;
      address = memory.loadU32(at + DESC_ADDR_LOW) + memory.loadU32(at + DESC_ADDR_HIGH) * TWO_POW_32;
      length = memory.loadU32(at + DESC_LEN);
      flagsAndNext = memory.loadU32(at + DESC_FLAGS);
    }
  }

  /**
   * The same in ring order. It goes on to the chain's end after a fault, for only the last descriptor has the buffer id
   * (§2.8.6), and the next chain begins behind it.
   */
  #walkPacked(
    memory: GuestMemory,
    ring: number,
    size: number,
    firstSlot: number,
    firstFlags: number,
    spanMax: number,
    indirectAllowed: boolean,
    firstAddress: number,
    firstLength: number,
  ): number {
    this.#begin();
    const { u16, u32 } = memory;
    let owner = firstFlags & OWNER_BITS;
    let slot = firstSlot;
    let index = (ring >>> 2) + slot * 4;
    let flags = firstFlags;
    let address = firstAddress;
    let length = firstLength;
    let fault: number = FAULT_NONE;
    for (let span = 1; ; span++) {
      if (fault !== FAULT_NONE) this.descriptors++;
      else if ((flags & DESC_F_INDIRECT) === 0) fault = this.#append(memory, address, length, flags);
      // §2.8.19: a table is a list by itself.
      else if (span > 1) fault = FAULT_INDIRECT_WITH_NEXT;
      else fault = this.#readPackedTable(memory, size, address, length, flags, indirectAllowed);
      if ((flags & DESC_F_NEXT) === 0) {
        this.head = u16[index * 2 + PACKED_ID_16]!;
        this.span = span;
        return fault;
      }
      if (span === spanMax) return FAULT_CHAIN_UNENDED;
      slot++;
      if (slot === size) {
        slot = 0;
        owner ^= OWNER_BITS;
      }
      index = (ring >>> 2) + slot * 4;
      flags = u16[index * 2 + PACKED_FLAGS_16]!;
      // §2.8.17: all of a list is available before its first descriptor is.
      if ((flags & OWNER_BITS) !== owner) return FAULT_CHAIN_UNENDED;
      address = u32[index]! + u32[index + 1]! * TWO_POW_32;
      length = u32[index + 2]!;
    }
  }

  /** §2.8.7: all entries of the table are the chain, in order; of their flags only WRITE counts. */
  #readPackedTable(
    memory: GuestMemory,
    size: number,
    address: number,
    length: number,
    flags: number,
    indirectAllowed: boolean,
  ): number {
    const fault = this.#findTable(memory, address, length, flags, indirectAllowed);
    if (fault !== FAULT_NONE) return fault;
    const entries = length / DESC_BYTES;
    // §2.8.5: no list is longer than the queue size.
    if (entries > size) return FAULT_CHAIN_TOO_LONG;
    for (let entry = 0; entry < entries; entry++) {
      const at = this.#tableAt + entry * DESC_BYTES;
      const entryAddress = memory.loadU32(at + DESC_ADDR_LOW) + memory.loadU32(at + DESC_ADDR_HIGH) * TWO_POW_32;
      const entryLength = memory.loadU32(at + DESC_LEN);
      const entryFlags = memory.loadU32(at + PACKED_DESC_ID) >>> 16;
      const entryFault = this.#append(memory, entryAddress, entryLength, entryFlags);
      if (entryFault !== FAULT_NONE) return entryFault;
    }
    return FAULT_NONE;
  }

  #begin(): void {
    this.count = 0;
    this.readableCount = 0;
    this.descriptors = 0;
    // What the chain before left here must not pass for a segment of an empty one.
    this.lengths[0] = 0;
    this.#totalBytes = 0;
  }

  /**
   * virtio 1.4 §2.7.5.3.1, §2.8.19: a table needs the feature, and is not together with NEXT. The WRITE flag of the
   * descriptor that refers to it says nothing (§2.7.5.3.2, SIND-1; §2.8.7).
   */
  #findTable(memory: GuestMemory, address: number, length: number, flags: number, allowed: boolean): number {
    if (!allowed) return FAULT_INDIRECT_NOT_NEGOTIATED;
    if ((flags & DESC_F_NEXT) !== 0) return FAULT_INDIRECT_WITH_NEXT;
    if (length === 0 || length % DESC_BYTES !== 0) return FAULT_INDIRECT_LENGTH;
    const offset = memory.translate(address, length, false);
    if (offset < 0) return FAULT_ADDRESS;
    this.#tableAt = offset;
    return FAULT_NONE;
  }

  #append(memory: GuestMemory, address: number, length: number, flags: number): number {
    this.descriptors++;
    // The standard does not forbid an empty descriptor: it counts, and holds nothing.
    if (length === 0) return FAULT_NONE;
    const writable = (flags & DESC_F_WRITE) !== 0;
    const offset = memory.translate(address, length, writable);
    if (offset < 0 && memory.translator === null) return FAULT_ADDRESS;
    // virtio 1.4 §2.7.4.2, §2.8.17: writable elements come after readable ones.
    if (!writable && this.count > this.readableCount) return FAULT_READABLE_AFTER_WRITABLE;
    if (offset >= 0) this.#addSegment(offset, length, writable);
    else if (!this.#addPieces(memory, address, length, writable)) return FAULT_ADDRESS;
    this.#totalBytes += length;
    return this.#totalBytes > TWO_POW_32 ? FAULT_CHAIN_BYTES : FAULT_NONE;
  }

  #addSegment(offset: number, length: number, writable: boolean): void {
    this.offsets[this.count] = offset;
    this.lengths[this.count] = length;
    this.count++;
    if (!writable) this.readableCount++;
  }

  /** False if a piece may not be accessed, or there are more than any driver needs: that bounds the walk. */
  #addPieces(memory: GuestMemory, address: number, length: number, writable: boolean): boolean {
    for (let done = 0; done < length; ) {
      const pieceBytes = memory.translatePiece(address + done, length - done, writable);
      if (pieceBytes <= 0 || this.count === this.offsets.length) return false;
      this.#addSegment(memory.pieceOffset, pieceBytes, writable);
      done += pieceBytes;
    }
    return true;
  }
}
