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
import { ChainBurst } from "../virtqueue/chain-burst.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
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
  readonly #burst: ChainBurst;
  // Longest frame that all of its chains can take, and bytes of the frames that were delivered into them.
  #aheadBytesMax = 0;
  #burstBytes = 0;
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
  // Whether chains may be taken ahead; and how many frames the last batch had, since the next will be like it.
  #takesAhead = false;
  #framesExpected = 0;

  constructor(context: PathContext, queueSizeMax: number) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#memory = context.memory;
    this.#chain = context.chain;
    this.#burst = new ChainBurst();
    this.#throttle = context.throttle;
    this.#observer = context.observer;
    this.#faults = context.faults;
    this.#spread = new ReceiveSpread(context.memory, context.chain, this.#header, queueSizeMax);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
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
   * path for all of them; returns their number. Those that are finished and fit the chains taken ahead are delivered here,
   * `others` deals with all others.
   */
  run(port: FramePort, frame: Frame, budgetFrames: number, nowNs: number, others: FrameHandler): number {
    const burst = this.#burst;
    const framesMax = Math.min(budgetFrames, UNLIMITED) | 0;
    let frames = 0;
    while (frames < framesMax && port.receive(frame, nowNs)) {
      frames++;
      const next = burst.next;
      if ((frame.flags | frame.gsoType) === GSO_NONE && next < burst.end && frame.lengthBytes <= this.#aheadBytesMax) {
        this.#deliverAhead(frame, next);
      } else {
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
    const burst = this.#burst;
    const next = burst.next;
    if (next < burst.end && frame.lengthBytes <= this.#aheadBytesMax) {
      this.#deliverAhead(frame, next);
      return true;
    }
    if (next === burst.end && this.#takeAhead()) return this.accept(frame, nowNs);
    return this.#acceptOne(frame, nowNs);
  }

  /** Delivers a frame into the chain `next` of those taken ahead, which holds it. `settle` counts them. */
  #deliverAhead(frame: Frame, next: number): void {
    const burst = this.#burst;
    const memory = this.#memory;
    const lengthBytes = frame.lengthBytes;
    const neededBytes = this.#headerBytes + lengthBytes;
    const offset = burst.offsets[next]!;
    memory.u32[burst.usedWord + (next << burst.usedShift)] = neededBytes;
    this.#burstBytes += lengthBytes;
    burst.next = next + 1;
    if ((frame.flags | this.#reportsHash) === 0) memory.storeThreeWords(offset, 0, 0, ONE_BUFFER);
    else this.#writeHeader(frame, offset);
    // The copy comes last: what V8 knows of these objects does not outlive a call.
    try {
      memory.copyIn(frame.bytes, frame.offset, offset + this.#headerBytes, lengthBytes);
    } catch (error) {
      // A frame that is not whole is not delivered. On a packed ring the chain's own length stood where the used one is.
      memory.u32[burst.usedWord + (next << burst.usedShift)] = burst.lengths[next]!;
      this.#burstBytes -= lengthBytes;
      burst.next = next;
      throw error;
    }
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

  /** Takes chains for the frames to come, if nothing but the ring has to be looked at between them. */
  #takeAhead(): boolean {
    if (this.#guard === GUARD_UNKNOWN) this.#readProgram();
    if (!this.#takesAhead) return false;
    this.settle();
    const queue = this.#queue;
    // As many as before, or once more as many as there were; a frame on its own takes its chain alone.
    let chains = Math.max(this.#framesExpected - this.#batch, this.#batch);
    if (chains <= 1) return false;
    // R5: above the guard, frames are not looked at one by one.
    if (this.#guard !== 0) chains = Math.min(chains, queue.refresh() - this.#guard - 1);
    // Buffers of several descriptors are taken one by one until the next batch.
    this.#takesAhead = chains > 0 && this.#burst.fill(queue, chains, true);
    this.#aheadBytesMax = Math.min(this.#burst.leastBytes - this.#headerBytes, this.#frameBytesMax);
    return this.#takesAhead;
  }

  /** Tells the queue what was delivered into the chains taken ahead, and gives the others back. */
  settle(): void {
    if (this.#burst.end === 0) return;
    this.#countBurst();
    this.#batch += this.#burst.settle(this.#queue);
  }

  #countBurst(): void {
    const frames = this.#burst.next;
    const statistics = this.#statistics;
    statistics.frames += frames;
    statistics.bytes += this.#burstBytes;
    statistics.buffers += frames;
    this.#burstBytes = 0;
  }

  #acceptOne(frame: Frame, nowNs: number): boolean {
    // A frame that does not fit what was taken ahead is not alone: taking for nothing costs more than not taking.
    if (this.#burst.end !== 0) this.#takesAhead = false;
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
    if (this.#batch === 0) return;
    const frames = this.#batch;
    const urgent = this.#batchUrgent;
    const fromUsedIdx = this.#queue.usedIdx;
    this.#framesExpected = frames;
    this.abandon();
    this.#queue.publish();
    this.#statistics.batches++;
    this.#throttle.published(this.#index, fromUsedIdx, frames, urgent, nowNs);
  }

  abandon(): void {
    this.#batch = 0;
    this.#batchUrgent = false;
    this.#guard = GUARD_UNKNOWN;
    this.#countBurst();
    this.#burst.forget();
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
    this.#takesAhead = !this.#filtersUrgent && this.#observer === null;
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
