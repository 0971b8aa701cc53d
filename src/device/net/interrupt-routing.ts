/**
 * Which interrupt vector a queue, or a configuration change, goes to. With MSI-X the driver gives each its own (virtio 1.4
 * §4.1.5.1.2); on MMIO, and with INTx, all share vector 0, and what the driver has given is kept, but without effect.
 */

import { flag, integerIn, listOf, record } from "../saved-value.ts";
import { NO_VECTOR, type Throttle } from "../throttle/throttle.ts";

const SHARED_VECTOR = 0;

export class InterruptRouting {
  readonly #throttle: Throttle;
  // What the driver has given, by slot; vectors number 2048 at most.
  readonly #vectors: Int16Array;
  #configVector = NO_VECTOR;
  #shared = true;

  constructor(throttle: Throttle, slotCount: number) {
    this.#throttle = throttle;
    this.#vectors = new Int16Array(slotCount).fill(NO_VECTOR);
  }

  /** What the driver has given to configuration changes: a vector or NO_VECTOR. */
  get configVector(): number {
    return this.#configVector;
  }

  /** What the driver has given to a slot's queue: a vector or NO_VECTOR. */
  vectorOf(slot: number): number {
    return this.#vectors[slot] ?? NO_VECTOR;
  }

  /** The vector to which a slot's queue goes now. */
  vectorInForce(slot: number): number {
    return this.#shared ? SHARED_VECTOR : this.#vectors[slot]!;
  }

  setConfigVector(vector: number, nowNs: number): void {
    this.#configVector = vector;
    this.#throttle.assignConfigVector(this.#shared ? SHARED_VECTOR : vector, nowNs);
  }

  setVector(slot: number, vector: number, nowNs: number): void {
    this.#vectors[slot] = vector;
    this.#throttle.assignVector(slot, this.vectorInForce(slot), nowNs);
  }

  /** True, as at first: all go to vector 0. */
  useShared(shared: boolean, nowNs: number): void {
    if (shared === this.#shared) return;
    this.#shared = shared;
    this.setConfigVector(this.#configVector, nowNs);
    for (let slot = 0; slot < this.#vectors.length; slot++) {
      this.#throttle.assignVector(slot, this.vectorInForce(slot), nowNs);
    }
  }

  /** The device was reset: the driver has given nothing. To be called after the throttle's own reset. */
  reset(nowNs: number): void {
    this.#vectors.fill(NO_VECTOR);
    this.setConfigVector(NO_VECTOR, nowNs);
  }

  saveState(): InterruptRoutingState {
    return { vectors: [...this.#vectors], configVector: this.#configVector, shared: this.#shared };
  }

  /** To be called before queues are attached to the throttle. */
  restoreState(state: InterruptRoutingState, nowNs: number): void {
    const vector = integerIn(NO_VECTOR, this.#throttle.vectors.length - 1);
    const vectors = listOf(vector, this.#vectors.length);
    record({ vectors, configVector: vector, shared: flag })("routing", state);
    this.#vectors.set(state.vectors);
    this.#shared = state.shared;
    this.setConfigVector(state.configVector, nowNs);
  }
}

export interface InterruptRoutingState {
  readonly vectors: readonly number[];
  readonly configVector: number;
  readonly shared: boolean;
}
