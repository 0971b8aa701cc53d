import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameOf, PLAIN_FEATURES } from "../rings/card-machine.ts";
import { PciMachine } from "../rings/pci-machine.ts";

const FEATURES = PLAIN_FEATURES.filter((name) => name !== "RING_EVENT_IDX");

describe("registers on PCI", () => {
  test("no access of any offset, width or value throws, and a reset makes the card usable again", () => {
    const offset = fc.oneof(fc.integer({ min: 0, max: 0x1100 }), fc.integer(), fc.double(), fc.constant(2 ** 32));
    const access = fc.record({
      kind: fc.constantFrom("readConfig", "writeConfig", "readBar", "writeBar"),
      bar: fc.integer({ min: -1, max: 7 }),
      offset,
      width: fc.constantFrom(1, 2, 4, 8, 0, 3),
      value: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 0xffff, 0xffffffff)),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), fc.constantFrom("memory", "io", "memory64"), (accesses, bar) => {
        const machine = new PciMachine({}, { bar: bar as "io" });
        machine.enableMsix();
        machine.bringUp(FEATURES);
        for (const { kind, bar: index, offset: at, width, value } of accesses) {
          if (kind === "readConfig") machine.pci.readConfig(at, width, machine.nowNs);
          else if (kind === "writeConfig") machine.pci.writeConfig(at, width, value, machine.nowNs);
          else if (kind === "readBar") machine.pci.readBar(index, at, width, machine.nowNs);
          else machine.pci.writeBar(index, at, width, value, machine.nowNs);
          machine.poll();
        }
        machine.pci.resetFunction(machine.nowNs);
        machine.messages.length = 0;
        machine.enableMsix();
        machine.bringUp(FEATURES);
        machine.loop(frameOf(60));
        expect(machine.messages.map(({ vector }) => vector)).toEqual([1, 0]);
      }),
      { numRuns: 300 },
    );
  });

  test("reads have no effect but the ISR's", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    const before = JSON.stringify([
      machine.pci.saveState().config.slice(0, 0x40),
      machine.card.saveState(machine.nowNs).queues,
    ]);
    for (let at = 0; at < 0x2000; at++) for (const width of [1, 2, 4]) machine.read(0, at, width);
    for (let at = 0; at < 256; at++) machine.config(at, 1);
    const after = JSON.stringify([
      machine.pci.saveState().config.slice(0, 0x40),
      machine.card.saveState(machine.nowNs).queues,
    ]);
    expect(after).toBe(before);
  });
});
