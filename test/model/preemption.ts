/**
 * Interleavings of real code. Each side of an experiment is ordinary synchronous code that shares memory with the others
 * through Atomics. A function cannot be paused, but it can be run again: a side that is to go on after a pause is begun
 * anew on its own copy of the memory, every Atomics access up to the pause is answered from its log, and after the last
 * of them it is live again. So any order of all sides' Atomics accesses can be played, not only nested ones, and all
 * orders with at most `preemptions` forced switches are, depth first. Waiting and ending switch for free.
 *
 * Plain stores between two Atomics accesses of a side become visible with the later one, or at a forced switch if
 * `plainStores` is "early". That they need no finer interleaving is shown by races.ts.
 */
import {
  type Access,
  CODE,
  isNote,
  mix,
  type PlainStores,
  Side,
  type SideProgram,
  Truth,
  WAIT_OK,
  WAITING,
} from "./side.ts";

export type { PlainStores, SideProgram } from "./side.ts";

export interface Experiment {
  readonly memoryBytes: number;
  /** They are set up in this order, before anything is interleaved. */
  readonly sides: readonly SideProgram[];
  /** Called when no side can go on, with the names of those that wait; throws if something was lost. */
  readonly check: (waiting: ReadonlySet<string>) => void;
  /** What lies at a byte offset, for traces. */
  readonly nameOf?: (offset: number) => string;
  /** Hears of each interleaving's begin, and of each Atomics access; plain accesses count while `isLive`. */
  readonly watch?: {
    begin(isLive: () => boolean): void;
    atomic(side: number, code: number, offset: number, bytes: number): void;
  };
}

export interface Bounds {
  readonly preemptions: number;
  readonly plainStores?: PlainStores;
  /** A side that has made so many accesses in a row is switched away from for free: it spins. Never, if left out. */
  readonly patience?: number;
  /** Switches are forced only before accesses to these byte offsets; before any, if left out. */
  readonly focus?: (offset: number) => boolean;
  /** More than this is an error: the experiment is too large to be explored to its end. */
  readonly interleavingsMax?: number;
}

export interface Explored {
  /** Runs: one for each way into a state that was new, and one for each that led to a known one. */
  readonly interleavings: number;
  /** Distinct states at which another side could have gone on. */
  readonly states: number;
}

/** An interleaving in which `check`, or the code itself, threw; `schedule` replays it. */
export class InterleavingError extends Error {
  readonly schedule: string;

  constructor(what: string, schedule: string, trace: readonly string[]) {
    super(`${what}\nschedule: ${schedule}\n${trace.join("\n")}`);
    this.name = "InterleavingError";
    this.schedule = schedule;
  }
}

/** Runs every interleaving within the bounds; throws an InterleavingError for the first that fails. */
export function explore(experiment: Experiment, bounds: Bounds): Explored {
  return withAtomics(new Explorer(experiment, bounds), (explorer) => explorer.explore());
}

/** Runs one interleaving, as an InterleavingError names it: `d3 g5 d2` is three accesses of the side whose name begins with d, … */
export function replay(experiment: Experiment, schedule: string, plainStores: PlainStores = "late"): readonly string[] {
  const script = [...schedule.matchAll(/(\w)(\d+)/g)].map(([, side, count]) => ({ side: side!, left: Number(count) }));
  return withAtomics(new Explorer(experiment, { preemptions: 0, plainStores }), (explorer) => explorer.replay(script));
}

const PAUSED = Symbol("paused");
/** What follows is known. */
const PRUNED = Symbol("pruned");
const ACCESSES_MAX = 5000;
const INTERLEAVINGS_MAX = 200_000;

interface Segment {
  readonly side: string;
  left: number;
}

class Explorer {
  running: Side | null = null;
  readonly #experiment: Experiment;
  readonly #bounds: Bounds;
  readonly #truth: Truth;
  #afterSetUp: Int32Array;
  readonly #sides: readonly Side[];
  #settingUp = true;
  // The choices of the interleaving at hand, and of how many: the next interleaving differs in the last that can.
  readonly #choices: number[] = [];
  readonly #options: number[] = [];
  #depth = 0;
  #preemptionsLeft = 0;
  /** Accesses since the last switch. */
  #inARow = 0;
  #next: Side | null = null;
  #script: Segment[] | null = null;
  #segments: { side: Side; count: number }[] = [];
  #trace: string[] | null = null;
  /** States that were gone on from, with the preemptions that were left. */
  readonly #visited = new Map<number, number>();

  constructor(experiment: Experiment, bounds: Bounds) {
    this.#experiment = experiment;
    this.#bounds = bounds;
    this.#truth = new Truth(experiment.memoryBytes);
    this.#sides = experiment.sides.map((program, index) => new Side(program, index, experiment.memoryBytes));
    this.#afterSetUp = this.#truth.copy();
  }

  /** Sets the sides up, one after the other. */
  prepare(): void {
    for (const side of this.#sides) this.#execute(side);
    for (const side of this.#sides) side.keepSetUp();
    this.#afterSetUp = this.#truth.copy();
    this.#settingUp = false;
  }

  explore(): Explored {
    const max = this.#bounds.interleavingsMax ?? INTERLEAVINGS_MAX;
    let interleavings = 0;
    do {
      if (interleavings === max) throw new Error(`more than ${max} interleavings: choose smaller bounds`);
      interleavings++;
      this.#runOrExplain();
    } while (this.#advance());
    return { interleavings, states: this.#visited.size };
  }

  replay(script: Segment[]): readonly string[] {
    this.#trace = [];
    this.#script = script;
    this.#runOnce();
    return this.#trace;
  }

  /** To the next path of the choice tree; false if this was the last. */
  #advance(): boolean {
    for (let i = this.#choices.length - 1; i >= 0; i--) {
      if (this.#choices[i]! + 1 < this.#options[i]!) {
        this.#choices[i]!++;
        this.#choices.length = i + 1;
        this.#options.length = i + 1;
        return true;
      }
    }
    return false;
  }

  #runOrExplain(): void {
    try {
      this.#runOnce();
    } catch (error) {
      if (error === PRUNED) return;
      if (!(error instanceof Error)) throw error;
      const schedule = this.#segments.map(({ side, count }) => `${side.letter}${count}`).join(" ");
      this.#trace = [];
      try {
        this.#depth = 0;
        this.#runOnce();
      } catch {}
      throw new InterleavingError(error.message, schedule, this.#trace);
    }
  }

  #runOnce(): void {
    this.#truth.restore(this.#afterSetUp);
    for (const side of this.#sides) side.begin();
    this.#experiment.watch?.begin(() => this.running?.live ?? false);
    this.#depth = 0;
    this.#preemptionsLeft = this.#bounds.preemptions;
    this.#segments = [];
    for (;;) {
      const ready = this.#sides.filter((side) => side.ready);
      if (ready.length === 0) break;
      const next = this.#next ?? this.#pick(ready);
      this.#next = null;
      this.#execute(next);
    }
    for (const side of this.#sides) side.refresh(this.#truth);
    this.#experiment.check(new Set(this.#sides.filter((side) => !side.done).map((side) => side.program.name)));
  }

  /** Runs a side from its beginning, through its log, to its next pause, wait or end. */
  #execute(side: Side): void {
    side.rewind();
    this.running = side;
    try {
      const run = side.program.setUp(side.buffer);
      // All that the set-up stored plainly is visible from here on.
      this.#record(side, { code: CODE.FENCE, offset: 0, bytes: 4, a: 0, b: 0 });
      if (this.#settingUp) return;
      run();
      side.done = true;
      side.flush(this.#truth);
    } catch (reason) {
      if (reason !== PAUSED && reason !== WAITING) throw reason;
    } finally {
      this.running = null;
    }
  }

  access(side: Side, access: Access): number {
    const interleaved = side.live && !this.#settingUp && !isNote(access.code);
    // To switch where a side goes to sleep is free, so no preemption is spent on it.
    if (interleaved && !side.sleepsAt(access, this.#truth)) this.#mayPreempt(side, access.offset);
    return this.#record(side, access);
  }

  #record(side: Side, access: Access): number {
    if (!side.live) return side.replay(access);
    side.flush(this.#truth);
    const result = this.#truth.perform(side, this.#sides, access);
    side.log(access, result, this.#truth);
    if (!this.#settingUp && access.code !== CODE.FENCE) this.#note(side, access, result);
    return result;
  }

  #note(side: Side, access: Access, result: number): void {
    const { code, offset, bytes, a, b } = access;
    this.#experiment.watch?.atomic(side.index, code, offset, bytes);
    const where = this.#experiment.nameOf?.(offset) ?? `@${offset}`;
    this.#trace?.push(`  ${side.program.name}: ${CODE_NAMES[code]} ${where} (${a}, ${b}) = ${result}`);
    if (isNote(code)) return;
    if (side.length > ACCESSES_MAX) throw new Error(`${side.program.name} does not come to an end`);
    const last = this.#segments.at(-1);
    if (last?.side === side) last.count++;
    else this.#segments.push({ side, count: 1 });
  }

  #mayPreempt(side: Side, offset: number): void {
    const fresh = side.fresh;
    side.fresh = false;
    if (this.#script !== null) {
      const segment = this.#script[0];
      if (segment === undefined || segment.left-- > 0) return;
      this.#script.shift();
      if (this.#script.length > 0) this.#preempt(side, this.#named(this.#script[0]!.side));
      return;
    }
    this.#inARow = fresh ? 1 : this.#inARow + 1;
    // To switch back before it has done anything would be no switch.
    if (fresh) return;
    const { focus, patience } = this.#bounds;
    const spins = patience !== undefined && this.#inARow > patience;
    if (!spins && focus?.(offset) === false) return;
    if (this.#isKnown(side)) throw PRUNED;
    const others = this.#sides.filter((other) => other !== side && other.ready);
    if (others.length === 0) return;
    if (spins) this.#preempt(side, others[others.length === 1 ? 0 : this.#choose(others.length)]!);
    if (this.#preemptionsLeft === 0) return;
    const choice = this.#choose(others.length + 1);
    if (choice === 0) return;
    this.#preemptionsLeft--;
    this.#preempt(side, others[choice - 1]!);
  }

  /** True if everything that can follow from here was explored, or is being explored, already. */
  #isKnown(running: Side): boolean {
    if (this.#depth < this.#choices.length) return false;
    let state = this.#truth.state;
    for (const side of this.#sides) state = mix(state, side.state);
    // With no bound on preemptions it does not matter who runs.
    if (this.#preemptionsLeft < Number.POSITIVE_INFINITY) state = mix(state, running.index);
    const known = this.#visited.get(state);
    if (known !== undefined && known >= this.#preemptionsLeft) return true;
    this.#visited.set(state, this.#preemptionsLeft);
    return false;
  }

  #preempt(side: Side, next: Side): never {
    if (this.#bounds.plainStores === "early") side.flush(this.#truth);
    this.#next = next;
    throw PAUSED;
  }

  #pick(ready: readonly Side[]): Side {
    if (this.#script !== null) {
      while (this.#script[0]?.left === 0) this.#script.shift();
      return this.#script.length > 0 ? this.#named(this.#script[0]!.side) : ready[0]!;
    }
    return ready[ready.length === 1 ? 0 : this.#choose(ready.length)]!;
  }

  #named(letter: string): Side {
    return this.#sides.find((side) => side.letter === letter)!;
  }

  #choose(options: number): number {
    const depth = this.#depth++;
    if (depth === this.#choices.length) {
      this.#choices.push(0);
      this.#options.push(options);
    }
    if (this.#options[depth] !== options) throw new Error("an interleaving did not repeat itself");
    return this.#choices[depth]!;
  }
}

const CODE_NAMES = Object.keys(CODE).map((name) => name.toLowerCase());

type View = Int32Array | Uint16Array;

/** The global Atomics lead to the explorer while `use` runs, for whichever side is running. */
function withAtomics<T>(explorer: Explorer, use: (explorer: Explorer) => T): T {
  const { load, store, add, or, exchange, compareExchange, wait, notify } = Atomics;
  const through =
    (code: number) =>
    (view: View, index: number, a = 0, b = 0): number => {
      const side = explorer.running;
      // Nobody runs while the end is checked.
      if (side === null) {
        if (code === CODE.STORE) view[index] = a;
        return view[index]!;
      }
      if (view.buffer !== side.buffer) throw new Error(`${side.program.name} uses memory that is not its own`);
      const bytes = view.BYTES_PER_ELEMENT;
      return explorer.access(side, { code, offset: view.byteOffset + index * bytes, bytes, a, b });
    };
  const waitFor = through(CODE.WAIT);
  Object.assign(Atomics, {
    load: through(CODE.LOAD),
    store: through(CODE.STORE),
    add: through(CODE.ADD),
    or: through(CODE.OR),
    exchange: through(CODE.EXCHANGE),
    compareExchange: through(CODE.COMPARE_EXCHANGE),
    // A time limit never runs out: what only a time limit would end is a lost wake-up.
    wait: (view: Int32Array, index: number, value: number) =>
      waitFor(view, index, value) === WAIT_OK ? "ok" : "not-equal",
    notify: (view: Int32Array, index: number) => through(CODE.NOTIFY)(view, index),
  });
  try {
    explorer.prepare();
    return use(explorer);
  } finally {
    Object.assign(Atomics, { load, store, add, or, exchange, compareExchange, wait, notify });
  }
}
