/**
 * A ring of frames: one producer, one consumer, nobody waits. Between threads it lies in a SharedArrayBuffer; the queues of
 * a switch are the same ring in ordinary memory. Who stores and loads which word, and why, is in docs/memory-model.md.
 *
 * Head and tail count bytes, free-running, mod 2^32:
 *
 *   bytes 0 …    head: where the next record will be written     producer, Atomics
 *   bytes 64 …   tail: up to where everything was read           consumer, Atomics
 *   bytes 128 …  records
 *
 * A record begins at a multiple of 8 bytes and is never in two pieces: where it does not fit before the end of the ring, a
 * record of length SKIP fills that up. Numbers are little-endian.
 */

import type { Frame } from "../../device/link/frame-port.ts";

// In Int32 words from the ring's beginning: a cache line each.
export const RING_HEAD = 0;
export const RING_TAIL = 16;
const RECORDS_BYTE = 128;

// One record, in Int32 words from its beginning.
export const RECORD_LENGTH = 0;
/** flags | gso_type << 8 | urgent << 16 */
const RECORD_FLAGS = 1;
/** gso_size | hdr_len << 16 */
const RECORD_GSO = 2;
/** csum_start | csum_offset << 16 */
const RECORD_CSUM = 3;
/** When the frame was sent, ns: float64, in float64 elements from the record's beginning. */
const RECORD_SENT_AT_F64 = 2;
const RECORD_ID = 6;
/** Frames lie at 4 mod 8, as in the buffers of guests: only then are copies in shared memory fast. */
export const RECORD_FRAME_BYTES = 28;

/** Length of what fills the ring up to its end. */
export const SKIP = -1;

/** Largest capacity: differences of free-running positions must be told apart from what a broken peer may write. */
const CAPACITY_MAX = 2 ** 30;

/** Bytes that a record with a frame of `lengthBytes` takes. */
export function recordBytes(lengthBytes: number): number {
  return (RECORD_FRAME_BYTES + lengthBytes + 7) & ~7;
}

/** Bytes of memory for a ring of `capacityBytes`. */
export function frameRingBytes(capacityBytes: number): number {
  return RECORDS_BYTE + capacityBytes;
}

/** One end's view of a ring. */
export class FrameRingMemory {
  readonly capacityBytes: number;
  readonly maxFrameBytes: number;
  /** Head and tail. */
  readonly control: Int32Array;
  // The records.
  words: Int32Array;
  floats: Float64Array;
  bytes: Uint8Array;

  /**
   * @param buffer `frameRingBytes` of the capacity, a power of two, and zero when the ring is new
   * @throws RangeError if it has another size, or is too small for the longest frame wherever that begins
   */
  constructor(buffer: ArrayBufferLike, maxFrameBytes: number) {
    const capacityBytes = buffer.byteLength - RECORDS_BYTE;
    const leastBytes = 2 * recordBytes(maxFrameBytes);
    if (capacityBytes < 8 || capacityBytes > CAPACITY_MAX || (capacityBytes & (capacityBytes - 1)) !== 0) {
      throw new RangeError(
        `the capacity of a frame ring is ${capacityBytes} bytes; it must be a power of two from 8 to ${CAPACITY_MAX}`,
      );
    }
    if (capacityBytes < leastBytes) {
      throw new RangeError(
        `the capacity of a frame ring is ${capacityBytes} bytes; for frames of ${maxFrameBytes} it must be at least ${leastBytes}`,
      );
    }
    this.capacityBytes = capacityBytes;
    this.maxFrameBytes = maxFrameBytes;
    this.control = new Int32Array(buffer, 0, RECORDS_BYTE / 4);
    this.words = new Int32Array(buffer, RECORDS_BYTE);
    this.floats = new Float64Array(buffer, RECORDS_BYTE);
    this.bytes = new Uint8Array(buffer, RECORDS_BYTE);
  }

  /** Writes into the record at byte `at` what it says of its frame, but its length. */
  describe(at: number, frame: Frame, sentAtNs: number): void {
    const { words } = this;
    const word = at >>> 2;
    words[word + RECORD_FLAGS] = frame.flags | (frame.gsoType << 8) | (frame.urgent ? 1 << 16 : 0);
    words[word + RECORD_GSO] = frame.gsoSize | (frame.hdrLen << 16);
    words[word + RECORD_CSUM] = frame.csumStart | (frame.csumOffset << 16);
    words[word + RECORD_ID] = frame.id;
    this.floats[(at >>> 3) + RECORD_SENT_AT_F64] = sentAtNs;
  }

  /** Makes `frame` that of the record at byte `at`, whose length the caller has checked; returns when it was sent. */
  recall(at: number, lengthBytes: number, frame: Frame): number {
    const { words } = this;
    const word = at >>> 2;
    const flags = words[word + RECORD_FLAGS]!;
    const gso = words[word + RECORD_GSO]!;
    const checksum = words[word + RECORD_CSUM]!;
    frame.bytes = this.bytes;
    frame.offset = at + RECORD_FRAME_BYTES;
    frame.lengthBytes = lengthBytes;
    frame.flags = flags & 0xff;
    frame.gsoType = (flags >>> 8) & 0xff;
    frame.urgent = ((flags >>> 16) & 1) !== 0;
    frame.gsoSize = gso & 0xffff;
    frame.hdrLen = gso >>> 16;
    frame.csumStart = checksum & 0xffff;
    frame.csumOffset = checksum >>> 16;
    frame.id = words[word + RECORD_ID]! >>> 0;
    return this.floats[(at >>> 3) + RECORD_SENT_AT_F64]!;
  }
}
