/** One side of an experiment (see preemption.ts): its copy of the shared memory, and the log from which it is repeated. */

export interface SideProgram {
  /** Begins with a letter of its own, which stands for it in a schedule. */
  readonly name: string;
  /**
   * Makes the side anew on its own copy of the memory and returns what it then does. Called again and again: all state
   * is made here, and everything depends on nothing but the memory.
   */
  readonly setUp: (memory: SharedArrayBuffer) => () => void;
}

/** When plain stores can be seen by the others. */
export type PlainStores = "late" | "early";

export const CODE = {
  LOAD: 0,
  STORE: 1,
  ADD: 2,
  OR: 3,
  EXCHANGE: 4,
  COMPARE_EXCHANGE: 5,
  WAIT: 6,
  NOTIFY: 7,
  FENCE: 8,
} as const;

export interface Access {
  readonly code: number;
  /** In bytes. */
  readonly offset: number;
  readonly bytes: number;
  readonly a: number;
  readonly b: number;
}

/** No place to switch: between a doorbell's `add` and its `notify` the sleeper can only be slow, which it can be anyway. */
export function isNote(code: number): boolean {
  return code === CODE.NOTIFY || code === CODE.FENCE;
}

/** A hash of 52 bits, as a number. */
export function mix(hash: number, value: number): number {
  const low = Math.imul((hash | 0) ^ value, 0x9e3779b1);
  const high = Math.imul((hash / 2 ** 32) ^ value ^ (low >>> 15), 0x85ebca6b);
  return (low >>> 0) + ((high ^ (low >>> 13)) & 0xfffff) * 2 ** 32;
}

/** Thrown out of a side that goes to sleep. */
export const WAITING = Symbol("waiting");

const WAIT_NOT_EQUAL = 0;
export const WAIT_OK = 1;

export class Side {
  readonly program: SideProgram;
  readonly index: number;
  readonly buffer: SharedArrayBuffer;
  done = false;
  /** It was switched to and has made no access since. */
  fresh = false;
  readonly #words: Int32Array;
  // Of each access: what it was, what it returned, and the memory after it.
  readonly #codes: number[] = [];
  readonly #offsets: number[] = [];
  readonly #results: number[] = [];
  readonly #after: Int32Array[] = [];
  // Hash of the log up to there: with the program it stands for all that the side knows.
  readonly #hashes: number[] = [];
  readonly #zeros: Int32Array;
  #logged = 0;
  #setUpLogged = 0;
  #at = 0;
  #waitsAt = -1;
  #woken = false;

  constructor(program: SideProgram, index: number, memoryBytes: number) {
    this.program = program;
    this.index = index;
    this.buffer = new SharedArrayBuffer(memoryBytes);
    this.#words = new Int32Array(this.buffer);
    this.#zeros = new Int32Array(this.#words.length);
  }

  get letter(): string {
    return this.program.name[0]!;
  }

  get ready(): boolean {
    return !this.done && this.#waitsAt < 0;
  }

  /** True once everything that is in the log has been repeated. */
  get live(): boolean {
    return this.#at === this.#logged;
  }

  get length(): number {
    return this.#logged;
  }

  /** Two sides of equal state, on equal memory, go on alike. */
  get state(): number {
    const asleep = this.done ? -2 : this.#waitsAt;
    return mix(mix(this.#hashes[this.#logged - 1]!, this.#logged), 2 * asleep + (this.#woken ? 1 : 0));
  }

  /** The log so far belongs to the set-up, which is the same in all interleavings. */
  keepSetUp(): void {
    this.#setUpLogged = this.#logged;
  }

  /** For the next interleaving. */
  begin(): void {
    this.#logged = this.#setUpLogged;
    this.#waitsAt = -1;
    this.#woken = false;
    this.done = false;
  }

  /** Before it is run, again. */
  rewind(): void {
    this.#at = 0;
    this.#words.fill(0);
    this.fresh = true;
  }

  replay({ code, offset }: Access): number {
    const at = this.#at++;
    if (this.#codes[at] !== code || this.#offsets[at] !== offset) {
      throw new Error(`${this.program.name} did something else when it was run again`);
    }
    this.#words.set(this.#after[at]!);
    return this.#results[at]!;
  }

  log({ code, offset }: Access, result: number, truth: Truth): void {
    const at = this.#at++;
    this.#logged = this.#at;
    this.#codes[at] = code;
    this.#offsets[at] = offset;
    this.#results[at] = result;
    this.#hashes[at] = mix(mix(at === 0 ? 0 : this.#hashes[at - 1]!, code + 16 * offset), result);
    this.refresh(truth);
    this.#after[at] ??= new Int32Array(this.#words.length);
    this.#after[at]!.set(truth.words);
  }

  refresh(truth: Truth): void {
    this.#words.set(truth.words);
  }

  /** Plain stores since the last access become visible. */
  flush(truth: Truth): void {
    const before = this.#at === 0 ? this.#zeros : this.#after[this.#at - 1]!;
    const words = this.#words;
    for (let i = 0; i < words.length; i++) {
      if (words[i] !== before[i]) this.#flushWord(i, before[i]!, truth);
    }
  }

  #flushWord(word: number, before: number, truth: Truth): void {
    const changed = this.#words[word]! ^ before;
    let mask = 0;
    for (let shift = 0; shift < 32; shift += 8) if (((changed >>> shift) & 0xff) !== 0) mask |= 0xff << shift;
    truth.set(word, (truth.words[word]! & ~mask) | (this.#words[word]! & mask));
  }

  sleep(offset: number): void {
    this.#waitsAt = offset;
  }

  /** True if a notification ends it. */
  endWait(): boolean {
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }

  /** True if `access` is a wait that will put it to sleep. */
  sleepsAt({ code, offset, a }: Access, truth: Truth): boolean {
    return code === CODE.WAIT && !this.#woken && truth.words[offset >>> 2] === a;
  }

  notify(offset: number): void {
    if (this.#waitsAt !== offset) return;
    this.#waitsAt = -1;
    this.#woken = true;
  }
}

/** The memory as all Atomics have left it. */
export class Truth {
  readonly words: Int32Array;
  /** A hash of all words, in two halves, kept up to date with every change. */
  #low = 0;
  #high = 0;

  constructor(memoryBytes: number) {
    this.words = new Int32Array(memoryBytes >>> 2);
  }

  get state(): number {
    return mix(this.#low, this.#high);
  }

  copy(): Int32Array {
    return this.words.slice();
  }

  restore(copy: Int32Array): void {
    for (let i = 0; i < copy.length; i++) if (this.words[i] !== copy[i]) this.set(i, copy[i]!);
  }

  set(word: number, value: number): void {
    const old = this.words[word]!;
    this.words[word] = value;
    this.#low ^= scramble(old, word) ^ scramble(value, word);
    this.#high ^= scramble(old, ~word) ^ scramble(value, ~word);
  }

  /** Carries out one access of `side`. `compareExchange` has expected value `a` and new value `b`. */
  perform(side: Side, sides: readonly Side[], access: Access): number {
    const { code, offset, bytes, a, b } = access;
    const word = offset >>> 2;
    const shift = 8 * (offset & 3);
    const mask = bytes === 2 ? 0xffff << shift : -1;
    const field = this.words[word]! & mask;
    const old = bytes === 2 ? field >>> shift : field;
    let value = old;
    if (code === CODE.STORE || code === CODE.EXCHANGE) value = a;
    else if (code === CODE.ADD) value = old + a;
    else if (code === CODE.OR) value = old | a;
    else if (code === CODE.COMPARE_EXCHANGE) {
      if (old === a) value = b;
    } else if (code === CODE.WAIT) {
      if (!side.sleepsAt(access, this)) return side.endWait() ? WAIT_OK : WAIT_NOT_EQUAL;
      side.sleep(offset);
      throw WAITING;
    } else if (code === CODE.NOTIFY) {
      for (const other of sides) other.notify(offset);
    }
    if (value !== old) this.set(word, (this.words[word]! & ~mask) | ((value << shift) & mask));
    return old;
  }
}

function scramble(value: number, salt: number): number {
  const mixed = Math.imul(value ^ Math.imul(salt, 0x9e3779b1), 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
}
