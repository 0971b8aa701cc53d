/**
 * Explores every reachable state of a model, breadth first, and checks three things: no state is marked as a violation;
 * no state is stuck before the goal; and from every state the goal can be reached without the environment's help (edges
 * marked `whim`). The last one finds lost wake-ups even where some thread spins for ever. Traces are shortest ones.
 */

/** Fields are small integers. */
export type Fields = { [name: string]: number };

export interface Model<S extends Fields> {
  readonly initial: S;
  /** Reports every transition out of `state`: what happens, and the change on a copy. A `whim` need not ever happen. */
  readonly step: (state: S, emit: Emit<S>) => void;
  /** What is wrong with a state; null if nothing is. */
  readonly violation: (state: S) => string | null;
  readonly isGoal: (state: S) => boolean;
}

export type Emit<S> = (label: string, change: (next: S) => void, whim?: boolean) => void;

export interface StateSpace {
  readonly states: number;
  readonly transitions: number;
  /** Largest value of each field. */
  readonly largest: Fields;
}

/** The shortest way to something that must not be. */
export class ModelError extends Error {
  readonly trace: readonly string[];

  constructor(what: string, trace: readonly string[]) {
    super(`${what}, after ${trace.length} steps:\n${trace.map((label) => `  ${label}`).join("\n")}`);
    this.name = "ModelError";
    this.trace = trace;
  }
}

const STATES_MAX = 3_000_000;

export function exploreStates<S extends Fields>(model: Model<S>): StateSpace {
  return new Exploration(model).run();
}

class Exploration<S extends Fields> {
  readonly #model: Model<S>;
  readonly #names: readonly (keyof S & string)[];
  readonly #ids = new Map<string, number>();
  readonly #states: S[] = [];
  readonly #parents: number[] = [];
  readonly #labels: string[] = [];
  // Edges that are no whims, as pairs of ids.
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #transitions = 0;

  constructor(model: Model<S>) {
    this.#model = model;
    this.#names = Object.keys(model.initial);
  }

  run(): StateSpace {
    this.#enter(this.#model.initial, -1, "");
    for (let id = 0; id < this.#states.length; id++) this.#leave(id);
    this.#checkGoal();
    const largest: Fields = {};
    for (const name of this.#names) {
      largest[name] = this.#states.reduce((max, state) => Math.max(max, state[name]!), Number.NEGATIVE_INFINITY);
    }
    return { states: this.#states.length, transitions: this.#transitions, largest };
  }

  #leave(id: number): void {
    const state = this.#states[id]!;
    let exits = 0;
    this.#model.step(state, (label, change, whim = false) => {
      const next = { ...state };
      change(next);
      const to = this.#enter(next, id, label);
      this.#transitions++;
      exits++;
      if (whim) return;
      this.#from.push(id);
      this.#to.push(to);
    });
    if (exits === 0 && !this.#model.isGoal(state)) this.#fail("all threads sleep", id);
  }

  #enter(state: S, parent: number, label: string): number {
    let key = "";
    for (const name of this.#names) key += String.fromCharCode(state[name]! + 8);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#states.length;
    if (id === STATES_MAX) throw new Error(`more than ${STATES_MAX} states`);
    this.#ids.set(key, id);
    this.#states.push(state);
    this.#parents.push(parent);
    this.#labels.push(label);
    const violation = this.#model.violation(state);
    if (violation !== null) this.#fail(violation, id);
    return id;
  }

  /** Goes back from all goals; whatever that does not reach has lost its goal. */
  #checkGoal(): void {
    const count = this.#states.length;
    const starts = new Int32Array(count + 1);
    for (const to of this.#to) starts[to + 1]!++;
    for (let id = 0; id < count; id++) starts[id + 1]! += starts[id]!;
    const sources = new Int32Array(this.#to.length);
    const filled = starts.slice();
    for (let edge = 0; edge < this.#to.length; edge++) sources[filled[this.#to[edge]!]!++] = this.#from[edge]!;
    const reaches = new Uint8Array(count);
    const open: number[] = [];
    for (let id = 0; id < count; id++) {
      if (!this.#model.isGoal(this.#states[id]!)) continue;
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
