import { countOf, timeText } from "../report/quantity.ts";

/** Back by up to this is disorder (several interfaces, several threads that wrote the capture); by more, a clock set back. */
const DISORDER_NS = 60e9;
/** No idle time inside a capture counts for more than this: a larger step is a clock set forward. */
const FORWARD_MAX_NS = 86_400e9;

/**
 * Turns a capture's timestamps into nanoseconds since its first one: integers that never decrease.
 *
 * A timestamp comes as seconds and nanoseconds, for nanoseconds since 1970 exceed 2^53; the difference is taken before
 * it is multiplied. Where the clock was evidently set (see the two limits), later times are taken from there on.
 */
export class CaptureClock {
  /** The last time that was given out. */
  lastNs = 0;
  #baseSeconds = 0;
  #baseNanoseconds = 0;
  #started = false;
  #disorderCount = 0;
  #disorderMaxNs = 0;
  #setCount = 0;

  at(seconds: number, nanoseconds: number): number {
    if (!this.#started) {
      this.#started = true;
      return this.#rebase(seconds, nanoseconds, this.lastNs);
    }
    const elapsedNs = (seconds - this.#baseSeconds) * 1e9 + (nanoseconds - this.#baseNanoseconds);
    const stepNs = elapsedNs - this.lastNs;
    if (stepNs >= 0 && stepNs <= FORWARD_MAX_NS) {
      this.lastNs = elapsedNs;
      return elapsedNs;
    }
    if (stepNs < 0 && stepNs >= -DISORDER_NS) {
      this.#disorderCount++;
      if (-stepNs > this.#disorderMaxNs) this.#disorderMaxNs = -stepNs;
      return this.lastNs;
    }
    this.#setCount++;
    return this.#rebase(seconds, nanoseconds, stepNs < 0 ? this.lastNs : this.lastNs + FORWARD_MAX_NS);
  }

  /** What was mended, in words. */
  notes(): string[] {
    const notes: string[] = [];
    if (this.#disorderCount > 0) {
      const by = timeText(this.#disorderMaxNs);
      notes.push(
        `the clock goes back, by up to ${by}: ${countOf(this.#disorderCount, "packet")} moved to the latest time`,
      );
    }
    if (this.#setCount > 0) {
      notes.push(
        `the clock was set ${countOf(this.#setCount, "time")} (back by more than a minute: no time passes there; ` +
          "forward by more than a day: a day passes)",
      );
    }
    return notes;
  }

  /** From now on the timestamp given stands for `ns`. */
  #rebase(seconds: number, nanoseconds: number, ns: number): number {
    this.#baseSeconds = seconds - Math.floor(ns / 1e9);
    this.#baseNanoseconds = nanoseconds - (ns % 1e9);
    this.lastNs = ns;
    return ns;
  }
}
