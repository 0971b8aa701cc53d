/**
 * What the driver takes besides finished frames. Whatever was negotiated is on at first; with CTRL_GUEST_OFFLOADS the
 * driver switches it off and on again (virtio 1.4 §5.1.9.5.8).
 */

import { record, word32 } from "../saved-value.ts";
import {
  NET_F_GUEST_CSUM,
  NET_F_GUEST_ECN,
  NET_F_GUEST_TSO4,
  NET_F_GUEST_TSO6,
  NET_F_GUEST_UFO,
  NET_F_GUEST_USO4,
  NET_F_GUEST_USO6,
} from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";

const OFFLOADS = [
  NET_F_GUEST_CSUM,
  NET_F_GUEST_TSO4,
  NET_F_GUEST_TSO6,
  NET_F_GUEST_ECN,
  NET_F_GUEST_UFO,
  NET_F_GUEST_USO4,
  NET_F_GUEST_USO6,
];

export class GuestOffloads {
  csum = false;
  tso4 = false;
  tso6 = false;
  ecn = false;
  ufo = false;
  uso4 = false;
  uso6 = false;
  readonly #features: FeatureNegotiation;
  // Feature bits 0 … 31 and 32 … 63.
  #low = 0;
  #high = 0;

  constructor(features: FeatureNegotiation) {
    this.#features = features;
  }

  /** Features were negotiated: all offloads among them are on. */
  begin(): void {
    let low = 0;
    let high = 0;
    for (const bit of OFFLOADS) {
      if (!this.#features.has(bit)) continue;
      if (bit < 32) low |= 1 << bit;
      else high |= 1 << (bit - 32);
    }
    this.#apply(low, high);
  }

  /**
   * GUEST_OFFLOADS_SET: exactly the offloads of the mask, feature bits 0 … 31 and 32 … 63, are on. False, and nothing
   * changes, if one was not negotiated, or is none.
   */
  set(low: number, high: number): boolean {
    for (let bit = 0; bit < 64; bit++) {
      if (!isSet(low, high, bit)) continue;
      if (!OFFLOADS.includes(bit) || !this.#features.has(bit)) return false;
    }
    this.#apply(low, high);
    return true;
  }

  reset(): void {
    this.#apply(0, 0);
  }

  saveState(): GuestOffloadsState {
    return { low: this.#low, high: this.#high };
  }

  /** @throws RangeError if one of them was not negotiated */
  restoreState(state: GuestOffloadsState): void {
    checkState("queues.settings.guestOffloads", state);
    if (!this.set(state.low, state.high)) {
      throw new RangeError("saved state: guestOffloads has an offload on that its features do not have");
    }
  }

  #apply(low: number, high: number): void {
    this.#low = low >>> 0;
    this.#high = high >>> 0;
    this.csum = isSet(low, high, NET_F_GUEST_CSUM);
    this.tso4 = isSet(low, high, NET_F_GUEST_TSO4);
    this.tso6 = isSet(low, high, NET_F_GUEST_TSO6);
    this.ecn = isSet(low, high, NET_F_GUEST_ECN);
    this.ufo = isSet(low, high, NET_F_GUEST_UFO);
    this.uso4 = isSet(low, high, NET_F_GUEST_USO4);
    this.uso6 = isSet(low, high, NET_F_GUEST_USO6);
  }
}

const checkState = record({ low: word32, high: word32 });

/** The mask that is in force, as two words. */
export interface GuestOffloadsState {
  readonly low: number;
  readonly high: number;
}

function isSet(low: number, high: number, bit: number): boolean {
  return ((bit < 32 ? low >>> bit : high >>> (bit - 32)) & 1) === 1;
}
