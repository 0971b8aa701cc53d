/**
 * The receive path of one queue: a frame off the wire goes into the driver's buffers at once, or is dropped.
 * Source: virtio 1.4 §5.1.9.3, §5.1.9.4.
 *
 * Frames are accepted one by one; used buffers become visible in batches, at the latest in `finish`.
 */

import { FAULT_CHAIN_TOO_LONG, FAULT_NONE, FAULT_RX_READABLE, FAULT_RX_TOO_SMALL } from "../faults.ts";
import type { Frame } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { type CardObserver, DROP_FAULT, DROP_NO_BUFFER, DROP_NOT_READY, DROP_TOO_LONG } from "../observer.ts";
import {
  ETHERNET_HEADER_BYTES,
  NET_HDR_BYTES,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_NUM_BUFFERS,
  VLAN_TAG_BYTES,
} from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import { BURST_ENTRY, BURST_LENGTH, BURST_OFFSET, BURST_USED_WORD, ChainBurst } from "../virtqueue/chain-burst.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import { TAKE_BROKEN, TAKE_CHAIN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../virtqueue/virtqueue.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
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
const HEADER_BYTES = NET_HDR_BYTES;
const NEEDS_CSUM = NET_HDR_F_NEEDS_CSUM;
const CHAIN = TAKE_CHAIN;
const BUFFER_ENTRY = BURST_ENTRY;
const BUFFER_OFFSET = BURST_OFFSET;
const BUFFER_LENGTH = BURST_LENGTH;
const BUFFER_USED_WORD = BURST_USED_WORD;

export class ReceivePath implements QueuePath {
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  readonly #burst: ChainBurst;
  // Bytes of the frames that were delivered into its chains.
  #burstBytes = 0;
  readonly #throttle: Throttle;
  readonly #observer: CardObserver | null;
  readonly #faults: FaultSink;
  // Buffers of the frame at hand that is spread over several.
  readonly #heads: Uint16Array;
  readonly #lengths: Uint32Array;
  #numBuffersLowAt = 0;
  #numBuffersHighAt = 0;
  #mergeable = false;
  // A longer frame is dropped; a frame up to the second limit fits every buffer that keeps to the standard.
  #frameBytesMax = UNLIMITED;
  #frameBytesOwed = FRAME_BYTES_USUAL;
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
    this.#heads = new Uint16Array(queueSizeMax);
    this.#lengths = new Uint32Array(queueSizeMax);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
  }

  /** What was negotiated: `mtu` is null without VIRTIO_NET_F_MTU. */
  configure(mergeable: boolean, mtu: number | null): void {
    this.#mergeable = mergeable;
    this.#frameBytesMax = mtu === null ? UNLIMITED : mtu + ETHERNET_HEADER_BYTES;
    this.#frameBytesOwed = mtu === null ? FRAME_BYTES_USUAL : this.#frameBytesMax;
  }

  /** Delivers or drops one frame, which has just been taken off the wire; the card lives, but the queue may not. */
  accept(frame: Frame, nowNs: number): void {
    const burst = this.#burst;
    const at = burst.next;
    const lengthBytes = frame.lengthBytes;
    const neededBytes = HEADER_BYTES + lengthBytes;
    // Most frames are plain and fit the next buffer. `settle` counts them.
    if (
      at < burst.end &&
      lengthBytes <= this.#frameBytesMax &&
      (frame.flags | frame.gsoType) === 0 &&
      burst.words[at + BUFFER_LENGTH]! >= neededBytes
    ) {
      const memory = this.#memory;
      const offset = burst.words[at + BUFFER_OFFSET]!;
      // The copy comes last: what V8 knows of these objects does not outlive a call.
      memory.u32[burst.words[at + BUFFER_USED_WORD]!] = neededBytes;
      this.#burstBytes += lengthBytes;
      burst.next = at + BUFFER_ENTRY;
      memory.storeThreeWords(offset, 0, 0, ONE_BUFFER);
      memory.copyIn(frame.bytes, frame.offset, offset + HEADER_BYTES, lengthBytes);
    } else if (at === burst.end && this.#takeAhead()) this.accept(frame, nowNs);
    else this.#acceptOne(frame, nowNs);
  }

  /** Takes chains for the frames to come, if nothing but the ring has to be looked at between them. */
  #takeAhead(): boolean {
    if (this.#guard === GUARD_UNKNOWN) this.#readProgram();
    if (!this.#takesAhead) return false;
    this.#settle();
    const queue = this.#queue;
    // As many as before, or once more as many as there were; a frame on its own takes its chain alone.
    let chains = Math.max(this.#framesExpected - this.#batch, this.#batch);
    if (chains <= 1) return false;
    // R5: above the guard, frames are not looked at one by one.
    if (this.#guard !== 0) chains = Math.min(chains, queue.refresh() - this.#guard - 1);
    // Buffers of several descriptors are taken one by one until the next batch.
    this.#takesAhead = chains > 0 && this.#burst.fill(queue, chains, true);
    return this.#takesAhead;
  }

  /** Tells the queue what was delivered into the chains taken ahead, and gives the others back. */
  #settle(): void {
    if (this.#burst.end === 0) return;
    this.#countBurst();
    this.#batch += this.#burst.settle(this.#queue);
  }

  #countBurst(): void {
    const frames = this.#burst.used;
    const statistics = this.#statistics;
    statistics.frames += frames;
    statistics.bytes += this.#burstBytes;
    statistics.buffers += frames;
    this.#burstBytes = 0;
  }

  #acceptOne(frame: Frame, nowNs: number): void {
    this.#settle();
    const queue = this.#queue;
    if (!queue.started) {
      this.refuse(frame, DROP_NOT_READY, nowNs);
      return;
    }
    const lengthBytes = frame.lengthBytes;
    if (this.#observer !== null) this.#observer.arrived(frame.id, this.#index, lengthBytes, nowNs);
    if (lengthBytes > this.#frameBytesMax && this.#exceedsMtu(frame)) {
      this.#drop(frame, DROP_TOO_LONG, nowNs);
      return;
    }
    // No GUEST_* feature is offered, so a frame that is still to be finished cannot be passed on (NRX-5, NRX-26).
    if ((frame.flags & NEEDS_CSUM) !== 0 || frame.gsoType !== 0) {
      this.#drop(frame, DROP_FAULT, nowNs);
      return;
    }
    const chain = this.#chain;
    const neededBytes = HEADER_BYTES + lengthBytes;
    const taken = queue.take(chain);
    let buffers = 1;
    if (taken === CHAIN && chain.readableCount === 0 && chain.lengths[0]! >= neededBytes) {
      const offset = chain.offsets[0]!;
      this.#memory.storeThreeWords(offset, 0, 0, ONE_BUFFER);
      this.#memory.copyIn(frame.bytes, frame.offset, offset + HEADER_BYTES, lengthBytes);
      queue.pushUsed(chain.head, neededBytes);
    } else {
      buffers = this.#acceptSpread(frame, neededBytes, taken, nowNs);
      if (buffers === 0) return;
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
  }

  finish(nowNs: number): void {
    this.#settle();
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

  /** Drops a frame because the card as a whole takes none: `why` is DROP_NOT_READY or DROP_SUSPENDED. */
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

  /** NCFG-5: the limit is the MTU plus the link header, which is 4 bytes longer in a tagged frame. */
  #exceedsMtu(frame: Frame): boolean {
    if (frame.lengthBytes > this.#frameBytesMax + VLAN_TAG_BYTES) return true;
    const at = frame.offset + ETHERTYPE_OFFSET;
    return ((frame.bytes[at]! << 8) | frame.bytes[at + 1]!) !== ETHERTYPE_VLAN;
  }

  /**
   * Delivers a frame that one descriptor does not hold, or deals with the chain that is no good for it. `taken` is what
   * `take` gave for the first chain. Returns the number of buffers, 0 if the frame was dropped.
   *
   * Bounded: a frame costs at most one faulty chain, each chain gives at least a header's worth of room, and the
   * descriptors read are bounded too, empty ones included.
   */
  #acceptSpread(frame: Frame, neededBytes: number, taken: number, nowNs: number): number {
    const queue = this.#queue;
    const chain = this.#chain;
    let filledBytes = 0;
    let buffers = 0;
    let descriptors = 0;
    for (let result = taken; ; result = queue.take(chain)) {
      if (result === TAKE_EMPTY || result === TAKE_BROKEN) {
        // NRX-4: all buffers of a frame become visible together, so without the last one none is used.
        queue.rewind(buffers);
        this.#dropForWant(frame, result, nowNs);
        return 0;
      }
      descriptors += chain.descriptors;
      let fault = result === TAKE_FAULT ? queue.fault : this.#unfit(neededBytes);
      if (fault === FAULT_NONE && descriptors > neededBytes + queue.size) fault = FAULT_CHAIN_TOO_LONG;
      if (fault === FAULT_RX_TOO_SMALL && !this.#mergeable && frame.lengthBytes > this.#frameBytesOwed) {
        // No fault: nobody promised room for such a frame.
        queue.rewind(1);
        this.#drop(frame, DROP_TOO_LONG, nowNs);
        return 0;
      }
      if (fault !== FAULT_NONE) {
        this.#returnUnused(buffers);
        this.#faults.chainFault(this.#index, fault, nowNs);
        this.#drop(frame, DROP_FAULT, nowNs);
        return 0;
      }
      const roomBytes = Math.min(neededBytes - filledBytes, chain.writableBytes);
      this.#fill(frame, filledBytes, roomBytes);
      filledBytes += roomBytes;
      this.#heads[buffers] = chain.head;
      this.#lengths[buffers] = roomBytes;
      buffers++;
      if (filledBytes === neededBytes) break;
    }
    // NRX-2: the header says how many buffers the frame took, so it is finished last.
    const u8 = this.#memory.u8;
    u8[this.#numBuffersLowAt] = buffers;
    u8[this.#numBuffersHighAt] = buffers >>> 8;
    for (let i = 0; i < buffers; i++) queue.pushUsed(this.#heads[i]!, this.#lengths[i]!);
    return buffers;
  }

  /** Fault of a valid chain that is no receive buffer; the buffer must hold the header, or without merging all. */
  #unfit(neededBytes: number): number {
    const chain = this.#chain;
    if (chain.readableCount !== 0) return FAULT_RX_READABLE;
    const leastBytes = this.#mergeable ? NET_HDR_BYTES : neededBytes;
    return chain.writableBytes < leastBytes ? FAULT_RX_TOO_SMALL : FAULT_NONE;
  }

  /** Writes bytes `fromByte … fromByte + lengthBytes` of header and frame into the chain. */
  #fill(frame: Frame, fromByte: number, lengthBytes: number): void {
    const chain = this.#chain;
    const u8 = this.#memory.u8;
    let position = fromByte;
    let left = lengthBytes;
    for (let segment = 0; left > 0; segment++) {
      let offset = chain.offsets[segment]!;
      let room = Math.min(chain.lengths[segment]!, left);
      left -= room;
      for (; room > 0 && position < NET_HDR_BYTES; room--) {
        if (position === NET_HDR_NUM_BUFFERS) this.#numBuffersLowAt = offset;
        if (position === NET_HDR_NUM_BUFFERS + 1) this.#numBuffersHighAt = offset;
        u8[offset] = 0;
        offset++;
        position++;
      }
      if (room > 0) {
        this.#memory.copyIn(frame.bytes, frame.offset + position - NET_HDR_BYTES, offset, room);
        position += room;
      }
    }
  }

  /** Gives back the first `buffers` chains of the frame and the one at hand, with length 0. */
  #returnUnused(buffers: number): void {
    for (let i = 0; i < buffers; i++) this.#queue.pushUsed(this.#heads[i]!, 0);
    this.#queue.pushUsed(this.#chain.head, 0);
    this.#statistics.buffers += buffers + 1;
    this.#batch++;
  }

  #dropForWant(frame: Frame, result: number, nowNs: number): void {
    if (result === TAKE_BROKEN) {
      this.#drop(frame, DROP_FAULT, nowNs);
      this.#faults.ringFault(this.#index, this.#queue.fault, nowNs);
      return;
    }
    this.#drop(frame, DROP_NO_BUFFER, nowNs);
    // What is in the ring already must be seen before the throttle is told that it is full.
    this.finish(nowNs);
    this.#throttle.starved(this.#index, nowNs);
  }
}
