/**
 * The memory into which a transmitted chain is gathered: out of the guest's reach, so that what was checked is what is
 * sent. If it lies in the buffer that holds the guest's memory, outside the guest's regions, the fast copy applies.
 * Headers are changed there while a frame is cut.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { FRAME_BYTES_MAX, NET_HDR_HASH_BYTES } from "../spec/virtio-net.ts";

/** Room for the longest header and the longest frame that a driver may ask to be segmented. */
export const GSO_STAGING_BYTES = NET_HDR_HASH_BYTES + FRAME_BYTES_MAX;

/** Bytes that an embedder lends to the card; 8-aligned offsets keep frames at 4 mod 8, where copies are fastest. */
export interface StagingArea {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly lengthBytes: number;
}

export class FrameStaging {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly #memory: GuestMemory;
  // Null if the area lies in the guest's buffer, whose views may be replaced.
  readonly #ownBytes: Uint8Array | null;

  /**
   * @param frameBytesMin longest frame that must fit; an area of the card's own holds the longest that there is
   * @throws RangeError if a lent area is too small, outside its bytes, or within the guest's reach
   */
  constructor(memory: GuestMemory, area: StagingArea | undefined, frameBytesMin: number) {
    this.#memory = memory;
    if (area === undefined) {
      this.offset = 0;
      this.lengthBytes = GSO_STAGING_BYTES;
      this.#ownBytes = new Uint8Array(this.lengthBytes);
      return;
    }
    const { bytes, offset, lengthBytes } = area;
    if (
      !Number.isInteger(offset) ||
      !Number.isInteger(lengthBytes) ||
      offset < 0 ||
      offset + lengthBytes > bytes.length
    ) {
      throw new RangeError(`txStaging is ${lengthBytes} bytes at ${offset}, but its array has ${bytes.length}`);
    }
    const neededBytes = NET_HDR_HASH_BYTES + frameBytesMin;
    if (lengthBytes < neededBytes) {
      throw new RangeError(`txStaging has ${lengthBytes} bytes; at least ${neededBytes} are needed for header and MTU`);
    }
    this.lengthBytes = lengthBytes;
    if (bytes.buffer !== memory.u8.buffer) {
      this.offset = offset;
      this.#ownBytes = bytes;
      return;
    }
    this.offset = bytes.byteOffset + offset;
    this.#ownBytes = null;
    for (const region of memory.regions) {
      if (this.offset < region.byteOffset + region.sizeBytes && region.byteOffset < this.offset + lengthBytes) {
        throw new RangeError(
          `txStaging overlaps the guest's region at byteOffset ${region.byteOffset}: the guest could change checked frames`,
        );
      }
    }
  }

  get bytes(): Uint8Array {
    return this.#ownBytes ?? this.#memory.u8;
  }
}
