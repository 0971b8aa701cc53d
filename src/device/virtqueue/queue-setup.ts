/**
 * What a driver writes about a queue before it enables it, the same on every transport (virtio 1.4 §2.6, §4.1.4.3,
 * §4.2.2): the size and three 64-bit addresses, written in halves.
 */

import { listOf, record, word32 } from "../saved-value.ts";

/** Areas of a queue, as the transports name them. */
export const AREA_DESC = 0;
export const AREA_DRIVER = 1;
export const AREA_DEVICE = 2;

const AREA_COUNT = 3;
const TWO_POW_32 = 2 ** 32;

export class QueueSetup {
  readonly sizeMax: number;
  size = 0;
  readonly #low = new Uint32Array(AREA_COUNT);
  readonly #high = new Uint32Array(AREA_COUNT);

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
    this.reset();
  }

  setLow(area: number, value: number): void {
    this.#low[area] = value;
  }

  setHigh(area: number, value: number): void {
    this.#high[area] = value;
  }

  /** The low half of an area's address, or the high one: half 1. */
  half(area: number, half: number): number {
    return (half === 0 ? this.#low : this.#high)[area]!;
  }

  /** Guest-physical address of an area; beyond 2^53 it is rounded, and outside any memory all the same. */
  address(area: number): number {
    return this.#low[area]! + this.#high[area]! * TWO_POW_32;
  }

  saveState(): QueueSetupState {
    return { size: this.size, low: [...this.#low], high: [...this.#high] };
  }

  restoreState(state: QueueSetupState): void {
    this.size = state.size;
    this.#low.set(state.low);
    this.#high.set(state.high);
  }

  reset(): void {
    this.size = this.sizeMax;
    this.#low.fill(0);
    this.#high.fill(0);
  }
}

export const checkQueueSetup = record({
  size: word32,
  low: listOf(word32, AREA_COUNT),
  high: listOf(word32, AREA_COUNT),
});

export interface QueueSetupState {
  readonly size: number;
  /** Halves of the addresses, indexed by AREA_*. */
  readonly low: readonly number[];
  readonly high: readonly number[];
}
