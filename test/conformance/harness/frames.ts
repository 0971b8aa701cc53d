/** Frames for tests. */

/** The card's address in these tests. */
export const CARD_MAC: readonly number[] = [0x02, 0, 0, 0, 0, 1];

/** A frame to the card, of an ethertype that nobody looks into, whose bytes differ from each other and by `seed`. */
export function patterned(lengthBytes: number, seed = 1): Uint8Array {
  const bytes = Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + seed * 13) & 0xff);
  bytes.set([...CARD_MAC, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5].slice(0, lengthBytes));
  return bytes;
}
