/**
 * Event suppression of a packed virtqueue (virtio 1.4 §2.8.10, §2.8.14): which used buffers the driver wants to hear
 * of, which it reads from the driver area; and for which available buffers it is to kick, which the device area says.
 *
 * Events name a position: a slot together with a wrap counter, here 0 … 2 × size − 1, the turn with counter 1 first.
 * Driver and device are never more than one turn apart, so that two turns tell ahead from behind.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  EVENT_FLAGS,
  EVENT_FLAGS_DESC,
  EVENT_FLAGS_DISABLE,
  EVENT_FLAGS_ENABLE,
  EVENT_FLAGS_MASK,
  EVENT_OFF_WRAP,
  EVENT_OFFSET_MASK,
  EVENT_WRAP,
} from "../spec/packed-ring.ts";

export class PackedEvents {
  readonly #memory: GuestMemory;
  // Byte offsets of the two areas in the buffer.
  #driverArea = 0;
  #deviceArea = 0;
  #eventIdx = false;
  #size = 0;
  // Position of the next used descriptor, and slots used in all, mod 2^32; both as published.
  #position = 0;
  #slots = 0;
  // Slots used in all when the running count of used descriptors had each of its last values.
  #slotsAt = new Uint32Array(0);
  #mask = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** A queue of `size` slots begins, at position 0; the areas are byte offsets in the buffer. */
  begin(size: number, driverArea: number, deviceArea: number, eventIdx: boolean): void {
    this.#size = size;
    this.#driverArea = driverArea;
    this.#deviceArea = deviceArea;
    this.#eventIdx = eventIdx;
    if (this.#slotsAt.length < size) this.#slotsAt = new Uint32Array(2 ** Math.ceil(Math.log2(size)));
    this.#mask = this.#slotsAt.length - 1;
    this.moveTo(0, 0);
  }

  /** The next used descriptor is at `position`, the count `usedIdx`; how far it was before from any other is unknown. */
  moveTo(position: number, usedIdx: number): void {
    this.#position = position;
    this.#slots = this.#size;
    this.#slotsAt.fill(0);
    this.#slotsAt[usedIdx & this.#mask] = this.#slots;
  }

  /** Position of the next used descriptor, as published. */
  get position(): number {
    return this.#position;
  }

  /** A batch of used descriptors that stand for `slots` slots is published: their count is now `usedIdx`, mod 2^16. */
  advance(usedIdx: number, slots: number): void {
    const position = this.#position + slots;
    const turns = 2 * this.#size;
    this.#position = position >= turns ? position - turns : position;
    this.#slots = (this.#slots + slots) >>> 0;
    this.#slotsAt[usedIdx & this.#mask] = this.#slots;
  }

  /**
   * True if the driver wants an interrupt for the used descriptors from `sinceUsedIdx`, a past count, up to `usedIdx`.
   *
   * The race is that of the split ring: we store a used descriptor's flags, then load the event; the driver stores the
   * event, then loads the flags of the next used descriptor. All four are Atomics, so that one of the two sees the
   * other's store. The event's flags are loaded before its `off_wrap`, which the driver stores first.
   */
  wantsInterrupt(usedIdx: number, sinceUsedIdx: number): boolean {
    const flags = this.#loadFlags();
    // The reserved value, and DESC without the feature, forbid nothing.
    if (flags !== EVENT_FLAGS_DESC || !this.#eventIdx) return flags !== EVENT_FLAGS_DISABLE;
    const behind = this.#slotsBehind();
    // More than a turn behind is ahead: the driver has read what was used there, and waits for what comes.
    if (behind >= this.#size) return false;
    // Each used descriptor stands for a slot or more, so this many reach as far back as events do.
    if (((usedIdx - sinceUsedIdx) & 0xffff) > this.#mask) return true;
    return behind < (this.#slots - this.#slotsAt[sinceUsedIdx & this.#mask]!) >>> 0;
  }

  /** True unless the driver has read everything and waits for the next used descriptor. */
  mayHaveUnread(): boolean {
    const flags = this.#loadFlags();
    if (flags !== EVENT_FLAGS_DESC || !this.#eventIdx) return flags === EVENT_FLAGS_DISABLE;
    return this.#slotsBehind() !== 2 * this.#size - 1;
  }

  /** Asks for a kick when the descriptor at `slot` becomes available at the turn of wrap counter `wrap`. */
  askForKick(slot: number, wrap: boolean): void {
    if (this.#eventIdx) {
      // Before the flags that make it count.
      this.#memory.storeReleaseU16(this.#deviceArea + EVENT_OFF_WRAP, wrap ? slot | EVENT_WRAP : slot);
      this.#memory.storeReleaseU16(this.#deviceArea + EVENT_FLAGS, EVENT_FLAGS_DESC);
    } else {
      this.#memory.storeReleaseU16(this.#deviceArea + EVENT_FLAGS, EVENT_FLAGS_ENABLE);
    }
  }

  /** A hint that orders nothing, hence plain: the driver may see it late, and spurious kicks do no harm. */
  forbidKicks(): void {
    this.#memory.u16[(this.#deviceArea + EVENT_FLAGS) >>> 1] = EVENT_FLAGS_DISABLE;
  }

  #loadFlags(): number {
    return this.#memory.loadAcquireU16(this.#driverArea + EVENT_FLAGS) & EVENT_FLAGS_MASK;
  }

  /** Slots between the one that the driver names and the next one, mod 2 × size; 0 if it was the last one used. */
  #slotsBehind(): number {
    const offWrap = this.#memory.loadAcquireU16(this.#driverArea + EVENT_OFF_WRAP);
    const turns = 2 * this.#size;
    const named = (offWrap & EVENT_OFFSET_MASK) + ((offWrap & EVENT_WRAP) === 0 ? this.#size : 0);
    const behind = (this.#position - named - 1) % turns;
    return behind < 0 ? behind + turns : behind;
  }
}
