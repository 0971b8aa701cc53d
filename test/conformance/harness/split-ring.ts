/** A split virtqueue as the driver works it, from virtio 1.4 §2.7 alone. */

import type { GuestBuffer, GuestRam } from "./guest-ram.ts";
import { DESC_INDIRECT, DESC_NEXT, DESC_WRITE } from "./numbers.ts";
import type { AddOptions, Chain, RingDriver } from "./ring.ts";

export interface SplitPlaces {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

export class SplitRing implements RingDriver {
  readonly kind = "split";
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  /** The driver's count of available entries, 16 bits. */
  availIdx = 0;
  /** Used entries before this one have been collected, 16 bits. */
  usedIdx = 0;
  readonly #ram: GuestRam;
  readonly #free: number[];
  readonly #outstanding = new Map<number, Chain>();

  constructor(ram: GuestRam, size: number, places: Partial<SplitPlaces> = {}) {
    this.#ram = ram;
    this.size = size;
    this.desc = places.desc ?? ram.zeroed(16 * size, 16);
    this.driver = places.driver ?? ram.zeroed(6 + 2 * size, 2);
    this.device = places.device ?? ram.zeroed(6 + 8 * size, 4);
    this.#free = Array.from({ length: size }, (_, i) => i);
  }

  get deviceMayWrite(): readonly [number, number] {
    return [this.device, this.device + 6 + 8 * this.size];
  }

  get nextAvailable(): number {
    return this.availIdx;
  }

  add(buffers: readonly GuestBuffer[], { indirect = 0, tableAddress, publish = true }: AddOptions = {}): Chain {
    const direct = buffers.slice(0, buffers.length - indirect);
    const slots = this.#free.splice(0, direct.length + (indirect > 0 ? 1 : 0));
    direct.forEach(({ address, length, write }, i) => {
      const next = slots[i + 1];
      const flags = (write === true ? DESC_WRITE : 0) | (next === undefined ? 0 : DESC_NEXT);
      this.#ram.putDescriptor(this.desc + 16 * slots[i]!, address, length, flags, next ?? 0);
    });
    if (indirect > 0) {
      const table = tableAddress ?? this.#ram.alloc(16 * indirect);
      this.#ram.putSplitTable(table, buffers.slice(direct.length));
      this.#ram.putDescriptor(this.desc + 16 * slots.at(-1)!, table, 16 * indirect, DESC_INDIRECT, 0);
    }
    const chain: Chain = { id: slots[0]!, buffers, slots, usedLength: -1 };
    this.#outstanding.set(chain.id, chain);
    this.offer(chain.id);
    if (publish) this.publish();
    return chain;
  }

  /** Writes a head into the next entry of the available ring. */
  offer(head: number): void {
    this.#ram.view.setUint16(this.driver + 4 + 2 * (this.availIdx % this.size), head, true);
    this.availIdx = (this.availIdx + 1) & 0xffff;
  }

  publish(): void {
    Atomics.store(this.#ram.u16, (this.driver + 2) >> 1, this.availIdx);
  }

  collectUsed(): Chain[] {
    const used: Chain[] = [];
    const end = this.deviceUsedIdx;
    for (; this.usedIdx !== end; this.usedIdx = (this.usedIdx + 1) & 0xffff) {
      const entry = this.device + 4 + 8 * (this.usedIdx % this.size);
      const id = this.#ram.view.getUint32(entry, true);
      const chain = this.#outstanding.get(id);
      if (chain === undefined) throw new Error(`the device has used chain ${id}, which was not available`);
      chain.usedLength = this.#ram.view.getUint32(entry + 4, true);
      this.#outstanding.delete(id);
      this.#free.push(...chain.slots);
      used.push(chain);
    }
    return used;
  }

  wantInterrupts(wanted: boolean): void {
    this.availFlags = wanted ? 0 : 1;
  }

  /** `idx` of the used ring: what the device has published. */
  get deviceUsedIdx(): number {
    return Atomics.load(this.#ram.u16, (this.device + 2) >> 1);
  }

  get usedFlags(): number {
    return Atomics.load(this.#ram.u16, this.device >> 1);
  }

  /** `avail_event`, after the used ring (§2.7.10). */
  get availEvent(): number {
    return this.#ram.view.getUint16(this.device + 4 + 8 * this.size, true);
  }

  set availFlags(flags: number) {
    Atomics.store(this.#ram.u16, this.driver >> 1, flags);
  }

  /** `used_event`, after the available ring (§2.7.7). */
  set usedEvent(index: number) {
    this.#ram.view.setUint16(this.driver + 4 + 2 * this.size, index, true);
  }
}
