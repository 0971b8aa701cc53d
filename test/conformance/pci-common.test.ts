/** The common configuration structure of virtio over PCI: virtio 1.4 §4.1.4.3. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, CONFIG, DRIVER, FEATURES_OK, type Feature } from "./harness/numbers.ts";
import { CFG_COMMON, COMMON, type CommonField } from "./harness/pci-numbers.ts";

const ON_PCI = { transports: ["PCI"] } as const;
const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ", "RING_RESET"];

/** One half of a 64-bit field. */
function half(dut: DeviceUnderTest, field: CommonField, high: 0 | 1): { read(): number; write(value: number): void } {
  const { bar, offset } = dut.pci.structure(CFG_COMMON);
  const at = offset + COMMON[field][0] + 4 * high;
  return { read: () => dut.pci.pci.readBar(bar, at, 4), write: (value) => dut.pci.pci.writeBar(bar, at, 4, value) };
}

function linkStatus(dut: DeviceUnderTest): number {
  return dut.transport.config(...CONFIG.status);
}

conformance("Both halves of a 64-bit field are read and written on their own", ["PLAY-1"], ON_PCI, (dut) => {
  dut.negotiate(FEATURES);
  for (const index of [0, 1, 2]) {
    dut.pci.setCommon("queueSelect", index);
    for (const field of ["queueDesc", "queueDriver", "queueDevice"] as const) {
      const [low, high] = [half(dut, field, 0), half(dut, field, 1)];
      high.write(0x00abcdef + index);
      expect([low.read(), high.read()]).toEqual([0, 0x00abcdef + index]);
      low.write(0x12345670);
      expect([low.read(), high.read()]).toEqual([0x12345670, 0x00abcdef + index]);
      high.write(0);
      expect([low.read(), high.read()]).toEqual([0x12345670, 0]);
    }
  }
});

conformance("device_feature shows the word that was selected, whichever it is", ["PCOM-3"], ON_PCI, (dut) => {
  const words = [dut.transport.offeredWord(0), dut.transport.offeredWord(1)];
  // MAC and STATUS in the first word, VERSION_1 in the second.
  expect(words[0]! & ((1 << 5) | (1 << 16))).toBe((1 << 5) | (1 << 16));
  expect(words[1]! & 1).toBe(1);
  for (const word of [2, 3, 4, 31, 32, 33, 0x10000, 0x80000000, 0xffffffff]) {
    expect(dut.transport.offeredWord(word)).toBe(0);
  }
  dut.bringUp();
  expect([dut.transport.offeredWord(0), dut.transport.offeredWord(1)]).toEqual(words);
});

conformance("driver_feature reads back what was accepted, by the word selected", ["PCOM-4"], ON_PCI, (dut) => {
  dut.status = ACKNOWLEDGE | DRIVER;
  const accepted = [0, 1].map((word) => dut.transport.offeredWord(word) & 0x5555_5555);
  const shown = (word: number): number => {
    dut.pci.setCommon("driverFeatureSelect", word);
    return dut.pci.common("driverFeature");
  };
  expect([shown(0), shown(1)]).toEqual([0, 0]);
  for (const word of [1, 0]) dut.transport.acceptWord(word, accepted[word]! >>> 0);
  expect([shown(1), shown(0), shown(1)]).toEqual([accepted[1]! >>> 0, accepted[0]! >>> 0, accepted[1]! >>> 0]);
  for (const word of [2, 32, 0xffffffff]) expect(shown(word)).toBe(0);
  dut.status = 0;
  expect([shown(0), shown(1)]).toEqual([0, 0]);
});

conformance("config_generation is another after a changed value was read", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect(linkStatus(dut)).toBe(1);
  const before = dut.transport.configGeneration;
  expect(linkStatus(dut)).toBe(1);
  expect(dut.transport.configGeneration).toBe(before);
  dut.setLinkUp(false);
  expect(linkStatus(dut)).toBe(0);
  expect(dut.transport.configGeneration).not.toBe(before);
});

conformance("config_generation shows a change even after 256, or any number, of them", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  let up = true;
  for (const changes of [1, 255, 257, 511, 2, 256, 512]) {
    linkStatus(dut);
    const before = dut.transport.configGeneration;
    for (let i = 0; i < changes; i++) {
      up = !up;
      dut.setLinkUp(up);
    }
    expect(linkStatus(dut)).toBe(up ? 1 : 0);
    if (changes % 2 === 1) expect(dut.transport.configGeneration).not.toBe(before);
  }
});

conformance("A torn read of the configuration shows in config_generation", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  linkStatus(dut);
  const before = dut.transport.configGeneration;
  dut.setLinkUp(false);
  // The first half is of another field, and read before the changed one.
  dut.transport.config(0, 4);
  linkStatus(dut);
  expect(dut.transport.configGeneration).not.toBe(before);
});

conformance("Writing 0 to device_status resets, and it reads 0 afterwards", ["PCOM-7", "PCOM-8"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.offerBuffer();
  const enabled = (): boolean[] => [0, 1, 2].map((index) => dut.transport.isQueueEnabled(index));
  expect(enabled()).toEqual([true, true, true]);
  dut.pci.setCommon("deviceStatus", 0);
  expect(dut.pci.common("deviceStatus")).toBe(0);
  expect(enabled()).toEqual([false, false, false]);
  const before = dut.ram.snapshot();
  dut.receive(patterned(60));
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.interrupts()).toEqual([]);
});

function queueReset(dut: DeviceUnderTest): number[] {
  return [0, 1, 2].map((index) => {
    dut.pci.setCommon("queueSelect", index);
    return dut.pci.common("queueReset");
  });
}

conformance(
  "queue_reset reads 0 after a reset of the device and once the queue is enabled",
  ["PCOM-9", "PCOM-10"],
  ON_PCI,
  (dut) => {
    expect(queueReset(dut)).toEqual([0, 0, 0]);
    dut.bringUp({ features: FEATURES });
    expect(queueReset(dut)).toEqual([0, 0, 0]);
    dut.transport.resetQueue(1);
    dut.setUpQueue(1);
    expect(dut.transport.isQueueEnabled(1)).toBe(true);
    expect(queueReset(dut)).toEqual([0, 0, 0]);
    dut.transport.resetQueue(0);
    dut.status = 0;
    expect(queueReset(dut)).toEqual([0, 0, 0]);
  },
);

conformance("Writing 1 to queue_reset resets the queue", ["PCOM-11", "PCOM-13"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  for (let i = 0; i < 5; i++) dut.send(patterned(60));
  dut.pci.setCommon("queueSelect", 1);
  dut.pci.setCommon("queueReset", 1);
  expect(dut.pci.common("queueReset")).toBe(0);
  expect(dut.pci.common("queueEnable")).toBe(0);
  const [receive, control] = [dut.transport.isQueueEnabled(0), dut.transport.isQueueEnabled(2)];
  expect([receive, control]).toEqual([true, true]);
  dut.setUpQueue(1, 4);
  const chain = dut.send(patterned(60));
  expect(dut.tx.collectUsed()).toEqual([chain]);
});

conformance("queue_reset reads 1 as long as the device still works on the queue", ["PCOM-12"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  let round = 0;
  dut.whilePolling(() => {
    for (let i = 0; i < 16; i++) dut.offerBuffer(128);
    dut.inject(...Array.from({ length: 8 }, () => patterned(60)));
    dut.pci.setCommon("queueSelect", 0);
    dut.pci.setCommon("queueReset", 1);
    while (dut.pci.common("queueReset") === 1) dut.advance(0);
    expect(dut.pci.common("queueEnable")).toBe(0);
    // From here on the memory is the driver's: the device, which polls meanwhile, must leave it alone.
    const before = dut.ram.snapshot();
    for (let i = 0; i < 5; i++) dut.pci.common("numQueues");
    expect(dut.ram.changedSince(before)).toEqual([]);
    dut.setUpQueue(0, 16);
    round++;
    return round === 40;
  });
});

conformance("queue_size is 0 for a queue that does not exist", ["PCOM-14"], ON_PCI, (dut) => {
  for (const select of [3, 4, 255, 0x7fff, 0xffff]) expect(dut.transport.queueSizeMax(select)).toBe(0);
  dut.negotiate(FEATURES);
  const queues = dut.pci.common("numQueues");
  expect(queues).toBe(3);
  for (let index = 0; index < queues; index++) expect(dut.transport.queueSizeMax(index)).toBeGreaterThan(0);
  expect(dut.transport.queueSizeMax(queues)).toBe(0);
});

for (const queueSizeMax of [1, 64, 256, 32768]) {
  const options = { ...ON_PCI, rings: ["split"], card: { queueSizeMax } } as const;
  conformance(`Of a card with queues of ${queueSizeMax}, queue_size is that`, ["PCOM-15"], options, (dut) => {
    dut.status = ACKNOWLEDGE | DRIVER;
    dut.accept(["VERSION_1"]);
    dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    for (const index of [0, 1]) expect(dut.transport.queueSizeMax(index)).toBe(queueSizeMax);
    dut.pci.setCommon("queueSize", 1);
    expect(dut.pci.common("queueSize")).toBe(1);
    dut.status = 0;
    expect(dut.transport.queueSizeMax(1)).toBe(queueSizeMax);
  });
}
