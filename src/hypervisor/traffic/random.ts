/**
 * Seeded random numbers: xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its
 * state filled by a 32-bit splitmix. Equal seed and stream give equal numbers on every machine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `stream` tells apart those who share a seed, such as the guests of a run. Both count mod 2^32. */
  constructor(seed: number, stream = 0) {
    const mixed = mix((seed | 0) ^ mix(stream | 0));
    this.#a = mix(mixed + 0x9e3779b9);
    this.#b = mix(mixed + 0x3c6ef372);
    this.#c = mix(mixed + 0xdaa66d2b);
    // Odd, for the state must not be all zero.
    this.#d = mix(mixed + 0x78dde6e4) | 1;
  }

  /** A generator in a given state, not all zero: for comparison with the published sequence. */
  static fromState(a: number, b: number, c: number, d: number): Random {
    const random = new Random(0);
    random.#a = a | 0;
    random.#b = b | 0;
    random.#c = c | 0;
    random.#d = d | 0;
    return random;
  }

  /** 0 … 2^32 − 1. */
  uint32(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return scrambled >>> 0;
  }

  /** In (0, 1], in steps of 2^-53: never 0, so that its logarithm and its inverse are finite. */
  unit(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 0x400_0000 + low + 1) / 2 ** 53;
  }

  /** Exponentially distributed. */
  exponential(mean: number): number {
    return -Math.log(this.unit()) * mean;
  }

  /** Pareto distributed with the given mean; `shape` above 1, for below there is no mean. */
  pareto(mean: number, shape: number): number {
    const smallest = (mean * (shape - 1)) / shape;
    return smallest / this.unit() ** (1 / shape);
  }
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** The finalizer of splitmix: every bit of the result depends on every bit of the word. */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
