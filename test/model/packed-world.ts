/**
 * One packed queue between two threads: the card's end is the real `PackedQueue`, in loops like those of its paths; the
 * driver's end is written here from virtio 1.4 §2.8, with Atomics for the flags and events, and plain accesses for the rest.
 */

import { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../src/device/virtqueue/descriptor-chain.ts";
import { PackedQueue } from "../../src/device/virtqueue/packed-queue.ts";
import type { AnyView } from "./ring-world.ts";

/** Int32 indices: the interrupt, and the kick. */
export const PENDING = 0;
export const KICK = 1;

const DRIVER_AREA = 16;
const DEVICE_AREA = 24;
const RING = 64;
const PAYLOAD = 192;
export const PACKED_MEMORY_BYTES = 256;

const NEXT = 1;
const WRITE = 2;
const AVAIL = 0x80;
const USED = 0x8000;
/** Bytes of each element; the card uses one of them. */
const ELEMENT_BYTES = 2;
const EVENTS_ON = 0;
const EVENTS_OFF = 1;
const EVENTS_AT = 2;

export interface PackedOptions {
  readonly size: number;
  readonly eventIdx: boolean;
  /** Slots of each buffer; 1 if left out. */
  readonly slots?: number;
  /** The card takes plain chains in stretches. */
  readonly stretches?: boolean;
  readonly Queue?: typeof PackedQueue;
  readonly Driver?: typeof PackedThreadDriver;
  readonly watched?: <V extends AnyView>(view: V, side: string) => V;
}

/** What lies at a byte offset. */
export function packedNameOf(offset: number): string {
  if (offset < DRIVER_AREA) return offset < 4 ? "pending" : "kick";
  if (offset < RING) {
    const area = offset < DEVICE_AREA ? "driver" : "device";
    return `${area}.${offset % 4 === 0 ? "off_wrap" : "flags"}`;
  }
  if (offset >= PAYLOAD) return "payload";
  return offset % 16 === 14 ? "flags" : "descriptors";
}

function payloadAt(id: number): number {
  return PAYLOAD + 8 * id;
}

export class PackedCard {
  readonly words: Int32Array;
  readonly queue: PackedQueue;
  readonly memory: GuestMemory;
  readonly chain = new DescriptorChain(8);
  interrupts = 0;
  readonly #stretches: boolean;
  readonly #receives: boolean;

  /** `receives`: the buffers are for the card to fill. */
  constructor(buffer: SharedArrayBuffer, options: PackedOptions, receives: boolean) {
    const { size, eventIdx, stretches = false, Queue = PackedQueue, watched } = options;
    this.#stretches = stretches;
    this.#receives = receives;
    this.words = new Int32Array(buffer);
    this.memory = new GuestMemory(buffer);
    if (watched !== undefined) {
      this.memory.u8 = watched(this.memory.u8, "card");
      this.memory.u16 = watched(this.memory.u16, "card");
      this.memory.u32 = watched(this.memory.u32, "card");
      this.memory.i32 = watched(this.memory.i32, "card");
    }
    this.queue = new Queue(this.memory);
    const areas = { size, descAddress: RING, driverAddress: DRIVER_AREA, deviceAddress: DEVICE_AREA };
    if (this.queue.enable({ ...areas, indirect: false, eventIdx }) !== 0) throw new Error("the queue was refused");
    this.queue.start();
  }

  /** Takes the next buffer; returns its first byte's offset, or -1 if there is none. `use` follows. */
  take(): number {
    const { queue } = this;
    if (this.#stretches) {
      const at = this.#takePlain();
      if (at >= 0) return at;
      queue.closeStretch();
      if (queue.openStretch(queue.size, this.#receives)) return this.#takePlain();
    }
    const taken = queue.take(this.chain);
    if (taken > 1) throw new Error(`the ring is faulty: ${queue.fault}`);
    return taken === 0 ? -1 : this.chain.offsets[0]!;
  }

  #takePlain(): number {
    return this.queue.stretch.take(1, this.#receives ? 1 : 0);
  }

  /** Uses the buffer that was taken. */
  use(): void {
    if (!this.#stretches) this.queue.pushUsed(this.chain.head, this.#receives ? 1 : 0);
  }

  /** Publishes what was used, and interrupts the driver if it wants that. */
  finish(): void {
    const since = this.queue.usedIdx;
    this.queue.closeStretch();
    this.queue.publish();
    if (this.queue.usedIdx === since || !this.queue.wantsInterrupt(since)) return;
    this.interrupts++;
    Atomics.store(this.words, PENDING, 1);
    Atomics.notify(this.words, PENDING);
  }
}

export class PackedThreadDriver {
  readonly words: Int32Array;
  readonly size: number;
  readonly slots: number;
  /** Buffers that are the driver's, by id. */
  readonly freeIds: number[];
  kicks = 0;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #eventIdx: boolean;
  readonly #writable: boolean;
  #avail = 0;
  #availWrap = 1;
  #used = 0;
  #usedWrap = 1;
  /** Slots made available since the last look at the device's events. */
  #added = 0;

  /** `writable`: the buffers are for the card to fill. */
  constructor(buffer: SharedArrayBuffer, options: PackedOptions, writable: boolean) {
    const { size, eventIdx, slots = 1, watched = (view) => view } = options;
    this.words = new Int32Array(buffer);
    this.#u8 = watched(new Uint8Array(buffer), "guest");
    this.#u16 = watched(new Uint16Array(buffer), "guest");
    this.#u32 = watched(new Uint32Array(buffer), "guest");
    this.size = size;
    this.slots = slots;
    this.#eventIdx = eventIdx;
    this.#writable = writable;
    this.freeIds = Array.from({ length: Math.floor(size / slots) }, (_, id) => id);
  }

  /** Makes a buffer available whose first byte is `payload`. */
  offer(payload: number): void {
    const id = this.freeIds.shift()!;
    this.#u8[payloadAt(id)] = payload;
    const first = this.#avail;
    let firstFlags = 0;
    for (let i = 0; i < this.slots; i++) {
      const at = (RING >>> 2) + 4 * this.#avail;
      this.#u32[at] = payloadAt(id) + ELEMENT_BYTES * i;
      this.#u32[at + 1] = 0;
      this.#u32[at + 2] = ELEMENT_BYTES;
      this.#u16[2 * at + 6] = id;
      const last = i === this.slots - 1;
      const owner = this.#availWrap === 1 ? AVAIL : USED;
      const flags = owner | (last ? 0 : NEXT) | (this.#writable ? WRITE : 0);
      if (i === 0) firstFlags = flags;
      else this.#u16[2 * at + 7] = flags;
      this.#avail++;
      if (this.#avail === this.size) {
        this.#avail = 0;
        this.#availWrap ^= 1;
      }
    }
    this.#added += this.slots;
    Atomics.store(this.#u16, (RING >>> 1) + 8 * first + 7, firstFlags);
  }

  /** After the offers: kicks if one of them is the one that the card waits for. */
  flush(): void {
    const wanted = this.wantsKick(this.#added);
    this.#added = 0;
    if (!wanted) return;
    this.kicks++;
    Atomics.store(this.words, KICK, 1);
    Atomics.notify(this.words, KICK);
  }

  protected wantsKick(added: number): boolean {
    const flags = Atomics.load(this.#u16, (DEVICE_AREA >>> 1) + 1);
    if (flags !== EVENTS_AT) return flags === EVENTS_ON;
    const offWrap = Atomics.load(this.#u16, DEVICE_AREA >>> 1);
    // One by one, backwards from the next slot.
    let slot = this.#avail;
    let wrap = this.#availWrap;
    for (let i = 0; i < added; i++) {
      if (slot === 0) wrap ^= 1;
      slot = slot === 0 ? this.size - 1 : slot - 1;
      if (slot === (offWrap & 0x7fff) && wrap === offWrap >>> 15) return true;
    }
    return false;
  }

  /** True if a used buffer waits. */
  get hasUsed(): boolean {
    const flags = Atomics.load(this.#u16, (RING >>> 1) + 8 * this.#used + 7);
    const all = this.freeIds.length === Math.floor(this.size / this.slots);
    const bits = flags & (AVAIL | USED);
    return !all && bits === (this.#usedWrap === 1 ? AVAIL | USED : 0);
  }

  /** Takes the used buffer that waits; returns its first byte. */
  take(): number {
    const at = (RING >>> 2) + 4 * this.#used;
    const id = this.#u16[2 * at + 6]!;
    const length = this.#u32[at + 2]!;
    if (this.freeIds.includes(id) || length !== (this.#writable ? 1 : 0))
      throw new Error(`buffer ${id} came back with length ${length}`);
    this.freeIds.push(id);
    this.#used += this.slots;
    if (this.#used >= this.size) {
      this.#used -= this.size;
      this.#usedWrap ^= 1;
    }
    return this.#u8[payloadAt(id)]!;
  }

  disableInterrupts(): void {
    Atomics.store(this.#u16, (DRIVER_AREA >>> 1) + 1, EVENTS_OFF);
  }

  /** Asks for an interrupt at the next used buffer; returns true if none waits already. */
  enableInterrupts(): boolean {
    if (this.#eventIdx) Atomics.store(this.#u16, DRIVER_AREA >>> 1, this.#used | (this.#usedWrap << 15));
    Atomics.store(this.#u16, (DRIVER_AREA >>> 1) + 1, this.#eventIdx ? EVENTS_AT : EVENTS_ON);
    return !this.hasUsed;
  }
}

// --- known bugs, one each, for the explorer to find --------------------------------------------------------------------

/** Looks whether an interrupt is wanted before it stores the flags that show the batch. */
export class AsksBeforePublishing extends PackedQueue {
  override publish(): void {
    const { memory } = this;
    const load = (offset: number): number => GuestMemory.prototype.loadAcquireU16.call(memory, offset);
    const [offWrap, flags] = [load(DRIVER_AREA), load(DRIVER_AREA + 2)];
    super.publish();
    memory.loadAcquireU16 = (offset) => {
      if (offset === DRIVER_AREA) return offWrap;
      return offset === DRIVER_AREA + 2 ? flags : load(offset);
    };
  }
}

/** Does not look at the ring again after it asked for a kick. */
export class ArmsAndSleeps extends PackedQueue {
  override armKick(): number {
    super.armKick();
    return 0;
  }
}

/** Shows a used descriptor before it has written its id and length. */
export class ShowsTooEarly extends PackedQueue {
  // The ring's words before anything of the batch was used.
  #before: Uint32Array | null = null;

  override pushUsed(id: number, lengthBytes: number): void {
    this.#before ??= this.#ring();
    super.pushUsed(id, lengthBytes);
  }

  override openStretch(chainsMax: number, writable: boolean): boolean {
    this.#before ??= this.#ring();
    return super.openStretch(chainsMax, writable);
  }

  override publish(): void {
    const before = this.#before ?? this.#ring();
    this.#before = null;
    const after = this.#ring();
    this.#setLengths(before);
    super.publish();
    this.#setLengths(after);
  }

  #ring(): Uint32Array {
    return this.memory.u32.slice(RING >>> 2, PAYLOAD >>> 2);
  }

  #setLengths(ring: Uint32Array): void {
    for (let i = 2; i < ring.length; i += 4) this.memory.u32[(RING >>> 2) + i] = ring[i]!;
  }
}

/** Does not look at the ring again after it asked for interrupts. */
export class EnablesAndSleeps extends PackedThreadDriver {
  override enableInterrupts(): boolean {
    super.enableInterrupts();
    return true;
  }
}

/** Looks whether a kick is wanted before it stores the flags. */
export class AsksBeforeOffering extends PackedThreadDriver {
  #wanted = false;

  override offer(payload: number): void {
    // As if that slot were added.
    this.#wanted =
      super.wantsKick(0) || Atomics.load(new Uint16Array(this.words.buffer), (DEVICE_AREA >>> 1) + 1) !== 1;
    super.offer(payload);
  }

  protected override wantsKick(): boolean {
    return this.#wanted;
  }
}
