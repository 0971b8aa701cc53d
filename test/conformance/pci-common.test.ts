/** The common configuration structure on PCI: virtio 1.4 §4.1.4.3. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { MAC_ADDR_SET, OK } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, DRIVER, type Feature, RUNNING } from "./harness/numbers.ts";
import { CFG_COMMON, CFG_DEVICE, COMMON } from "./harness/pci-numbers.ts";

const ON_PCI = { transports: ["PCI"] } as const;
const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ", "RING_RESET"];
const QUEUES = [0, 1, 2] as const;
/** Words of feature bits that drivers may ask for, near and far. */
const FAR_WORDS = [2, 3, 4, 31, 32, 33, 0x7fffffff, 0x80000000, 0xffffffff] as const;

function selected(dut: DeviceUnderTest, index: number, field: "queueEnable" | "queueReset" | "queueSize"): number {
  dut.pci.setCommon("queueSelect", index);
  return dut.pci.common(field);
}

conformance("device_feature shows the word that is selected, and 0 for all beyond", ["PCOM-3"], ON_PCI, (dut) => {
  // VERSION_1 is bit 32, MAC bit 5.
  for (let round = 0; round < 2; round++) {
    expect(dut.transport.offeredWord(1) & 1).toBe(1);
    expect((dut.transport.offeredWord(0) >>> 5) & 1).toBe(1);
    for (const word of FAR_WORDS) {
      expect(dut.transport.offeredWord(word)).toBe(0);
      expect(dut.pci.common("deviceFeatureSelect")).toBe(word);
    }
  }
  const before = [0, 1].map((word) => dut.transport.offeredWord(word));
  dut.pci.setCommon("deviceFeature", 0);
  expect([0, 1].map((word) => dut.transport.offeredWord(word))).toEqual(before);
});

conformance(
  "driver_feature shows the offered bits that the driver has written, of each word",
  ["PCOM-4"],
  ON_PCI,
  (dut) => {
    dut.status = ACKNOWLEDGE | DRIVER;
    const shown = (word: number): number => {
      dut.pci.setCommon("driverFeatureSelect", word);
      return dut.pci.common("driverFeature");
    };
    for (const values of [
      [0x20, 0x1],
      [0x10020, 0x5],
      [0xffffffff, 0xffffffff],
      [0, 0],
    ] as const) {
      for (const word of [0, 1]) dut.transport.acceptWord(word, values[word]!);
      for (const word of [0, 1]) {
        const offered = dut.transport.offeredWord(word);
        // Bits that were never offered may be shown or not (PCOM-5).
        expect((shown(word) & offered) >>> 0).toBe((values[word]! & offered) >>> 0);
      }
      // What is written to words beyond changes nothing in these.
      for (const word of FAR_WORDS) dut.transport.acceptWord(word, ~values[0]! >>> 0);
      expect((shown(0) & dut.transport.offeredWord(0)) >>> 0).toBe((values[0] & dut.transport.offeredWord(0)) >>> 0);
    }
  },
);

conformance("config_generation has changed once a changed configuration was read", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  const seen: number[] = [];
  dut.transport.config(6, 2);
  for (let i = 0; i < 20; i++) {
    const before = dut.transport.configGeneration;
    dut.setLinkUp(i % 2 === 1);
    expect(dut.transport.config(6, 2) & 1).toBe(i % 2);
    expect(dut.transport.configGeneration).not.toBe(before);
    seen.push(dut.transport.configGeneration);
  }
  const last = dut.transport.configGeneration;
  for (let offset = 0; offset < 12; offset++) dut.transport.config(offset, 1);
  expect(dut.transport.configGeneration).toBe(last);
  expect(seen.slice(1).every((generation, i) => generation !== seen[i])).toBe(true);
});

conformance("config_generation has changed once a new address was read", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: ["MAC", "CTRL_VQ", "CTRL_MAC_ADDR"] });
  dut.transport.config(0, 4);
  const before = dut.transport.configGeneration;
  expect(dut.command(...MAC_ADDR_SET, [2, 0, 0, 0, 0, 9])).toEqual(Uint8Array.of(OK));
  expect(dut.transport.config(4, 2)).toBe(0x0900);
  expect(dut.transport.configGeneration).not.toBe(before);
});

conformance("256 changes between two readings are seen as a change", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.transport.config(0, 1);
  for (const changes of [256, 512]) {
    const before = dut.transport.configGeneration;
    for (let i = 0; i < changes; i++) dut.setLinkUp(i % 2 === 1);
    dut.transport.config(6, 1);
    expect(dut.transport.configGeneration).not.toBe(before);
  }
});

conformance(
  "A change shows, though another field is read before the one that has changed",
  ["PCOM-6"],
  ON_PCI,
  (dut) => {
    dut.bringUp({ features: FEATURES });
    dut.transport.config(6, 2);
    const before = dut.transport.configGeneration;
    dut.setLinkUp(false);
    dut.transport.config(0, 4);
    dut.transport.config(6, 2);
    expect(dut.transport.configGeneration).not.toBe(before);
  },
);

conformance("A change that is read through the PCI_CFG window counts as read", ["PCOM-6"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.transport.config(6, 2);
  const before = dut.transport.configGeneration;
  dut.setLinkUp(false);
  const { bar, offset } = dut.pci.structure(CFG_DEVICE);
  expect(dut.pci.windowRead(bar, offset + 6, 2) & 1).toBe(0);
  expect(dut.transport.configGeneration).not.toBe(before);
});

conformance("Writing 0 to device_status resets the device, and it reads 0 then", ["PCOM-7"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.offerBuffer();
  expect(dut.status).toBe(RUNNING);
  dut.status = 0;
  expect(dut.status).toBe(0);
  const before = dut.ram.snapshot();
  dut.receive(patterned(60));
  expect(dut.ram.changedSince(before)).toEqual([]);
  dut.bringUp({ features: FEATURES });
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
});

conformance("After a reset no queue is enabled, and none is in reset", ["PCOM-8", "PCOM-9"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  expect(QUEUES.map((index) => selected(dut, index, "queueEnable"))).toEqual([1, 1, 1]);
  dut.pci.setCommon("queueSelect", 1);
  dut.pci.setCommon("queueReset", 1);
  dut.status = 0;
  expect(QUEUES.map((index) => selected(dut, index, "queueEnable"))).toEqual([0, 0, 0]);
  expect(QUEUES.map((index) => selected(dut, index, "queueReset"))).toEqual([0, 0, 0]);
});

conformance(
  "queue_reset reads 0 once the queue is enabled, for the first time or again",
  ["PCOM-10"],
  ON_PCI,
  (dut) => {
    dut.bringUp({ features: FEATURES });
    expect(QUEUES.map((index) => selected(dut, index, "queueReset"))).toEqual([0, 0, 0]);
    for (const index of QUEUES) {
      dut.transport.resetQueue(index);
      dut.setUpQueue(index, 8);
      expect(selected(dut, index, "queueReset")).toBe(0);
      expect(selected(dut, index, "queueEnable")).toBe(1);
    }
  },
);

conformance("Writing 1 to queue_reset resets the selected queue alone", ["PCOM-11", "PCOM-13"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  for (let i = 0; i < 5; i++) dut.send(patterned(60));
  dut.sent();
  const { tx } = dut;
  dut.pci.setCommon("queueSelect", 1);
  dut.pci.setCommon("queueReset", 1);
  expect(selected(dut, 1, "queueReset")).toBe(0);
  expect(QUEUES.map((index) => selected(dut, index, "queueEnable"))).toEqual([1, 0, 1]);
  tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  const before = dut.ram.snapshot();
  tx.kick();
  dut.poll();
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.sent()).toEqual([]);
  // Another ring, another size, from its first entry on.
  dut.setUpQueue(1, 4);
  const chain = dut.send(patterned(61));
  expect(dut.tx.collectUsed()).toEqual([chain]);
  expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual([61]);
});

conformance(
  "As soon as queue_reset reads 0, the queue's memory is left alone, though the device's thread polls",
  ["PCOM-12", "PCOM-13"],
  ON_PCI,
  (dut) => {
    dut.bringUp({ features: FEATURES, size: 16 });
    // The other queues ask for kicks once, before anybody looks at what changes.
    dut.poll();
    let round = 0;
    dut.whilePolling(() => {
      for (let i = 0; i < 16; i++) dut.offerBuffer(128);
      dut.inject(...Array.from({ length: 8 }, () => patterned(60)));
      dut.pci.setCommon("queueSelect", 0);
      dut.pci.setCommon("queueReset", 1);
      while (dut.pci.common("queueReset") === 1) dut.advance(0);
      expect(dut.pci.common("queueEnable")).toBe(0);
      const before = dut.ram.snapshot();
      for (let i = 0; i < 5; i++) dut.status;
      expect(dut.ram.changedSince(before)).toEqual([]);
      dut.setUpQueue(0, 16);
      round++;
      return round === 30;
    });
  },
);

for (const pairs of [1, 3]) {
  conformance(
    `Of ${pairs} pairs of queues, none beyond the last exists`,
    ["PCOM-14"],
    { ...ON_PCI, card: { pairs } },
    (dut) => {
      const count = dut.pci.common("numQueues");
      expect(count).toBe(2 * pairs + 1);
      for (let index = 0; index < count; index++) expect(selected(dut, index, "queueSize")).toBeGreaterThan(0);
      for (const index of [count, count + 1, 0xfffe, 0xffff]) {
        expect(selected(dut, index, "queueSize")).toBe(0);
        // Writing brings no queue into being.
        dut.pci.setCommon("queueSize", 8);
        dut.pci.setCommon("queueEnable", 1);
        expect(selected(dut, index, "queueSize")).toBe(0);
        expect(selected(dut, index, "queueEnable")).toBe(0);
      }
    },
  );
}

for (const queueSizeMax of [1, 2, 256, 32768]) {
  conformance(
    `With room for ${queueSizeMax} entries, queue_size is a power of two, before and after the driver chooses less`,
    ["PCOM-15"],
    { ...ON_PCI, rings: ["split"], card: { queueSizeMax } },
    (dut) => {
      const check = (): void => {
        for (let index = 0; index < 5; index++) {
          const size = selected(dut, index, "queueSize");
          if (size !== 0) expect(Number.isInteger(Math.log2(size))).toBe(true);
        }
      };
      check();
      expect(selected(dut, 0, "queueSize")).toBe(queueSizeMax);
      dut.negotiate(["MAC"]);
      check();
      for (let size = queueSizeMax; size >= 1; size /= 2) {
        dut.pci.setCommon("queueSelect", 0);
        dut.pci.setCommon("queueSize", size);
        expect(selected(dut, 0, "queueSize")).toBe(size);
        check();
      }
      // A driver that asks for what is not legal sees that it has not got it.
      for (const size of [3, 12, 0xffff]) {
        dut.pci.setCommon("queueSelect", 0);
        dut.pci.setCommon("queueSize", size);
        check();
      }
    },
  );
}

conformance("Fields answer at their own width, and are not hurt by any other", ["PCOM-7"], ON_PCI, (dut) => {
  dut.bringUp({ features: FEATURES });
  const { bar, offset } = dut.pci.structure(CFG_COMMON);
  for (const [at, bytes] of Object.values(COMMON)) {
    for (const width of [1, 2, 4]) {
      if (width === Math.min(bytes, 4)) continue;
      dut.pci.pci.readBar(bar, offset + at, width);
      dut.pci.pci.writeBar(bar, offset + at, width, 0xffffffff);
    }
  }
  expect(dut.status).toBe(RUNNING);
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
});
