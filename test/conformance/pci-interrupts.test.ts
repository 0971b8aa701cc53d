/** ISR, INTx and MSI-X on PCI: virtio 1.4 §4.1.4.5, §4.1.5.1.2, §4.1.5.3, §4.1.5.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { CONFIG_CHANGE, type Feature, USED_BUFFER } from "./harness/numbers.ts";
import { NO_VECTOR, PCI_CONFIG, STATUS_INTERRUPT } from "./harness/pci-numbers.ts";

const ON_PCI = { transports: ["PCI"] } as const;
const WITH_LINE = { ...ON_PCI, card: { intx: true } } as const;
const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ"];

/** The Interrupt Status bit of the PCI status register. */
function interruptBit(dut: DeviceUnderTest): boolean {
  return (dut.pci.pci.read(PCI_CONFIG.status, 2) & STATUS_INTERRUPT) !== 0;
}

function sentVectors(dut: DeviceUnderTest): number[] {
  return dut.interrupts().map(({ vector }) => vector);
}

/** Gives a queue a vector, and returns what the register reads. */
function mapQueue(dut: DeviceUnderTest, index: number, vector: number): number {
  dut.pci.setCommon("queueSelect", index);
  dut.pci.setCommon("queueMsixVector", vector);
  return dut.pci.common("queueMsixVector");
}

function mapConfig(dut: DeviceUnderTest, vector: number): number {
  dut.pci.setCommon("configMsixVector", vector);
  return dut.pci.common("configMsixVector");
}

/** Lets an event of each kind happen: [name, what makes it happen]. */
const EVENTS: readonly [string, number | null, (dut: DeviceUnderTest) => void][] = [
  ["a received frame", 0, (dut) => dut.receive(patterned(60))],
  ["a sent frame", 1, (dut) => dut.send(patterned(60))],
  ["a command", 2, (dut) => dut.command(0xfe, 0, [])],
  ["a configuration change", null, (dut) => dut.setLinkUp(false)],
];

// --- ISR and INTx ----------------------------------------------------------------------------------------------------

for (const [how, options] of [
  ["the line", WITH_LINE],
  ["messages", ON_PCI],
] as const) {
  conformance(
    `By ${how}, the ISR says configuration change before the driver is notified of it`,
    ["PISR-2"],
    options,
    (dut) => {
      dut.bringUp({ features: FEATURES });
      dut.setLinkUp(false);
      const [notified, ...more] = dut.interrupts();
      expect(more).toEqual([]);
      expect(notified!.status & CONFIG_CHANGE).toBe(CONFIG_CHANGE);
      expect(dut.transport.takeInterruptStatus() & CONFIG_CHANGE).toBe(CONFIG_CHANGE);
    },
  );
}

for (const [what, queue, happen] of EVENTS) {
  if (queue === null) continue;
  conformance(
    `With MSI-X off, the ISR says queue before the driver is notified of ${what}`,
    ["PISR-3"],
    WITH_LINE,
    (dut) => {
      dut.bringUp({ features: FEATURES });
      dut.offerBuffer();
      happen(dut);
      const [notified, ...more] = dut.interrupts();
      expect(more).toEqual([]);
      expect(notified!.status).toBe(USED_BUFFER);
      expect(dut.transport.takeInterruptStatus()).toBe(USED_BUFFER);
    },
  );
}

conformance("With MSI-X off, Interrupt Status is the OR of the bits of the ISR", ["PISR-4"], WITH_LINE, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect(interruptBit(dut)).toBe(false);
  dut.send(patterned(60));
  expect(interruptBit(dut)).toBe(true);
  expect(dut.transport.takeInterruptStatus()).toBe(USED_BUFFER);
  expect(interruptBit(dut)).toBe(false);
  dut.setLinkUp(false);
  expect(interruptBit(dut)).toBe(true);
  dut.send(patterned(60));
  expect(interruptBit(dut)).toBe(true);
  expect(dut.transport.takeInterruptStatus()).toBe(USED_BUFFER | CONFIG_CHANGE);
  expect(interruptBit(dut)).toBe(false);
  dut.send(patterned(60));
  dut.status = 0;
  expect(interruptBit(dut)).toBe(false);
});

conformance("The line follows Interrupt Status, unless INTx is disabled", ["PISR-4"], WITH_LINE, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect(dut.lineAsserted).toBe(false);
  dut.send(patterned(60));
  expect(dut.lineAsserted).toBe(true);
  const command = dut.pci.pci.read(PCI_CONFIG.command, 2);
  dut.pci.pci.write(PCI_CONFIG.command, 2, command | (1 << 10));
  expect(dut.lineAsserted).toBe(false);
  expect(interruptBit(dut)).toBe(true);
  dut.pci.pci.write(PCI_CONFIG.command, 2, command);
  expect(dut.lineAsserted).toBe(true);
  dut.transport.takeInterruptStatus();
  expect(dut.lineAsserted).toBe(false);
});

conformance("Reading the ISR clears it", ["PISR-5"], WITH_LINE, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect(dut.transport.takeInterruptStatus()).toBe(0);
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(dut.transport.takeInterruptStatus()).toBe(USED_BUFFER | CONFIG_CHANGE);
  expect(dut.transport.takeInterruptStatus()).toBe(0);
  dut.send(patterned(60));
  expect(dut.transport.takeInterruptStatus()).toBe(USED_BUFFER);
  expect(dut.transport.takeInterruptStatus()).toBe(0);
});

// --- MSI-X -----------------------------------------------------------------------------------------------------------

conformance(
  "There is a vector for each queue and one for the configuration, and no more",
  ["PMSIX-1", "PMSIX-3"],
  ON_PCI,
  (dut) => {
    const { vectors } = dut.pci.msix!;
    expect(vectors).toBeGreaterThanOrEqual(2);
    expect(vectors).toBeLessThanOrEqual(0x800);
    expect(vectors).toBe(dut.pci.common("numQueues") + 1);
  },
);

for (const vectors of [2, 5, 33, 2048]) {
  conformance(
    `Table Size says ${vectors} vectors, the last of which works, and the table has no more`,
    ["PMSIX-2"],
    { ...ON_PCI, card: { vectors }, rings: ["split"] },
    (dut) => {
      const { pci, msix } = dut.pci;
      expect(msix!.vectors).toBe(vectors);
      expect(pci.read(msix!.at + 2, 2) & 0x7ff).toBe(vectors - 1);
      dut.bringUp({ features: FEATURES });
      expect(mapQueue(dut, 1, vectors - 1)).toBe(vectors - 1);
      dut.send(patterned(60));
      expect(sentVectors(dut)).toEqual([vectors - 1]);
      const beyond = msix!.tableOffset + 16 * vectors;
      pci.writeBar(msix!.tableBar, beyond + 4, 4, 0x1234);
      expect(pci.readBar(msix!.tableBar, beyond + 4, 4)).toBe(0);
      expect(mapQueue(dut, 1, vectors)).toBe(NO_VECTOR);
    },
  );
}

for (const [what, queue, happen] of EVENTS) {
  conformance(
    `${capital(what)} is notified by any vector to which it is mapped`,
    ["PMSIX-4", "PMSIX-8"],
    ON_PCI,
    (dut) => {
      const { vectors } = dut.pci.msix!;
      for (let vector = 0; vector < vectors; vector++) {
        dut.bringUp({ features: FEATURES });
        dut.setLinkUp(true);
        dut.interrupts();
        for (const index of [0, 1, 2]) mapQueue(dut, index, NO_VECTOR);
        mapConfig(dut, NO_VECTOR);
        const shown = queue === null ? mapConfig(dut, vector) : mapQueue(dut, queue, vector);
        expect(shown).toBe(vector);
        dut.offerBuffer();
        happen(dut);
        expect(sentVectors(dut)).toEqual([vector]);
      }
    },
  );

  conformance(`${capital(what)} can be unmapped, and is mapped again`, ["PMSIX-5"], ON_PCI, (dut) => {
    dut.bringUp({ features: FEATURES });
    dut.offerBuffer();
    dut.offerBuffer();
    const map = (vector: number): number => (queue === null ? mapConfig(dut, vector) : mapQueue(dut, queue, vector));
    expect(map(1)).toBe(1);
    expect(map(NO_VECTOR)).toBe(NO_VECTOR);
    happen(dut);
    expect(sentVectors(dut)).toEqual([]);
    dut.setLinkUp(true);
    expect(map(3)).toBe(3);
    happen(dut);
    expect(sentVectors(dut)).toEqual([3]);
  });
}

conformance("The vector registers read what is mapped, each event's own", ["PMSIX-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  mapConfig(dut, 2);
  [3, 0, NO_VECTOR].forEach((vector, index) => {
    mapQueue(dut, index, vector);
  });
  const shown = (): number[] =>
    [0, 1, 2].map((index) => {
      dut.pci.setCommon("queueSelect", index);
      return dut.pci.common("queueMsixVector");
    });
  expect(shown()).toEqual([3, 0, NO_VECTOR]);
  expect(dut.pci.common("configMsixVector")).toBe(2);
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(sentVectors(dut)).toEqual([0, 2]);
  expect(shown()).toEqual([3, 0, NO_VECTOR]);
});

conformance("After a reset no event is mapped, and none is notified", ["PMSIX-7"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.status = 0;
  expect(dut.pci.common("configMsixVector")).toBe(NO_VECTOR);
  for (const index of [0, 1, 2]) {
    dut.pci.setCommon("queueSelect", index);
    expect(dut.pci.common("queueMsixVector")).toBe(NO_VECTOR);
  }
  dut.bringUp({ features: FEATURES });
  mapConfig(dut, 1);
  dut.status = 0;
  dut.interrupts();
  // The next life maps nothing.
  dut.status = 1;
  dut.status = 3;
  dut.accept(dut.withRing(FEATURES));
  dut.status = 11;
  dut.status = 15;
  dut.setLinkUp(false);
  expect(dut.interrupts()).toEqual([]);
});

conformance("A vector that does not exist is not mapped, and the register says so", ["PMSIX-9"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  const { vectors } = dut.pci.msix!;
  for (const vector of [vectors, vectors + 1, 0x7ff, 0x800, 0x8000, 0xfffe]) {
    expect(mapQueue(dut, 1, 1)).toBe(1);
    expect(mapQueue(dut, 1, vector)).toBe(NO_VECTOR);
    expect(mapConfig(dut, 1)).toBe(1);
    expect(mapConfig(dut, vector)).toBe(NO_VECTOR);
  }
});

conformance("With MSI-X on, a queue that has no vector is used without an interrupt", ["PUSED-1"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  for (const index of [0, 1, 2]) mapQueue(dut, index, NO_VECTOR);
  for (let round = 0; round < 3; round++) {
    dut.offerBuffer();
    for (const [, queue, happen] of EVENTS) if (queue !== null) happen(dut);
  }
  dut.advance(1e9);
  dut.poll();
  expect(dut.rx.collectUsed()).toHaveLength(3);
  expect(dut.tx.collectUsed()).toHaveLength(3);
  expect(dut.interrupts()).toEqual([]);
  expect(dut.lineAsserted).toBe(false);
  // Nor does one come afterwards for what was used before.
  mapQueue(dut, 0, 1);
  dut.advance(1e9);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
});

conformance("With MSI-X on, configuration changes without a vector raise no interrupt", ["PCCHG-1"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  mapConfig(dut, NO_VECTOR);
  for (const up of [false, true, false]) dut.setLinkUp(up);
  dut.advance(1e9);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  expect(dut.lineAsserted).toBe(false);
  expect(dut.transport.config(6, 2) & 1).toBe(0);
});

conformance("Masked vectors are pending, and sent once they are unmasked", ["PBUS-1"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  for (const vector of [0, 2]) dut.pci.maskVector(vector, true);
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(sentVectors(dut)).toEqual([]);
  const pending = (): boolean[] => [0, 1, 2, 3].map((vector) => dut.pci.isPending(vector));
  expect(pending()).toEqual([true, false, true, false]);
  dut.pci.maskVector(2, false);
  expect(sentVectors(dut)).toEqual([2]);
  dut.pci.maskVector(0, false);
  expect(sentVectors(dut)).toEqual([0]);
  expect(pending()).toEqual([false, false, false, false]);
});

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
