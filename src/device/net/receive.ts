/**
 * The receive path of one queue: a frame off the wire goes into the driver's buffers at once, or is dropped.
 * Source: virtio 1.4 §5.1.9.3, §5.1.9.4.
 *
 * Frames are accepted one by one; used buffers become visible in batches, at the latest in `finish`.
 */

import type { Frame, FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { type CardObserver, DROP_FAULT, DROP_NO_BUFFER, DROP_NOT_READY, DROP_TOO_LONG } from "../observer.ts";
import {
  ETHERNET_HEADER_BYTES,
  NET_HDR_F_DATA_VALID,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_GSO_NONE,
  NET_HDR_HASH_BYTES,
  VLAN_TAG_BYTES,
} from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import type { Stretch } from "../virtqueue/stretch.ts";
import { TAKE_CHAIN, type Virtqueue } from "../virtqueue/virtqueue.ts";
import type { Negotiated } from "./negotiated.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
import { ReceiveHeader } from "./receive-header.ts";
import { ReceiveSpread, SPREAD_BROKEN, SPREAD_EMPTY, SPREAD_FAULT, SPREAD_TOO_LONG } from "./receive-spread.ts";
import type { QueueStatistics } from "./statistics.ts";

/** The last word of a header that says only num_buffers = 1: bits 31:16, after csum_offset = 0. */
const ONE_BUFFER = 1 << 16;
const ETHERTYPE_OFFSET = 12;
const ETHERTYPE_VLAN = 0x8100;
/** Longest frame of a card whose MTU was not negotiated that every driver must be able to take (§5.1.9.3). */
const FRAME_BYTES_USUAL = 1514;
const GUARD_UNKNOWN = -1;
/** A limit that no frame reaches. */
const UNLIMITED = 0x7fffffff;
// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NEEDS_CSUM = NET_HDR_F_NEEDS_CSUM;
const DATA_VALID = NET_HDR_F_DATA_VALID;
const GSO_NONE = NET_HDR_GSO_NONE;
const CHAIN = TAKE_CHAIN;

/** Deals with a frame that was taken off the wire. */
export interface FrameHandler {
  /** The path that takes every frame, with nothing else to be looked at; null if each frame must be. */
  readonly direct: ReceivePath | null;
  /** Returns how many frames it was: one that is cut counts as all that it makes. */
  handle(frame: Frame, nowNs: number): number;
}

export class ReceivePath implements QueuePath {
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  // The queue's, and bytes of the frames that were delivered into it.
  #stretch: Stretch;
  #stretchBytes = 0;
  readonly #throttle: Throttle;
  readonly #observer: CardObserver | null;
  readonly #faults: FaultSink;
  readonly #header = new ReceiveHeader();
  readonly #spread: ReceiveSpread;
  #headerBytes = this.#header.lengthBytes;
  // 1 if a header says something even of a plain frame: its hash.
  #reportsHash = 0;
  #mergeable = false;
  // A longer frame is dropped.
  #frameBytesMax = UNLIMITED;
  // Frames delivered and faulty chains returned since the last publishing.
  #batch = 0;
  #batchUrgent = false;
  // What the host has programmed, looked up once per batch. A guard of 0 is off.
  #guard = GUARD_UNKNOWN;
  #filtersUrgent = false;
  // Whether a stretch may be opened.
  #takesStretches = false;

  constructor(context: PathContext, queueSizeMax: number) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#memory = context.memory;
    this.#chain = context.chain;
    this.#stretch = context.queue.stretch;
    this.#throttle = context.throttle;
    this.#observer = context.observer;
    this.#faults = context.faults;
    this.#spread = new ReceiveSpread(context.memory, context.chain, this.#header, queueSizeMax);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
    this.#stretch = queue.stretch;
  }

  configure({ mergeable, mtu, headerBytes }: Negotiated): void {
    this.#mergeable = mergeable;
    this.#frameBytesMax = mtu === null ? UNLIMITED : mtu + ETHERNET_HEADER_BYTES;
    this.#spread.configure(mergeable, mtu === null ? FRAME_BYTES_USUAL : this.#frameBytesMax);
    this.#header.lengthBytes = headerBytes;
    this.#headerBytes = headerBytes;
    this.#reportsHash = headerBytes === NET_HDR_HASH_BYTES ? 1 : 0;
  }

  /**
   * Takes frames off the wire until there is none, or there were at least `budgetFrames`, or this is not any more the one
   * path for all of them; returns their number. Those that are finished and fit the next chain of the stretch are
   * delivered here, `others` deals with all others.
   */
  run(port: FramePort, frame: Frame, budgetFrames: number, nowNs: number, others: FrameHandler): number {
    const framesMax = Math.min(budgetFrames, UNLIMITED) | 0;
    let frames = 0;
    while (frames < framesMax && port.receive(frame, nowNs)) {
      frames++;
      if ((frame.flags | frame.gsoType) !== GSO_NONE || !this.#deliver(frame)) {
        frames += others.handle(frame, nowNs) - 1;
        if (others.direct !== this) break;
      }
    }
    return frames;
  }

  /**
   * Delivers or drops one frame, which has just been taken off the wire, and asks for nothing that the driver does not
   * take; the card lives, but the queue may not. False if the frame is to be segmented and too long for the driver's
   * buffer: nothing has happened then, and it may be cut.
   */
  accept(frame: Frame, nowNs: number): boolean {
    if (this.#deliver(frame)) return true;
    if (this.#stretch.spent && this.#openStretch() && this.#deliver(frame)) return true;
    return this.#acceptOne(frame, nowNs);
  }

  /** Delivers a frame into the next chain of the stretch, if it fits; `settle` counts it. */
  #deliver(frame: Frame): boolean {
    const { lengthBytes } = frame;
    if (lengthBytes > this.#frameBytesMax) return false;
    if ((frame.flags | this.#reportsHash) !== 0) return this.#deliverMarked(frame);
    // Counted before, since V8 knows nothing of this path any more behind the copy.
    const bytesBefore = this.#stretchBytes;
    this.#stretchBytes = bytesBefore + lengthBytes;
    if (this.#stretch.put(0, 0, ONE_BUFFER, this.#headerBytes, frame.bytes, frame.offset, lengthBytes)) return true;
    this.#stretchBytes = bytesBefore;
    return false;
  }

  /** The same for a frame of which the header says more. */
  #deliverMarked(frame: Frame): boolean {
    const { lengthBytes } = frame;
    const neededBytes = this.#headerBytes + lengthBytes;
    const offset = this.#stretch.take(neededBytes, neededBytes);
    if (offset < 0) return false;
    try {
      this.#memory.copyIn(frame.bytes, frame.offset, offset + this.#headerBytes, lengthBytes);
    } catch (error) {
      // A frame that is not whole is not delivered.
      this.#stretch.undo();
      throw error;
    }
    this.#writeHeader(frame, offset);
    this.#stretchBytes += lengthBytes;
    return true;
  }

  /** Writes the header of a frame that is delivered in one piece. */
  #writeHeader(frame: Frame, offset: number): void {
    this.#header.describe(frame);
    this.#header.store(this.#memory, offset);
    if (frame.flags !== 0) this.#countOffloads(frame);
  }

  /** Counts a frame that is delivered with its checksum or segmentation left to the driver, or validated. */
  #countOffloads(frame: Frame): void {
    const statistics = this.#statistics;
    if ((frame.flags & NEEDS_CSUM) !== 0) statistics.checksumNeeded++;
    if ((frame.flags & DATA_VALID) !== 0) statistics.checksumValid++;
    if (frame.gsoType === GSO_NONE) return;
    statistics.gsoFrames++;
    statistics.gsoBytes += frame.lengthBytes;
  }

  /** Opens a stretch for the frames to come, if nothing but the ring has to be looked at between them. */
  #openStretch(): boolean {
    if (this.#guard === GUARD_UNKNOWN) this.#readProgram();
    if (!this.#takesStretches) return false;
    this.settle();
    const queue = this.#queue;
    // R5: above the guard, frames are not looked at one by one.
    const chainsMax = this.#guard === 0 ? queue.size : queue.refresh() - this.#guard - 1;
    return queue.openStretch(chainsMax, true);
  }

  /** Tells the queue what was delivered into the stretch, and ends it. */
  settle(): void {
    this.#countStretch();
    this.#batch += this.#queue.closeStretch();
  }

  #countStretch(): void {
    const frames = this.#stretch.used;
    const statistics = this.#statistics;
    statistics.frames += frames;
    statistics.bytes += this.#stretchBytes - this.#stretch.failedBytes;
    statistics.buffers += frames;
    this.#stretchBytes = 0;
  }

  #acceptOne(frame: Frame, nowNs: number): boolean {
    // A chain that is not plain, or too short, is not alone: the batch goes on chain by chain.
    if (!this.#stretch.spent) this.#takesStretches = false;
    this.settle();
    const queue = this.#queue;
    if (!queue.started) {
      this.refuse(frame, DROP_NOT_READY, nowNs);
      return true;
    }
    const lengthBytes = frame.lengthBytes;
    if (frame.gsoType !== GSO_NONE && !this.#mergeable && !this.#spread.mayHold(queue, lengthBytes)) return false;
    if (this.#observer !== null) this.#observer.arrived(frame.id, this.#index, lengthBytes, nowNs);
    if (lengthBytes > this.#frameBytesMax && this.#exceedsMtu(frame)) {
      this.#drop(frame, DROP_TOO_LONG, nowNs);
      return true;
    }
    const chain = this.#chain;
    const neededBytes = this.#headerBytes + lengthBytes;
    const taken = queue.take(chain);
    let buffers = 1;
    if (taken === CHAIN && chain.readableCount === 0 && chain.lengths[0]! >= neededBytes) {
      const offset = chain.offsets[0]!;
      this.#writeHeader(frame, offset);
      this.#memory.copyIn(frame.bytes, frame.offset, offset + this.#headerBytes, lengthBytes);
      queue.pushUsed(chain.head, neededBytes);
    } else {
      buffers = this.#spread.write(queue, frame, taken);
      if (buffers <= SPREAD_EMPTY) {
        this.#dropUndelivered(frame, buffers, nowNs);
        return true;
      }
      if (frame.flags !== 0) this.#countOffloads(frame);
    }
    const statistics = this.#statistics;
    statistics.frames++;
    statistics.bytes += lengthBytes;
    statistics.buffers += buffers;
    this.#batch++;
    if (this.#guard === GUARD_UNKNOWN) this.#readProgram();
    if (this.#observer !== null) {
      this.#observer.delivered(frame.id, this.#index, buffers, queue.refresh(), nowNs);
    }
    if (this.#filtersUrgent && this.#throttle.isUrgent(this.#index, frame)) {
      this.#batchUrgent = true;
      this.finish(nowNs);
    } else if (this.#guard > 0 && queue.cachedFree <= this.#guard && queue.refresh() <= this.#guard) {
      // R5: the throttle looks at the guard after every frame.
      this.finish(nowNs);
    }
    return true;
  }

  giveBack(): void {
    this.settle();
    this.#queue.rewind(this.#queue.inHand);
  }

  finish(nowNs: number): void {
    this.settle();
    // Also if all that came was dropped.
    this.#guard = GUARD_UNKNOWN;
    if (this.#batch === 0) return;
    const frames = this.#batch;
    const urgent = this.#batchUrgent;
    const fromUsedIdx = this.#queue.usedIdx;
    this.abandon();
    this.#queue.publish();
    this.#statistics.batches++;
    this.#throttle.published(this.#index, fromUsedIdx, frames, urgent, nowNs);
  }

  abandon(): void {
    this.#batch = 0;
    this.#batchUrgent = false;
    this.#guard = GUARD_UNKNOWN;
    this.#countStretch();
  }

  /** Drops a frame before it gets to the ring: `why` is a DROP_* reason. */
  refuse(frame: Frame, why: number, nowNs: number): void {
    if (this.#observer !== null) this.#observer.arrived(frame.id, this.#index, frame.lengthBytes, nowNs);
    this.#drop(frame, why, nowNs);
  }

  #drop(frame: Frame, why: number, nowNs: number): void {
    this.#statistics.drops[why]!++;
    if (this.#observer !== null) this.#observer.dropped(frame.id, this.#index, why, nowNs);
  }

  #readProgram(): void {
    this.#guard = this.#throttle.guardOf(this.#index);
    this.#filtersUrgent = this.#throttle.filtersUrgent(this.#index);
    // An observer is told of every frame how many buffers are left.
    this.#takesStretches = !this.#filtersUrgent && this.#observer === null;
  }

  /**
   * NCFG-5: the limit is the MTU plus the link header, which is 4 bytes longer in a tagged frame. It is none for what is
   * still to be segmented.
   */
  #exceedsMtu(frame: Frame): boolean {
    if (frame.gsoType !== GSO_NONE) return false;
    if (frame.lengthBytes > this.#frameBytesMax + VLAN_TAG_BYTES) return true;
    const at = frame.offset + ETHERTYPE_OFFSET;
    return ((frame.bytes[at]! << 8) | frame.bytes[at + 1]!) !== ETHERTYPE_VLAN;
  }

  /** Drops a frame that the spread has not written; `result` says why. */
  #dropUndelivered(frame: Frame, result: number, nowNs: number): void {
    switch (result) {
      case SPREAD_TOO_LONG:
        this.#drop(frame, DROP_TOO_LONG, nowNs);
        return;
      case SPREAD_FAULT:
        this.#statistics.buffers += this.#spread.buffers;
        this.#batch++;
        this.#faults.chainFault(this.#index, this.#spread.fault, nowNs);
        this.#drop(frame, DROP_FAULT, nowNs);
        return;
      case SPREAD_BROKEN:
        this.#drop(frame, DROP_FAULT, nowNs);
        this.#faults.ringFault(this.#index, this.#queue.fault, nowNs);
        return;
      default:
        this.#drop(frame, DROP_NO_BUFFER, nowNs);
        // What is in the ring already must be seen before the throttle is told that it is full.
        this.finish(nowNs);
        this.#throttle.starved(this.#index, nowNs);
    }
  }
}
