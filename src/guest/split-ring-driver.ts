/**
 * The driver's end of one split virtqueue, virtio 1.4 §2.7: descriptors out, used buffers back, notifications on and off.
 *
 * Buffers are staged one by one with plain stores and become visible to the device in one step, `publish`. Nothing here
 * allocates after construction. What the driver must know about a chain it keeps in private arrays: shared memory is
 * written, and only the used ring is read back.
 *
 * Which access orders what (JS has only sequentially consistent Atomics; the names say what each is for):
 *   publish   store avail.idx       releases descriptors and avail.ring; the device loads it before it reads those
 *   publish   load avail_event      after that store: with the device's own store-then-load one of the two sees the other
 *   refresh   load used.idx         acquires used.ring and the frames' bytes, which the device wrote before its store
 *   enable    store used_event      then load used.idx: the same pair in the other direction, see `enableNotifications`
 */
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_RING,
  availEventOffset,
  DESC_ADDR_HIGH,
  DESC_ADDR_LOW,
  DESC_BYTES,
  DESC_F_INDIRECT,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_FLAGS,
  DESC_LEN,
  DESC_NEXT,
  USED_ELEM_BYTES,
  USED_F_NO_NOTIFY,
  USED_FLAGS,
  USED_IDX,
  USED_RING,
  usedEventOffset,
} from "../device/spec/split-ring.ts";
import { DeviceFault } from "./device-fault.ts";
import type { RingAreas } from "./ram-layout.ts";
import type { RamViews } from "./ram-views.ts";

/** Longest chain that `addChain` can build. */
export const CHAIN_ELEMENTS_MAX = 4;

/**
 * Did an index that moved from `oldIndex` to `newIndex` pass `event`? All are free-running 16-bit counters: the
 * distance from event + 1 to newIndex must be shorter than the distance moved (virtio 1.4 §2.7.10, §2.7.7).
 */
export function needEvent(event: number, newIndex: number, oldIndex: number): boolean {
  return ((newIndex - event - 1) & 0xffff) < ((newIndex - oldIndex) & 0xffff);
}

export class SplitRingDriver {
  readonly entries: number;
  /** Chains that the device may use: published and not yet seen used. */
  exposed = 0;
  freeDescriptors: number;
  /** Of the entry that `takeUsed` took: head of the chain and bytes written by the device. */
  usedHead = 0;
  usedBytes = 0;
  notificationsOn = true;
  /** What the device did against the standard; each is also thrown. */
  violations = 0;
  /** Elements of the chain that `addChain` will add: readable ones first. */
  readonly elementAddress = new Uint32Array(CHAIN_ELEMENTS_MAX);
  readonly elementBytes = new Uint32Array(CHAIN_ELEMENTS_MAX);

  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #mask: number;
  readonly #eventIdx: boolean;
  // Indices into the views, not byte addresses.
  readonly #desc32: number;
  readonly #desc16: number;
  readonly #availFlags16: number;
  readonly #availIdx16: number;
  readonly #availRing16: number;
  readonly #usedEvent16: number;
  readonly #usedFlags16: number;
  readonly #usedIdx16: number;
  readonly #usedRing32: number;
  readonly #availEvent16: number;

  readonly #nextFree: Uint16Array;
  #freeHead = 0;
  /** Descriptors of the chain that begins here; 0 = no chain of ours that the device may return. */
  readonly #chainLength: Uint16Array;
  /** Bytes of the chain that the device may write. */
  readonly #writableBytes: Uint32Array;

  #availIndex = 0;
  #publishedIndex = 0;
  /** Used entries taken so far, and the newest used.idx seen; free-running, 16 bits. */
  #takenIndex = 0;
  #usedIndex = 0;

  constructor(ram: RamViews, areas: RingAreas, eventIdx: boolean) {
    const { entries, descAddress, availAddress, usedAddress } = areas;
    this.entries = entries;
    this.freeDescriptors = entries;
    this.#u16 = ram.u16;
    this.#u32 = ram.u32;
    this.#mask = entries - 1;
    this.#eventIdx = eventIdx;
    this.#desc32 = descAddress >>> 2;
    this.#desc16 = descAddress >>> 1;
    this.#availFlags16 = (availAddress + AVAIL_FLAGS) >>> 1;
    this.#availIdx16 = (availAddress + AVAIL_IDX) >>> 1;
    this.#availRing16 = (availAddress + AVAIL_RING) >>> 1;
    this.#usedEvent16 = (availAddress + usedEventOffset(entries)) >>> 1;
    this.#usedFlags16 = (usedAddress + USED_FLAGS) >>> 1;
    this.#usedIdx16 = (usedAddress + USED_IDX) >>> 1;
    this.#usedRing32 = (usedAddress + USED_RING) >>> 2;
    this.#availEvent16 = (usedAddress + availEventOffset(entries)) >>> 1;
    this.#nextFree = new Uint16Array(entries);
    this.#chainLength = new Uint16Array(entries);
    this.#writableBytes = new Uint32Array(entries);
    for (let i = 0; i < entries; i++) this.#nextFree[i] = (i + 1) & this.#mask;
    // virtio 1.4 §4.2.3.2 step 4 and §2.7.10.1: the queue's memory begins as zeros, used.flags among it.
    ram.u32.fill(0, descAddress >>> 2, (descAddress + entries * DESC_BYTES) >>> 2);
    ram.u16.fill(0, this.#availFlags16, this.#usedEvent16 + 1);
    ram.u16.fill(0, this.#usedFlags16, this.#availEvent16 + 1);
  }

  /** The head that the next add will use: lets a caller tie a buffer to each descriptor. Only if one is free. */
  get nextHead(): number {
    return this.#freeHead;
  }

  /** Chains that were added but not yet published. */
  get staged(): number {
    return (this.#availIndex - this.#publishedIndex) & 0xffff;
  }

  /** Stages one buffer of one element. The caller has checked `freeDescriptors`. */
  addBuffer(address: number, sizeBytes: number, deviceWritable: boolean): number {
    const head = this.#takeDescriptor();
    this.#writeDescriptor(head, address, sizeBytes, deviceWritable ? DESC_F_WRITE : 0, 0);
    this.#stage(head, 1, deviceWritable ? sizeBytes : 0);
    return head;
  }

  /** Stages `elementAddress`/`elementBytes`: `readable` elements for the device to read, then `writable` ones (§2.7.4.2). */
  addChain(readable: number, writable: number): number {
    const count = readable + writable;
    const head = this.#freeHead;
    let writableBytes = 0;
    for (let i = 0; i < count; i++) {
      const descriptor = this.#takeDescriptor();
      const bytes = this.elementBytes[i]!;
      let flags = i + 1 < count ? DESC_F_NEXT : 0;
      if (i >= readable) {
        flags |= DESC_F_WRITE;
        writableBytes += bytes;
      }
      // Taking a descriptor has moved the free head to the one that the next turn will take.
      this.#writeDescriptor(descriptor, this.elementAddress[i]!, bytes, flags, i + 1 < count ? this.#freeHead : 0);
    }
    this.#stage(head, count, writableBytes);
    return head;
  }

  /**
   * Stages the same elements through an indirect table at `tableAddress`: one descriptor of the ring, whatever their
   * number. Only if VIRTIO_F_INDIRECT_DESC was negotiated (§2.7.5.3.1).
   */
  addIndirect(tableAddress: number, readable: number, writable: number): number {
    const count = readable + writable;
    let writableBytes = 0;
    for (let i = 0; i < count; i++) {
      const bytes = this.elementBytes[i]!;
      let flags = i + 1 < count ? DESC_F_NEXT : 0;
      if (i >= readable) {
        flags |= DESC_F_WRITE;
        writableBytes += bytes;
      }
      const next = i + 1 < count ? i + 1 : 0;
      const entryAddress = tableAddress + i * DESC_BYTES;
      this.#writeEntry(entryAddress >>> 2, entryAddress >>> 1, this.elementAddress[i]!, bytes, flags, next);
    }
    const head = this.#takeDescriptor();
    this.#writeDescriptor(head, tableAddress, count * DESC_BYTES, DESC_F_INDIRECT, 0);
    this.#stage(head, 1, writableBytes);
    return head;
  }

  /** Stages a chain that came back used, unchanged: its descriptors still say the same, for no device may write them. */
  recycle(head: number, descriptors: number, writableBytes: number): void {
    this.#stage(head, descriptors, writableBytes);
  }

  /** Gives the descriptors of a chain that came back used to the free list. `descriptors` is `takeUsed`'s answer. */
  release(head: number, descriptors: number): void {
    let last = head;
    // A chain's descriptors are still linked as they were when they left the free list.
    for (let i = 1; i < descriptors; i++) last = this.#nextFree[last]!;
    this.#nextFree[last] = this.#freeHead;
    this.#freeHead = head;
    this.freeDescriptors += descriptors;
  }

  /** Makes all staged chains visible to the device, and tells whether it wants a notification for them. */
  publish(): boolean {
    const oldIndex = this.#publishedIndex;
    const newIndex = this.#availIndex;
    if (newIndex === oldIndex) return false;
    this.exposed += (newIndex - oldIndex) & 0xffff;
    this.#publishedIndex = newIndex;
    // The store publishes; the load behind it must not move before it, or a device that goes to sleep in between would
    // sleep on buffers that nobody tells it of (§2.7.13.4.1). Plain accesses were seen to be reordered (limits.md §8).
    Atomics.store(this.#u16, this.#availIdx16, newIndex);
    if (this.#eventIdx) return needEvent(Atomics.load(this.#u16, this.#availEvent16), newIndex, oldIndex);
    return (Atomics.load(this.#u16, this.#usedFlags16) & USED_F_NO_NOTIFY) === 0;
  }

  /** Reads used.idx; answers how many used chains can be taken. Once per batch. */
  refreshUsed(): number {
    const index = Atomics.load(this.#u16, this.#usedIdx16);
    const fresh = (index - this.#usedIndex) & 0xffff;
    const pending = (index - this.#takenIndex) & 0xffff;
    // An index that went backwards is further from the one seen before than from the one taken.
    if (fresh > pending || pending > this.exposed) {
      this.#fault(`used.idx is ${index}, ${pending} past the driver's, with ${this.exposed} buffers exposed`);
    }
    this.#usedIndex = index;
    return pending;
  }

  /** True if used.idx tells of chains that were not taken yet. Looks only. */
  hasUsed(): boolean {
    return Atomics.load(this.#u16, this.#usedIdx16) !== this.#takenIndex;
  }

  /**
   * Takes the next used chain into `usedHead` and `usedBytes`; answers its descriptors, which the caller then releases
   * or recycles. Only after `refreshUsed` said that there is one.
   */
  takeUsed(): number {
    const slot = this.#usedRing32 + (this.#takenIndex & this.#mask) * (USED_ELEM_BYTES >>> 2);
    const head = this.#u32[slot]!;
    const bytes = this.#u32[slot + 1]!;
    const descriptors = head < this.entries ? this.#chainLength[head]! : 0;
    if (descriptors === 0) this.#fault(`used.ring returned id ${head}, which is not exposed`);
    // §2.7.8.2: len counts only bytes written, and there were no more than this to write.
    if (bytes > this.#writableBytes[head]!) {
      this.#fault(`used.len of id ${head} is ${bytes}, its chain has ${this.#writableBytes[head]} writable bytes`);
    }
    this.#chainLength[head] = 0;
    this.#takenIndex = (this.#takenIndex + 1) & 0xffff;
    this.exposed--;
    this.usedHead = head;
    this.usedBytes = bytes;
    return descriptors;
  }

  /**
   * Asks the device not to notify. With EVENT_IDX there is no such flag (§2.7.7.1): used_event is kept just behind what
   * was taken, where no batch can cross it, for a batch ends at most `entries` ≤ 2^15 past it. So it must be moved along
   * at every poll, by calling this again.
   */
  disableNotifications(): void {
    this.notificationsOn = false;
    if (this.#eventIdx) Atomics.store(this.#u16, this.#usedEvent16, (this.#takenIndex - 1) & 0xffff);
    else Atomics.store(this.#u16, this.#availFlags16, AVAIL_F_NO_INTERRUPT);
  }

  /**
   * Asks for a notification when `count` more chains are used than were taken, and answers how many already are.
   *
   * The driver stores used_event, then loads used.idx; the device stores used.idx, then loads used_event. All four are
   * sequentially consistent, so they have one order, and at least one side's load comes after the other's store: either
   * the device sees the new event and notifies, or the driver sees the new entries here. With plain accesses both loads
   * could miss (§2.7.14's mb()), and frames would lie unread until the next one.
   */
  enableNotifications(count = 1): number {
    this.notificationsOn = true;
    if (this.#eventIdx) Atomics.store(this.#u16, this.#usedEvent16, (this.#takenIndex + count - 1) & 0xffff);
    else Atomics.store(this.#u16, this.#availFlags16, 0);
    return this.refreshUsed();
  }

  #stage(head: number, descriptors: number, writableBytes: number): void {
    this.#chainLength[head] = descriptors;
    this.#writableBytes[head] = writableBytes;
    this.#u16[this.#availRing16 + (this.#availIndex & this.#mask)] = head;
    this.#availIndex = (this.#availIndex + 1) & 0xffff;
  }

  #takeDescriptor(): number {
    const descriptor = this.#freeHead;
    this.#freeHead = this.#nextFree[descriptor]!;
    this.freeDescriptors--;
    return descriptor;
  }

  #writeDescriptor(descriptor: number, address: number, sizeBytes: number, flags: number, next: number): void {
    const slot32 = this.#desc32 + descriptor * (DESC_BYTES >>> 2);
    this.#writeEntry(slot32, this.#desc16 + descriptor * (DESC_BYTES >>> 1), address, sizeBytes, flags, next);
  }

  #writeEntry(slot32: number, slot16: number, address: number, sizeBytes: number, flags: number, next: number): void {
    this.#u32[slot32 + (DESC_ADDR_LOW >>> 2)] = address;
    this.#u32[slot32 + (DESC_ADDR_HIGH >>> 2)] = 0; // Guest RAM ends below 4 GiB.
    this.#u32[slot32 + (DESC_LEN >>> 2)] = sizeBytes;
    this.#u16[slot16 + (DESC_FLAGS >>> 1)] = flags;
    this.#u16[slot16 + (DESC_NEXT >>> 1)] = next;
  }

  #fault(what: string): never {
    this.violations++;
    throw new DeviceFault(what);
  }
}
