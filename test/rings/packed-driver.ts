/**
 * The driver's side of a packed virtqueue, for tests, written from virtio 1.4 §2.8 with its own numbers, so that a wrong
 * constant in the card cannot hide here. Addresses are offsets in `buffer`.
 */

import type { RingSetup } from "./split-driver.ts";

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;
export const AVAIL = 0x80;
export const USED = 0x8000;

export const EVENTS_ON = 0;
export const EVENTS_OFF = 1;
export const EVENTS_AT = 2;

export interface PackedElement {
  /** Guest-physical; a bigint reaches all 64 bits. */
  readonly address: number | bigint;
  readonly length: number;
  /** WRITE or INDIRECT; NEXT, AVAIL and USED are added. */
  readonly flags?: number;
}

export interface UsedBuffer {
  readonly id: number;
  readonly length: number;
  /** The WRITE flag: whether the device says that it has written anything. */
  readonly written: boolean;
}

export class PackedDriver {
  readonly size: number;
  readonly ring: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  /** First byte after the areas, 16-aligned. */
  readonly end: number;
  readonly view: DataView;
  /** Next slot to make available, with the Driver Ring Wrap Counter, §2.8.1. */
  nextAvail = 0;
  availWrap = 1;
  /** Next slot where a used descriptor appears, and the wrap counter it must show. */
  nextUsed = 0;
  usedWrap = 1;
  /** Slots that are the driver's. */
  free: number;
  /** Slots of each buffer that is the device's, by id. */
  readonly #slotsOf = new Map<number, number>();

  constructor(buffer: ArrayBufferLike, at: number, size: number) {
    this.view = new DataView(buffer);
    this.size = size;
    this.ring = at;
    this.driverArea = at + 16 * size;
    this.deviceArea = this.driverArea + 4;
    this.end = Math.ceil((this.deviceArea + 4) / 16) * 16;
    this.free = size;
  }

  /** The setup as the card gets it. */
  areas({ indirect = true, eventIdx = true } = {}): RingSetup {
    const { size, ring: descAddress, driverArea: driverAddress, deviceArea: deviceAddress } = this;
    return { size, descAddress, driverAddress, deviceAddress, indirect, eventIdx };
  }

  /** Flags that make a descriptor available when the driver's wrap counter is `wrap`. */
  static available(wrap: number): number {
    return wrap === 1 ? AVAIL : USED;
  }

  /** Writes a descriptor anywhere: in an indirect table, for one. */
  writeDescriptor(at: number, { address, length, flags = 0 }: PackedElement, id = 0): void {
    this.view.setBigUint64(at, BigInt(address), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, id, true);
    this.view.setUint16(at + 14, flags, true);
  }

  flagsOf(slot: number): number {
    return this.view.getUint16(this.ring + 16 * slot + 14, true);
  }

  setFlags(slot: number, flags: number): void {
    this.view.setUint16(this.ring + 16 * slot + 14, flags, true);
  }

  /**
   * Makes a buffer of these elements available (§2.8.21.1): the id is in the last descriptor, the first one's flags are
   * written last. Returns the first slot.
   */
  offer(id: number, elements: readonly PackedElement[]): number {
    if (elements.length > this.free) throw new Error(`${elements.length} descriptors do not fit in ${this.free}`);
    const first = this.nextAvail;
    let firstFlags = 0;
    elements.forEach((element, i) => {
      const last = i === elements.length - 1;
      const flags = (element.flags ?? 0) | (last ? 0 : NEXT) | PackedDriver.available(this.availWrap);
      const slot = this.nextAvail;
      const kept = i === 0 ? this.flagsOf(slot) : flags;
      this.writeDescriptor(this.ring + 16 * slot, { ...element, flags: kept }, last ? id : 0xdead);
      if (i === 0) firstFlags = flags;
      this.nextAvail++;
      if (this.nextAvail === this.size) {
        this.nextAvail = 0;
        this.availWrap ^= 1;
      }
    });
    this.#slotsOf.set(id, elements.length);
    this.free -= elements.length;
    this.setFlags(first, firstFlags);
    return first;
  }

  /** Takes the next used buffer (§2.8.22), or null. The device gives back what it was given, and nothing else. */
  takeOne(): UsedBuffer | null {
    const flags = this.flagsOf(this.nextUsed);
    const avail = (flags & AVAIL) === 0 ? 0 : 1;
    const used = (flags & USED) === 0 ? 0 : 1;
    if (this.free === this.size || avail !== this.usedWrap || used !== this.usedWrap) return null;
    const at = this.ring + 16 * this.nextUsed;
    const id = this.view.getUint16(at + 12, true);
    const slots = this.#slotsOf.get(id);
    if (slots === undefined) throw new Error(`the device gave back ${id}, which it does not have`);
    this.#slotsOf.delete(id);
    this.free += slots;
    this.nextUsed += slots;
    if (this.nextUsed >= this.size) {
      this.nextUsed -= this.size;
      this.usedWrap ^= 1;
    }
    return { id, length: this.view.getUint32(at + 8, true), written: (flags & WRITE) !== 0 };
  }

  takeUsed(): UsedBuffer[] {
    const buffers: UsedBuffer[] = [];
    for (let buffer = this.takeOne(); buffer !== null; buffer = this.takeOne()) buffers.push(buffer);
    return buffers;
  }

  /** Says which used buffers the driver wants to hear of: EVENTS_ON, _OFF, or _AT a slot of a turn. */
  setEvents(flags: number, slot = 0, wrap = 0): void {
    this.view.setUint16(this.driverArea, slot | (wrap << 15), true);
    this.view.setUint16(this.driverArea + 2, flags, true);
  }

  /** Asks for an interrupt at the next used buffer. */
  armHere(): void {
    this.setEvents(EVENTS_AT, this.nextUsed, this.usedWrap);
  }

  get deviceEvents(): { flags: number; slot: number; wrap: number } {
    const offWrap = this.view.getUint16(this.deviceArea, true);
    const flags = this.view.getUint16(this.deviceArea + 2, true);
    return { flags, slot: offWrap & 0x7fff, wrap: offWrap >>> 15 };
  }

  /** True if the card asks for a kick after the slots from `first` of turn `wrap` up to the next one (§2.8.10). */
  mustKick(first: number, wrap: number): boolean {
    const events = this.deviceEvents;
    if (events.flags !== EVENTS_AT) return events.flags === EVENTS_ON;
    let slot = first;
    let turn = wrap;
    while (slot !== this.nextAvail || turn !== this.availWrap) {
      if (slot === events.slot && turn === events.wrap) return true;
      slot++;
      if (slot === this.size) {
        slot = 0;
        turn ^= 1;
      }
    }
    return false;
  }
}
