/**
 * The control queue: commands of the driver, each answered in its own chain. Source: virtio 1.4 §5.1.9.5.
 *
 *   device-readable   class u8, command u8, data
 *   device-writable   ack u8, result
 */

import { FAULT_CTRL_NO_ACK, FAULT_NONE } from "../faults.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { NET_F_NOTF_COAL, NET_F_VQ_NOTF_COAL } from "../spec/virtio-net.ts";
import {
  CTRL_COAL_BYTES,
  CTRL_COAL_VQ_BYTES,
  CTRL_ERR,
  CTRL_HDR_BYTES,
  CTRL_NOTF_COAL,
  CTRL_NOTF_COAL_RX_SET,
  CTRL_NOTF_COAL_TX_SET,
  CTRL_NOTF_COAL_VQ_GET,
  CTRL_NOTF_COAL_VQ_SET,
  CTRL_OK,
} from "../spec/virtio-net-control.ts";
import type { Throttle } from "../throttle/throttle.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import { TAKE_BROKEN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../virtqueue/virtqueue.ts";
import { COALESCE_RX, COALESCE_TX, type Coalescing } from "./coalescing.ts";
import type { FeatureNegotiation } from "./features.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
import type { QueueStatistics } from "./statistics.ts";

const COMMAND_BYTES_MAX = CTRL_HDR_BYTES + CTRL_COAL_VQ_BYTES;
const ACK_BYTES = 1;
const REPLY_BYTES_MAX = ACK_BYTES + CTRL_COAL_BYTES;

export class ControlPath implements QueuePath {
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #features: FeatureNegotiation;
  readonly #coalescing: Coalescing;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  readonly #throttle: Throttle;
  readonly #faults: FaultSink;
  // Private copies: what the driver changes after its kick changes nothing.
  readonly #command = new DataView(new ArrayBuffer(COMMAND_BYTES_MAX));
  readonly #commandBytes = new Uint8Array(this.#command.buffer);
  readonly #reply = new DataView(new ArrayBuffer(REPLY_BYTES_MAX));
  readonly #replyBytes = new Uint8Array(this.#reply.buffer);
  #batch = 0;

  constructor(context: PathContext, features: FeatureNegotiation, coalescing: Coalescing) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#features = features;
    this.#coalescing = coalescing;
    this.#memory = context.memory;
    this.#chain = context.chain;
    this.#throttle = context.throttle;
    this.#faults = context.faults;
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
  }

  /** Carries out what the driver has queued, at most `budgetCommands`; returns the number of chains. */
  run(budgetCommands: number, nowNs: number): number {
    const queue = this.#queue;
    const epoch = queue.epoch;
    let chains = 0;
    while (chains < budgetCommands) {
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
      this.#complete(taken, nowNs);
      // What follows from the command comes last: it may interrupt the driver, who may reset the card.
      this.#coalescing.apply(nowNs);
      if (queue.epoch !== epoch) return chains;
    }
    this.finish(nowNs);
    return chains;
  }

  finish(nowNs: number): void {
    if (this.#batch === 0) return;
    const commands = this.#batch;
    const fromUsedIdx = this.#queue.usedIdx;
    this.abandon();
    this.#queue.publish();
    this.#statistics.batches++;
    this.#throttle.published(this.#index, fromUsedIdx, commands, false, nowNs);
  }

  abandon(): void {
    this.#batch = 0;
  }

  /** Answers the command at hand, or returns its chain unused if there is no room for an answer. */
  #complete(taken: number, nowNs: number): void {
    const chain = this.#chain;
    let fault: number = FAULT_NONE;
    if (taken === TAKE_FAULT) fault = this.#queue.fault;
    else if (chain.writableBytes < ACK_BYTES) fault = FAULT_CTRL_NO_ACK;
    let replyBytes = 0;
    if (fault === FAULT_NONE) {
      this.#fetch();
      replyBytes = this.#execute(chain.readableBytes, chain.writableBytes);
      this.#answer(replyBytes);
      this.#statistics.frames++;
    }
    this.#queue.pushUsed(chain.head, replyBytes);
    this.#statistics.buffers++;
    this.#batch++;
    if (fault !== FAULT_NONE) this.#faults.chainFault(this.#index, fault, nowNs);
  }

  /** Copies the command, as far as any command reaches, out of the chain. */
  #fetch(): void {
    const chain = this.#chain;
    let at = 0;
    for (let segment = 0; segment < chain.readableCount && at < COMMAND_BYTES_MAX; segment++) {
      const bytes = Math.min(chain.lengths[segment]!, COMMAND_BYTES_MAX - at);
      this.#memory.copyOut(chain.offsets[segment]!, this.#commandBytes, at, bytes);
      at += bytes;
    }
  }

  #answer(replyBytes: number): void {
    const chain = this.#chain;
    const u8 = this.#memory.u8;
    let at = 0;
    for (let segment = chain.readableCount; at < replyBytes; segment++) {
      const offset = chain.offsets[segment]!;
      for (let i = 0; i < chain.lengths[segment]! && at < replyBytes; i++) u8[offset + i] = this.#replyBytes[at++]!;
    }
  }

  /** Executes the command; its ack and result are in `#reply`. Returns the reply's length in bytes. */
  #execute(commandBytes: number, roomBytes: number): number {
    this.#replyBytes.fill(0);
    const done = commandBytes >= CTRL_HDR_BYTES && this.#dispatch(commandBytes - CTRL_HDR_BYTES, roomBytes);
    this.#reply.setUint8(0, done ? CTRL_OK : CTRL_ERR);
    const gives =
      done && this.#command.getUint8(0) === CTRL_NOTF_COAL && this.#command.getUint8(1) === CTRL_NOTF_COAL_VQ_GET;
    return gives ? REPLY_BYTES_MAX : ACK_BYTES;
  }

  /** False for whatever is unknown, not negotiated, of a wrong length or out of range. */
  #dispatch(dataBytes: number, roomBytes: number): boolean {
    if (this.#command.getUint8(0) !== CTRL_NOTF_COAL) return false;
    switch (this.#command.getUint8(1)) {
      case CTRL_NOTF_COAL_TX_SET:
        return this.#setAll(COALESCE_TX, dataBytes);
      case CTRL_NOTF_COAL_RX_SET:
        return this.#setAll(COALESCE_RX, dataBytes);
      case CTRL_NOTF_COAL_VQ_SET:
        return this.#setQueue(dataBytes);
      case CTRL_NOTF_COAL_VQ_GET:
        return this.#getQueue(dataBytes, roomBytes);
      default:
        return false;
    }
  }

  #setAll(direction: typeof COALESCE_RX | typeof COALESCE_TX, dataBytes: number): boolean {
    if (!this.#features.has(NET_F_NOTF_COAL) || dataBytes !== CTRL_COAL_BYTES) return false;
    const maxPackets = this.#command.getUint32(CTRL_HDR_BYTES, true);
    const maxUsecs = this.#command.getUint32(CTRL_HDR_BYTES + 4, true);
    this.#coalescing.setAll(direction, maxUsecs, maxPackets);
    return true;
  }

  #setQueue(dataBytes: number): boolean {
    if (!this.#features.has(NET_F_VQ_NOTF_COAL) || dataBytes !== CTRL_COAL_VQ_BYTES) return false;
    // The two reserved bytes after vq_index are not looked at (NCOAL-1).
    const index = this.#command.getUint16(CTRL_HDR_BYTES, true);
    const maxPackets = this.#command.getUint32(CTRL_HDR_BYTES + 4, true);
    const maxUsecs = this.#command.getUint32(CTRL_HDR_BYTES + 8, true);
    return this.#coalescing.setQueue(index, maxUsecs, maxPackets);
  }

  /** The readable part is vq_index and reserved alone; the parameters are the result (§5.1.9.5.10). */
  #getQueue(dataBytes: number, roomBytes: number): boolean {
    if (!this.#features.has(NET_F_VQ_NOTF_COAL)) return false;
    if (dataBytes !== CTRL_COAL_VQ_BYTES - CTRL_COAL_BYTES || roomBytes < REPLY_BYTES_MAX) return false;
    const index = this.#command.getUint16(CTRL_HDR_BYTES, true);
    if (!this.#coalescing.isEnabled(index)) return false;
    this.#reply.setUint32(ACK_BYTES, this.#coalescing.maxPackets(index), true);
    this.#reply.setUint32(ACK_BYTES + 4, this.#coalescing.maxUsecs(index), true);
    return true;
  }
}
