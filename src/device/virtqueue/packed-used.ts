/**
 * The used side of a packed ring (virtio 1.4 §2.8): chains that are taken, oldest first, and the used descriptors that
 * are written over them.
 *
 * Chains have running numbers, mod 2^16. Those from `published` to the next to be used make the batch, whose first
 * descriptor shows all of it; those behind are in the card's hands.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  PACKED_DESC_BYTES,
  PACKED_DESC_FLAGS,
  PACKED_DESC_ID,
  PACKED_DESC_LEN,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_F_WRITE,
} from "../spec/packed-ring.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const OWNER_BITS = PACKED_F_AVAIL | PACKED_F_USED;
const WRITTEN = PACKED_F_WRITE;
const DESC_BYTES = PACKED_DESC_BYTES;
const LEN_AT = PACKED_DESC_LEN;
const ID_AT = PACKED_DESC_ID;
const FLAGS_AT = PACKED_DESC_FLAGS;

export class PackedUsed {
  /** Running count of used descriptors, as published. The ring has no such index; the throttle counts by it. */
  published = 0;
  readonly #memory: GuestMemory;
  // Byte offset of the ring in the buffer.
  #ring = 0;
  #size = 0;
  // The next slot to write a used descriptor to, and its flags.
  #slot = 0;
  #flags = OWNER_BITS;
  // Slots of each chain that is taken and not used, by its running number; of the next to be taken, and to be used.
  #spans = new Uint16Array(0);
  #spanMask = 0;
  #nextTaken = 0;
  #nextUsed = 0;
  // The batch: the flags that will show it, and the slots that its chains occupy.
  #firstFlagsAt = 0;
  #firstFlags = 0;
  #batchSlots = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** A queue of `size` slots begins; `ring` is a byte offset in the buffer. */
  begin(ring: number, size: number): void {
    this.#ring = ring;
    this.#size = size;
    if (this.#spans.length < size) this.#spans = new Uint16Array(2 ** Math.ceil(Math.log2(size)));
    this.#spanMask = this.#spans.length - 1;
    this.moveTo(0, true, 0);
  }

  /** Nothing is taken; the next used descriptor goes to `slot` in a turn of wrap counter `wrap`, and has number `usedIdx`. */
  moveTo(slot: number, wrap: boolean, usedIdx: number): void {
    this.#slot = slot;
    this.#flags = wrap ? OWNER_BITS : 0;
    this.published = usedIdx;
    this.#nextTaken = usedIdx;
    this.#nextUsed = usedIdx;
    this.#batchSlots = 0;
  }

  /** Chains that are taken and not used. */
  get inHand(): number {
    return (this.#nextTaken - this.#nextUsed) & 0xffff;
  }

  /** True if all chains that were taken are used, and all that were used are published. */
  get settled(): boolean {
    return this.#nextTaken === this.published;
  }

  /** True if nothing is used that is not published: the next used descriptor begins a batch. */
  get batchEmpty(): boolean {
    return this.#nextUsed === this.published;
  }

  /** A chain of `span` slots was taken. */
  taken(span: number): void {
    this.#spans[this.#nextTaken & this.#spanMask] = span;
    this.#nextTaken = (this.#nextTaken + 1) & 0xffff;
  }

  /** The last chain taken is given back; returns how many slots it has. */
  givenBack(): number {
    this.#nextTaken = (this.#nextTaken - 1) & 0xffff;
    return this.#spans[this.#nextTaken & this.#spanMask]!;
  }

  /** Writes one used descriptor, over the first of the oldest chain that is taken and not used. */
  push(id: number, lengthBytes: number): void {
    const memory = this.#memory;
    const slot = this.#slot;
    const at = this.#ring + slot * DESC_BYTES;
    memory.u32[(at + LEN_AT) >>> 2] = lengthBytes;
    memory.u16[(at + ID_AT) >>> 1] = id;
    // §2.8.3: WRITE says whether anything was written, and that the length means something.
    const flags = lengthBytes === 0 ? this.#flags : this.#flags | WRITTEN;
    if (this.batchEmpty) {
      this.#firstFlagsAt = at + FLAGS_AT;
      this.#firstFlags = flags;
    } else {
      memory.u16[(at + FLAGS_AT) >>> 1] = flags;
    }
    const span = this.#spans[this.#nextUsed & this.#spanMask]!;
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    this.#advance(slot + span, span);
  }

  /** `count` chains of one slot were taken and used. Their used descriptors are written, all but the flags that show a batch. */
  pushStretch(count: number, writable: boolean): void {
    if (this.batchEmpty) {
      this.#firstFlagsAt = this.#ring + this.#slot * DESC_BYTES + FLAGS_AT;
      this.#firstFlags = writable ? this.#flags | WRITTEN : this.#flags;
    }
    this.#nextTaken = (this.#nextTaken + count) & 0xffff;
    this.#nextUsed = (this.#nextUsed + count) & 0xffff;
    this.#advance(this.#slot + count, count);
  }

  /** The next used descriptor goes to `slot`, which may lie beyond the end of the ring; `span` slots were used. */
  #advance(slot: number, span: number): void {
    this.#batchSlots += span;
    if (slot < this.#size) {
      this.#slot = slot;
    } else {
      this.#slot = slot - this.#size;
      this.#flags ^= OWNER_BITS;
    }
  }

  /**
   * Shows the driver all used descriptors that were written since the last time; returns how many slots their chains have,
   * 0 if there are none.
   *
   * The race: the driver polls the slot after the last used descriptor that it knows (§2.8.2), which is the first of
   * this batch, while the rest of the batch is written. The flags there are stored last, by an Atomics store, so that
   * the driver that sees them sees all of the batch; the plain flags of the others mean nothing to it before.
   */
  publish(): number {
    const slots = this.#batchSlots;
    if (slots === 0) return 0;
    this.published = this.#nextUsed;
    this.#batchSlots = 0;
    this.#memory.storeReleaseU16(this.#firstFlagsAt, this.#firstFlags);
    return slots;
  }
}
