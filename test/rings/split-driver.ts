/**
 * The driver's side of a split virtqueue, for tests. It knows the standard's layout by its own numbers, retyped from
 * virtio 1.4 §2.7, so that a wrong constant in the card cannot hide here. Addresses are offsets in `buffer`.
 */

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

export interface Descriptor {
  /** Guest-physical; a bigint reaches all 64 bits. */
  readonly address: number | bigint;
  readonly length: number;
  readonly flags?: number;
  readonly next?: number;
}

export interface UsedElement {
  readonly head: number;
  readonly length: number;
}

export interface RingSetup {
  readonly size: number;
  readonly descAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
}

export class SplitDriver {
  readonly size: number;
  readonly table: number;
  readonly avail: number;
  readonly used: number;
  /** First byte after the rings, 16-aligned. */
  readonly end: number;
  readonly view: DataView;
  /** The driver's own index: what the next `publish` shows. */
  availIdx = 0;
  /** Used entries before this one have been taken. */
  seenIdx = 0;

  constructor(buffer: ArrayBufferLike, at: number, size: number, guestAddress = at) {
    this.view = new DataView(buffer);
    this.size = size;
    this.table = at;
    this.avail = at + 16 * size;
    this.used = Math.ceil((this.avail + 6 + 2 * size) / 4) * 4;
    this.end = Math.ceil((this.used + 6 + 8 * size) / 16) * 16;
    this.#shift = guestAddress - at;
  }

  readonly #shift: number;

  /** The setup as the card gets it. */
  areas({ indirect = true, eventIdx = true } = {}): RingSetup {
    const { table, avail, used } = this.addresses;
    return { size: this.size, descAddress: table, driverAddress: avail, deviceAddress: used, indirect, eventIdx };
  }

  /** Guest-physical addresses of the three areas. */
  get addresses(): { table: number; avail: number; used: number } {
    return { table: this.table + this.#shift, avail: this.avail + this.#shift, used: this.used + this.#shift };
  }

  setDescriptor(index: number, descriptor: Descriptor): void {
    this.writeDescriptor(this.table + 16 * index, descriptor);
  }

  /** Writes a descriptor anywhere: in an indirect table, for one. */
  writeDescriptor(at: number, { address, length, flags = 0, next = 0 }: Descriptor): void {
    this.view.setBigUint64(at, BigInt(address), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, flags, true);
    this.view.setUint16(at + 14, next, true);
  }

  /** Chains descriptors `first … first + n - 1` and offers them; flags NEXT are added. */
  offerChain(first: number, descriptors: readonly Descriptor[]): void {
    descriptors.forEach((descriptor, i) => {
      const last = i === descriptors.length - 1;
      const flags = (descriptor.flags ?? 0) | (last ? 0 : NEXT);
      this.setDescriptor(first + i, { ...descriptor, flags, next: last ? 0 : first + i + 1 });
    });
    this.offer(first);
  }

  /** Puts a head into the available ring; the card sees it after `publish`. */
  offer(head: number): void {
    this.view.setUint16(this.avail + 4 + 2 * (this.availIdx % this.size), head, true);
    this.availIdx = (this.availIdx + 1) & 0xffff;
  }

  publish(idx = this.availIdx): void {
    this.view.setUint16(this.avail + 2, idx, true);
  }

  set availFlags(flags: number) {
    this.view.setUint16(this.avail, flags, true);
  }

  set usedEvent(index: number) {
    this.view.setUint16(this.avail + 4 + 2 * this.size, index, true);
  }

  get usedFlags(): number {
    return this.view.getUint16(this.used, true);
  }

  get usedIdx(): number {
    return this.view.getUint16(this.used + 2, true);
  }

  get availEvent(): number {
    return this.view.getUint16(this.used + 4 + 8 * this.size, true);
  }

  /** True if the card asks for a kick after the entries `since … availIdx` (§2.7.10). */
  mustKick(since: number, eventIdx: boolean): boolean {
    if (!eventIdx) return (this.usedFlags & 1) === 0;
    for (let index = since; index !== this.availIdx; index = (index + 1) & 0xffff) {
      if (index === this.availEvent) return true;
    }
    return false;
  }

  /** Takes all used elements that are published. */
  takeUsed(): UsedElement[] {
    const elements: UsedElement[] = [];
    while (this.seenIdx !== this.usedIdx) {
      const at = this.used + 4 + 8 * (this.seenIdx % this.size);
      elements.push({ head: this.view.getUint32(at, true), length: this.view.getUint32(at + 4, true) });
      this.seenIdx = (this.seenIdx + 1) & 0xffff;
    }
    return elements;
  }
}
