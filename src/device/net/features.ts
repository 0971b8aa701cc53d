/**
 * Feature bits: what the card offers, what each feature needs, and the negotiation with the driver.
 * Source: virtio 1.4 §2.2, §5.1.3, §6.
 */

import { FAULT_FEATURES_LATE, FAULT_FEATURES_REFUSED, FAULT_NONE } from "../faults.ts";
import { F_RING_EVENT_IDX, F_RING_INDIRECT_DESC, F_SUSPEND, F_VERSION_1 } from "../spec/virtio.ts";
import {
  NET_F_CTRL_VQ,
  NET_F_MAC,
  NET_F_MRG_RXBUF,
  NET_F_MTU,
  NET_F_NOTF_COAL,
  NET_F_STATUS,
  NET_F_VQ_NOTF_COAL,
} from "../spec/virtio-net.ts";

export type FeatureName =
  | "MTU"
  | "MAC"
  | "MRG_RXBUF"
  | "STATUS"
  | "CTRL_VQ"
  | "RING_INDIRECT_DESC"
  | "RING_EVENT_IDX"
  | "VERSION_1"
  | "SUSPEND"
  | "VQ_NOTF_COAL"
  | "NOTF_COAL";

interface Feature {
  readonly name: FeatureName;
  readonly bit: number;
  /** Features without which this one may be neither offered nor accepted (virtio 1.4 §5.1.3.1). */
  readonly needs: readonly FeatureName[];
}

/** All that the card can do, in the order of their bits. */
export const FEATURES: readonly Feature[] = [
  { name: "MTU", bit: NET_F_MTU, needs: [] },
  { name: "MAC", bit: NET_F_MAC, needs: [] },
  { name: "MRG_RXBUF", bit: NET_F_MRG_RXBUF, needs: [] },
  { name: "STATUS", bit: NET_F_STATUS, needs: [] },
  { name: "CTRL_VQ", bit: NET_F_CTRL_VQ, needs: [] },
  { name: "RING_INDIRECT_DESC", bit: F_RING_INDIRECT_DESC, needs: [] },
  { name: "RING_EVENT_IDX", bit: F_RING_EVENT_IDX, needs: [] },
  { name: "VERSION_1", bit: F_VERSION_1, needs: [] },
  { name: "SUSPEND", bit: F_SUSPEND, needs: [] },
  { name: "VQ_NOTF_COAL", bit: NET_F_VQ_NOTF_COAL, needs: ["CTRL_VQ"] },
  { name: "NOTF_COAL", bit: NET_F_NOTF_COAL, needs: ["CTRL_VQ"] },
];

/** 32-bit words of features that the card knows; all beyond read 0. */
const FEATURE_WORDS = 2;

/** The offered set and the driver's answer, as 32-bit words. */
export class FeatureNegotiation {
  readonly #offered = new Uint32Array(FEATURE_WORDS);
  readonly #accepted = new Uint32Array(FEATURE_WORDS);
  // A bit beyond the last word was accepted.
  #acceptedBeyond = false;
  #settled = false;

  /**
   * @param withhold features that are not offered, and with them those that need them (FEAT-1)
   * @throws RangeError if a name is unknown, or VERSION_1 is to be withheld (RFB-1)
   */
  constructor(withhold: readonly FeatureName[] = []) {
    const names = FEATURES.map((feature) => feature.name);
    for (const name of withhold) {
      if (!names.includes(name)) {
        throw new RangeError(`withhold: no such feature ${String(name)}; allowed are ${names.join(", ")}`);
      }
      if (name === "VERSION_1") throw new RangeError("withhold: VERSION_1 must be offered (virtio 1.4 §6.2)");
    }
    for (const { name, bit, needs } of FEATURES) {
      if (!withhold.includes(name) && !needs.some((need) => withhold.includes(need))) setBit(this.#offered, bit);
    }
  }

  /** Offered features `32 * word … 32 * word + 31`. */
  offeredWord(word: number): number {
    return this.#offered[word] ?? 0;
  }

  /** Features that the driver has written so far. */
  acceptedWord(word: number): number {
    return this.#accepted[word] ?? 0;
  }

  /** Takes the driver's answer for one word; returns FAULT_FEATURES_LATE once FEATURES_OK is set. */
  accept(word: number, value: number): number {
    if (this.#settled) return FAULT_FEATURES_LATE;
    if (word < FEATURE_WORDS) this.#accepted[word] = value;
    else if (value !== 0) this.#acceptedBeyond = true;
    return FAULT_NONE;
  }

  /**
   * The driver asks for FEATURES_OK. Returns FAULT_FEATURES_REFUSED, and leaves the negotiation open, if its set is no
   * subset of the offered one, lacks VERSION_1 or breaks a dependency (FEAT-3, RFB-2).
   */
  settle(): number {
    if (this.#acceptedBeyond) return FAULT_FEATURES_REFUSED;
    for (let word = 0; word < FEATURE_WORDS; word++) {
      if ((this.#accepted[word]! & ~this.#offered[word]!) !== 0) return FAULT_FEATURES_REFUSED;
    }
    if (!hasBit(this.#accepted, F_VERSION_1)) return FAULT_FEATURES_REFUSED;
    for (const { bit, needs } of FEATURES) {
      if (hasBit(this.#accepted, bit) && !needs.every((need) => hasBit(this.#accepted, bitOf(need)))) {
        return FAULT_FEATURES_REFUSED;
      }
    }
    this.#settled = true;
    return FAULT_NONE;
  }

  isOffered(bit: number): boolean {
    return hasBit(this.#offered, bit);
  }

  /** True if the feature is negotiated: accepted, and FEATURES_OK set. */
  has(bit: number): boolean {
    return this.#settled && hasBit(this.#accepted, bit);
  }

  reset(): void {
    this.#accepted.fill(0);
    this.#acceptedBeyond = false;
    this.#settled = false;
  }
}

function setBit(words: Uint32Array, bit: number): void {
  words[bit >>> 5] = words[bit >>> 5]! | (1 << (bit & 31));
}

function hasBit(words: Uint32Array, bit: number): boolean {
  return ((words[bit >>> 5]! >>> (bit & 31)) & 1) !== 0;
}

function bitOf(name: FeatureName): number {
  return FEATURES.find((feature) => feature.name === name)!.bit;
}
