import type { PacketSource } from "./packet-source.ts";
import type { Random } from "./random.ts";

/**
 * Endless traffic made by rule, first packet at time 0. Each time is computed from its packet's number or from an
 * unrounded sum, and rounded last: rounding errors do not add up to a wrong rate.
 */

/** Preamble, frame check sequence and the gap between frames (IEEE 802.3): what the wire carries besides the frame. */
export const WIRE_OVERHEAD_BYTES = 24;

/** Of the on and off times: a finite mean and no finite variance, which makes sums of such sources self-similar. */
const PARETO_SHAPE = 1.5;
/** Fewer frames than this in a mean on time would make the generator walk through countless on times for each frame. */
const ON_FRAMES_MIN = 1e-3;

/** Time that a frame takes on the wire, ns, not rounded. */
export function wireTimeNs(lengthBytes: number, linkRateBps: number): number {
  return ((lengthBytes + WIRE_OVERHEAD_BYTES) * 8e9) / linkRateBps;
}

export class ConstantSource implements PacketSource {
  timeNs = 0;
  readonly lengthBytes: number;
  readonly notes: readonly string[] = [];
  readonly #framesPerS: number;
  #count = 0;

  constructor(framesPerS: number, lengthBytes: number) {
    this.#framesPerS = positive("framesPerS", framesPerS);
    this.lengthBytes = positive("lengthBytes", lengthBytes);
  }

  next(): boolean {
    this.timeNs = Math.round((this.#count++ * 1e9) / this.#framesPerS);
    return true;
  }

  close(): void {}
}

/** Independent, exponentially distributed gaps. */
export class PoissonSource implements PacketSource {
  timeNs = 0;
  readonly lengthBytes: number;
  readonly notes: readonly string[] = [];
  readonly #random: Random;
  readonly #meanGapNs: number;
  #exactNs = 0;

  constructor(framesPerS: number, lengthBytes: number, random: Random) {
    this.#meanGapNs = 1e9 / positive("framesPerS", framesPerS);
    this.lengthBytes = positive("lengthBytes", lengthBytes);
    this.#random = random;
  }

  next(): boolean {
    this.timeNs = Math.round(this.#exactNs);
    this.#exactNs += this.#random.exponential(this.#meanGapNs);
    return true;
  }

  close(): void {}
}

/**
 * On and off by turns, both times Pareto distributed; a constant rate while on. The rate's phase runs on over the off
 * times, so that on times shorter than a gap send their share too, and the mean rate is framesPerS · on / (on + off).
 */
export class OnOffSource implements PacketSource {
  timeNs = 0;
  readonly lengthBytes: number;
  readonly notes: readonly string[] = [];
  readonly #random: Random;
  readonly #gapNs: number;
  readonly #onMeanNs: number;
  readonly #offMeanNs: number;
  /** Of the next packet. */
  #exactNs = 0;
  #onEndNs: number;

  constructor(framesPerS: number, lengthBytes: number, onMeanNs: number, offMeanNs: number, random: Random) {
    this.#gapNs = 1e9 / positive("framesPerS", framesPerS);
    this.lengthBytes = positive("lengthBytes", lengthBytes);
    this.#onMeanNs = positive("onMeanNs", onMeanNs);
    this.#offMeanNs = positive("offMeanNs", offMeanNs);
    if (onMeanNs < onMeanNsMin(framesPerS)) {
      throw new RangeError(`onMeanNs: got ${onMeanNs}, allowed is at least ${onMeanNsMin(framesPerS)} at this rate`);
    }
    this.#random = random;
    this.#onEndNs = random.pareto(onMeanNs, PARETO_SHAPE);
  }

  next(): boolean {
    this.timeNs = Math.round(this.#exactNs);
    this.#exactNs += this.#gapNs;
    while (this.#exactNs >= this.#onEndNs) {
      const offNs = this.#random.pareto(this.#offMeanNs, PARETO_SHAPE);
      this.#exactNs += offNs;
      this.#onEndNs += offNs + this.#random.pareto(this.#onMeanNs, PARETO_SHAPE);
    }
    return true;
  }

  close(): void {}
}

/** The shortest mean on time that `OnOffSource` takes. */
export function onMeanNsMin(framesPerS: number): number {
  return Math.ceil((ON_FRAMES_MIN * 1e9) / framesPerS);
}

/** Frames back to back at link rate, every period; a burst that is longer than the period puts the next one off. */
export class BurstSource implements PacketSource {
  timeNs = 0;
  readonly lengthBytes: number;
  readonly notes: readonly string[] = [];
  readonly #burstFrames: number;
  readonly #periodNs: number;
  readonly #spacingNs: number;
  #burstStartNs = 0;
  #sentOfBurst = 0;

  constructor(burstFrames: number, periodNs: number, lengthBytes: number, linkRateBps: number) {
    this.#burstFrames = positive("burstFrames", burstFrames);
    this.lengthBytes = positive("lengthBytes", lengthBytes);
    this.#spacingNs = wireTimeNs(lengthBytes, positive("linkRateBps", linkRateBps));
    this.#periodNs = Math.max(positive("periodNs", periodNs), burstFrames * this.#spacingNs);
  }

  next(): boolean {
    if (this.#sentOfBurst >= this.#burstFrames) {
      this.#sentOfBurst = 0;
      this.#burstStartNs += this.#periodNs;
    }
    this.timeNs = Math.round(this.#burstStartNs + this.#sentOfBurst * this.#spacingNs);
    this.#sentOfBurst++;
    return true;
  }

  close(): void {}
}

/** No packet at all. */
export class SilentSource implements PacketSource {
  readonly timeNs = 0;
  readonly lengthBytes = 0;
  readonly notes: readonly string[] = [];

  next(): boolean {
    return false;
  }

  close(): void {}
}

function positive(name: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  throw new RangeError(`${name}: got ${value}, allowed is a finite number above 0`);
}
