import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CardState } from "../../../../src/device/index.ts";
import { CardMachine, type Feature, frameOf, PLAIN_FEATURES, REG, RX, TX } from "../../../rings/card-machine.ts";
import { SplitDriver } from "../../../rings/split-driver.ts";

/** Another machine whose memory and card are as those of `machine` are now, its clock `laterNs` ahead. */
function cloneOf(machine: CardMachine, laterNs = 0, options: object = {}): CardMachine {
  const clone = new CardMachine(options);
  clone.ram.set(machine.ram);
  clone.nowNs = machine.nowNs + laterNs;
  for (const [index, { table, size, availIdx, seenIdx }] of machine.queues.entries()) {
    clone.queues[index] = Object.assign(new SplitDriver(clone.ram.buffer, table, size), { availIdx, seenIdx });
  }
  const state = JSON.parse(JSON.stringify(machine.card.saveState(machine.nowNs))) as CardState;
  clone.card.restoreState(state, clone.nowNs);
  return clone;
}

/** Everything that a driver or a host can see of what happened. */
function seen(machine: CardMachine): unknown {
  const { notified, woken, drops, faults } = machine;
  const times = (events: { nowNs: number }[]) => events.map((event) => ({ ...event, nowNs: 0 }));
  return {
    notified: times(notified),
    woken: times(woken),
    drops: drops.map(({ why }) => why),
    faults,
    sent: machine.port.sent,
  };
}

type Step = (machine: CardMachine) => void;
const steps: Record<string, Step> = {
  receive: (machine) => void machine.receive(frameOf(100)),
  offer: ({ rx }) => {
    if (((rx.availIdx - rx.seenIdx) & 0xffff) === rx.size) return;
    const descriptor = rx.availIdx % rx.size;
    rx.setDescriptor(descriptor, { address: 0x10000 + 0x800 * descriptor, length: 2048, flags: 2 });
    rx.offer(descriptor);
    rx.publish();
  },
  send: (machine) => machine.send(frameOf(60)),
  later: (machine) => {
    machine.nowNs += 40_000;
    machine.poll();
  },
  deactivate: (machine) => machine.card.throttle.setGuestState(0, 0, 2, machine.nowNs),
  activate: (machine) => machine.card.throttle.setGuestState(0, 1, 3, machine.nowNs),
  pull: (machine) => machine.card.setLinkUp(false, machine.nowNs),
  plug: (machine) => machine.card.setLinkUp(true, machine.nowNs),
  suspend: (machine) => machine.write(REG.STATUS, 0x1f & ~4),
  resume: (machine) => machine.write(REG.STATUS, 0x0f),
  badStatus: (machine) => machine.write(REG.QUEUE_NOTIFY, 77),
};

function readyMachine(features: readonly Feature[] = PLAIN_FEATURES): CardMachine {
  const machine = new CardMachine().bringUp(features);
  const vector = machine.card.throttle.vectors[0]!;
  vector.latencyNs = 100_000;
  vector.overflowNs = 200_000;
  vector.freeMin = 1;
  return machine;
}

describe("a restored card", () => {
  test("goes on exactly as the one that was saved, whatever came before and comes after", () => {
    const script = fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 12 });
    fc.assert(
      fc.property(script, script, fc.integer({ min: -500, max: 5_000_000 }), (before, after, laterNs) => {
        const machine = readyMachine();
        for (const step of before) steps[step]!(machine);
        const clone = cloneOf(machine, laterNs);
        for (const list of [machine.notified, machine.woken, machine.drops, machine.faults, machine.port.sent]) {
          list.length = 0;
        }
        expect(clone.card.saveState(clone.nowNs)).toEqual(machine.card.saveState(machine.nowNs));
        // A queue that waited for a kick looks by itself first, for the driver may not have seen that it is to kick.
        machine.poll();
        clone.poll();
        for (const step of after) {
          steps[step]!(machine);
          steps[step]!(clone);
        }
        expect(seen(clone)).toEqual(seen(machine));
        expect(Buffer.compare(clone.ram, machine.ram)).toBe(0);
        const shift = (deadline: number) => (Number.isFinite(deadline) ? deadline : null);
        const left = machine.card.nextDeadlineNs() - machine.nowNs;
        expect(shift(clone.card.nextDeadlineNs() - clone.nowNs)).toEqual(shift(left));
      }),
      { numRuns: 150 },
    );
  });

  test("that was never brought up is as new", () => {
    const clone = cloneOf(new CardMachine());
    expect(clone.status).toBe(0);
    clone.bringUp();
    clone.send(frameOf(60));
    expect(clone.port.sent).toHaveLength(1);
  });

  test("keeps its statistics", () => {
    const machine = readyMachine();
    machine.offerReceiveBuffers([2048, 2048]);
    machine.receive(frameOf(100), frameOf(100), frameOf(100));
    const clone = cloneOf(machine);
    expect(clone.card.statistics).toEqual(machine.card.statistics);
    expect([clone.card.statistics.queues[RX]!.frames, clone.card.statistics.queues[RX]!.dropped]).toEqual([2, 1]);
  });
});

describe("a state that does not fit is refused, says why, and leaves the card as after a reset", () => {
  const machine = readyMachine();
  const saved = machine.card.saveState(machine.nowNs);

  test.each<[string, object, object, RegExp]>([
    ["nothing", {}, { format: undefined }, /format is undefined, it must be spillway-card/],
    ["a later version", {}, { version: 2 }, /version is 2, this card reads 1/],
    ["another queue size", { queueSizeMax: 256 }, {}, /queueSizeMax is 1024, but this card has 256/],
    ["other vectors", { vectors: 3 }, {}, /vectors is 1, but this card has 3/],
    ["other vCPUs", { vcpus: 2 }, {}, /vcpus is 1, but this card has 2/],
    ["another MTU", { mtu: 9000 }, {}, /mtu 1500, but this card 9000/],
    ["other features", { withhold: ["MTU"] }, {}, /offers features 0x/],
    ["less memory", { ramBytes: 0x2000 }, {}, /queue 1 of 8 entries does not lie in this card's memory/],
  ])("%s", (_name, options, change, message) => {
    const other = new CardMachine(options);
    expect(() => other.card.restoreState({ ...saved, ...change } as CardState, 0)).toThrow(message);
    expect([other.status, other.card.queues.isEnabled(RX), other.card.queues.isEnabled(TX)]).toEqual([0, false, false]);
    expect(other.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("inside a poll nothing is saved or restored, for frames are in the works", () => {
    const inside = readyMachine();
    const errors: unknown[] = [];
    inside.port.onTransmit = () => {
      for (const work of [() => inside.card.saveState(0), () => inside.card.restoreState(saved, 0)]) {
        try {
          work();
        } catch (error) {
          errors.push(error);
        }
      }
    };
    inside.send(frameOf(60));
    expect(errors.map(String)).toEqual([expect.stringMatching(/inside poll/), expect.stringMatching(/inside poll/)]);
  });
});
