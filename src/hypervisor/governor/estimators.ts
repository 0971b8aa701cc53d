/** A peak of the arrival rate is forgotten by half in this time. */
const PEAK_HALF_LIFE_NS = 1e9;
/** Shorter looks than this say more about the clock than about the rate. */
const LOOK_MIN_NS = 100_000;

/** Learns a guest's arrival rate from looks at a counter: the highest rate between two looks, fading. */
export class ArrivalRateEstimator {
  peakFramesPerS = 0;
  #arrived = 0;
  #lookedAtNs = 0;

  /** `arrived` frames had come by `nowNs`. */
  look(arrived: number, nowNs: number): void {
    const elapsedNs = nowNs - this.#lookedAtNs;
    if (elapsedNs < LOOK_MIN_NS) return;
    const framesPerS = ((arrived - this.#arrived) / elapsedNs) * 1e9;
    const faded = this.peakFramesPerS * 0.5 ** (elapsedNs / PEAK_HALF_LIFE_NS);
    this.peakFramesPerS = Math.max(framesPerS, faded);
    this.#arrived = arrived;
    this.#lookedAtNs = nowNs;
  }
}

/**
 * Learns how long a wake takes, as TCP learns its round trips (RFC 6298): a smoothed mean and mean deviation; the
 * estimate is the mean plus four deviations, so that few wakes take longer.
 */
export class WakeLatencyEstimator {
  #meanNs: number;
  #deviationNs = 0;

  /** `initialNs` serves until the first wake has been seen. */
  constructor(initialNs: number) {
    this.#meanNs = initialNs;
  }

  get estimateNs(): number {
    return this.#meanNs + 4 * this.#deviationNs;
  }

  observe(latencyNs: number): void {
    this.#deviationNs += (Math.abs(latencyNs - this.#meanNs) - this.#deviationNs) / 4;
    this.#meanNs += (latencyNs - this.#meanNs) / 8;
  }
}
