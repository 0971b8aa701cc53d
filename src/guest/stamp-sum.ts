/**
 * The Fletcher sum of a frame stamp (device/spec/frame-stamp.ts), taken over a frame that may lie in pieces.
 *
 * The sum runs over little-endian u32 words, so a piece that begins on a word of both the frame and guest RAM is summed
 * through the u32 view, 8 words a turn; any other byte by byte. Receive buffers begin at multiples of 8 and the header
 * has 12 bytes, so the first way is the usual one.
 */
export class StampSum {
  /** The two sums, as int32. */
  s1 = 0;
  s2 = 0;
  /** The word that is being collected byte by byte, and how many of its bytes are there. */
  #partial = 0;
  #partialBytes = 0;

  clear(): void {
    this.s1 = 0;
    this.s2 = 0;
    this.#partial = 0;
    this.#partialBytes = 0;
  }

  /** Sums a u32 as the next word; only between whole words. */
  addWord(word: number): void {
    this.s1 = (this.s1 + word) | 0;
    this.s2 = (this.s2 + this.s1) | 0;
  }

  addBytes(u8: Uint8Array, u32: Uint32Array, address: number, bytes: number): void {
    let left = bytes;
    if (this.#partialBytes === 0 && (address & 3) === 0) {
      const words = bytes >>> 2;
      this.#addWords(u32, address >>> 2, words);
      address += words << 2;
      left -= words << 2;
    }
    for (; left > 0; left--) {
      this.#partial |= u8[address++]! << (this.#partialBytes << 3);
      if (++this.#partialBytes === 4) this.#endPartial();
    }
  }

  /** A last partial word is padded with zero bytes. */
  finish(): void {
    if (this.#partialBytes > 0) this.#endPartial();
  }

  #endPartial(): void {
    this.addWord(this.#partial);
    this.#partial = 0;
    this.#partialBytes = 0;
  }

  #addWords(u32: Uint32Array, index: number, words: number): void {
    let s1 = this.s1;
    let s2 = this.s2;
    const end = index + words;
    for (const unrolled = end - 7; index < unrolled; index += 8) {
      s1 = (s1 + u32[index]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 1]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 2]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 3]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 4]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 5]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 6]!) | 0;
      s2 = (s2 + s1) | 0;
      s1 = (s1 + u32[index + 7]!) | 0;
      s2 = (s2 + s1) | 0;
    }
    for (; index < end; index++) {
      s1 = (s1 + u32[index]!) | 0;
      s2 = (s2 + s1) | 0;
    }
    this.s1 = s1;
    this.s2 = s2;
  }
}
