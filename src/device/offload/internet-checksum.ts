/** The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. */

/**
 * Sum of the big-endian words in `bytes[from … to)`, with `initial` added, as a number of 16 bits; a last odd byte counts
 * as a word whose low half is 0. The range must lie within `bytes`, and have at most 2^22 bytes.
 */
export function onesComplementSum(bytes: Uint8Array, from: number, to: number, initial: number): number {
  // High and low halves are summed apart: neither sum leaves the range of small integers.
  let high = 0;
  let low = 0;
  let at = from;
  for (const end = to - 7; at < end; at += 8) {
    high += bytes[at]! + bytes[at + 2]! + bytes[at + 4]! + bytes[at + 6]!;
    low += bytes[at + 1]! + bytes[at + 3]! + bytes[at + 5]! + bytes[at + 7]!;
  }
  for (; at + 1 < to; at += 2) {
    high += bytes[at]!;
    low += bytes[at + 1]!;
  }
  if (at < to) high += bytes[at]!;
  // The carry out of the low halves goes to the high ones, and theirs around to the low ones.
  high += low >>> 8;
  return fold((low & 0xff) + ((high & 0xff) << 8) + (high >>> 8) + initial);
}

/** A sum below 2^32 as a number of 16 bits, with carries added around. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
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
