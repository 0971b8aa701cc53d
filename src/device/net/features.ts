/**
 * Feature bits: what the card offers, what each feature needs, and the negotiation with the driver.
 * Source: virtio 1.4 §2.2, §5.1.3, §6.
 */

import { FAULT_FEATURES_LATE, FAULT_FEATURES_REFUSED, FAULT_NONE } from "../faults.ts";
import { flag, listOf, record, word32 } from "../saved-value.ts";
import { F_ACCESS_PLATFORM, F_VERSION_1 } from "../spec/virtio.ts";
import { FEATURES, type FeatureDescription, type FeatureName } from "./feature-table.ts";

export interface FeatureOptions {
  /** Features not to offer; what needs them is withheld too (FEAT-1). */
  readonly withhold?: readonly FeatureName[] | undefined;
  /** Features to offer beside those that are offered by default. */
  readonly extra?: readonly FeatureName[] | undefined;
  /** Exactly what to offer, in place of all that the card can do. */
  readonly offer?: readonly FeatureName[] | undefined;
  /** Features that this card cannot offer, each with the reason. */
  readonly unavailable?: ReadonlyMap<FeatureName, string>;
}

/** 32-bit words of features that the card knows; all beyond read 0. */
const FEATURE_WORDS = 2;

/** The offered set and the driver's answer, as 32-bit words. */
export class FeatureNegotiation {
  readonly #offered = new Uint32Array(FEATURE_WORDS);
  readonly #accepted = new Uint32Array(FEATURE_WORDS);
  readonly #options: FeatureOptions;
  // A bit beyond the last word was accepted.
  #acceptedBeyond = false;
  #settled = false;

  /**
   * @throws RangeError if a name is unknown, VERSION_1 is not to be offered (RFB-1), or a set that was asked for lacks what
   * one of its features needs, or cannot be had
   */
  constructor(options: FeatureOptions = {}) {
    this.#options = options;
    const { withhold = [], extra = [], offer, unavailable = new Map<FeatureName, string>() } = options;
    checkNames("withhold", withhold);
    checkNames("extra", extra);
    for (const name of extra) checkAvailable("extra", name, unavailable);
    if (withhold.includes("VERSION_1")) throw new RangeError("withhold: VERSION_1 must be offered (virtio 1.4 §6.2)");
    if (offer !== undefined) {
      if (withhold.length + extra.length > 0) {
        throw new RangeError("offer: got withhold or extra too, allowed is offer alone: it says exactly what to offer");
      }
      checkOffer(offer, unavailable);
      for (const { name, bit } of FEATURES) if (offer.includes(name)) setBit(this.#offered, bit);
      return;
    }
    const names = new Set<FeatureName>();
    for (const feature of FEATURES) {
      const { name } = feature;
      const wanted = (feature.byDefault && !unavailable.has(name)) || extra.includes(name);
      if (wanted && !withhold.includes(name)) names.add(name);
    }
    // What was left out takes along what needs it, and that in turn.
    for (let before = -1; before !== names.size; ) {
      before = names.size;
      for (const feature of FEATURES) if (!isServed(feature, names)) names.delete(feature.name);
    }
    for (const { name, bit } of FEATURES) if (names.has(name)) setBit(this.#offered, bit);
  }

  /**
   * A transport has what `name` needs (NOTIF_CONFIG_DATA exists on PCI alone): it is offered from now on, unless the
   * embedder withheld it or chose the set. To be called before a driver is there.
   */
  offerFromTransport(name: FeatureName): void {
    const { withhold = [], offer } = this.#options;
    if (offer === undefined && !withhold.includes(name)) setBit(this.#offered, bitOf(name));
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
   * subset of the offered one, lacks VERSION_1 or breaks a dependency (FEAT-3, RFB-2). Behind an address translator
   * nothing works without ACCESS_PLATFORM (§6.2).
   */
  settle(): number {
    if (this.#acceptedBeyond) return FAULT_FEATURES_REFUSED;
    for (let word = 0; word < FEATURE_WORDS; word++) {
      if ((this.#accepted[word]! & ~this.#offered[word]!) !== 0) return FAULT_FEATURES_REFUSED;
    }
    if (!hasBit(this.#accepted, F_VERSION_1)) return FAULT_FEATURES_REFUSED;
    if (this.isOffered(F_ACCESS_PLATFORM) && !hasBit(this.#accepted, F_ACCESS_PLATFORM)) return FAULT_FEATURES_REFUSED;
    const names = new Set(FEATURES.filter(({ bit }) => hasBit(this.#accepted, bit)).map(({ name }) => name));
    for (const feature of FEATURES) {
      if (names.has(feature.name) && !isServed(feature, names)) return FAULT_FEATURES_REFUSED;
    }
    this.#settled = true;
    return FAULT_NONE;
  }

  isOffered(bit: number): boolean {
    return hasBit(this.#offered, bit);
  }

  /** True from FEATURES_OK to the next reset. */
  get settled(): boolean {
    return this.#settled;
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

  saveState(): FeatureState {
    return {
      offered: [...this.#offered],
      accepted: [...this.#accepted],
      acceptedBeyond: this.#acceptedBeyond,
      settled: this.#settled,
    };
  }

  /** @throws RangeError if the state belongs to a card that offers other features, or has settled on what this one refuses */
  restoreState(state: FeatureState): void {
    checkState("features", state);
    for (let word = 0; word < FEATURE_WORDS; word++) {
      if (state.offered[word] !== this.#offered[word]) {
        throw new RangeError(
          `saved state offers features 0x${hex(state.offered)}, but this card 0x${hex([...this.#offered])}`,
        );
      }
    }
    this.reset();
    this.#accepted.set(state.accepted);
    this.#acceptedBeyond = state.acceptedBeyond;
    if (state.settled && this.settle() !== FAULT_NONE) {
      throw new RangeError(`saved state has settled on features 0x${hex(state.accepted)}, which this card refuses`);
    }
  }
}

/** All that `saveState` keeps of a negotiation: words of 32 features. */
export interface FeatureState {
  readonly offered: readonly number[];
  readonly accepted: readonly number[];
  /** True if the driver has accepted one beyond those words. */
  readonly acceptedBeyond: boolean;
  readonly settled: boolean;
}

const words = listOf(word32, FEATURE_WORDS);
const checkState = record({ offered: words, accepted: words, acceptedBeyond: flag, settled: flag });

/** True if all that the feature needs is among `names`. */
function isServed(feature: FeatureDescription, names: ReadonlySet<FeatureName>): boolean {
  const oneOf = feature.needsOneOf;
  return feature.needs.every((need) => names.has(need)) && (oneOf === undefined || oneOf.some((n) => names.has(n)));
}

function checkNames(option: string, names: readonly FeatureName[]): void {
  const known = FEATURES.map(({ name }) => name);
  for (const name of names) {
    if (!known.includes(name)) {
      throw new RangeError(`${option}: no such feature ${String(name)}; allowed are ${known.join(", ")}`);
    }
  }
}

function checkAvailable(option: string, name: FeatureName, unavailable: ReadonlyMap<FeatureName, string>): void {
  const reason = unavailable.get(name);
  if (reason !== undefined) throw new RangeError(`${option}: ${name} cannot be offered: ${reason}`);
}

function checkOffer(offer: readonly FeatureName[], unavailable: ReadonlyMap<FeatureName, string>): void {
  checkNames("offer", offer);
  if (!offer.includes("VERSION_1")) throw new RangeError("offer: VERSION_1 must be offered (virtio 1.4 §6.2)");
  const names = new Set(offer);
  for (const feature of FEATURES) {
    if (!names.has(feature.name)) continue;
    checkAvailable("offer", feature.name, unavailable);
    if (isServed(feature, names)) continue;
    const needs = [...feature.needs, ...(feature.needsOneOf === undefined ? [] : [feature.needsOneOf.join(" or ")])];
    throw new RangeError(`offer: ${feature.name} needs ${needs.join(" and ")}, got ${offer.join(", ")}`);
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

function hex(words: readonly number[]): string {
  return [...words]
    .reverse()
    .map((word) => (word >>> 0).toString(16).padStart(8, "0"))
    .join("");
}
