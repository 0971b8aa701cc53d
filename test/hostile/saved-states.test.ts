import fc from "fast-check";
import { expect, test } from "vitest";
import type { CardState } from "../../src/device/index.ts";
import { forgedStates } from "../fuzz/forged-states.ts";
import { SAVED_KINDS } from "../fuzz/saved-cards.ts";
import { CardMachine } from "../rings/card-machine.ts";

const RUNS = 200;

test("case 30: a state of which any values were changed is refused with a reason, or gives a card that works", () => {
  const outcomes = { refused: 0, restored: 0 };
  fc.assert(forgedStates(outcomes), { numRuns: RUNS });
  expect(outcomes.refused).toBeGreaterThan(RUNS / 10);
  expect(outcomes.restored).toBeGreaterThan(RUNS / 10);
});

test("case 30: a refused state leaves what the host has programmed, its view of the guest, and the link as they were", () => {
  const { saved } = SAVED_KINDS[0]!;
  for (const place of [
    "features",
    "config",
    "status",
    "routing",
    "queues",
    "statistics",
    "throttle",
    "interruptStatus",
  ]) {
    const machine = new CardMachine().bringUp();
    machine.card.throttle.vectors[0]!.overflowNs = 77;
    machine.card.setLinkUp(false, machine.nowNs);
    const before = machine.card.throttle.saveState(machine.nowNs);
    const forged = { ...saved.card, [place]: null } as unknown as CardState;
    expect(() => machine.card.restoreState(forged, machine.nowNs)).toThrow(
      new RegExp(`saved state: ${place} is null, it must be`),
    );
    expect(machine.card.throttle.saveState(machine.nowNs)).toEqual({ ...before, causes: [] });
    expect([machine.status, machine.card.config.linkUp]).toEqual([0, false]);
  }
});
