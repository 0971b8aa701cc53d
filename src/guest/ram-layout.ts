/**
 * Where the driver puts its rings and buffers in guest RAM. A bump allocator plans the whole layout as numbers, so that
 * the bytes needed can be known before there is any RAM.
 */

import {
  AVAIL_ALIGN,
  availAreaBytes,
  DESC_ALIGN,
  DESC_BYTES,
  descAreaBytes,
  USED_ALIGN,
  usedAreaBytes,
} from "../device/spec/split-ring.ts";
import { ETHERNET_HEADER_BYTES, NET_HDR_BYTES } from "../device/spec/virtio-net.ts";

/** Nothing lies below: a device that follows an address of 0 touches no ring and no frame. */
export const LAYOUT_START_BYTES = 4096;

/** Commands in flight are never more than one; its chain has at most three elements. */
export const CONTROL_RING_ENTRIES = 4;
export const CONTROL_BUFFER_BYTES = 64;

/** Elements of a transmit chain when header and frame are apart. */
export const SCATTER_ELEMENTS = 2;

/** virtio 1.4 §5.1.9.3.1: a receive buffer that takes the largest frame of an unsegmented link, header included. */
const SMALLEST_WHOLE_FRAME_BUFFER_BYTES = 1526;

export interface LayoutRequest {
  /** Entries of the receive and of the transmit ring. */
  readonly receiveEntries: number;
  readonly transmitEntries: number;
  readonly receiveBufferBytes: number;
  readonly transmitBufferBytes: number;
}

export interface RingAreas {
  readonly entries: number;
  readonly descAddress: number;
  readonly availAddress: number;
  readonly usedAddress: number;
}

export interface RamLayout {
  readonly receiveRing: RingAreas;
  readonly transmitRing: RingAreas;
  readonly controlRing: RingAreas;
  readonly receiveBuffersAddress: number;
  readonly receiveBufferBytes: number;
  readonly transmitBuffersAddress: number;
  readonly transmitBufferBytes: number;
  /** One indirect table of SCATTER_ELEMENTS for each transmit descriptor. */
  readonly transmitTablesAddress: number;
  readonly controlBufferAddress: number;
  readonly controlTableAddress: number;
  readonly endBytes: number;
}

class BumpAllocator {
  #nextAddress = LAYOUT_START_BYTES;

  take(sizeBytes: number, alignBytes: number): number {
    const address = Math.ceil(this.#nextAddress / alignBytes) * alignBytes;
    this.#nextAddress = address + sizeBytes;
    return address;
  }

  takeRing(entries: number): RingAreas {
    return {
      entries,
      descAddress: this.take(descAreaBytes(entries), DESC_ALIGN),
      availAddress: this.take(availAreaBytes(entries), AVAIL_ALIGN),
      // Its own cache line: the device writes here, the driver writes just before.
      usedAddress: this.take(usedAreaBytes(entries), Math.max(USED_ALIGN, 64)),
    };
  }
}

export function layOutRam(request: LayoutRequest): RamLayout {
  const bump = new BumpAllocator();
  const receiveRing = bump.takeRing(request.receiveEntries);
  const transmitRing = bump.takeRing(request.transmitEntries);
  const controlRing = bump.takeRing(CONTROL_RING_ENTRIES);
  const transmitTablesAddress = bump.take(request.transmitEntries * SCATTER_ELEMENTS * DESC_BYTES, DESC_ALIGN);
  const controlTableAddress = bump.take(CONTROL_RING_ENTRIES * DESC_BYTES, DESC_ALIGN);
  const controlBufferAddress = bump.take(CONTROL_BUFFER_BYTES, 8);
  const receiveBuffersAddress = bump.take(request.receiveEntries * request.receiveBufferBytes, 64);
  const transmitBuffersAddress = bump.take(request.transmitEntries * request.transmitBufferBytes, 64);
  return {
    receiveRing,
    transmitRing,
    controlRing,
    receiveBuffersAddress,
    receiveBufferBytes: request.receiveBufferBytes,
    transmitBuffersAddress,
    transmitBufferBytes: request.transmitBufferBytes,
    transmitTablesAddress,
    controlBufferAddress,
    controlTableAddress,
    endBytes: bump.take(0, 64),
  };
}

/** A buffer that holds any frame of a link with this MTU after its header; a multiple of 8, see DESIGN §12 on alignment. */
export function wholeFrameBufferBytes(mtu: number): number {
  const needed = NET_HDR_BYTES + ETHERNET_HEADER_BYTES + mtu;
  return Math.ceil(Math.max(needed, SMALLEST_WHOLE_FRAME_BUFFER_BYTES) / 8) * 8;
}

/** Default size of a receive buffer with MRG_RXBUF. */
export const MERGEABLE_BUFFER_BYTES = 1536;

/** Guest RAM that a driver with these options can need, whatever the device turns out to offer. */
export function guestRamBytes(options: {
  readonly ring: number;
  readonly mtu: number;
  readonly mergeableBufferBytes?: number;
}): number {
  const whole = wholeFrameBufferBytes(options.mtu);
  return layOutRam({
    receiveEntries: options.ring,
    transmitEntries: options.ring,
    receiveBufferBytes: Math.max(whole, options.mergeableBufferBytes ?? MERGEABLE_BUFFER_BYTES),
    transmitBufferBytes: whole,
  }).endBytes;
}
