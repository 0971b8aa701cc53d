/**
 * Plain chains of a packed ring, one after the other (virtio 1.4 §2.8). Each is one slot: the used descriptor is written
 * over it, and keeps the id that the driver has put there. A turn of the ring ends a stretch, so that all of them have
 * the same flags.
 *
 * The race: of used descriptors in mid-batch, the driver sees nothing, for it polls the first one of the batch, whose
 * flags the queue stores last, when it publishes (§2.8.2). So the plain flags of the others may be written, and taken
 * back, before.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  PACKED_DESC_FLAGS,
  PACKED_F_AVAIL,
  PACKED_F_INDIRECT,
  PACKED_F_NEXT,
  PACKED_F_USED,
  PACKED_F_WRITE,
} from "../spec/packed-ring.ts";
import { copyOrUndo, NO_CHAIN, putByTake, type Stretch } from "./stretch.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NONE = NO_CHAIN;
const WRITE = PACKED_F_WRITE;
const OWNER_BITS = PACKED_F_AVAIL | PACKED_F_USED;
const FLAGS_KNOWN = OWNER_BITS | PACKED_F_NEXT | PACKED_F_WRITE | PACKED_F_INDIRECT;
const FLAGS_AT = PACKED_DESC_FLAGS;
const TWO_POW_32 = 2 ** 32;
/** A descriptor is four words, as a shift: two of address, one of length, one with the id below and the flags above. */
const DESC_SHIFT = 2;
const ID = 0xffff;

export class PackedStretch implements Stretch {
  lengthBytes = 0;
  failedBytes = 0;
  declare readonly memory: GuestMemory;
  // Indices in the i32 view: the descriptors from the first one on, the next one, and where they end.
  #first = 0;
  #next = 0;
  #end = 0;
  // The descriptor whose flags show the batch, and are left to the queue; -1 if it came before.
  #shown = -1;
  // The flags of a plain chain that is available, and those of a used one, in the upper half of a word.
  #available = 0;
  #used = 0;

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  get used(): number {
    return (this.#next - this.#first) >> DESC_SHIFT;
  }

  /** True if its chains are device-writable. */
  get writable(): boolean {
    return (this.#available & WRITE) !== 0;
  }

  get spent(): boolean {
    return this.#next >= this.#end;
  }

  /**
   * Begins at the descriptor at byte offset `at`, available if AVAIL and USED look like `owner`. `beginsBatch`: nothing
   * was used before that is not published.
   */
  open(at: number, count: number, owner: number, writable: boolean, beginsBatch: boolean): void {
    this.#first = at >>> 2;
    this.#next = this.#first;
    this.#end = this.#first + (count << DESC_SHIFT);
    this.failedBytes = 0;
    this.#shown = beginsBatch ? this.#first : -1;
    this.#available = writable ? owner | WRITE : owner;
    // §2.8.1: of a used descriptor both bits are as the device's wrap counter, which AVAIL alone shows in an available one.
    const bothBits = (owner & PACKED_F_AVAIL) === 0 ? 0 : OWNER_BITS;
    this.#used = (writable ? bothBits | WRITE : bothBits) << 16;
  }

  /** Takes no more; what was used stays used. */
  cut(): void {
    this.#end = this.#next;
  }

  forget(): void {
    this.#first = 0;
    this.#next = 0;
    this.#end = 0;
    this.failedBytes = 0;
  }

  /** One straight line for chains where memory was accessed last, as in a split ring. */
  take(neededBytes: number, usedBytes: number): number {
    const at = this.#next;
    if (at >= this.#end) return NONE;
    const memory = this.memory;
    // Before the flags say so, nothing else may be looked at: the driver may be writing it.
    if ((memory.loadAcquireU16((at << 2) + FLAGS_AT) & FLAGS_KNOWN) !== this.#available) return NONE;
    const { i32, nearAddress, nearBytes, nearOffset } = memory;
    const inRegion = (i32[at]! - nearAddress) | 0;
    const lengthBytes = i32[at + 2]!;
    // The high word of an address that is near is 0, and its length a positive signed word.
    if (i32[at + 1] !== 0 || inRegion < 0 || lengthBytes < neededBytes || lengthBytes > nearBytes - inRegion) {
      return this.#takeFar(at, neededBytes, usedBytes);
    }
    i32[at + 2] = usedBytes;
    if (at !== this.#shown) i32[at + 3] = (i32[at + 3]! & ID) | this.#used;
    this.lengthBytes = lengthBytes;
    this.#next = (at + 4) | 0;
    return (nearOffset + inRegion) | 0;
  }

  /** The same for a chain that is available and lies anywhere. What it says is read anew, and nothing kept from before. */
  #takeFar(at: number, neededBytes: number, usedBytes: number): number {
    const { u32 } = this.memory;
    const lengthBytes = u32[at + 2]!;
    if (lengthBytes < neededBytes) return NONE;
    const address = u32[at]! + u32[at + 1]! * TWO_POW_32;
    const offset = this.memory.translate(address, lengthBytes, this.writable);
    if (offset < 0) return NONE;
    u32[at + 2] = usedBytes;
    if (at !== this.#shown) u32[at + 3] = (u32[at + 3]! & ID) | this.#used;
    this.lengthBytes = lengthBytes;
    this.#next = at + 4;
    return offset;
  }

  /** `take` once more, with the writing inside, as in a split ring. */
  put(
    word0: number,
    word1: number,
    word2: number,
    headerBytes: number,
    bytes: Uint8Array,
    srcOffset: number,
    lengthBytes: number,
  ): boolean {
    const at = this.#next;
    if (at >= this.#end) return false;
    const { memory } = this;
    if ((memory.loadAcquireU16((at << 2) + FLAGS_AT) & FLAGS_KNOWN) !== this.#available) return false;
    const { i32, nearAddress, nearBytes, nearOffset } = memory;
    const usedBytes = (headerBytes + lengthBytes) | 0;
    const inRegion = (i32[at]! - nearAddress) | 0;
    const roomBytes = i32[at + 2]!;
    const offset = (nearOffset + inRegion) | 0;
    const other = i32[at + 1]! | (inRegion >> 31) | (offset & 3);
    if (other !== 0 || roomBytes < usedBytes || roomBytes > nearBytes - inRegion) {
      return putByTake(this, word0, word1, word2, headerBytes, bytes, srcOffset, lengthBytes);
    }
    i32[at + 2] = usedBytes;
    if (at !== this.#shown) i32[at + 3] = (i32[at + 3]! & ID) | this.#used;
    this.lengthBytes = roomBytes;
    this.#next = (at + 4) | 0;
    const header = offset >> 2;
    i32[header] = word0;
    i32[header + 1] = word1;
    i32[header + 2] = word2;
    copyOrUndo(this, bytes, srcOffset, (offset + headerBytes) | 0, lengthBytes);
    return true;
  }

  undo(): void {
    const { u32 } = this.memory;
    const at = this.#next - 4;
    u32[at + 2] = this.lengthBytes;
    if (at !== this.#shown) u32[at + 3] = (u32[at + 3]! & ID) | (this.#available << 16);
    this.#next = at;
  }
}
