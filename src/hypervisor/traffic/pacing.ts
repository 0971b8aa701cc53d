import { countOf, timeText } from "../report/quantity.ts";
import type { PacketSource } from "./packet-source.ts";

/** Wrappers that change when a source's packets come, or where it ends. Each closes what it wraps. */

/** Shortens whatever gap is longer than `maxGapNs` to it: idle time that teaches nothing, or a wrong clock. */
export class ShortenedGaps implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  readonly #source: PacketSource;
  readonly #maxGapNs: number;
  #removedNs = 0;
  #shortened = 0;

  constructor(source: PacketSource, maxGapNs: number) {
    if (!(maxGapNs >= 1)) throw new RangeError(`maxGapNs: got ${maxGapNs}, allowed is at least 1`);
    this.#source = source;
    this.#maxGapNs = maxGapNs;
  }

  next(): boolean {
    const source = this.#source;
    if (!source.next()) return false;
    const excessNs = source.timeNs - this.#removedNs - this.timeNs - this.#maxGapNs;
    if (excessNs > 0) {
      this.#removedNs += excessNs;
      this.#shortened++;
    }
    this.timeNs = source.timeNs - this.#removedNs;
    this.lengthBytes = source.lengthBytes;
    return true;
  }

  get notes(): readonly string[] {
    if (this.#shortened === 0) return this.#source.notes;
    const removed = timeText(this.#removedNs);
    const gaps = `${countOf(this.#shortened, "gap")} shortened to ${timeText(this.#maxGapNs)}, ${removed} in all left out`;
    return [...this.#source.notes, gaps];
  }

  close(): void {
    this.#source.close();
  }
}

/** Plays `speed` times as fast, the first packet at `offsetNs`. */
export class PacedSource implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  readonly #source: PacketSource;
  readonly #speed: number;
  readonly #offsetNs: number;

  constructor(source: PacketSource, speed: number, offsetNs: number) {
    if (!(speed > 0 && Number.isFinite(speed))) {
      throw new RangeError(`speed: got ${speed}, allowed is a finite number above 0`);
    }
    if (!(offsetNs >= 0 && Number.isFinite(offsetNs))) {
      throw new RangeError(`offsetNs: got ${offsetNs}, allowed is a finite number from 0 on`);
    }
    this.#source = source;
    this.#speed = speed;
    this.#offsetNs = Math.round(offsetNs);
  }

  next(): boolean {
    const source = this.#source;
    if (!source.next()) return false;
    this.timeNs = this.#offsetNs + Math.round(source.timeNs / this.#speed);
    this.lengthBytes = source.lengthBytes;
    return true;
  }

  get notes(): readonly string[] {
    return this.#source.notes;
  }

  close(): void {
    this.#source.close();
  }
}

/** Ends after `countMax` packets, or before the first one at or after `endNs`, whichever comes first. */
export class LimitedSource implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  readonly #source: PacketSource;
  readonly #countMax: number;
  readonly #endNs: number;
  #count = 0;
  #ended = false;

  constructor(source: PacketSource, countMax: number, endNs: number) {
    this.#source = source;
    this.#countMax = countMax;
    this.#endNs = endNs;
  }

  next(): boolean {
    const source = this.#source;
    if (this.#ended) return false;
    if (this.#count === this.#countMax || !source.next() || source.timeNs >= this.#endNs) {
      this.close();
      return false;
    }
    this.#count++;
    this.timeNs = source.timeNs;
    this.lengthBytes = source.lengthBytes;
    return true;
  }

  get notes(): readonly string[] {
    return this.#source.notes;
  }

  close(): void {
    this.#ended = true;
    this.#source.close();
  }
}
