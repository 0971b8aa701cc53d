/**
 * The transmit path of one queue: each chain is gathered once into memory that the guest cannot reach, checked there,
 * and handed to the wire without its header. Source: virtio 1.4 §5.1.9.2.
 */

import { FAULT_NONE, FAULT_TX_OFFLOAD, FAULT_TX_TOO_LONG, FAULT_TX_TOO_SHORT, FAULT_TX_WRITABLE } from "../faults.ts";
import { Frame, type FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { DROP_FAULT, DROP_NO_BUFFER, DROP_NOT_READY, DROP_TOO_LONG } from "../observer.ts";
import {
  ETHERNET_HEADER_BYTES,
  NET_HDR_BYTES,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_FLAGS,
  NET_HDR_GSO_NONE,
  NET_HDR_GSO_TYPE,
  VLAN_TAG_BYTES,
} from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import { BURST_ENTRY, BURST_LENGTH, BURST_OFFSET, ChainBurst } from "../virtqueue/chain-burst.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import { TAKE_BROKEN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../virtqueue/virtqueue.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
import type { QueueStatistics } from "./statistics.ts";
import type { Steering } from "./steering.ts";
import type { TransmitStaging } from "./transmit-staging.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NO_FAULT = FAULT_NONE;
const HEADER_BYTES = NET_HDR_BYTES;
const FRAME_BYTES_MIN = ETHERNET_HEADER_BYTES;
const FLAGS_AT = NET_HDR_FLAGS;
const GSO_TYPE_AT = NET_HDR_GSO_TYPE;
const NEEDS_CSUM = NET_HDR_F_NEEDS_CSUM;
const GSO_NONE = NET_HDR_GSO_NONE;
const CHAIN_ENTRY = BURST_ENTRY;
const CHAIN_OFFSET = BURST_OFFSET;
const CHAIN_LENGTH = BURST_LENGTH;

export class TransmitPath implements QueuePath {
  /** Without a link, frames are used and dropped. */
  linkUp = true;
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #port: FramePort;
  readonly #staging: TransmitStaging;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  readonly #burst: ChainBurst;
  readonly #throttle: Throttle;
  readonly #steering: Steering;
  readonly #faults: FaultSink;
  readonly #frame: Frame;
  #frameBytesMax = 0;
  // Chains used since the last publishing.
  #batch = 0;

  constructor(context: PathContext, port: FramePort, staging: TransmitStaging) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#port = port;
    this.#staging = staging;
    this.#memory = context.memory;
    this.#chain = context.chain;
    this.#burst = new ChainBurst();
    this.#throttle = context.throttle;
    this.#steering = context.steering;
    this.#faults = context.faults;
    this.#frame = new Frame(staging.bytes);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
  }

  /** What was negotiated: `mtu` is null without VIRTIO_NET_F_MTU. */
  configure(mtu: number | null): void {
    const linkMax = Math.min(this.#port.maxFrameBytes, this.#staging.lengthBytes - NET_HDR_BYTES);
    this.#frameBytesMax = mtu === null ? linkMax : Math.min(linkMax, mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES);
  }

  /**
   * Sends what the driver has queued, at most `budgetFrames` chains, and publishes them as used in one batch. Returns
   * the number of chains. If it is less than the budget, the queue is empty and the driver will kick at its next one.
   */
  run(budgetFrames: number, nowNs: number): number {
    const queue = this.#queue;
    const epoch = queue.epoch;
    let chains = 0;
    // Whether the last chain was one descriptor; then more such are likely.
    let plain = false;
    // A port that has thrown has left them.
    this.#settle();
    while (chains < budgetFrames) {
      if (plain) {
        chains += this.#sendAhead(budgetFrames - chains, nowNs);
        if (queue.epoch !== epoch) return chains;
        if (chains >= budgetFrames) break;
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
    return chains;
  }

  /** Sends chains of one descriptor, at most `max`, as long as no other comes; returns their number. */
  #sendAhead(max: number, nowNs: number): number {
    const burst = this.#burst;
    if (!burst.fill(this.#queue, max, false)) return 0;
    let at = 0;
    // Whoever is called may reset or suspend the card, which empties the burst.
    while (at < burst.end) {
      const offset = burst.words[at + CHAIN_OFFSET]!;
      const lengthBytes = burst.words[at + CHAIN_LENGTH]!;
      at += CHAIN_ENTRY;
      burst.next = at;
      this.#deal(this.#gatherOne(offset, lengthBytes), nowNs);
    }
    this.#settle();
    return at / CHAIN_ENTRY;
  }

  /** Sends the frame that was gathered, or counts what is wrong with it. */
  #deal(fault: number, nowNs: number): void {
    if (fault === NO_FAULT) {
      this.#send(nowNs);
      return;
    }
    this.#statistics.drops[fault === FAULT_TX_TOO_LONG ? DROP_TOO_LONG : DROP_FAULT]!++;
    this.#faults.chainFault(this.#index, fault, nowNs);
  }

  /** Counts the chains of the burst that were sent, and gives the others back. */
  #settle(): void {
    this.#statistics.buffers += this.#burst.used;
    this.#batch += this.#burst.settle(this.#queue);
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
    this.#statistics.buffers += this.#burst.used;
    this.#burst.forget();
  }

  /** Copies the chain to the staging area, then checks its header there, where the driver cannot change it. */
  #gather(): number {
    const chain = this.#chain;
    const staging = this.#staging;
    if (chain.writableBytes !== 0) return FAULT_TX_WRITABLE;
    const frameBytes = chain.readableBytes - HEADER_BYTES;
    if (frameBytes < FRAME_BYTES_MIN) return FAULT_TX_TOO_SHORT;
    if (frameBytes > this.#frameBytesMax) return FAULT_TX_TOO_LONG;
    const bytes = staging.bytes;
    let at = staging.offset;
    for (let segment = 0; segment < chain.count; segment++) {
      const lengthBytes = chain.lengths[segment]!;
      this.#memory.copyOut(chain.offsets[segment]!, bytes, at, lengthBytes);
      at += lengthBytes;
    }
    return this.#check(bytes, frameBytes);
  }

  /** The same for a chain that is one segment. */
  #gatherOne(offset: number, lengthBytes: number): number {
    const frameBytes = lengthBytes - HEADER_BYTES;
    if (frameBytes < FRAME_BYTES_MIN) return FAULT_TX_TOO_SHORT;
    if (frameBytes > this.#frameBytesMax) return FAULT_TX_TOO_LONG;
    const { bytes } = this.#staging;
    this.#memory.copyOut(offset, bytes, this.#staging.offset, lengthBytes);
    return this.#check(bytes, frameBytes);
  }

  /** Checks the header that was gathered, and describes the frame behind it. */
  #check(bytes: Uint8Array, frameBytes: number): number {
    const at = this.#staging.offset;
    const flags = bytes[at + FLAGS_AT]!;
    const gsoType = bytes[at + GSO_TYPE_AT]!;
    // No CSUM or HOST_* feature is offered (§5.1.9.2.1); flags that mean nothing to us are ignored (NTX-1).
    if ((flags & NEEDS_CSUM) !== 0 || gsoType !== GSO_NONE) return FAULT_TX_OFFLOAD;
    const frame = this.#frame;
    if (frame.bytes !== bytes) frame.bytes = bytes;
    frame.offset = at + HEADER_BYTES;
    frame.lengthBytes = frameBytes;
    return NO_FAULT;
  }

  #send(nowNs: number): void {
    const statistics = this.#statistics;
    const lengthBytes = this.#frame.lengthBytes;
    this.#steering.noteTransmit(this.#frame, this.#index >>> 1);
    if (!this.linkUp) {
      statistics.drops[DROP_NOT_READY]!++;
    } else if (this.#port.transmit(this.#frame, nowNs)) {
      statistics.frames++;
      statistics.bytes += lengthBytes;
    } else {
      statistics.drops[DROP_NO_BUFFER]!++;
    }
  }
}
