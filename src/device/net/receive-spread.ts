/**
 * Writes a received frame into buffers of several descriptors, and into several buffers (MRG_RXBUF), and finds out what is
 * wrong with the buffers of a driver. Source: virtio 1.4 §5.1.9.3, §5.1.9.4.
 */

import { FAULT_CHAIN_TOO_LONG, FAULT_NONE, FAULT_RX_READABLE, FAULT_RX_TOO_SMALL } from "../faults.ts";
import type { Frame } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { NET_HDR_NUM_BUFFERS } from "../spec/virtio-net.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import { TAKE_BROKEN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../virtqueue/virtqueue.ts";
import type { ReceiveHeader } from "./receive-header.ts";

/** What `write` gives if it has not written the frame; else it is the number of buffers. */
export const SPREAD_EMPTY = 0;
/** The ring is broken, see the queue's `fault`. */
export const SPREAD_BROKEN = -1;
/** The frame is longer than the buffer, and nobody has promised one that holds it. */
export const SPREAD_TOO_LONG = -2;
/** See `fault`; `buffers` chains went back to the driver with length 0. */
export const SPREAD_FAULT = -3;

export class ReceiveSpread {
  fault: number = FAULT_NONE;
  buffers = 0;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  readonly #header: ReceiveHeader;
  // Buffers of the frame at hand.
  readonly #heads: Uint16Array;
  readonly #lengths: Uint32Array;
  #numBuffersLowAt = 0;
  #numBuffersHighAt = 0;
  #mergeable = false;
  #frameBytesOwed = 0;

  constructor(memory: GuestMemory, chain: DescriptorChain, header: ReceiveHeader, queueSizeMax: number) {
    this.#memory = memory;
    this.#chain = chain;
    this.#header = header;
    this.#heads = new Uint16Array(queueSizeMax);
    this.#lengths = new Uint32Array(queueSizeMax);
  }

  /** `frameBytesOwed`: a frame of that length fits every buffer that keeps to the standard. */
  configure(mergeable: boolean, frameBytesOwed: number): void {
    this.#mergeable = mergeable;
    this.#frameBytesOwed = frameBytesOwed;
  }

  /**
   * Delivers a frame that one descriptor does not hold, or deals with the chain that is no good for it. `taken` is what
   * `take` gave for the first chain.
   *
   * Bounded: a frame costs at most one faulty chain, each chain gives at least a header's worth of room, and the
   * descriptors read are bounded too, empty ones included.
   */
  write(queue: Virtqueue, frame: Frame, taken: number): number {
    const chain = this.#chain;
    const neededBytes = this.#header.lengthBytes + frame.lengthBytes;
    this.#header.describe(frame);
    let filledBytes = 0;
    let buffers = 0;
    let descriptors = 0;
    for (let result = taken; ; result = queue.take(chain)) {
      if (result === TAKE_EMPTY || result === TAKE_BROKEN) {
        // NRX-4: all buffers of a frame become visible together, so without the last one none is used.
        queue.rewind(buffers);
        return result === TAKE_EMPTY ? SPREAD_EMPTY : SPREAD_BROKEN;
      }
      descriptors += chain.descriptors;
      let fault = result === TAKE_FAULT ? queue.fault : this.#unfit(neededBytes);
      if (fault === FAULT_NONE && descriptors > neededBytes + queue.size) fault = FAULT_CHAIN_TOO_LONG;
      if (fault === FAULT_RX_TOO_SMALL && !this.#mergeable && frame.lengthBytes > this.#frameBytesOwed) {
        queue.rewind(1);
        return SPREAD_TOO_LONG;
      }
      if (fault !== FAULT_NONE) {
        this.fault = fault;
        this.#returnUnused(queue, buffers);
        return SPREAD_FAULT;
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

  /** True unless the next chain is a receive buffer, and too short for a frame of this length in one buffer. Takes nothing. */
  mayHold(queue: Virtqueue, frameBytes: number): boolean {
    const chain = this.#chain;
    const taken = queue.take(chain);
    if (taken === TAKE_EMPTY || taken === TAKE_BROKEN) return true;
    queue.rewind(1);
    return taken === TAKE_FAULT || this.#unfit(this.#header.lengthBytes + frameBytes) !== FAULT_RX_TOO_SMALL;
  }

  /** Fault of a valid chain that is no receive buffer; the buffer must hold the header, or without merging all. */
  #unfit(neededBytes: number): number {
    const chain = this.#chain;
    if (chain.readableCount !== 0) return FAULT_RX_READABLE;
    const leastBytes = this.#mergeable ? this.#header.lengthBytes : neededBytes;
    return chain.writableBytes < leastBytes ? FAULT_RX_TOO_SMALL : FAULT_NONE;
  }

  /** Writes bytes `fromByte … fromByte + lengthBytes` of header and frame into the chain. */
  #fill(frame: Frame, fromByte: number, lengthBytes: number): void {
    const chain = this.#chain;
    const { bytes: header, lengthBytes: headerBytes } = this.#header;
    const u8 = this.#memory.u8;
    let position = fromByte;
    let left = lengthBytes;
    for (let segment = 0; left > 0; segment++) {
      let offset = chain.offsets[segment]!;
      let room = Math.min(chain.lengths[segment]!, left);
      left -= room;
      for (; room > 0 && position < headerBytes; room--) {
        if (position === NET_HDR_NUM_BUFFERS) this.#numBuffersLowAt = offset;
        if (position === NET_HDR_NUM_BUFFERS + 1) this.#numBuffersHighAt = offset;
        u8[offset] = header[position]!;
        offset++;
        position++;
      }
      if (room > 0) {
        this.#memory.copyIn(frame.bytes, frame.offset + position - headerBytes, offset, room);
        position += room;
      }
    }
  }

  /** Gives back the first `buffers` chains of the frame and the one at hand, with length 0. */
  #returnUnused(queue: Virtqueue, buffers: number): void {
    for (let i = 0; i < buffers; i++) queue.pushUsed(this.#heads[i]!, 0);
    queue.pushUsed(this.#chain.head, 0);
    this.buffers = buffers + 1;
  }
}
