/**
 * The sender's end of the frame stamp. All frames of a writer have one length and one filler, so the filler's share of
 * the check is worked out once, and each frame costs the stamp's few words however long it is.
 */
import { STAMP_BYTES, STAMP_ETHERTYPE, STAMP_FLOW, STAMP_SEQUENCE, stampCheck } from "../device/spec/frame-stamp.ts";
import type { RamViews } from "./ram-views.ts";

const STAMP_SEQUENCE_WORD = STAMP_SEQUENCE >>> 2;
/** Words from the sequence number to the end of the stamp. */
const STAMP_WORDS = (STAMP_BYTES - STAMP_SEQUENCE) >>> 2;

export class StampWriter {
  readonly lengthBytes: number;
  readonly #ram: RamViews;
  /** The whole frame but for the stamp's changing words, to be laid into a buffer that may hold anything. */
  readonly #template: Uint8Array;
  // The filler's sums: of its words, and of each times its distance from the end.
  readonly #fillerS1: number;
  readonly #fillerS2: number;
  readonly #fillerWords: number;

  constructor(ram: RamViews, lengthBytes: number, destinationMac: ArrayLike<number>, sourceMac: ArrayLike<number>) {
    this.lengthBytes = Math.max(lengthBytes, STAMP_BYTES);
    this.#ram = ram;
    // At 4 past a multiple of 8, as a frame behind its header is in guest RAM: otherwise the copy is 5 times slower.
    const padded = new Uint8Array(new ArrayBuffer(4 + Math.ceil(this.lengthBytes / 4) * 4), 4);
    padded.set(destinationMac, 0);
    padded.set(sourceMac, 6);
    padded[12] = STAMP_ETHERTYPE >>> 8;
    padded[13] = STAMP_ETHERTYPE & 0xff;
    for (let i = STAMP_BYTES; i < this.lengthBytes; i++) padded[i] = (i * 167 + 13) & 0xff;
    this.#template = padded.subarray(0, this.lengthBytes);
    const words = new Uint32Array(padded.buffer, 4);
    let s1 = 0;
    let s2 = 0;
    for (let i = STAMP_BYTES >>> 2; i < words.length; i++) {
      s1 = (s1 + words[i]!) | 0;
      s2 = (s2 + s1) | 0;
    }
    this.#fillerS1 = s1;
    this.#fillerS2 = s2;
    this.#fillerWords = words.length - (STAMP_BYTES >>> 2);
  }

  /** Writes a frame to `address` of guest RAM, a multiple of 4. */
  write(address: number, flow: number, sequence: number, timeNs: number, state: number): void {
    const { u8, u16, u32 } = this.#ram;
    u8.set(this.#template, address);
    u16[(address + STAMP_FLOW) >>> 1] = flow;
    const word = (address >>> 2) + STAMP_SEQUENCE_WORD;
    u32[word] = sequence;
    const high = Math.floor(timeNs / 2 ** 32);
    u32[word + 2] = timeNs - high * 2 ** 32;
    u32[word + 3] = high;
    u32[word + 4] = state;
    // The stamp's own sums, then the filler's n words: each adds the stamp's s1 once more to s2.
    let s1 = 0;
    let s2 = 0;
    for (let i = 0; i < STAMP_WORDS; i++) {
      if (i !== 1) s1 = (s1 + u32[word + i]!) | 0;
      s2 = (s2 + s1) | 0;
    }
    s2 = (s2 + Math.imul(s1, this.#fillerWords) + this.#fillerS2) | 0;
    s1 = (s1 + this.#fillerS1) | 0;
    u32[word + 1] = stampCheck(s1, s2, this.lengthBytes);
  }
}
