/** The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. */

/**
 * Sum of the big-endian words in `bytes[from … to)`, with `initial` added, as a number of 16 bits; a last odd byte counts
 * as a word whose low half is 0. The range must lie within `bytes`, and have at most 2^22 bytes. For headers: `PayloadSum`
 * takes a third of the time once it has something to add up.
 */
export function onesComplementSum(bytes: Uint8Array, from: number, to: number, initial: number): number {
  // High and low halves are summed apart: neither sum leaves the range of small integers.
  let high = 0;
  let low = 0;
  let at = from;
  for (; at + 1 < to; at += 2) {
    high += bytes[at]!;
    low += bytes[at + 1]!;
  }
  if (at < to) high += bytes[at]!;
  // The carry out of the low halves goes to the high ones, and theirs around to the low ones.
  high += low >>> 8;
  return fold((low & 0xff) + ((high & 0xff) << 8) + (high >>> 8) + initial);
}

/**
 * The same sum for long ranges, by words of 32 bits: the sum does not care how bytes are grouped, nor, but for its own
 * two, in which order they lie (RFC 1071 §2). Keeps a view of the array that it was last asked about, and allocates only
 * when that is another one.
 */
export class PayloadSum {
  #bytes: Uint8Array = new Uint8Array(0);
  #words: Int32Array = new Int32Array(0);
  // How far the array begins behind a word's beginning.
  #skew = 0;

  /** The range must lie within `bytes`, and have at most 2^17 bytes. */
  of(bytes: Uint8Array, from: number, to: number): number {
    if (bytes !== this.#bytes) this.#view(bytes);
    const skew = this.#skew;
    const start = from + (-(from + skew) & 3);
    if (start + 4 > to) return onesComplementSum(bytes, from, to, 0);
    const words = this.#words;
    // Halves of words are summed apart, so that no sum of 2^15 of them leaves 31 bits.
    let high = 0;
    let low = 0;
    let word = (start + skew) >>> 2;
    const end = (to + skew) >>> 2;
    for (const fours = end - 3; word < fours; word += 4) {
      const a = words[word]!;
      const b = words[word + 1]!;
      const c = words[word + 2]!;
      const d = words[word + 3]!;
      low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
      high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
    }
    for (; word < end; word++) {
      low = (low + (words[word]! & 0xffff)) | 0;
      high = (high + (words[word]! >>> 16)) | 0;
    }
    // Each by itself: together they may leave the range of small integers.
    const middle = fold(fold(low) + fold(high));
    const head = onesComplementSum(bytes, from, start, 0);
    const tail = onesComplementSum(bytes, end * 4 - skew, to, 0);
    // Words are little-endian, and from an odd place on every byte is in the other half.
    if (((start - from) & 1) === 0) return fold(head + swapped(middle) + tail);
    return fold(head + middle + swapped(tail));
  }

  #view(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#skew = bytes.byteOffset & 3;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset - this.#skew, (bytes.length + this.#skew) >>> 2);
  }
}

/** A sum below 2^32 as a number of 16 bits, with carries added around. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

function swapped(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/**
 * What goes into the checksum field for a 16-bit sum. Never 0, which in UDP means that there is no checksum (RFC 768); for
 * whoever verifies, 0xffff is the same.
 */
export function transportChecksum(sum: number): number {
  return ~sum & 0xffff || 0xffff;
}

/** Writes a big-endian word. */
export function storeBigEndian16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function loadBigEndian16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
