/** A table of MAC addresses, bounded, for the receive filter. */

import { flag, integerIn, listOf, record } from "../saved-value.ts";

export const MAC_BYTES = 6;
/** Addresses that a table holds. */
export const MAC_TABLE_ENTRIES = 64;

export class MacTable {
  /** True if it was given more addresses than it holds: then nobody knows what it should have held. */
  overflowed = false;
  #count = 0;
  // Upper 16 and lower 32 bits of the addresses.
  readonly #high = new Uint16Array(MAC_TABLE_ENTRIES);
  readonly #low = new Uint32Array(MAC_TABLE_ENTRIES);

  has(high: number, low: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (this.#low[i] === low && this.#high[i] === high) return true;
    }
    return false;
  }

  clear(): void {
    this.#count = 0;
    this.overflowed = false;
  }

  /** Takes `count` addresses from `bytes`, in place of what it held; if they are too many, it takes none. */
  set(bytes: ArrayLike<number>, at: number, count: number): void {
    this.clear();
    this.overflowed = count > MAC_TABLE_ENTRIES;
    if (this.overflowed) return;
    for (let i = 0; i < count; i++) {
      const from = at + i * MAC_BYTES;
      this.#high[i] = (bytes[from]! << 8) | bytes[from + 1]!;
      this.#low[i] = (bytes[from + 2]! << 24) | (bytes[from + 3]! << 16) | (bytes[from + 4]! << 8) | bytes[from + 5]!;
    }
    this.#count = count;
  }

  saveState(): MacTableState {
    const addresses = Array.from({ length: this.#count }, (_, i) => this.#high[i]! * 2 ** 32 + this.#low[i]!);
    return { overflowed: this.overflowed, addresses };
  }

  restoreState({ overflowed, addresses }: MacTableState): void {
    this.#count = addresses.length;
    this.overflowed = overflowed;
    for (let i = 0; i < this.#count; i++) {
      this.#high[i] = Math.floor(addresses[i]! / 2 ** 32);
      this.#low[i] = addresses[i]! % 2 ** 32;
    }
  }
}

export const checkMacTable = record({
  overflowed: flag,
  addresses: listOf(integerIn(0, 2 ** 48 - 1), 0, MAC_TABLE_ENTRIES),
});

/** All that `saveState` keeps; an address is a number of 48 bits. */
export interface MacTableState {
  readonly overflowed: boolean;
  readonly addresses: readonly number[];
}
