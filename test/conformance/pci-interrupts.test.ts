/** Interrupts over PCI: the ISR status, INTx, and the vectors of MSI-X. virtio 1.4 §4.1.4.5, §4.1.5.1.2, §4.1.5.3, §4.1.5.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { CONFIG_CHANGE, type Feature, USED_BUFFER } from "./harness/numbers.ts";
import {
  CFG_ISR,
  COMMAND_BUS_MASTER,
  COMMAND_INTX_DISABLE,
  COMMAND_MEMORY,
  NO_VECTOR,
  PCI_CONFIG,
  STATUS_INTERRUPT,
} from "./harness/pci-numbers.ts";

const MSIX = { transports: ["PCI"] } as const;
const INTX = { transports: ["PCI"], card: { intx: true } } as const;
const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ", "RING_RESET"];

function isr(dut: DeviceUnderTest): number {
  const { bar, offset } = dut.pci.structure(CFG_ISR);
  return dut.pci.pci.readBar(bar, offset, 1);
}

function interruptStatusBit(dut: DeviceUnderTest): boolean {
  return (dut.pci.pci.read(PCI_CONFIG.status, 2) & STATUS_INTERRUPT) !== 0;
}

/** Gives a queue a vector; the register then reads so. */
function mapQueue(dut: DeviceUnderTest, index: number, vector: number): number {
  dut.pci.setCommon("queueSelect", index);
  dut.pci.setCommon("queueMsixVector", vector);
  return dut.pci.common("queueMsixVector");
}

function mapConfig(dut: DeviceUnderTest, vector: number): number {
  dut.pci.setCommon("configMsixVector", vector);
  return dut.pci.common("configMsixVector");
}

function vectors(dut: DeviceUnderTest): number[] {
  return dut.interrupts().map(({ vector }) => vector);
}

conformance("A configuration change sets its ISR bit, with INTx", ["PISR-2", "PISR-4"], INTX, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect([isr(dut), interruptStatusBit(dut)]).toEqual([0, false]);
  dut.setLinkUp(false);
  expect(dut.lineAsserted).toBe(true);
  expect(interruptStatusBit(dut)).toBe(true);
  expect(isr(dut)).toBe(CONFIG_CHANGE);
});

conformance("A configuration change sets its ISR bit with MSI-X too", ["PISR-2"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.setLinkUp(false);
  expect(vectors(dut)).toEqual([0]);
  expect(isr(dut) & CONFIG_CHANGE).toBe(CONFIG_CHANGE);
});

conformance("A used buffer sets the queue bit before INTx is asserted", ["PISR-3", "PISR-4"], INTX, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.send(patterned(60));
  expect(dut.lineAsserted).toBe(true);
  expect(interruptStatusBit(dut)).toBe(true);
  expect(isr(dut)).toBe(USED_BUFFER);
  expect([dut.lineAsserted, interruptStatusBit(dut)]).toEqual([false, false]);
  dut.offerBuffer();
  dut.receive(patterned(60));
  expect(dut.lineAsserted).toBe(true);
  expect(isr(dut)).toBe(USED_BUFFER);
});

conformance("Reading the ISR status clears all of it, and takes INTx back", ["PISR-5", "PISR-4"], INTX, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(interruptStatusBit(dut)).toBe(true);
  expect(isr(dut)).toBe(USED_BUFFER | CONFIG_CHANGE);
  expect([isr(dut), dut.lineAsserted, interruptStatusBit(dut)]).toEqual([0, false, false]);
  dut.send(patterned(60));
  dut.status = 0;
  expect([isr(dut), dut.lineAsserted, interruptStatusBit(dut)]).toEqual([0, false, false]);
});

conformance("The interrupt disable bit holds the line, not the status bit", ["PISR-4"], INTX, (dut) => {
  dut.bringUp({ features: FEATURES });
  const { pci } = dut.pci;
  pci.write(PCI_CONFIG.command, 2, COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE);
  dut.send(patterned(60));
  expect([dut.lineAsserted, interruptStatusBit(dut)]).toEqual([false, true]);
  pci.write(PCI_CONFIG.command, 2, COMMAND_MEMORY | COMMAND_BUS_MASTER);
  expect([dut.lineAsserted, interruptStatusBit(dut)]).toEqual([true, true]);
  isr(dut);
  expect([dut.lineAsserted, interruptStatusBit(dut)]).toEqual([false, false]);
});

// --- MSI-X -----------------------------------------------------------------------------------------------------------

for (const [pairs, count] of [
  [1, 4],
  [4, 10],
] as const) {
  const options = { ...MSIX, card: { pairs, extra: pairs > 1 ? ["MQ"] : [] } };
  conformance(
    `With ${pairs} pairs of queues there is a vector for each queue and one more`,
    ["PMSIX-1", "PMSIX-2", "PMSIX-3"],
    options,
    (dut) => {
      expect(dut.pci.msix?.vectors).toBe(count);
      expect(dut.pci.common("numQueues")).toBe(count - 1);
      dut.negotiate(FEATURES);
      expect(mapQueue(dut, 0, count - 1)).toBe(count - 1);
      expect(mapQueue(dut, 0, count)).toBe(NO_VECTOR);
    },
  );
}

for (const count of [2, 0x800]) {
  conformance(
    `Of a card with ${count} vectors, Table Size says so, and all can be mapped`,
    ["PMSIX-1", "PMSIX-2"],
    { ...MSIX, card: { vectors: count } },
    (dut) => {
      expect(dut.pci.msix!.vectors).toBe(count);
      dut.bringUp({ features: FEATURES });
      expect(mapQueue(dut, 1, count - 1)).toBe(count - 1);
      dut.send(patterned(60));
      expect(vectors(dut)).toEqual([count - 1]);
      expect(mapQueue(dut, 1, count)).toBe(NO_VECTOR);
    },
  );
}

conformance(
  "Any event goes to any vector, and the registers say so",
  ["PMSIX-4", "PMSIX-6", "PMSIX-8"],
  MSIX,
  (dut) => {
    dut.bringUp({ features: FEATURES });
    const { vectors: count } = dut.pci.msix!;
    let up = true;
    for (let vector = 0; vector < count; vector++) {
      const mapped = [mapConfig(dut, vector), ...[0, 1, 2].map((index) => mapQueue(dut, index, vector))];
      expect(mapped).toEqual([vector, vector, vector, vector]);
      up = !up;
      dut.setLinkUp(up);
      expect(vectors(dut)).toEqual([vector]);
      dut.command(0, 0, [0]);
      expect(vectors(dut)).toEqual([vector]);
      dut.send(patterned(60));
      expect(vectors(dut)).toEqual([vector]);
    }
    dut.setLinkUp(true);
    vectors(dut);
    dut.offerBuffer();
    dut.receive(patterned(60));
    expect(vectors(dut)).toEqual([count - 1]);
  },
);

conformance("Each queue's interrupts go to its own vector", ["PMSIX-4", "PMSIX-6"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect([mapConfig(dut, 1), mapQueue(dut, 0, 3), mapQueue(dut, 1, 0), mapQueue(dut, 2, 2)]).toEqual([1, 3, 0, 2]);
  dut.offerBuffer();
  dut.receive(patterned(60));
  expect(vectors(dut)).toEqual([3]);
  dut.send(patterned(60));
  expect(vectors(dut)).toEqual([0]);
  dut.command(0, 0, [0]);
  expect(vectors(dut)).toEqual([2]);
  dut.setLinkUp(false);
  expect(vectors(dut)).toEqual([1]);
});

conformance("Any event can be unmapped, and mapped again", ["PMSIX-5", "PMSIX-6"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  for (const index of [0, 1, 2]) expect(mapQueue(dut, index, NO_VECTOR)).toBe(NO_VECTOR);
  expect(mapConfig(dut, NO_VECTOR)).toBe(NO_VECTOR);
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(vectors(dut)).toEqual([]);
  expect([mapConfig(dut, 0), mapQueue(dut, 1, 2)]).toEqual([0, 2]);
  dut.setLinkUp(true);
  expect(vectors(dut)).toEqual([0]);
  dut.send(patterned(60));
  expect(vectors(dut)).toEqual([2]);
});

conformance("A reset unmaps every event", ["PMSIX-7"], MSIX, (dut) => {
  const mapped = (): number[] => [
    dut.pci.common("configMsixVector"),
    ...[0, 1, 2].map((index) => {
      dut.pci.setCommon("queueSelect", index);
      return dut.pci.common("queueMsixVector");
    }),
  ];
  const none = [NO_VECTOR, NO_VECTOR, NO_VECTOR, NO_VECTOR];
  expect(mapped()).toEqual(none);
  dut.bringUp({ features: FEATURES });
  expect(mapped()).toEqual([0, 1, 2, 3]);
  dut.status = 0;
  expect(mapped()).toEqual(none);
});

conformance("A mapping to a vector that does not exist reads back as none", ["PMSIX-9"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  const { vectors: count } = dut.pci.msix!;
  for (const vector of [count, count + 1, 0x800, 0x7fff, 0xfffe]) {
    expect([mapConfig(dut, 0), mapConfig(dut, vector)]).toEqual([0, NO_VECTOR]);
    expect([mapQueue(dut, 1, 1), mapQueue(dut, 1, vector)]).toEqual([1, NO_VECTOR]);
  }
  // There is no queue 3 to map.
  expect(mapQueue(dut, 3, 1)).toBe(NO_VECTOR);
});

conformance("A queue without a vector interrupts nobody, and is worked on all the same", ["PUSED-1"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  for (const index of [0, 1]) mapQueue(dut, index, NO_VECTOR);
  dut.offerBuffer();
  dut.receive(patterned(60));
  dut.send(patterned(60));
  dut.advance(1e9);
  dut.poll();
  expect([dut.rx.collectUsed(), dut.tx.collectUsed()].map(({ length }) => length)).toEqual([1, 1]);
  expect(vectors(dut)).toEqual([]);
  expect(dut.lineAsserted).toBe(false);
  dut.command(0, 0, [0]);
  expect(vectors(dut)).toEqual([3]);
});

conformance("Configuration changes without a vector interrupt nobody", ["PCCHG-1"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  mapConfig(dut, NO_VECTOR);
  dut.setLinkUp(false);
  dut.advance(1e9);
  dut.poll();
  expect([vectors(dut), dut.lineAsserted]).toEqual([[], false]);
  expect(dut.transport.config(6, 2)).toBe(0);
});

conformance("Masked vectors are pending, and sent once they are unmasked", ["PBUS-1"], MSIX, (dut) => {
  dut.bringUp({ features: FEATURES });
  for (const vector of [0, 2]) dut.pci.maskVector(vector, true);
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(vectors(dut)).toEqual([]);
  expect([0, 1, 2, 3].map((vector) => dut.pci.isPending(vector))).toEqual([true, false, true, false]);
  dut.pci.maskVector(2, false);
  expect(vectors(dut)).toEqual([2]);
  dut.pci.maskVector(0, false);
  expect(vectors(dut)).toEqual([0]);
  expect([0, 2].map((vector) => dut.pci.isPending(vector))).toEqual([false, false]);
});
