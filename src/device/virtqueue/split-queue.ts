/**
 * The device's side of a split virtqueue (virtio 1.4 §2.7).
 *
 * The card takes chains from the available ring, and puts their heads into the used ring. Both work in batches:
 * `avail.idx` is loaded once and the entries up to it are taken before it is loaded again; used elements are written
 * plainly and become visible together, when `publish` stores `used.idx`. Taken chains can be given back (`rewind`).
 *
 * Faults of one chain leave the queue usable: its head was taken and must be returned with length 0. After a fault of
 * the ring itself nothing that the driver says can be believed: the queue is `broken` until the device is reset.
 */

import { FAULT_AVAIL_IDX, FAULT_HEAD_OUT_OF_RANGE, FAULT_NONE, FAULT_QUEUE_SETUP } from "../faults.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { AVAIL_IDX, AVAIL_RING, USED_IDX, USED_RING } from "../spec/split-ring.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import { locateSplitAreas, type QueueAreas } from "./queue-areas.ts";
import { checkSnapshot, type QueueSnapshot } from "./queue-snapshot.ts";
import { SplitEvents } from "./split-events.ts";
import { SplitStretch } from "./split-stretch.ts";
import { TAKE_BROKEN, TAKE_CHAIN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "./virtqueue.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NO_FAULT = FAULT_NONE;
const CHAIN = TAKE_CHAIN;

export class SplitQueue implements Virtqueue {
  readonly memory: GuestMemory;
  readonly stretch: SplitStretch;
  /** Index of the next used entry, mod 2^16, as published in `used.idx`. */
  usedIdx = 0;
  size = 0;
  fault: number = FAULT_NONE;
  broken = false;
  epoch = 0;

  readonly #wantsKicks: boolean;
  #mask = 0;
  // Byte offsets of the three areas in the buffer, and element indices of the two rings in the u16 and u32 views.
  #table = 0;
  #avail = 0;
  #used = 0;
  #availRing = 0;
  #usedRing = 0;
  #indirectAllowed = false;
  #started = false;
  #armed = false;
  // avail.idx as last loaded, and the next entry to take; both mod 2^16.
  #availIdx = 0;
  #nextAvail = 0;
  // Index of the next used entry to write, mod 2^16: ahead of usedIdx by the unpublished batch.
  #nextUsed = 0;
  #everUsed = false;
  readonly #events: SplitEvents;

  /** @param wantsKicks false if the card looks at the available ring anyway, as it does before it drops a frame */
  constructor(memory: GuestMemory, wantsKicks: boolean) {
    this.memory = memory;
    this.stretch = new SplitStretch(memory);
    this.#wantsKicks = wantsKicks;
    this.#events = new SplitEvents(memory);
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

  /** Used entries that are written but not yet published. */
  get unpublished(): number {
    return (this.#nextUsed - this.usedIdx) & 0xffff;
  }

  get inHand(): number {
    return (this.#nextAvail - this.#nextUsed) & 0xffff;
  }

  /** Available chains that the last load of `avail.idx` has shown and that are not taken. */
  get cachedFree(): number {
    return (this.#availIdx - this.#nextAvail - this.stretch.used) & 0xffff;
  }

  enable(areas: QueueAreas): number {
    this.reset();
    const { size } = areas;
    const offsets = locateSplitAreas(this.memory, areas);
    if (offsets === null) return FAULT_QUEUE_SETUP;
    const { desc: table, driver: avail, device: used } = offsets;
    this.size = size;
    this.#mask = size - 1;
    this.#table = table;
    this.#avail = avail;
    this.#used = used;
    this.#availRing = (avail + AVAIL_RING) >>> 1;
    this.#usedRing = (used + USED_RING) >>> 2;
    this.#indirectAllowed = areas.indirect;
    this.stretch.begin(size, table);
    this.#events.begin(size, avail, used, areas.eventIdx);
    return FAULT_NONE;
  }

  /** Back to the state before `enable` (virtio 1.4 §2.6.1.1, VQRST-2). */
  reset(): void {
    this.stretch.forget();
    this.stop();
    this.size = 0;
    this.usedIdx = 0;
    this.fault = FAULT_NONE;
    this.broken = false;
    this.#availIdx = 0;
    this.#nextAvail = 0;
    this.#nextUsed = 0;
    this.#everUsed = false;
  }

  /** The device may touch the rings from here on: DRIVER_OK, or its return after SUSPEND. */
  start(): void {
    if (this.size === 0) return;
    this.#started = true;
    this.#armed = false;
    this.#events.forbidKicks(this.#nextAvail);
  }

  /** The device touches the rings no more; an unpublished batch is published first by whoever wants it seen. */
  stop(): void {
    this.#started = false;
    this.#armed = false;
    this.#forgetFree();
    this.epoch++;
  }

  /** Loads `avail.idx` afresh; returns the number of available chains, 0 if the ring is broken or not started. */
  refresh(): number {
    if (!this.#started || this.broken) return 0;
    const idx = this.memory.loadAcquireU16(this.#avail + AVAIL_IDX);
    const nextAvail = (this.#nextAvail + this.stretch.used) & 0xffff;
    const ahead = (idx - nextAvail) & 0xffff;
    const taken = (nextAvail - this.usedIdx) & 0xffff;
    // virtio 1.4 §2.7.6.1: idx never goes back. At most `size` chains are in the driver's hands or ours, so it
    // cannot be further ahead either; a chain that we have taken is not the driver's again before it is published.
    if (ahead + taken > this.size || ahead < this.cachedFree) {
      this.#break(FAULT_AVAIL_IDX);
      return 0;
    }
    this.#availIdx = idx;
    return ahead;
  }

  hasFreeAbove(count: number): boolean {
    return this.cachedFree > count || this.refresh() > count;
  }

  /**
   * Takes the next available chain into `chain`; returns one of TAKE_*. Loads `avail.idx` only when all that the last
   * load has shown is taken.
   */
  take(chain: DescriptorChain): number {
    if (!this.#hasNext()) return this.broken ? TAKE_BROKEN : TAKE_EMPTY;
    const memory = this.memory;
    const head = memory.u16[this.#availRing + (this.#nextAvail & this.#mask)]!;
    if (head >= this.size) {
      this.#break(FAULT_HEAD_OUT_OF_RANGE);
      return TAKE_BROKEN;
    }
    this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
    const fault = chain.read(memory, this.#table, this.size, head, this.#indirectAllowed);
    if (fault === NO_FAULT) return CHAIN;
    this.fault = fault;
    return TAKE_FAULT;
  }

  /** True if there is a chain to take: the queue is not armed any more then, also if `armKick` itself has found the chain. */
  #hasNext(): boolean {
    if (this.#availIdx === this.#nextAvail && this.refresh() === 0) return false;
    if (this.#armed) {
      this.#armed = false;
      this.#events.forbidKicks(this.#nextAvail);
    }
    return true;
  }

  openStretch(chainsMax: number, writable: boolean): boolean {
    if (chainsMax <= 0 || !this.#hasNext()) return false;
    const slot = this.#nextAvail & this.#mask;
    const count = Math.min(chainsMax, this.cachedFree, this.size - slot);
    this.stretch.open(this.#availRing + slot, this.#usedRing + slot * 2, count, writable);
    return true;
  }

  closeStretch(): number {
    const { used } = this.stretch;
    this.stretch.forget();
    this.#nextAvail = (this.#nextAvail + used) & 0xffff;
    this.#nextUsed = (this.#nextUsed + used) & 0xffff;
    return used;
  }

  /** Gives back the last `count` chains taken, none of which was put into the used ring. They will be read again. */
  rewind(count: number): void {
    this.#nextAvail = (this.#nextAvail - count) & 0xffff;
    if (!this.#started) this.#availIdx = this.#nextAvail;
  }

  /** Writes one used element; the driver sees it after `publish`. `lengthBytes` is what was written to the chain. */
  pushUsed(head: number, lengthBytes: number): void {
    const u32 = this.memory.u32;
    const index = this.#usedRing + (this.#nextUsed & this.#mask) * 2;
    u32[index] = head;
    u32[index + 1] = lengthBytes;
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
  }

  /** Shows the driver all used elements that were written since the last time (virtio 1.4 §2.7.8.2, SUSED-1, SUSED-2). */
  publish(): void {
    this.#everUsed = true;
    this.usedIdx = this.#nextUsed;
    this.memory.storeReleaseU16(this.#used + USED_IDX, this.usedIdx);
    if (!this.#wantsKicks) this.#events.keepForbidden(this.#nextAvail);
  }

  wantsInterrupt(sinceUsedIdx: number): boolean {
    // Suspended, the ring may not be read (SUSPEND-3): better an interrupt too many than one lost.
    return !this.#started || this.#events.wantsInterrupt(this.usedIdx, sinceUsedIdx);
  }

  mayHaveUnread(): boolean {
    return this.#everUsed && (!this.#started || this.#events.mayHaveUnread(this.usedIdx));
  }

  /**
   * The race: a driver that stored avail.idx before our request saw "no kick wanted" and will not kick. So avail.idx
   * is loaded after the request is stored, and both are Atomics, as the driver's two accesses are: either it sees the
   * request, or we see its buffer.
   */
  armKick(): number {
    this.#events.askForKick(this.#nextAvail);
    this.#armed = true;
    return this.refresh();
  }

  snapshot(): QueueSnapshot {
    if (this.#nextAvail !== this.usedIdx) {
      throw new RangeError("queue snapshot: chains are taken; publish or rewind them first");
    }
    const { usedIdx, fault, broken } = this;
    return { usedIdx, position: usedIdx, everUsed: this.#everUsed, fault, broken };
  }

  restore(snapshot: QueueSnapshot): void {
    checkSnapshot(snapshot, 0x10000);
    const { usedIdx, position } = snapshot;
    if (position !== usedIdx) {
      throw new RangeError(
        `queue snapshot: position is ${position}, which in a split ring must be usedIdx, ${usedIdx}`,
      );
    }
    this.usedIdx = usedIdx;
    this.#availIdx = usedIdx;
    this.#nextAvail = usedIdx;
    this.#nextUsed = usedIdx;
    this.#everUsed = snapshot.everUsed;
    this.fault = snapshot.fault;
    this.broken = snapshot.broken;
  }

  #break(fault: number): void {
    this.fault = fault;
    this.broken = true;
    this.#forgetFree();
  }

  /** Nothing more is taken. */
  #forgetFree(): void {
    this.stretch.cut();
    this.#availIdx = (this.#nextAvail + this.stretch.used) & 0xffff;
  }
}
