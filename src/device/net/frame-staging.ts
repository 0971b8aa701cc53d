/**
 * The card's own memory for frames, out of the guest's reach: a transmitted chain is gathered there, so that what was
 * checked is what is sent, and a received frame is finished there. If it lies in the buffer that holds the guest's memory,
 * outside the guest's regions, the fast copy applies.
 */

import type { Frame } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { FRAME_BYTES_MAX, NET_HDR_HASH_BYTES } from "../spec/virtio-net.ts";

/** What comes before a frame: at least SEGMENT_LEAD_BYTES, and as a header it leaves frames at 4 mod 8. */
const LEAD_BYTES = 12;

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
  // For received frames that are longer than a lent area, made with the first of them.
  #spareBytes: Uint8Array | null = null;

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

  /**
   * Copies a received frame, which is the port's, to where it may be changed and cut, and makes it that copy; until then
   * nothing is sent. False if it is longer than any frame there is.
   */
  takeOver(frame: Frame): boolean {
    const { lengthBytes } = frame;
    if (lengthBytes > FRAME_BYTES_MAX) return false;
    const fits = LEAD_BYTES + lengthBytes <= this.lengthBytes;
    if (!fits) this.#spareBytes ??= new Uint8Array(LEAD_BYTES + FRAME_BYTES_MAX);
    const bytes = fits ? this.bytes : this.#spareBytes!;
    const offset = (fits ? this.offset : 0) + LEAD_BYTES;
    if (bytes === this.#memory.u8) this.#memory.copyIn(frame.bytes, frame.offset, offset, lengthBytes);
    else bytes.set(frame.bytes.subarray(frame.offset, frame.offset + lengthBytes), offset);
    frame.bytes = bytes;
    frame.offset = offset;
    return true;
  }
}
