/**
 * Explores every reachable state of a model, breadth first, and checks three things: no state is marked as a violation;
 * no state is stuck before the goal; and from every state the goal can be reached without the environment's help (edges
 * marked `whim`). The last one finds lost wake-ups even where some thread spins for ever. Traces are shortest ones.
 */

/** Fields are integers from 0 to 255. */
export type Fields = { [name: string]: number };

/** A state that lies in bytes: each field reads and writes its own. */
type Stored<S> = S & { readonly bytes: Uint8Array };

// One class for each list of fields, for ever: code that has met many shapes of an object becomes slow.
const classes = new Map<string, new () => { readonly bytes: Uint8Array }>();

function storedState<S extends Fields>(names: readonly string[]): Stored<S> {
  const key = names.join();
  let storedClass = classes.get(key);
  if (storedClass === undefined) {
    storedClass = class {
      readonly bytes = new Uint8Array(names.length);
    };
    for (const [i, name] of names.entries()) {
      Object.defineProperty(storedClass.prototype, name, {
        get(this: { bytes: Uint8Array }) {
          return this.bytes[i];
        },
        set(this: { bytes: Uint8Array }, value: number) {
          if (value < 0 || value > 255) throw new RangeError(`${name} is set to ${value}`);
          this.bytes[i] = value;
        },
      });
    }
    classes.set(key, storedClass);
  }
  return new storedClass() as unknown as Stored<S>;
}

export interface Model<S extends Fields> {
  readonly initial: S;
  /** Reports every transition out of `state`: what happens, and the change on a copy. A `whim` need not ever happen. */
  readonly step: (state: S, emit: Emit<S>) => void;
  /** Makes states equal that differ in nothing that matters. */
  readonly normalise: (state: S) => void;
  /** What is wrong with a state; null if nothing is. */
  readonly violation: (state: S) => string | null;
  readonly isGoal: (state: S) => boolean;
}

export type Emit<S> = (label: string, change: (next: S) => void, whim?: boolean) => void;

export interface StateSpace {
  readonly states: number;
  readonly transitions: number;
}

/** The shortest way to something that must not be. */
export class ModelError extends Error {
  readonly what: string;
  readonly trace: readonly string[];

  constructor(what: string, trace: readonly string[]) {
    super(`${what}, after ${trace.length} steps:\n${trace.map((label) => `  ${label}`).join("\n")}`);
    this.name = "ModelError";
    this.what = what;
    this.trace = trace;
  }
}

export function exploreStates<S extends Fields>(model: Model<S>, statesMax = 1_500_000): StateSpace {
  return new Exploration(model, statesMax).run();
}

class Exploration<S extends Fields> {
  readonly #model: Model<S>;
  readonly #width: number;
  readonly #statesMax: number;
  /** All states, in the order in which they were found: their number is their id. */
  #bytes = new Uint8Array(1 << 20);
  #count = 0;
  /** Open addressing: id + 1, 0 = free. */
  #table = new Int32Array(1 << 16);
  readonly #now: Stored<S>;
  readonly #next: Stored<S>;
  readonly #parents: number[] = [];
  readonly #labels: string[] = [];
  // Edges that are no whims, by their ends.
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #transitions = 0;

  constructor(model: Model<S>, statesMax: number) {
    this.#model = model;
    const names = Object.keys(model.initial);
    this.#width = names.length;
    this.#statesMax = statesMax;
    this.#now = storedState(names);
    this.#next = storedState(names);
    Object.assign(this.#next, model.initial);
  }

  run(): StateSpace {
    this.#enterNext(-1, "");
    for (let id = 0; id < this.#count; id++) this.#leave(id);
    this.#checkGoal();
    return { states: this.#count, transitions: this.#transitions };
  }

  #leave(id: number): void {
    const now = this.#load(id);
    let exits = 0;
    this.#model.step(now, (label, change, whim = false) => {
      this.#next.bytes.set(now.bytes);
      change(this.#next);
      const to = this.#enterNext(id, label);
      this.#transitions++;
      exits++;
      if (whim) return;
      this.#from.push(id);
      this.#to.push(to);
    });
    if (exits === 0 && !this.#model.isGoal(now)) this.#fail("all threads sleep", id);
  }

  /** Returns the id of the next state; checks it if it is new. */
  #enterNext(parent: number, label: string): number {
    const next = this.#next;
    this.#model.normalise(next);
    const hash = hashOf(next.bytes, 0, this.#width);
    const table = this.#table;
    let slot = hash & (table.length - 1);
    for (let entry = table[slot]!; entry !== 0; entry = table[slot]!) {
      if (this.#isAt(entry - 1)) return entry - 1;
      slot = (slot + 1) & (table.length - 1);
    }
    const id = this.#count++;
    if (id === this.#statesMax) throw new Error(`more than ${this.#statesMax} states: choose smaller bounds`);
    table[slot] = id + 1;
    this.#store(id);
    this.#parents.push(parent);
    this.#labels.push(label);
    const violation = this.#model.violation(next);
    if (violation !== null) this.#fail(violation, id);
    return id;
  }

  #isAt(id: number): boolean {
    const at = id * this.#width;
    const { bytes } = this.#next;
    for (let i = 0; i < this.#width; i++) if (this.#bytes[at + i] !== bytes[i]) return false;
    return true;
  }

  #store(id: number): void {
    const at = id * this.#width;
    if (at + this.#width > this.#bytes.length) {
      const bytes = new Uint8Array(2 * this.#bytes.length);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    this.#bytes.set(this.#next.bytes, at);
    if (2 * this.#count > this.#table.length) this.#growTable();
  }

  #growTable(): void {
    const table = new Int32Array(4 * this.#table.length);
    for (let id = 0; id < this.#count; id++) {
      let slot = hashOf(this.#bytes, id * this.#width, this.#width) & (table.length - 1);
      while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
      table[slot] = id + 1;
    }
    this.#table = table;
  }

  #load(id: number): Stored<S> {
    const { bytes } = this.#now;
    const at = id * this.#width;
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#bytes[at + i]!;
    return this.#now;
  }

  /** Goes back from all goals; whatever that does not reach has lost its goal. */
  #checkGoal(): void {
    const starts = new Int32Array(this.#count + 1);
    for (const to of this.#to) starts[to + 1]!++;
    for (let id = 0; id < this.#count; id++) starts[id + 1]! += starts[id]!;
    const sources = new Int32Array(this.#to.length);
    const filled = starts.slice();
    for (let edge = 0; edge < this.#to.length; edge++) sources[filled[this.#to[edge]!]!++] = this.#from[edge]!;
    const reaches = new Uint8Array(this.#count);
    const open: number[] = [];
    for (let id = 0; id < this.#count; id++) {
      if (!this.#model.isGoal(this.#load(id))) continue;
      reaches[id] = 1;
      open.push(id);
    }
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      for (let i = starts[id]!; i < starts[id + 1]!; i++) {
        const source = sources[i]!;
        if (reaches[source] === 1) continue;
        reaches[source] = 1;
        open.push(source);
      }
    }
    const lost = reaches.indexOf(0);
    if (lost >= 0) this.#fail("the goal is out of reach", lost);
  }

  #fail(what: string, id: number): never {
    const trace: string[] = [];
    for (let at = id; at > 0; at = this.#parents[at]!) trace.unshift(this.#labels[at]!);
    throw new ModelError(what, trace);
  }
}

function hashOf(bytes: Uint8Array, from: number, length: number): number {
  let hash = 0;
  for (let i = from; i < from + length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193) + 0x9e37;
  return hash ^ (hash >>> 15);
}
