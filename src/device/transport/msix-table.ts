/** The MSI-X table and its pending bits (PCI Local Bus Specification 3.0, §6.8.2): 32-bit accesses, a mask per vector. */

import { MSIX_ENTRY_BYTES, MSIX_ENTRY_MASKED } from "../spec/pci.ts";

const ADDRESS_LOW = 0;
const ADDRESS_HIGH = 1;
const DATA = 2;
const CONTROL = 3;
const ENTRY_WORDS = MSIX_ENTRY_BYTES / 4;
const TWO_POW_32 = 2 ** 32;

export class MsixTable {
  readonly vectors: number;
  readonly #words: Uint32Array;

  constructor(vectors: number) {
    this.vectors = vectors;
    this.#words = new Uint32Array(vectors * ENTRY_WORDS);
    this.reset();
  }

  get sizeBytes(): number {
    return this.#words.byteLength;
  }

  /** Word at byte `offset` of the table. */
  read(offset: number): number {
    return this.#words[offset >>> 2] ?? 0;
  }

  /** Writes the word at byte `offset`; gives the vector whose mask may have changed, or -1. */
  write(offset: number, value: number): number {
    const word = offset >>> 2;
    if (word >= this.#words.length) return -1;
    const isControl = word % ENTRY_WORDS === CONTROL;
    // Of the control word only the mask is there.
    this.#words[word] = isControl ? value & MSIX_ENTRY_MASKED : value;
    return isControl ? Math.floor(word / ENTRY_WORDS) : -1;
  }

  isMasked(vector: number): boolean {
    return (this.#words[vector * ENTRY_WORDS + CONTROL]! & MSIX_ENTRY_MASKED) !== 0;
  }

  address(vector: number): number {
    const at = vector * ENTRY_WORDS;
    return this.#words[at + ADDRESS_LOW]! + this.#words[at + ADDRESS_HIGH]! * TWO_POW_32;
  }

  data(vector: number): number {
    return this.#words[vector * ENTRY_WORDS + DATA]!;
  }

  /** All vectors masked, as after a reset of the function. */
  reset(): void {
    this.#words.fill(0);
    for (let vector = 0; vector < this.vectors; vector++)
      this.#words[vector * ENTRY_WORDS + CONTROL] = MSIX_ENTRY_MASKED;
  }

  saveState(): readonly number[] {
    return [...this.#words];
  }

  /** `words` are as many as `saveState` gives. */
  restoreState(words: readonly number[]): void {
    for (const [word, value] of words.entries()) this.write(4 * word, value);
  }
}
