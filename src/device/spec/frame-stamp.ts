/**
 * What a test frame carries so that its receiver sees loss, duplication, reordering and corruption.
 *
 *   0  destination MAC            16  sequence number u32
 *   6  source MAC                 20  check u32
 *  12  ethertype 0x88b5           24  arrival time, ns, low and high u32
 *  14  flow u16                   32  guest state word at arrival u32
 *                                 36  filler
 *
 * The check is a Fletcher sum over the frame's little-endian u32 words from offset 16 on, the check word taken as 0
 * and a last partial word padded with zero bytes: s1 += word; s2 += s1, both mod 2^32; check = s2 ^ rotl(s1, 16) ^ length.
 */

/** IEEE 802 local experimental ethertype 1. */
export const STAMP_ETHERTYPE = 0x88b5;
export const STAMP_FLOW = 14;
export const STAMP_SEQUENCE = 16;
export const STAMP_CHECK = 20;
export const STAMP_ARRIVAL_LOW = 24;
export const STAMP_ARRIVAL_HIGH = 28;
export const STAMP_STATE = 32;
/** A stamped frame is at least this long; shorter lengths are padded up to it. */
export const STAMP_BYTES = 36;

/** The check word, from the two Fletcher sums (any int32) and the frame's length in bytes. */
export function stampCheck(s1: number, s2: number, lengthBytes: number): number {
  return (s2 ^ ((s1 << 16) | (s1 >>> 16)) ^ lengthBytes) >>> 0;
}
