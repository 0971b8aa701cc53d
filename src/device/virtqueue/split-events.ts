/**
 * Event suppression of a split virtqueue (virtio 1.4 §2.7.7, §2.7.10): which used buffers the driver wants to hear of,
 * which it says at the end of the available ring; and for which available buffers it is to kick, which stands at the end
 * of the used ring. Without VIRTIO_F_EVENT_IDX each ring has a flag that says all or nothing.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_FLAGS,
  availEventOffset,
  USED_F_NO_NOTIFY,
  USED_FLAGS,
  usedEventOffset,
} from "../spec/split-ring.ts";

export class SplitEvents {
  readonly #memory: GuestMemory;
  // Byte offsets in the buffer.
  #availFlags = 0;
  #usedEvent = 0;
  #usedFlags = 0;
  #availEvent = 0;
  #eventIdx = false;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** A queue of `size` entries begins; its available and used rings are byte offsets in the buffer. */
  begin(size: number, avail: number, used: number, eventIdx: boolean): void {
    this.#availFlags = avail + AVAIL_FLAGS;
    this.#usedEvent = avail + usedEventOffset(size);
    this.#usedFlags = used + USED_FLAGS;
    this.#availEvent = used + availEventOffset(size);
    this.#eventIdx = eventIdx;
  }

  /**
   * True if the driver wants an interrupt for the used entries from `sinceUsedIdx` up to `usedIdx`.
   *
   * The race: we store used.idx, then load the event word; the driver stores the event word, then loads used.idx.
   * All four are Atomics, which have one order that both threads agree on, so one of the two sees the other's store:
   * either we see that the driver waits, and interrupt it, or the driver sees our entries, and goes on polling. With
   * plain accesses both stores can sit in store buffers while both loads read old values, and the driver would sleep
   * with frames in its ring.
   */
  wantsInterrupt(usedIdx: number, sinceUsedIdx: number): boolean {
    // SUSUP-1…3.
    if (!this.#eventIdx) return !this.#forbidsInterrupts();
    // SUSUP-4, SUSUP-5: the flags say nothing; an interrupt is wanted if the entry of index used_event is among
    // the new ones. In arithmetic mod 2^16, counted back from usedIdx: it was written usedIdx - used_event - 1
    // entries ago, and the new ones are the last usedIdx - since.
    const event = this.#memory.loadAcquireU16(this.#usedEvent);
    return ((usedIdx - event - 1) & 0xffff) < ((usedIdx - sinceUsedIdx) & 0xffff);
  }

  /** True unless the driver has read everything up to `usedIdx` and waits for the next used entry. */
  mayHaveUnread(usedIdx: number): boolean {
    // Such a driver has put used_event at its last seen index, which is usedIdx.
    return this.#eventIdx ? this.#memory.loadAcquireU16(this.#usedEvent) !== usedIdx : this.#forbidsInterrupts();
  }

  /** Asks for a kick when the entry `nextAvail` becomes available. */
  askForKick(nextAvail: number): void {
    if (this.#eventIdx) this.#memory.storeReleaseU16(this.#availEvent, nextAvail);
    else this.#memory.storeReleaseU16(this.#usedFlags, 0);
  }

  /** A hint that orders nothing, hence plain: the driver may see it late, and spurious kicks do no harm (SASUP-5). */
  forbidKicks(nextAvail: number): void {
    // SASUP-3 keeps the flags at 0. An event index that lies behind is reached only after a whole turn of 2^16.
    if (this.#eventIdx) this.#memory.u16[this.#availEvent >>> 1] = nextAvail - 1;
    else this.#memory.u16[this.#usedFlags >>> 1] = USED_F_NO_NOTIFY;
  }

  /** Kicks stay forbidden: an event index that is left behind would call for one once in 2^16 buffers. */
  keepForbidden(nextAvail: number): void {
    if (this.#eventIdx) this.forbidKicks(nextAvail);
  }

  #forbidsInterrupts(): boolean {
    return (this.#memory.loadAcquireU16(this.#availFlags) & AVAIL_F_NO_INTERRUPT) !== 0;
  }
}
