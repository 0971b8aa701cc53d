/**
 * How far the driver has filled a packed ring. The ring has no index that tells (virtio 1.4 §2.8.2), so the chains are
 * counted, each once, by the flags of their descriptors.
 *
 * It only counts, and nothing that a chain is used for comes from here: the queue reads all it needs when it takes the
 * chain. A driver that changes a chain in between can make the count wrong, never larger than the ring.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
  PACKED_DESC_BYTES,
  PACKED_DESC_FLAGS,
  PACKED_F_AVAIL,
  PACKED_F_NEXT,
  PACKED_F_USED,
} from "../spec/packed-ring.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const OWNER_BITS = PACKED_F_AVAIL | PACKED_F_USED;
const NEXT = PACKED_F_NEXT;
const DESC_BYTES = PACKED_DESC_BYTES;
const FLAGS_AT = PACKED_DESC_FLAGS;

export class PackedScan {
  /** Chains counted and not taken. */
  chains = 0;
  // Slots that they occupy, from the next one to take on.
  #slots = 0;

  /**
   * Counts on from where it stopped. `slot` is the next one to take, available if AVAIL and USED look like `owner`;
   * `slotsMax` slots from there on are the driver's to fill. False if a chain runs on into what is not available.
   */
  look(memory: GuestMemory, ring: number, size: number, slot: number, owner: number, slotsMax: number): boolean {
    let seen = this.#slots;
    let at = slot + seen;
    let expected = owner;
    if (at >= size) {
      at -= size;
      expected ^= OWNER_BITS;
    }
    while (seen < slotsMax) {
      let flags = memory.loadAcquireU16(ring + at * DESC_BYTES + FLAGS_AT);
      if ((flags & OWNER_BITS) !== expected) break;
      for (;;) {
        seen++;
        at++;
        if (at === size) {
          at = 0;
          expected ^= OWNER_BITS;
        }
        if ((flags & NEXT) === 0) break;
        if (seen === slotsMax) return false;
        // Ordered by the load of the chain's first flags, which the driver wrote last (§2.8.17).
        flags = memory.u16[(ring + at * DESC_BYTES + FLAGS_AT) >>> 1]!;
        if ((flags & OWNER_BITS) !== expected) return false;
      }
      this.chains++;
      this.#slots = seen;
    }
    return true;
  }

  /** The next `chains` chains were taken, which occupy `slots` slots. */
  taken(slots: number, chains: number): void {
    if (this.chains === 0) return;
    this.chains -= chains;
    this.#slots -= slots;
    // More than were counted, or the driver has changed a chain since: count anew.
    if (this.chains <= 0 || this.#slots <= 0) this.forget();
  }

  /** The last chain taken was given back. */
  givenBack(slots: number): void {
    this.chains++;
    this.#slots += slots;
  }

  forget(): void {
    this.chains = 0;
    this.#slots = 0;
  }
}
