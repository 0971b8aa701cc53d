/**
 * The transmit path of one queue: each chain is gathered once into memory that the guest cannot reach, checked there,
 * and handed to the wire without its header. Source: virtio 1.4 §5.1.9.2.
 */

import { FAULT_NONE, FAULT_TX_TOO_LONG, FAULT_TX_TOO_SHORT, FAULT_TX_WRITABLE } from "../faults.ts";
import { Frame, type FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { DROP_FAULT, DROP_NO_BUFFER, DROP_NOT_READY, DROP_TOO_LONG } from "../observer.ts";
import {
  ETHERNET_HEADER_BYTES,
  FRAME_BYTES_MAX,
  NET_HDR_BYTES,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_FLAGS,
  NET_HDR_GSO_NONE,
  NET_HDR_GSO_TYPE,
  VLAN_TAG_BYTES,
} from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import type { Stretch } from "../virtqueue/stretch.ts";
import { TAKE_BROKEN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../virtqueue/virtqueue.ts";
import type { FrameStaging } from "./frame-staging.ts";
import type { Negotiated } from "./negotiated.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
import type { QueueStatistics } from "./statistics.ts";
import type { Steering } from "./steering.ts";
import type { TransmitOffloads } from "./transmit-offloads.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NO_FAULT = FAULT_NONE;
const TOO_LONG = FAULT_TX_TOO_LONG;
const FRAME_BYTES_MIN = ETHERNET_HEADER_BYTES;
const FLAGS_AT = NET_HDR_FLAGS;
const GSO_TYPE_AT = NET_HDR_GSO_TYPE;
const NEEDS_CSUM = NET_HDR_F_NEEDS_CSUM;
const GSO_NONE = NET_HDR_GSO_NONE;

export class TransmitPath implements QueuePath {
  /** Without a link, frames are used and dropped. */
  linkUp = true;
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #port: FramePort;
  readonly #staging: FrameStaging;
  readonly #offloads: TransmitOffloads;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  // The queue's.
  #stretch: Stretch;
  readonly #throttle: Throttle;
  readonly #steering: Steering;
  readonly #faults: FaultSink;
  readonly #frame: Frame;
  #headerBytes = NET_HDR_BYTES;
  // Longest frame that is sent as it is, and longest that is taken from the driver, for it may have to be cut.
  #frameBytesMax = 0;
  #gatherBytesMax = 0;
  // Chains used since the last publishing.
  #batch = 0;
  // Frames that this run has sent above one for each chain.
  #extraFrames = 0;

  constructor(context: PathContext, port: FramePort, staging: FrameStaging, offloads: TransmitOffloads) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#port = port;
    this.#staging = staging;
    this.#offloads = offloads;
    this.#memory = context.memory;
    this.#chain = context.chain;
    this.#stretch = context.queue.stretch;
    this.#throttle = context.throttle;
    this.#steering = context.steering;
    this.#faults = context.faults;
    this.#frame = new Frame(staging.bytes);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
    this.#stretch = queue.stretch;
  }

  configure({ features, mtu, headerBytes }: Negotiated): void {
    this.#headerBytes = headerBytes;
    const roomBytes = this.#staging.lengthBytes - this.#headerBytes;
    const linkMax = Math.min(this.#port.maxFrameBytes, roomBytes);
    this.#frameBytesMax = mtu === null ? linkMax : Math.min(linkMax, mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES);
    this.#offloads.configure(features, this.#frameBytesMax);
    this.#gatherBytesMax = this.#offloads.segmentation ? FRAME_BYTES_MAX : this.#frameBytesMax;
  }

  /**
   * Sends what the driver has queued, and publishes it as used in one batch. Ends when the queue is empty, or after at
   * least `budgetFrames` chains and segments: a frame that is cut counts as all that it makes, which is at most
   * SEGMENTS_MAX. Returns their number. If it is less than the budget, the driver will kick at its next chain.
   */
  run(budgetFrames: number, nowNs: number): number {
    const queue = this.#queue;
    const epoch = queue.epoch;
    let chains = 0;
    this.#extraFrames = 0;
    // Whether the last chain was one descriptor; then more such are likely.
    let plain = false;
    while (chains + this.#extraFrames < budgetFrames) {
      if (plain) {
        chains += this.#sendStretch(budgetFrames - chains - this.#extraFrames, nowNs);
        if (queue.epoch !== epoch) return chains;
        if (chains + this.#extraFrames >= budgetFrames) break;
      }
      const taken = queue.take(this.#chain);
      if (taken === TAKE_EMPTY) {
        if (queue.armKick() === 0 && !queue.broken) break;
        continue;
      }
      if (taken === TAKE_BROKEN) {
        this.#faults.ringFault(this.#index, queue.fault, nowNs);
        return chains;
      }
      chains++;
      const fault = taken === TAKE_FAULT ? queue.fault : this.#gather();
      // All that is needed of the chain is copied: it is used before the frame goes out, so that whatever the
      // receiver calls here finds the queue in order.
      queue.pushUsed(this.#chain.head, 0);
      this.#batch++;
      this.#statistics.buffers++;
      plain = this.#chain.descriptors === 1;
      this.#deal(fault, nowNs);
      // The call may have reset or suspended the card.
      if (queue.epoch !== epoch) return chains;
    }
    this.finish(nowNs);
    return chains + this.#extraFrames;
  }

  /** Sends chains of one descriptor, at most `max`, as long as no other comes and none is cut; returns their number. */
  #sendStretch(max: number, nowNs: number): number {
    if (!this.#queue.openStretch(max, false)) return 0;
    const stretch = this.#stretch;
    let chains = 0;
    for (;;) {
      const offset = stretch.take(1, 0);
      // Whoever was called may have reset or suspended the card, which ends the stretch.
      if (offset < 0) break;
      const fault = this.#gatherOne(offset, stretch.lengthBytes);
      chains++;
      this.#deal(fault, nowNs);
    }
    this.#settle();
    return chains;
  }

  /** Sends the frame that was gathered, or counts what is wrong with it. */
  #deal(fault: number, nowNs: number): void {
    if (fault === NO_FAULT) {
      this.#send(nowNs);
      return;
    }
    this.#statistics.drops[fault === TOO_LONG ? DROP_TOO_LONG : DROP_FAULT]!++;
    this.#faults.chainFault(this.#index, fault, nowNs);
  }

  /** Counts the chains of the stretch, and ends it. */
  #settle(): void {
    this.#statistics.buffers += this.#stretch.used;
    this.#batch += this.#queue.closeStretch();
  }

  giveBack(): void {
    this.#settle();
    this.#queue.rewind(this.#queue.inHand);
  }

  finish(nowNs: number): void {
    this.#settle();
    if (this.#batch === 0) return;
    const frames = this.#batch;
    const fromUsedIdx = this.#queue.usedIdx;
    this.abandon();
    this.#queue.publish();
    this.#statistics.batches++;
    this.#throttle.published(this.#index, fromUsedIdx, frames, false, nowNs);
  }

  abandon(): void {
    this.#batch = 0;
    this.#statistics.buffers += this.#stretch.used;
  }

  /** Copies the chain to the staging area, then checks its header there, where the driver cannot change it. */
  #gather(): number {
    const chain = this.#chain;
    const staging = this.#staging;
    if (chain.writableBytes !== 0) return FAULT_TX_WRITABLE;
    const frameBytes = chain.readableBytes - this.#headerBytes;
    if (frameBytes < FRAME_BYTES_MIN) return FAULT_TX_TOO_SHORT;
    if (frameBytes > this.#gatherBytesMax) return FAULT_TX_TOO_LONG;
    const bytes = staging.bytes;
    let at = staging.offset;
    for (let segment = 0; segment < chain.count; segment++) {
      const lengthBytes = chain.lengths[segment]!;
      this.#memory.copyOut(chain.offsets[segment]!, bytes, at, lengthBytes);
      at += lengthBytes;
    }
    return this.#check(bytes, frameBytes);
  }

  /** The same for a chain of the stretch; one that cannot be copied is not used. */
  #gatherOne(offset: number, lengthBytes: number): number {
    const frameBytes = lengthBytes - this.#headerBytes;
    if (frameBytes < FRAME_BYTES_MIN) return FAULT_TX_TOO_SHORT;
    if (frameBytes > this.#gatherBytesMax) return FAULT_TX_TOO_LONG;
    const { bytes } = this.#staging;
    try {
      this.#memory.copyOut(offset, bytes, this.#staging.offset, lengthBytes);
    } catch (error) {
      this.#stretch.undo();
      throw error;
    }
    return this.#check(bytes, frameBytes);
  }

  /** Checks the header that was gathered, and describes the frame behind it. */
  #check(bytes: Uint8Array, frameBytes: number): number {
    const at = this.#staging.offset;
    const frame = this.#frame;
    if (frame.bytes !== bytes) frame.bytes = bytes;
    frame.offset = at + this.#headerBytes;
    frame.lengthBytes = frameBytes;
    // Flags that mean nothing to us are ignored (NTX-1).
    if ((bytes[at + FLAGS_AT]! & NEEDS_CSUM) !== 0 || bytes[at + GSO_TYPE_AT] !== GSO_NONE) {
      return this.#offloads.describe(frame, at);
    }
    if (frame.flags !== 0) frame.clearOffloads();
    return frameBytes > this.#frameBytesMax ? TOO_LONG : NO_FAULT;
  }

  #send(nowNs: number): void {
    this.#steering.noteTransmit(this.#frame, this.#index >>> 1);
    if (!this.linkUp) this.#statistics.drops[DROP_NOT_READY]!++;
    else if (this.#frame.flags !== 0) this.#sendOffloaded(nowNs);
    else this.#transmit(nowNs);
  }

  /** Sends a frame that the port or the card has to finish. */
  #sendOffloaded(nowNs: number): void {
    const frame = this.#frame;
    const statistics = this.#statistics;
    const isGso = frame.gsoType !== GSO_NONE;
    const { lengthBytes } = frame;
    statistics.checksumNeeded++;
    if (isGso) {
      statistics.gsoFrames++;
      statistics.gsoBytes += lengthBytes;
    }
    if (this.#offloads.finish(frame)) {
      this.#sendSegments(nowNs);
      return;
    }
    if (isGso) {
      statistics.gsoFramesWhole++;
      statistics.gsoBytesWhole += lengthBytes;
    }
    this.#transmit(nowNs);
  }

  #sendSegments(nowNs: number): void {
    const frame = this.#frame;
    const statistics = this.#statistics;
    const queue = this.#queue;
    const epoch = queue.epoch;
    for (this.#extraFrames--; this.#offloads.nextSegment(); ) {
      this.#extraFrames++;
      statistics.segments++;
      statistics.segmentBytes += frame.lengthBytes;
      this.#transmit(nowNs);
      // The call may have reset or suspended the card, or put its memory elsewhere.
      if (queue.epoch !== epoch) return;
      frame.bytes = this.#staging.bytes;
    }
    // The rest of the stretch would be more than the budget allows now.
    this.#settle();
  }

  #transmit(nowNs: number): void {
    const statistics = this.#statistics;
    // The port may do with the frame what it likes.
    const lengthBytes = this.#frame.lengthBytes;
    if (this.#port.transmit(this.#frame, nowNs)) {
      statistics.frames++;
      statistics.bytes += lengthBytes;
    } else {
      statistics.drops[DROP_NO_BUFFER]!++;
    }
  }
}
