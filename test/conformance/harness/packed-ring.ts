/** A packed virtqueue as the driver works it, from virtio 1.4 §2.8 alone. */

import type { GuestBuffer, GuestRam } from "./guest-ram.ts";
import { DESC_INDIRECT, DESC_NEXT, DESC_WRITE } from "./numbers.ts";
import type { AddOptions, Chain, RingDriver } from "./ring.ts";

const AVAIL = 1 << 7;
const USED = 1 << 15;
// Event suppression, §2.8.10.
export const EVENT_ENABLE = 0;
export const EVENT_DISABLE = 1;
export const EVENT_DESC = 2;

export class PackedRing implements RingDriver {
  readonly kind = "packed";
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  /** Where the next chain begins, and the driver's wrap counter there. */
  next = 0;
  wrap = 1;
  readonly #ram: GuestRam;
  // Where the device writes its next used descriptor, and the wrap counter there.
  #used = 0;
  #usedWrap = 1;
  readonly #freeIds: number[];
  /** In the order in which they were made available. */
  readonly #outstanding = new Map<number, Chain>();
  /** Flags of the first descriptor of chains that are not shown yet: written last (§2.8.21). */
  #unshown: { at: number; flags: number }[] = [];

  constructor(ram: GuestRam, size: number, places: Partial<{ desc: number; driver: number; device: number }> = {}) {
    this.#ram = ram;
    this.size = size;
    this.desc = places.desc ?? ram.zeroed(16 * size, 16);
    this.driver = places.driver ?? ram.zeroed(4, 4);
    this.device = places.device ?? ram.zeroed(4, 4);
    this.#freeIds = Array.from({ length: size }, (_, i) => i);
  }

  /** Descriptors are written back into the ring itself. */
  get deviceMayWrite(): readonly [number, number] {
    return [this.desc, this.desc + 16 * this.size];
  }

  get nextAvailable(): number {
    return this.next | (this.wrap << 15);
  }

  add(buffers: readonly GuestBuffer[], { indirect = 0, tableAddress, publish = true }: AddOptions = {}): Chain {
    if (indirect !== 0 && indirect !== buffers.length) {
      throw new Error("on the packed ring a chain is indirect as a whole or not at all (§2.8.7)");
    }
    const id = this.#freeIds.shift();
    if (id === undefined) throw new Error("no free buffer id");
    const slots: number[] = [];
    if (indirect > 0) {
      const table = tableAddress ?? this.#ram.alloc(16 * indirect);
      this.putIndirectTable(table, buffers);
      this.#write(slots, { address: table, length: 16 * indirect }, DESC_INDIRECT, id);
    } else {
      buffers.forEach((buffer, i) => {
        const flags = (buffer.write === true ? DESC_WRITE : 0) | (i < buffers.length - 1 ? DESC_NEXT : 0);
        this.#write(slots, buffer, flags, id);
      });
    }
    const chain: Chain = { id, buffers, slots, usedLength: -1 };
    this.#outstanding.set(id, chain);
    if (publish) this.publish();
    return chain;
  }

  /** Indirect tables have no NEXT: all of the table is the chain (§2.8.7). */
  putIndirectTable(at: number, buffers: readonly GuestBuffer[]): void {
    buffers.forEach(({ address, length, write }, i) => {
      this.#put(at + 16 * i, address, length, 0, write === true ? DESC_WRITE : 0);
    });
  }

  #write(slots: number[], buffer: GuestBuffer, flags: number, id: number): void {
    const at = this.desc + 16 * this.next;
    const shown = flags | (this.wrap === 1 ? AVAIL : USED);
    const hidden = this.#ram.view.getUint16(at + 14, true);
    this.#put(at, buffer.address, buffer.length, id, slots.length === 0 ? hidden : shown);
    if (slots.length === 0) this.#unshown.push({ at, flags: shown });
    slots.push(this.next);
    this.next++;
    if (this.next === this.size) {
      this.next = 0;
      this.wrap ^= 1;
    }
  }

  /** le64 address, le32 length, le16 id, le16 flags (§2.8.1). */
  #put(at: number, address: number, length: number, id: number, flags: number): void {
    this.#ram.view.setBigUint64(at, BigInt(address) + BigInt(this.#ram.busOffset), true);
    this.#ram.view.setUint32(at + 8, length, true);
    this.#ram.view.setUint16(at + 12, id, true);
    Atomics.store(this.#ram.u16, (at + 14) >> 1, flags);
  }

  /** Shows the chains, the last first, so that the device sees all of them or none. */
  publish(): void {
    for (const { at, flags } of this.#unshown.reverse()) Atomics.store(this.#ram.u16, (at + 14) >> 1, flags);
    this.#unshown = [];
  }

  collectUsed(): Chain[] {
    const used: Chain[] = [];
    for (;;) {
      const at = this.desc + 16 * this.#used;
      const flags = Atomics.load(this.#ram.u16, (at + 14) >> 1);
      const bit = this.#usedWrap === 1;
      if (((flags & AVAIL) !== 0) !== bit || ((flags & USED) !== 0) !== bit) return used;
      const id = this.#ram.view.getUint16(at + 12, true);
      const chain = this.#outstanding.get(id);
      if (chain === undefined) throw new Error(`the device has used buffer ${id}, which was not available`);
      // The length means something only if a part of the chain was writable (§2.8.5).
      chain.usedLength = (flags & DESC_WRITE) !== 0 ? this.#ram.view.getUint32(at + 8, true) : 0;
      this.#outstanding.delete(id);
      this.#freeIds.push(id);
      this.#used += chain.slots.length;
      if (this.#used >= this.size) {
        this.#used -= this.size;
        this.#usedWrap ^= 1;
      }
      used.push(chain);
    }
  }

  wantInterrupts(wanted: boolean): void {
    this.setDriverEvent(wanted ? EVENT_ENABLE : EVENT_DISABLE);
  }

  /** The driver's event suppression: flags, and in mode DESC the descriptor's offset and wrap counter. */
  setDriverEvent(flags: number, offset = 0, wrap = 0): void {
    Atomics.store(this.#ram.u16, this.driver >> 1, offset | (wrap << 15));
    Atomics.store(this.#ram.u16, (this.driver + 2) >> 1, flags);
  }

  /** What the device asks of the driver's kicks. */
  get deviceEvent(): { offset: number; wrap: number; flags: number } {
    const word = this.#ram.view.getUint16(this.device, true);
    return { offset: word & 0x7fff, wrap: word >> 15, flags: this.#ram.view.getUint16(this.device + 2, true) };
  }
}
