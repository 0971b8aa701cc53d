/** A saved card of which any values were changed: it is refused with a reason, or gives a card that works. */

import fc from "fast-check";
import { HostWindow, THROTTLE_REGISTERS } from "../../src/device/index.ts";
import { SAVED_KINDS, type Saved } from "./saved-cards.ts";

type Node = Record<string, unknown>;

/** The keys that lead to a place in a value; `steps` choose among those of each level, until they or the levels end. */
function placeIn(value: unknown, steps: readonly number[]): string[] {
  const place: string[] = [];
  let node = value;
  for (const step of steps) {
    const keys = typeof node === "object" && node !== null ? Object.keys(node) : [];
    if (keys.length === 0) break;
    const key = keys[step % keys.length]!;
    place.push(key);
    node = (node as Node)[key];
  }
  return place;
}

const ADJUSTMENTS: Readonly<Record<string, (old: unknown) => unknown>> = {
  more: (old) => (typeof old === "number" ? old + 1 : old),
  flip: (old) => (typeof old === "number" ? old ^ 4 : !old),
  shorter: (old) => (Array.isArray(old) ? old.slice(1) : old),
  doubled: (old) => (Array.isArray(old) ? [...old, ...old] : old),
  reversed: (old) => (Array.isArray(old) ? old.toReversed() : old),
  removed: () => undefined,
};
type Change = { readonly set: unknown } | { readonly adjust: string };

const nasty: fc.Arbitrary<Change> = fc.oneof(
  fc.constantFrom(null, true, false, 0, 1, -1, 0.5, 2, 3, 7, 8, 15, 31, 64, 255, 256, 1024).map((set) => ({ set })),
  fc
    .constantFrom(0x7fff, 0x8000, 0xffff, 0x10000, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 1e300, -1e300)
    .map((set) => ({ set })),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, "x", "1", [], {}, [1, 2, 3]).map((set) => ({ set })),
  fc.constantFrom(...Object.keys(ADJUSTMENTS)).map((adjust) => ({ adjust })),
  // What is often a state as good as before.
  { weight: 3, arbitrary: fc.constantFrom("more", "flip").map((adjust) => ({ adjust })) },
);

function apply(saved: Saved, place: readonly string[], change: Change): void {
  let node = saved as unknown as Node;
  for (const key of place.slice(0, -1)) {
    const next = node[key];
    if (typeof next !== "object" || next === null) return;
    node = next as Node;
  }
  const last = place.at(-1)!;
  const value = "set" in change ? change.set : ADJUSTMENTS[change.adjust]!(node[last]);
  if (value === undefined) delete node[last];
  else node[last] = value;
}

function isRefusal(error: unknown): boolean {
  return error instanceof RangeError && /^(saved state|queue snapshot)/.test(error.message);
}

const changes = fc.array(fc.tuple(fc.array(fc.nat(999), { minLength: 1, maxLength: 7 }), nasty), {
  minLength: 1,
  maxLength: 2,
});

/** Counts what became of them, so that neither outcome is left untried. */
export interface Outcomes {
  refused: number;
  restored: number;
}

export function forgedStates(outcomes: Outcomes) {
  return fc.property(fc.nat(SAVED_KINDS.length - 1), changes, (index, list) => {
    const kind = SAVED_KINDS[index]!;
    const forged = JSON.parse(JSON.stringify(kind.saved)) as Saved;
    for (const [steps, change] of list) apply(forged, placeIn(forged, steps), change);
    const { machine, restore, use, useAfterReset } = kind.make();
    const { card } = machine;
    try {
      restore(forged);
      outcomes.restored++;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      outcomes.refused++;
    }
    const window = new HostWindow(card.throttle);
    for (const { offset, read } of THROTTLE_REGISTERS) {
      if (read === undefined) continue;
      const value = window.read(offset, machine.nowNs);
      if (!(value >= 0 && value <= 0xffffffff)) throw new Error(`register 0x${offset.toString(16)} reads ${value}`);
    }
    if (Number.isNaN(card.nextDeadlineNs())) throw new Error("the next deadline is no number");
    for (let i = 0; i < 3; i++) {
      use();
      machine.nowNs += 1e6;
      card.throttle.setGuestState(0, i % 2, i, machine.nowNs);
      machine.poll();
    }
    // What it is now can be saved, and is accepted.
    card.restoreState(JSON.parse(JSON.stringify(card.saveState(machine.nowNs))), machine.nowNs);
    card.setLinkUp(true, machine.nowNs);
    card.throttle.setGuestState(0, 1, 9, machine.nowNs);
    for (const vector of card.throttle.vectors) {
      vector.maskedByHost = false;
      vector.latencyNs = 0;
      vector.target = 0;
    }
    useAfterReset();
  });
}
