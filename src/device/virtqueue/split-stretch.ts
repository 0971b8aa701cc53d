/**
 * Plain chains of a split ring, one after the other (virtio 1.4 §2.7). Chains are used in the order in which they are
 * taken, so entries of both rings are at the same slot, and both lie side by side up to the ring's end.
 *
 * Used elements are written plainly; the driver sees none of them before the queue publishes `used.idx`.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE } from "../spec/split-ring.ts";
import { copyOrUndo, NO_CHAIN, putByTake, type Stretch } from "./stretch.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NONE = NO_CHAIN;
const WRITE = DESC_F_WRITE;
const FLAGS_KNOWN = DESC_F_NEXT | DESC_F_WRITE | DESC_F_INDIRECT;
const TWO_POW_32 = 2 ** 32;

export class SplitStretch implements Stretch {
  lengthBytes = 0;
  failedBytes = 0;
  declare readonly memory: GuestMemory;
  #size = 0;
  // Index of the descriptor table in the i32 view.
  #table = 0;
  // Indices in the u16 view: the available entries from the first one on, the next one, and where they end.
  #first = 0;
  #next = 0;
  #end = 0;
  // Index in the i32 view of a used element, less twice the index of its available entry.
  #usedElements = 0;
  // Those of a plain chain.
  #flags = 0;

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  get used(): number {
    return this.#next - this.#first;
  }

  get spent(): boolean {
    return this.#next >= this.#end;
  }

  /** A queue of `size` entries begins, whose table is at byte offset `table`. */
  begin(size: number, table: number): void {
    this.#size = size;
    this.#table = table >>> 2;
  }

  /** `availRing` and `usedRing` are the indices of the first available entry and used element, in the u16 and i32 views. */
  open(availRing: number, usedRing: number, count: number, writable: boolean): void {
    this.#first = availRing;
    this.#next = availRing;
    this.#end = availRing + count;
    this.failedBytes = 0;
    this.#usedElements = usedRing - 2 * availRing;
    this.#flags = writable ? WRITE : 0;
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

  /**
   * One straight line for the chains of nearly every driver, those where memory was accessed last: V8 keeps what it
   * knows of the arrays from one end to the other. Signed words, and `| 0`, let it do without checks for overflow.
   */
  take(neededBytes: number, usedBytes: number): number {
    const at = this.#next;
    if (at >= this.#end) return NONE;
    const { u16, i32, nearAddress, nearBytes, nearOffset } = this.memory;
    const head = u16[at]!;
    if (head >= this.#size) return NONE;
    const index = (this.#table + (head << 2)) | 0;
    const inRegion = (i32[index]! - nearAddress) | 0;
    const lengthBytes = i32[index + 2]!;
    // The high word of an address that is near is 0, and its length a positive signed word.
    const other = ((i32[index + 3]! & FLAGS_KNOWN) ^ this.#flags) | i32[index + 1]!;
    if ((other | (inRegion >> 31)) !== 0 || lengthBytes < neededBytes || lengthBytes > nearBytes - inRegion) {
      return this.#takeFar(at, head, neededBytes, usedBytes);
    }
    const element = (this.#usedElements + (at << 1)) | 0;
    i32[element] = head;
    i32[element + 1] = usedBytes;
    this.lengthBytes = lengthBytes;
    this.#next = (at + 1) | 0;
    return (nearOffset + inRegion) | 0;
  }

  /** The same for a chain that lies anywhere. What its descriptor says is read anew, and nothing kept from before. */
  #takeFar(at: number, head: number, neededBytes: number, usedBytes: number): number {
    const { u32 } = this.memory;
    const index = this.#table + head * 4;
    const lengthBytes = u32[index + 2]!;
    if ((u32[index + 3]! & FLAGS_KNOWN) !== this.#flags || lengthBytes < neededBytes) return NONE;
    const address = u32[index]! + u32[index + 1]! * TWO_POW_32;
    const offset = this.memory.translate(address, lengthBytes, (this.#flags & WRITE) !== 0);
    if (offset < 0) return NONE;
    const element = this.#usedElements + at * 2;
    u32[element] = head;
    u32[element + 1] = usedBytes;
    this.lengthBytes = lengthBytes;
    this.#next = at + 1;
    return offset;
  }

  /**
   * `take` once more, with the writing inside: one line from the ring to the copy, which comes last, for V8 knows nothing of
   * objects any more behind a call. A received frame of 64 bytes costs 3 to 5 % less so.
   */
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
    const { u16, i32, nearAddress, nearBytes, nearOffset } = memory;
    const head = u16[at]!;
    if (head >= this.#size) return false;
    const usedBytes = (headerBytes + lengthBytes) | 0;
    const index = (this.#table + (head << 2)) | 0;
    const inRegion = (i32[index]! - nearAddress) | 0;
    const roomBytes = i32[index + 2]!;
    const offset = (nearOffset + inRegion) | 0;
    const other = ((i32[index + 3]! & FLAGS_KNOWN) ^ WRITE) | i32[index + 1]! | (offset & 3);
    if ((other | (inRegion >> 31)) !== 0 || roomBytes < usedBytes || roomBytes > nearBytes - inRegion) {
      return putByTake(this, word0, word1, word2, headerBytes, bytes, srcOffset, lengthBytes);
    }
    const element = (this.#usedElements + (at << 1)) | 0;
    i32[element] = head;
    i32[element + 1] = usedBytes;
    this.#next = (at + 1) | 0;
    const header = offset >> 2;
    i32[header] = word0;
    i32[header + 1] = word1;
    i32[header + 2] = word2;
    copyOrUndo(this, bytes, srcOffset, (offset + headerBytes) | 0, lengthBytes);
    return true;
  }

  undo(): void {
    this.#next--;
  }
}
