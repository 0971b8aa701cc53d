/** The Internet checksum (RFC 1071), for the wire's end: written apart from the card's, so that neither hides the other's mistake. */

/** Sum of big-endian 16-bit words, an odd last byte padded with zero, carries folded in. */
export function onesSum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** What a checksum field must hold so that the sum over everything is 0xffff. */
export const checksumOf = (sum: number): number => 0xffff - sum;

/** Sum of the pseudo-header of IPv4 (RFC 793) or IPv6 (RFC 8200 §8.1), by the length of the addresses. */
export function pseudoHeaderSum(from: Uint8Array, to: Uint8Array, protocol: number, lengthBytes: number): number {
  return onesSum(to, onesSum(from, protocol + (lengthBytes >>> 16) + (lengthBytes & 0xffff)));
}
