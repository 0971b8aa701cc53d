/** virtio over MMIO: virtio 1.4 §4.2.2. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { MAC_ADDR_SET, OK } from "./harness/control-numbers.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, CONFIG_CHANGE, DRIVER, type Feature, MMIO, USED_BUFFER } from "./harness/numbers.ts";
import { TestQueue } from "./harness/test-queue.ts";

const ON_MMIO = { transports: ["MMIO"] } as const;
const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ", "RING_RESET"];

conformance("MagicValue spells virt, and Version is 2, in every state", ["MMIO-1", "MMIO-2"], ON_MMIO, (dut) => {
  const check = (): void => {
    expect(dut.mmio.read(MMIO.MagicValue)).toBe(0x74726976);
    expect(dut.mmio.read(MMIO.Version)).toBe(2);
  };
  check();
  dut.mmio.write(MMIO.MagicValue, 0);
  dut.mmio.write(MMIO.Version, 1);
  check();
  dut.bringUp();
  check();
});

conformance("An event shows in InterruptStatus until it is acknowledged", ["MMIO-3"], ON_MMIO, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.send(patterned(60));
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(USED_BUFFER);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(USED_BUFFER);
  dut.setLinkUp(false);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(USED_BUFFER | CONFIG_CHANGE);
  dut.mmio.write(MMIO.InterruptACK, USED_BUFFER);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(CONFIG_CHANGE);
  dut.mmio.write(MMIO.InterruptACK, USED_BUFFER);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(CONFIG_CHANGE);
  dut.mmio.write(MMIO.InterruptACK, CONFIG_CHANGE);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
});

conformance("Bits of InterruptStatus without an event read 0", ["MMIO-4"], ON_MMIO, (dut) => {
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
  dut.bringUp({ features: FEATURES });
  dut.poll();
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
  dut.tx.kick();
  dut.poll();
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
  dut.setLinkUp(false);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(CONFIG_CHANGE);
  dut.mmio.write(MMIO.InterruptACK, 0xffffffff);
  dut.send(patterned(60));
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(USED_BUFFER);
});

conformance("A reset clears InterruptStatus and every QueueReady", ["MMIO-5"], ON_MMIO, (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.send(patterned(60));
  dut.setLinkUp(false);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(USED_BUFFER | CONFIG_CHANGE);
  expect([0, 1, 2].map((index) => dut.transport.isQueueEnabled(index))).toEqual([true, true, true]);
  dut.mmio.write(MMIO.Status, 0);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
  expect([0, 1, 2].map((index) => dut.transport.isQueueEnabled(index))).toEqual([false, false, false]);
});

conformance(
  "ConfigGeneration changes with every change of the configuration, and not without",
  ["MMIO-6"],
  ON_MMIO,
  (dut) => {
    const generation = (): number => dut.mmio.read(MMIO.ConfigGeneration);
    const seen = [generation()];
    dut.bringUp({ features: FEATURES });
    dut.send(patterned(60));
    expect(generation()).toBe(seen[0]);
    for (let i = 0; i < 10; i++) {
      dut.setLinkUp(i % 2 === 1);
      expect(generation()).not.toBe(seen.at(-1));
      seen.push(generation());
    }
    expect(new Set(seen).size).toBe(11);
  },
);

conformance(
  "ConfigGeneration changes when the address does, by a command or by a reset",
  ["MMIO-6"],
  ON_MMIO,
  (dut) => {
    dut.bringUp({ features: ["MAC", "CTRL_VQ", "CTRL_MAC_ADDR"] });
    const first = dut.mmio.read(MMIO.ConfigGeneration);
    expect(dut.command(...MAC_ADDR_SET, [2, 0, 0, 0, 0, 9])).toEqual(Uint8Array.of(OK));
    const second = dut.mmio.read(MMIO.ConfigGeneration);
    expect(second).not.toBe(first);
    dut.status = 0;
    expect(dut.transport.config(5, 1)).toBe(1);
    expect([first, second]).not.toContain(dut.mmio.read(MMIO.ConfigGeneration));
  },
);

conformance("A queue whose QueueReady is 0 is not touched", ["MMIO-7"], ON_MMIO, (dut) => {
  dut.negotiate(FEATURES);
  // Set up, as far as QueueReady.
  const [rx, tx] = [0, 1].map((index) => {
    const ring = dut.makeRing(16);
    dut.transport.setQueue(index, ring);
    return new TestQueue(dut, index, ring);
  }) as [TestQueue, TestQueue];
  dut.driverOk();
  rx.add([{ address: dut.ram.alloc(2048), length: 2048, write: true }]);
  tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  const before = dut.ram.snapshot();
  tx.kick();
  dut.receive(patterned(60));
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.sent()).toEqual([]);
});

conformance(
  "Once the driver has written 0 to QueueReady, the queue is not touched any more",
  ["MMIO-7"],
  ON_MMIO,
  (dut) => {
    dut.bringUp({ features: FEATURES });
    dut.offerBuffer();
    dut.poll();
    for (const index of [0, 1, 2]) {
      dut.mmio.write(MMIO.QueueSel, index);
      dut.mmio.write(MMIO.QueueReady, 0);
      expect(dut.mmio.read(MMIO.QueueReady)).toBe(0);
    }
    dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
    const before = dut.ram.snapshot();
    dut.tx.kick();
    dut.receive(patterned(60));
    expect(dut.ram.changedSince(before)).toEqual([]);
    expect(dut.sent()).toEqual([]);
  },
);

conformance(
  "QueueReset reads 0 after a reset of the device and once the queue is enabled",
  ["MMIO-8", "MMIO-9"],
  ON_MMIO,
  (dut) => {
    const queueReset = (): number[] =>
      [0, 1, 2].map((index) => {
        dut.mmio.write(MMIO.QueueSel, index);
        return dut.mmio.read(MMIO.QueueReset);
      });
    expect(queueReset()).toEqual([0, 0, 0]);
    dut.bringUp({ features: FEATURES });
    expect(queueReset()).toEqual([0, 0, 0]);
    dut.transport.resetQueue(1);
    dut.setUpQueue(1);
    expect(queueReset()).toEqual([0, 0, 0]);
    dut.transport.resetQueue(0);
    dut.status = 0;
    expect(queueReset()).toEqual([0, 0, 0]);
  },
);

conformance("Writing 1 to QueueReset resets the queue", ["MMIO-10", "MMIO-12"], ON_MMIO, (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  for (let i = 0; i < 5; i++) dut.send(patterned(60));
  dut.mmio.write(MMIO.QueueSel, 1);
  dut.mmio.write(MMIO.QueueReset, 1);
  expect(dut.mmio.read(MMIO.QueueReset)).toBe(0);
  expect(dut.mmio.read(MMIO.QueueReady)).toBe(0);
  dut.setUpQueue(1, 4);
  expect(dut.mmio.read(MMIO.QueueReady)).toBe(1);
  const chain = dut.send(patterned(60));
  expect(dut.tx.collectUsed()).toEqual([chain]);
});

conformance(
  "QueueReset reads 1 as long as the device still works on the queue",
  ["MMIO-11", "MMIO-12"],
  ON_MMIO,
  (dut) => {
    dut.bringUp({ features: FEATURES, size: 16 });
    // The other queues ask for kicks once, before anybody looks at what changes.
    dut.poll();
    const frames = 300;
    let round = 0;
    dut.whilePolling(() => {
      for (let i = 0; i < 16; i++) dut.offerBuffer(128);
      dut.inject(...Array.from({ length: 8 }, () => patterned(60)));
      dut.mmio.write(MMIO.QueueSel, 0);
      dut.mmio.write(MMIO.QueueReset, 1);
      while (dut.mmio.read(MMIO.QueueReset) === 1) dut.advance(0);
      expect(dut.mmio.read(MMIO.QueueReady)).toBe(0);
      // From here on the memory is the driver's: the device, which polls meanwhile, must leave it alone.
      const before = dut.ram.snapshot();
      for (let i = 0; i < 5; i++) dut.mmio.read(MMIO.InterruptStatus);
      expect(dut.ram.changedSince(before)).toEqual([]);
      dut.setUpQueue(0, 16);
      round++;
      return round * 8 >= frames;
    });
  },
);

conformance("No region of shared memory exists, whichever is selected", ["SHM-1"], ON_MMIO, (dut) => {
  for (const id of [0, 1, 2, 7, 255]) {
    dut.mmio.write(MMIO.SHMSel, id);
    expect(dut.mmio.read(MMIO.SHMLenLow)).toBe(0xffffffff);
    expect(dut.mmio.read(MMIO.SHMLenHigh)).toBe(0xffffffff);
    expect(dut.mmio.read(MMIO.SHMBaseLow)).toBe(0xffffffff);
    expect(dut.mmio.read(MMIO.SHMBaseHigh)).toBe(0xffffffff);
  }
});

conformance("Registers of 32 bits answer no other width, and the device goes on", ["MMIO-4"], ON_MMIO, (dut) => {
  dut.mmio.write(MMIO.Status, ACKNOWLEDGE);
  for (const width of [1, 2]) {
    dut.mmio.read(MMIO.Status, width);
    dut.mmio.write(MMIO.Status + 2, DRIVER, width);
  }
  expect(dut.mmio.read(MMIO.Status)).toBe(ACKNOWLEDGE);
  expect(dut.mmio.read(MMIO.InterruptStatus)).toBe(0);
});
