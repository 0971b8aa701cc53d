import type { Frame } from "../../device/link/frame-port.ts";
import {
  STAMP_ARRIVAL_HIGH,
  STAMP_ARRIVAL_LOW,
  STAMP_BYTES,
  STAMP_CHECK,
  STAMP_ETHERTYPE,
  STAMP_FLOW,
  STAMP_SEQUENCE,
  STAMP_STATE,
  stampCheck,
} from "../../device/spec/frame-stamp.ts";
import type { FrameMaker } from "./frame-maker.ts";
import { Random } from "./random.ts";

/**
 * Makes stamped frames (device/spec/frame-stamp.ts) at a cost that does not grow with their length.
 *
 * Frames lie in slots of a staging area. A slot's filler is written once, pseudo-random, along with the two Fletcher sums
 * of every number of its first words; a frame of any length is then a slot with six words stamped over, and its check
 * follows from the header words and two sums looked up.
 *
 * The number of slots is prime: a ring's buffers come around after a power of two of frames, hence never with the same
 * slot, and a stale buffer differs from the frame that should be in it in its whole filler, not in the stamp alone.
 */

/** Slots for frames of up to 2 KiB; longer ones get fewer, so that the area stays small enough for the cache. */
const SLOTS = 61;
const SLOTS_JUMBO = 13;
const SLOTS_HUGE = 5;
const JUMBO_FROM_BYTES = 2048;
const HUGE_FROM_BYTES = 16384;
/** No link has longer frames; above it the sums would not stay modest. */
const SLOT_BYTES_MAX = 0x2_0000;

/**
 * Where a slot begins, mod 64, its stride being an odd multiple of 64. A frame header of 12 bytes puts a frame at 12 in
 * a guest's buffer: 36 is the same mod 8, without which `Uint8Array.set` on shared memory copies byte by byte; and if
 * buffers are 64-aligned, destination − source is 40 mod 64, which is never 4 … 12 mod 4096, where long copies are 14
 * times slower (the processor takes the loads for aliases of the stores). The odd stride spreads slots over the 4 KiB.
 */
const SLOT_PHASE = 36;
const PHASE_MODULUS = 64;

const STAMP_WORDS = STAMP_BYTES >>> 2;
const FLOW_WORD = STAMP_FLOW >>> 2;
const SEQUENCE_WORD = STAMP_SEQUENCE >>> 2;
const CHECK_WORD = STAMP_CHECK >>> 2;
const ARRIVAL_LOW_WORD = STAMP_ARRIVAL_LOW >>> 2;
const ARRIVAL_HIGH_WORD = STAMP_ARRIVAL_HIGH >>> 2;
const STATE_WORD = STAMP_STATE >>> 2;
/** The ethertype, big-endian on the wire, as the low half of the little-endian word that it shares with the flow. */
const ETHERTYPE_BYTES = ((STAMP_ETHERTYPE & 0xff) << 8) | (STAMP_ETHERTYPE >>> 8);
const TWO_32 = 2 ** 32;

/** Locally administered (bit 1 of the first byte): the address of the wire's other end. */
export const WIRE_MAC: readonly number[] = [0x02, 0x57, 0x49, 0x52, 0x45, 0x00];

export interface StampedFramesOptions {
  /** A view of the whole buffer that holds the staging area. */
  readonly bytes: Uint8Array;
  /** The staging area in it: from `startOffset`, `areaBytes(slotBytes)` bytes or more. */
  readonly startOffset: number;
  readonly lengthBytes: number;
  /** The longest frame. */
  readonly slotBytes: number;
  /** Six bytes each. */
  readonly destinationMac: ArrayLike<number>;
  readonly sourceMac?: ArrayLike<number>;
  /** Of the filler. */
  readonly seed: number;
}

/** Bytes of a staging area for frames of up to `slotBytes`. */
export function areaBytes(slotBytes: number): number {
  return PHASE_MODULUS + slotCount(slotBytes) * strideBytes(slotBytes);
}

/** Slots of a staging area for frames of up to `slotBytes`: a prime. */
export function slotCount(slotBytes: number): number {
  if (slotBytes <= JUMBO_FROM_BYTES) return SLOTS;
  return slotBytes <= HUGE_FROM_BYTES ? SLOTS_JUMBO : SLOTS_HUGE;
}

function strideBytes(slotBytes: number): number {
  const blocks = Math.ceil(Math.max(slotBytes, STAMP_BYTES) / PHASE_MODULUS);
  return (blocks | 1) * PHASE_MODULUS;
}

export class StampedFrames implements FrameMaker {
  /** The longest frame. */
  readonly slotBytes: number;
  /** Words of a slot behind the stamp, the last of which the longest frame may have only a part of. */
  readonly #fillerWords: number;
  readonly #bytes: Uint8Array;
  /** Words of the whole buffer: frames begin at multiples of 4, little-endian like every machine that runs JavaScript. */
  readonly #words: Int32Array;
  readonly #slots: number;
  readonly #strideBytes: number;
  readonly #firstOffset: number;
  /** Of each slot, for m = 0 … filler words: the sums s1 and s2 over its first m filler words alone. */
  readonly #sums: Int32Array;
  readonly #sumsPerSlot: number;
  #slot = 0;

  /** Throws RangeError for an area that does not hold the slots. */
  constructor(options: StampedFramesOptions) {
    const { bytes, startOffset, lengthBytes } = options;
    if (bytes.byteOffset !== 0 || bytes.length !== bytes.buffer.byteLength) {
      throw new RangeError(`bytes: got a view of a part of its buffer, allowed is a view of the whole`);
    }
    if (!Number.isInteger(options.slotBytes) || options.slotBytes < STAMP_BYTES || options.slotBytes > SLOT_BYTES_MAX) {
      throw new RangeError(`slotBytes: got ${options.slotBytes}, allowed are ${STAMP_BYTES} to ${SLOT_BYTES_MAX}`);
    }
    const wanted = areaBytes(options.slotBytes);
    if (!(startOffset >= 0 && lengthBytes >= wanted && startOffset + lengthBytes <= bytes.length)) {
      throw new RangeError(
        `staging area: got ${lengthBytes} bytes at ${startOffset} of a buffer of ${bytes.length}, ` +
          `allowed are at least ${wanted} bytes inside it`,
      );
    }
    this.slotBytes = options.slotBytes;
    this.#fillerWords = Math.ceil((options.slotBytes - STAMP_BYTES) / 4);
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer, 0, bytes.length >>> 2);
    this.#slots = slotCount(options.slotBytes);
    this.#strideBytes = strideBytes(options.slotBytes);
    // The smallest offset in the area that is SLOT_PHASE mod 64.
    this.#firstOffset = Math.ceil((startOffset - SLOT_PHASE) / PHASE_MODULUS) * PHASE_MODULUS + SLOT_PHASE;
    this.#sumsPerSlot = 2 * (this.#fillerWords + 1);
    this.#sums = new Int32Array(this.#slots * this.#sumsPerSlot);
    this.#fill(new Random(options.seed), macOf(options.destinationMac), macOf(options.sourceMac ?? WIRE_MAC));
  }

  /**
   * Makes the next frame; it stays valid until as many frames were made as there are slots. Lengths below STAMP_BYTES
   * are raised to it; `lengthBytes` must not exceed `slotBytes`.
   */
  stamp(frame: Frame, sequence: number, lengthBytes: number, arrivalNs: number, stateWord: number, flow: number): void {
    const length = lengthBytes < STAMP_BYTES ? STAMP_BYTES : lengthBytes | 0;
    if (length > this.slotBytes) {
      throw new RangeError(`lengthBytes: got ${lengthBytes}, allowed are at most the slot's ${this.slotBytes}`);
    }
    const slot = this.#slot;
    this.#slot = slot + 1 === this.#slots ? 0 : slot + 1;
    const offset = this.#firstOffset + slot * this.#strideBytes;
    const words = this.#words;
    const at = offset >>> 2;
    const arrivalLow = arrivalNs | 0;
    const arrivalHigh = (arrivalNs / TWO_32) | 0;

    // The sums over the five stamped words, the check itself as 0: the n-th word from the end counts n times in s2.
    let s1 = (sequence + arrivalLow + arrivalHigh + stateWord) | 0;
    let s2 = (Math.imul(sequence, 5) + Math.imul(arrivalLow, 3) + ((arrivalHigh << 1) + stateWord)) | 0;
    // Then m filler words: each of them adds the s1 before them to s2 once more.
    const m = (length - STAMP_BYTES) >>> 2;
    const sum = slot * this.#sumsPerSlot + 2 * m;
    s2 = (s2 + Math.imul(m, s1) + this.#sums[sum + 1]!) | 0;
    s1 = (s1 + this.#sums[sum]!) | 0;
    const partialBits = (length & 3) << 3;
    if (partialBits !== 0) {
      s1 = (s1 + (words[at + STAMP_WORDS + m]! & ((1 << partialBits) - 1))) | 0;
      s2 = (s2 + s1) | 0;
    }

    words[at + FLOW_WORD] = ETHERTYPE_BYTES | (flow << 16);
    words[at + SEQUENCE_WORD] = sequence;
    words[at + CHECK_WORD] = stampCheck(s1, s2, length);
    words[at + ARRIVAL_LOW_WORD] = arrivalLow;
    words[at + ARRIVAL_HIGH_WORD] = arrivalHigh;
    words[at + STATE_WORD] = stateWord;

    frame.bytes = this.#bytes;
    frame.offset = offset;
    frame.lengthBytes = length;
    frame.id = sequence;
    frame.flags = 0;
    frame.gsoType = 0;
    frame.gsoSize = 0;
    frame.hdrLen = 0;
    frame.csumStart = 0;
    frame.csumOffset = 0;
    frame.urgent = false;
  }

  #fill(random: Random, destinationMac: readonly number[], sourceMac: readonly number[]): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      const offset = this.#firstOffset + slot * this.#strideBytes;
      this.#bytes.set(destinationMac, offset);
      this.#bytes.set(sourceMac, offset + destinationMac.length);
      const filler = (offset + STAMP_BYTES) >>> 2;
      const sums = slot * this.#sumsPerSlot;
      for (let m = 0; m < this.#fillerWords; m++) {
        const word = random.uint32() | 0;
        this.#words[filler + m] = word;
        const s1 = (this.#sums[sums + 2 * m]! + word) | 0;
        this.#sums[sums + 2 * m + 2] = s1;
        this.#sums[sums + 2 * m + 3] = (this.#sums[sums + 2 * m + 1]! + s1) | 0;
      }
    }
  }
}

function macOf(mac: ArrayLike<number>): readonly number[] {
  if (mac.length !== 6) throw new RangeError(`MAC address: got ${mac.length} bytes, allowed are 6`);
  return Array.from(mac);
}
