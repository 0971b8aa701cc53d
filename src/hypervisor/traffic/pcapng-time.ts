/**
 * Timestamps of pcapng (draft-ietf-opsawg-pcapng §4.2, if_tsresol and if_tsoffset): 64-bit counts of 10^-n or 2^-n
 * seconds, n from 0 to 127. They are split into seconds and whole nanoseconds, without BigInt, for this happens for every
 * packet. Powers of 10 are divided by in steps of 16 bits, of which no remainder leaves the 53 bits of a number: exact.
 * Powers of 2 below 2^-53 s may come out a nanosecond too high.
 */

const TWO_32 = 2 ** 32;
/** 2^64 < 10^20: counted in units of 10^-29 s or less, no timestamp reaches a nanosecond. */
const EXPONENT_NEGLIGIBLE = 29;
const DEFAULT_RESOLUTION = 6;
const BINARY = 0x80;

export class TimestampUnit {
  /** Of the timestamp given to `split` last. */
  seconds = 0;
  nanoseconds = 0;
  readonly #offsetSeconds: number;
  readonly #binary: boolean;
  readonly #exponent: number;
  // A 64-bit number under division, and what is left of it.
  #high = 0;
  #low = 0;
  #remainder = 0;

  /** `resolution` is the byte of if_tsresol, `offsetSeconds` the value of if_tsoffset. */
  constructor(resolution: number = DEFAULT_RESOLUTION, offsetSeconds = 0) {
    this.#binary = (resolution & BINARY) !== 0;
    this.#exponent = resolution & ~BINARY;
    this.#offsetSeconds = offsetSeconds;
  }

  split(high: number, low: number): void {
    if (this.#binary) this.#splitBinary(high, low);
    else this.#splitDecimal(high, low);
    this.seconds += this.#offsetSeconds;
  }

  #splitBinary(high: number, low: number): void {
    const exponent = this.#exponent;
    if (exponent < 32) {
      const unitsPerSecond = 2 ** exponent;
      const lowSeconds = Math.floor(low / unitsPerSecond);
      this.seconds = (high * TWO_32) / unitsPerSecond + lowSeconds;
      this.nanoseconds = Math.floor(((low - lowSeconds * unitsPerSecond) * 1e9) / unitsPerSecond);
      return;
    }
    // The low word holds only fractions of a second, and so may a part of the high word.
    const highPerSecond = 2 ** (exponent - 32);
    this.seconds = Math.floor(high / highPerSecond);
    const fraction = (high - this.seconds * highPerSecond + low / TWO_32) / highPerSecond;
    // A fraction of 64 bits may have been rounded up to 1.
    this.nanoseconds = Math.min(Math.floor(fraction * 1e9), 999_999_999);
  }

  #splitDecimal(high: number, low: number): void {
    const exponent = this.#exponent;
    this.#high = high;
    this.#low = low;
    if (exponent >= EXPONENT_NEGLIGIBLE) {
      this.seconds = 0;
      this.nanoseconds = 0;
      return;
    }
    // Division by 10^a, then by 10^b, rounded down each time, is division by 10^(a+b) rounded down.
    for (let excess = exponent - 9; excess > 0; excess -= 9) this.#divide(10 ** Math.min(excess, 9));
    const digits = Math.min(exponent, 9);
    this.#divide(10 ** digits);
    this.seconds = this.#high * TWO_32 + this.#low;
    this.nanoseconds = this.#remainder * 10 ** (9 - digits);
  }

  /** Divides the 64-bit number by `divisor`, at most 10^9. */
  #divide(divisor: number): void {
    const high = Math.floor(this.#high / divisor);
    const upper = (this.#high - high * divisor) * 0x10000 + (this.#low >>> 16);
    const middle = Math.floor(upper / divisor);
    const lower = (upper - middle * divisor) * 0x10000 + (this.#low & 0xffff);
    const last = Math.floor(lower / divisor);
    this.#high = high;
    this.#low = middle * 0x10000 + last;
    this.#remainder = lower - last * divisor;
  }
}
