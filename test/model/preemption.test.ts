import { describe, expect, it } from "vitest";
import { type Experiment, explore, InterleavingError, replay } from "./preemption.ts";
import type { SideProgram } from "./side.ts";

// Litmus tests: small programs of which it is known what must, and what cannot, come of them.

const ALL = { preemptions: Number.POSITIVE_INFINITY };
const X = 0;
const Y = 1;
const BELL = 2;

function litmus(sides: readonly SideProgram[], check: Experiment["check"]): Experiment {
  return { memoryBytes: 64, sides, check };
}

const side = (name: string, program: (words: Int32Array) => void): SideProgram => ({
  name,
  setUp: (memory) => {
    const words = new Int32Array(memory);
    return () => program(words);
  },
});

/** `a` stores X and loads Y, `b` stores Y and loads X; the outcomes that were seen. */
function storeBuffering(preemptions: number): string[] {
  const outcomes = new Set<string>();
  let a = -1;
  let b = -1;
  const experiment = litmus(
    [
      side("a", (words) => {
        Atomics.store(words, X, 1);
        a = Atomics.load(words, Y);
      }),
      side("b", (words) => {
        Atomics.store(words, Y, 1);
        b = Atomics.load(words, X);
      }),
    ],
    () => outcomes.add(`${a}${b}`),
  );
  explore(experiment, { preemptions });
  return [...outcomes].sort();
}

describe("the explorer of interleavings", () => {
  it("shows every order of Atomics, and no other: two stores before two loads never both miss", () => {
    expect(storeBuffering(Number.POSITIVE_INFINITY)).toEqual(["01", "10", "11"]);
  });

  it("without preemptions runs one side after the other", () => {
    expect(storeBuffering(0)).toEqual(["01", "10"]);
  });

  it("reaches an order in which neither side is nested in the other", () => {
    const seen = new Set<string>();
    const order: string[] = [];
    const twice = (name: string, at: number) =>
      side(name, (words) => {
        for (let i = 0; i < 2; i++) order[Atomics.add(words, X, 1)] = `${name}${at + i}`;
      });
    explore(
      litmus([twice("a", 1), twice("b", 1)], () => seen.add(order.join(" "))),
      ALL,
    );
    expect(seen.size).toBe(6);
    expect(seen).toContain("a1 b1 a2 b2");
  });

  it("shows what was stored plainly before an Atomics store to whoever has loaded that", () => {
    const seen = new Set<string>();
    let got = "";
    const experiment = litmus(
      [
        side("writer", (words) => {
          words[Y] = 7;
          Atomics.store(words, X, 1);
        }),
        side("reader", (words) => {
          got = `${Atomics.load(words, X)}${words[Y]}`;
        }),
      ],
      () => seen.add(got),
    );
    explore(experiment, ALL);
    expect([...seen].sort()).toEqual(["00", "17"]);
  });

  it("finds the wake-up that is lost if a sleeper reads its doorbell after it has looked", () => {
    const ringer = side("ringer", (words) => {
      Atomics.store(words, X, 1);
      Atomics.add(words, BELL, 1);
      Atomics.notify(words, BELL);
    });
    const sleeper = (bellFirst: boolean) =>
      side("sleeper", (words) => {
        for (;;) {
          let bell = bellFirst ? Atomics.load(words, BELL) : 0;
          if (Atomics.load(words, X) === 1) return;
          if (!bellFirst) bell = Atomics.load(words, BELL);
          Atomics.wait(words, BELL, bell);
        }
      });
    const check = (waiting: ReadonlySet<string>): void => {
      if (waiting.size > 0) throw new Error("it sleeps for ever");
    };
    explore(litmus([ringer, sleeper(true)], check), ALL);
    const broken = litmus([ringer, sleeper(false)], check);
    let schedule = "";
    try {
      explore(broken, ALL);
    } catch (error) {
      schedule = (error as InterleavingError).schedule;
    }
    expect(schedule).toBe("s1 r2 s1");
    expect(() => replay(broken, schedule)).toThrow("it sleeps for ever");
  });

  it("switches away from a side that spins, if it is told how long to be patient", () => {
    const experiment = litmus(
      [
        side("spinner", (words) => {
          while (Atomics.load(words, X) === 0);
        }),
        side("other", (words) => void Atomics.store(words, X, 1)),
      ],
      () => {},
    );
    expect(() => explore(experiment, { preemptions: 0 })).toThrow("does not come to an end");
    expect(explore(experiment, { preemptions: 0, patience: 10 }).interleavings).toBe(2);
  });

  it("refuses a side that depends on anything but the memory", () => {
    let runs = 0;
    const experiment = litmus(
      [
        side("fickle", (words) => {
          Atomics.load(words, runs++ % 2);
          Atomics.load(words, Y);
        }),
        side("other", (words) => void Atomics.store(words, X, 1)),
      ],
      () => {},
    );
    expect(() => explore(experiment, ALL)).toThrow(InterleavingError);
  });
});
