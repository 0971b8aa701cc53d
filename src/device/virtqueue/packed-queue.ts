/**
 * The device's side of a packed virtqueue (virtio 1.4 §2.8).
 *
 * One ring serves both ways. The card takes chains in ring order, each as soon as the flags of its first descriptor say
 * that it is available, and writes one used descriptor over the first slot of each chain, in the same order. Used
 * descriptors become visible in batches: the driver polls the first one of a batch, whose flags `publish` stores last.
 *
 * Faults of one chain leave the queue usable: its end was found and its id must be returned with length 0. If a chain
 * has no end, or the driver takes back what it has made available, the ring cannot be followed any more: the queue is
 * `broken` until the device is reset.
 */

import { FAULT_AVAIL_WITHDRAWN, FAULT_CHAIN_UNENDED, FAULT_NONE, FAULT_QUEUE_SETUP } from "../faults.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { PACKED_DESC_BYTES, PACKED_DESC_FLAGS, PACKED_F_AVAIL, PACKED_F_USED } from "../spec/packed-ring.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import { PackedEvents } from "./packed-events.ts";
import { PackedScan } from "./packed-scan.ts";
import { PackedStretch } from "./packed-stretch.ts";
import { PackedUsed } from "./packed-used.ts";
import { locatePackedAreas, type QueueAreas } from "./queue-areas.ts";
import { checkSnapshot, type QueueSnapshot } from "./queue-snapshot.ts";
import { TAKE_BROKEN, TAKE_CHAIN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "./virtqueue.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NO_FAULT = FAULT_NONE;
const UNENDED = FAULT_CHAIN_UNENDED;
const CHAIN = TAKE_CHAIN;
const OWNER_BITS = PACKED_F_AVAIL | PACKED_F_USED;
const DESC_BYTES = PACKED_DESC_BYTES;
const FLAGS_AT = PACKED_DESC_FLAGS;

export class PackedQueue implements Virtqueue {
  readonly memory: GuestMemory;
  readonly stretch: PackedStretch;
  size = 0;
  fault: number = FAULT_NONE;
  broken = false;
  epoch = 0;

  // Byte offset of the ring in the buffer.
  #ring = 0;
  #indirectAllowed = false;
  #started = false;
  #armed = false;
  // The next slot to take, and how AVAIL and USED look there once it is available (§2.8.1): the device's wrap counter.
  #availSlot = 0;
  #availOwner: number = PACKED_F_AVAIL;
  // Slots that the driver may have filled: all but those of chains that are taken and not yet published as used.
  #driverSlots = 0;
  readonly #scan = new PackedScan();
  readonly #used: PackedUsed;
  readonly #events: PackedEvents;
  #everUsed = false;

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.stretch = new PackedStretch(memory);
    this.#used = new PackedUsed(memory);
    this.#events = new PackedEvents(memory);
  }

  /** Running count of used descriptors, mod 2^16, as published. */
  get usedIdx(): number {
    return this.#used.published;
  }

  get enabled(): boolean {
    return this.size !== 0;
  }

  get started(): boolean {
    return this.#started;
  }

  get armed(): boolean {
    return this.#armed;
  }

  get inHand(): number {
    return this.#used.inHand;
  }

  /** Available chains that the last `refresh` has seen and that are not taken. An open stretch may take others too. */
  get cachedFree(): number {
    return Math.max(0, this.#scan.chains - this.stretch.used);
  }

  enable(areas: QueueAreas): number {
    this.reset();
    const { size } = areas;
    const offsets = locatePackedAreas(this.memory, areas);
    if (offsets === null) return FAULT_QUEUE_SETUP;
    this.size = size;
    this.#ring = offsets.desc;
    this.#indirectAllowed = areas.indirect;
    this.#driverSlots = size;
    this.#used.begin(offsets.desc, size);
    this.#events.begin(size, offsets.driver, offsets.device, areas.eventIdx);
    return FAULT_NONE;
  }

  /** Back to the state before `enable` (virtio 1.4 §2.6.1.1, VQRST-2). */
  reset(): void {
    this.stretch.forget();
    this.stop();
    this.size = 0;
    this.fault = FAULT_NONE;
    this.broken = false;
    this.#availSlot = 0;
    this.#availOwner = PACKED_F_AVAIL;
    this.#used.moveTo(0, true, 0);
    this.#everUsed = false;
  }

  /** The device may touch the ring from here on: DRIVER_OK, or its return after SUSPEND. */
  start(): void {
    if (this.size === 0) return;
    this.#started = true;
    this.#armed = false;
    this.#events.forbidKicks();
  }

  /** The device touches the ring no more; an unpublished batch is published first by whoever wants it seen. */
  stop(): void {
    this.#started = false;
    this.#armed = false;
    this.stretch.cut();
    this.#scan.forget();
    this.epoch++;
  }

  /** Looks how far the ring is filled; returns the number of available chains, 0 if it is broken or not started. */
  refresh(): number {
    if (!this.#started || this.broken) return 0;
    const scan = this.#scan;
    if (!scan.look(this.memory, this.#ring, this.size, this.#availSlot, this.#availOwner, this.#driverSlots)) {
      this.#break(FAULT_CHAIN_UNENDED);
    }
    return this.cachedFree;
  }

  hasFreeAbove(count: number): boolean {
    return this.cachedFree > count || this.refresh() > count;
  }

  /** Takes the next available chain into `chain`; returns one of TAKE_*. */
  take(chain: DescriptorChain): number {
    if (!this.#started || this.broken || this.#driverSlots === 0) return this.broken ? TAKE_BROKEN : TAKE_EMPTY;
    const memory = this.memory;
    const slot = this.#availSlot;
    const flags = memory.loadAcquireU16(this.#ring + slot * DESC_BYTES + FLAGS_AT);
    if ((flags & OWNER_BITS) !== this.#availOwner) {
      if (this.#scan.chains === 0) return TAKE_EMPTY;
      // §2.8.16: the driver changes nothing that it has made available.
      this.#break(FAULT_AVAIL_WITHDRAWN);
      return TAKE_BROKEN;
    }
    const fault = chain.readPacked(
      memory,
      this.#ring,
      this.size,
      slot,
      flags,
      this.#driverSlots,
      this.#indirectAllowed,
    );
    if (fault === UNENDED) {
      this.#break(fault);
      return TAKE_BROKEN;
    }
    const span = chain.span;
    this.#used.taken(span);
    this.#advance(slot + span, span, 1);
    if (fault === NO_FAULT) return CHAIN;
    this.fault = fault;
    return TAKE_FAULT;
  }

  openStretch(chainsMax: number, writable: boolean): boolean {
    const count = Math.min(chainsMax, this.#driverSlots, this.size - this.#availSlot);
    if (count <= 0 || !this.#started || this.broken) return false;
    const at = this.#ring + this.#availSlot * DESC_BYTES;
    this.stretch.open(at, count, this.#availOwner, writable, this.#used.batchEmpty);
    return true;
  }

  closeStretch(): number {
    const count = this.stretch.used;
    if (count !== 0) {
      this.#used.pushStretch(count, this.stretch.writable);
      this.#advance(this.#availSlot + count, count, count);
    }
    this.stretch.forget();
    return count;
  }

  /** Gives back the last `count` chains taken, none of which was used. They will be read again. */
  rewind(count: number): void {
    for (let left = count; left > 0; left--) {
      const span = this.#used.givenBack();
      this.#availSlot -= span;
      if (this.#availSlot < 0) {
        this.#availSlot += this.size;
        this.#availOwner ^= OWNER_BITS;
      }
      this.#driverSlots += span;
      if (this.#started) this.#scan.givenBack(span);
    }
  }

  pushUsed(id: number, lengthBytes: number): void {
    this.#used.push(id, lengthBytes);
  }

  publish(): void {
    const slots = this.#used.publish();
    if (slots === 0) return;
    this.#everUsed = true;
    this.#driverSlots += slots;
    this.#events.advance(this.usedIdx, slots);
  }

  /** True if the driver wants an interrupt for the used descriptors from `sinceUsedIdx`, a past `usedIdx`, up to now. */
  wantsInterrupt(sinceUsedIdx: number): boolean {
    // Suspended, the ring may not be read (SUSPEND-3): better an interrupt too many than one lost.
    return !this.#started || this.#events.wantsInterrupt(this.usedIdx, sinceUsedIdx);
  }

  mayHaveUnread(): boolean {
    return this.#everUsed && (!this.#started || this.#events.mayHaveUnread());
  }

  /**
   * The race: a driver that stored a descriptor's flags before our request saw "no kick wanted" and will not kick. So
   * the flags are loaded after the request is stored, and both are Atomics, as the driver's two accesses are: either
   * it sees the request, or we see its buffer.
   */
  armKick(): number {
    this.#events.askForKick(this.#availSlot, this.#availOwner === PACKED_F_AVAIL);
    this.#armed = true;
    return this.refresh();
  }

  snapshot(): QueueSnapshot {
    if (!this.#used.settled) {
      throw new RangeError("queue snapshot: chains are taken; publish or rewind them first");
    }
    const { usedIdx, fault, broken } = this;
    return { usedIdx, position: this.#events.position, everUsed: this.#everUsed, fault, broken };
  }

  restore(snapshot: QueueSnapshot): void {
    checkSnapshot(snapshot, 2 * this.size);
    const { usedIdx, position } = snapshot;
    const secondTurn = position >= this.size;
    this.#availSlot = secondTurn ? position - this.size : position;
    this.#availOwner = secondTurn ? PACKED_F_USED : PACKED_F_AVAIL;
    this.#used.moveTo(this.#availSlot, !secondTurn, usedIdx);
    this.#everUsed = snapshot.everUsed;
    this.fault = snapshot.fault;
    this.broken = snapshot.broken;
    this.#events.moveTo(position, usedIdx);
  }

  /** Chains were taken: the next one begins at `slot`, which may lie beyond the end of the ring. */
  #advance(slot: number, slots: number, chains: number): void {
    if (this.#armed) {
      this.#armed = false;
      this.#events.forbidKicks();
    }
    if (slot < this.size) {
      this.#availSlot = slot;
    } else {
      this.#availSlot = slot - this.size;
      this.#availOwner ^= OWNER_BITS;
    }
    this.#driverSlots -= slots;
    this.#scan.taken(slots, chains);
  }

  #break(fault: number): void {
    this.fault = fault;
    this.broken = true;
    this.stretch.cut();
    this.#scan.forget();
  }
}
