/** A driver that does everything the standard allows and no usual driver does (§3.1, §4.1.3, §4.2.2, §2.7, §2.8). */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, CONFIG, DRIVER, DRIVER_OK, FEATURES_OK, type Feature, RUNNING } from "./harness/numbers.ts";
import { PackedRing } from "./harness/packed-ring.ts";
import { SplitRing } from "./harness/split-ring.ts";

const FEATURES: readonly Feature[] = ["MAC", "STATUS", "CTRL_VQ", "MRG_RXBUF", "RING_INDIRECT_DESC", "RING_RESET"];

/** One frame each way, and a control command that does nothing. */
function works(dut: DeviceUnderTest, seed: number): void {
  const chain = dut.offerBuffer(200);
  dut.receive(patterned(60 + (seed % 100), seed));
  expect(dut.rx.collectUsed()).toEqual([chain]);
  expect(dut.written(chain).slice(12)).toEqual(patterned(60 + (seed % 100), seed));
  const sent = dut.send(patterned(70 + (seed % 100), seed));
  expect(dut.tx.collectUsed()).toEqual([sent]);
  expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(70 + (seed % 100), seed)]);
  // An unknown class of commands answers VIRTIO_NET_ERR (§5.1.9.5).
  expect(dut.command(200, 0, [])).toEqual(Uint8Array.of(1));
}

conformance("Queues may be set up and enabled in any order", [], (dut) => {
  for (const order of [
    [2, 1, 0],
    [1, 2, 0],
    [0, 2, 1],
    [2, 0, 1],
  ]) {
    expect(dut.negotiate(FEATURES)).toBe(true);
    for (const index of order) dut.setUpQueue(index, 8);
    dut.driverOk();
    works(dut, order[0]!);
  }
});

conformance("All queues may be described first, and enabled afterwards, backwards", [], (dut) => {
  dut.negotiate(FEATURES);
  const rings = [0, 1, 2].map((index) => {
    const ring = dut.makeRing(8);
    dut.transport.setQueue(index, ring);
    return ring;
  });
  for (const index of [2, 1, 0]) {
    dut.transport.enableQueue(index);
    dut.adopt(index, rings[index]!);
  }
  dut.driverOk();
  works(dut, 3);
});

conformance("Features may be read and written twice, the high word first", [], (dut) => {
  dut.status = ACKNOWLEDGE;
  dut.status = ACKNOWLEDGE | DRIVER;
  const first = dut.offered;
  for (const word of [1, 0, 1, 0]) dut.transport.offeredWord(word);
  expect(dut.offered).toBe(first);
  dut.transport.acceptWord(1, 0xffffffff);
  dut.transport.acceptWord(0, 0xffffffff);
  dut.accept(dut.withRing(FEATURES));
  dut.accept(dut.withRing(FEATURES));
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  expect(dut.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  dut.setUpQueues({ size: 8 });
  dut.driverOk();
  works(dut, 4);
});

conformance(
  "The configuration may be read byte by byte, backwards, at any time",
  ["CFG-1"],
  { card: { mtu: 0x1234 } },
  (dut) => {
    const read = (): number[] => {
      const bytes: number[] = [];
      for (let offset = CONFIG.duplex[0]; offset >= 0; offset--) bytes[offset] = dut.transport.config(offset, 1);
      return bytes;
    };
    const first = read();
    expect(first.slice(0, 6)).toEqual([0x02, 0, 0, 0, 0, 1]);
    expect(first.slice(10, 12)).toEqual([0x34, 0x12]);
    dut.status = ACKNOWLEDGE;
    expect(read()).toEqual(first);
    dut.bringUp({ features: FEATURES });
    expect(read()).toEqual(first);
    works(dut, 5);
  },
);

conformance("The status may be written bit by bit or several bits at once", [], (dut) => {
  dut.status = ACKNOWLEDGE | DRIVER;
  expect(dut.status).toBe(ACKNOWLEDGE | DRIVER);
  dut.transport.prepare();
  dut.accept(dut.withRing(FEATURES));
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  dut.setUpQueues({ size: 8 });
  dut.status = RUNNING;
  dut.status = RUNNING;
  expect(dut.status).toBe(RUNNING);
  works(dut, 6);
});

for (const size of [1, 2, 8, 1024]) {
  conformance(`Queues of ${size} entries work, and go round more than once`, [], (dut) => {
    // A command takes two descriptors; in an indirect table, one.
    dut.bringUp({ features: ["MAC", "RING_INDIRECT_DESC"], size });
    for (let round = 0; round < Math.min(2 * size + 3, 40); round++) {
      const chain = dut.offerBuffer(200);
      dut.receive(patterned(60, round));
      expect(dut.rx.collectUsed()).toEqual([chain]);
      const sent = dut.send(patterned(61, round));
      expect(dut.tx.collectUsed()).toEqual([sent]);
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(61, round)]);
    }
  });
}

for (const queueSizeMax of [4096, 32768]) {
  conformance(
    `A queue of the ${queueSizeMax} entries that the transport names works, and goes round`,
    [],
    { card: { queueSizeMax } },
    (dut) => {
      dut.negotiate(FEATURES);
      const sizes = [0, 1, 2, 3].map((index) => dut.transport.queueSizeMax(index));
      expect(sizes).toEqual([queueSizeMax, queueSizeMax, queueSizeMax, 0]);
      dut.setUpQueue(1, queueSizeMax);
      dut.driverOk();
      const frame = dut.ram.zeroed(72);
      for (const chains of [queueSizeMax - 1, queueSizeMax]) {
        for (let i = 0; i < chains; i++) dut.tx.add([{ address: frame, length: 72 }], { publish: false });
        dut.tx.ring.publish();
        dut.tx.kick();
        dut.poll();
        expect(dut.tx.collectUsed()).toHaveLength(chains);
        expect(dut.sent()).toHaveLength(chains);
      }
    },
  );
}

conformance("The three areas lie at odd but legal addresses, in any order", [], (dut) => {
  dut.negotiate(FEATURES);
  for (const index of [0, 1, 2]) {
    const at = dut.ram.zeroed(4096, 4096);
    // Alignment is all that §2.7 and §2.8.10.1 ask for: descriptors 16, and 2 or 4 for the others.
    const ring =
      dut.combination.ring === "split"
        ? new SplitRing(dut.ram, 8, { device: at + 4, driver: at + 102, desc: at + 1040 })
        : new PackedRing(dut.ram, 8, { device: at + 4, driver: at + 12, desc: at + 1040 });
    dut.setUpQueue(index, 8, ring);
  }
  dut.driverOk();
  for (let round = 0; round < 10; round++) works(dut, round);
});

conformance("Buffers lie at any address, and indirect tables too", ["FRAME-1"], (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  for (let shift = 0; shift < 8; shift++) {
    const space = dut.ram.alloc(4096, 64) + shift;
    const chain = dut.rx.add(
      [
        { address: space, length: 5, write: true },
        { address: space + 100, length: 301, write: true },
      ],
      { indirect: 2, tableAddress: dut.ram.alloc(64, 16) },
    );
    dut.receive(patterned(90, shift));
    expect(dut.rx.collectUsed()).toEqual([chain]);
    expect(dut.written(chain).slice(12)).toEqual(patterned(90, shift));
  }
});

conformance("The 16-bit indices wrap, and traffic goes on", [], { places: ["same thread"] }, (dut) => {
  dut.bringUp({ features: ["MAC"], size: 256 });
  const frame = dut.ram.zeroed(72);
  const buffer = dut.ram.alloc(128);
  for (let count = 0; count < 0x10000 + 512; count += 128) {
    for (let i = 0; i < 128; i++) {
      dut.tx.add([{ address: frame, length: 72 }], { publish: false });
      dut.rx.add([{ address: buffer, length: 128, write: true }], { publish: false });
    }
    dut.tx.ring.publish();
    dut.rx.ring.publish();
    dut.tx.kick();
    dut.inject(...Array.from({ length: 128 }, () => patterned(60)));
    dut.poll();
    if (dut.tx.collectUsed().length !== 128 || dut.rx.collectUsed().length !== 128) {
      throw new Error(`after ${count} chains the card has not used all`);
    }
    if (dut.sent().length !== 128) throw new Error(`after ${count} chains the card has not sent all`);
  }
});

conformance(
  "The device is reset in the middle of traffic, again and again, and works",
  ["RESET-2", "RESET-1"],
  (dut) => {
    for (let life = 0; life < 6; life++) {
      dut.bringUp({ features: FEATURES, size: 2 ** (1 + (life % 4)) });
      works(dut, life);
      dut.offerBuffer(100);
      dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
      dut.tx.kick();
      dut.inject(patterned(60));
      if (life % 2 === 0) dut.poll(1);
      dut.status = 0;
      expect(dut.status).toBe(0);
      dut.poll();
      dut.sent();
    }
  },
);

conformance("A device whose thread polls all the while is reset at any moment, and works", ["RESET-2"], (dut) => {
  let life = 0;
  dut.whilePolling(() => {
    dut.bringUp({ features: FEATURES, size: 8 });
    for (let i = 0; i < 4; i++) dut.offerBuffer(100);
    dut.inject(patterned(60), patterned(61), patterned(62));
    dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
    dut.tx.kick();
    dut.status = 0;
    const before = dut.ram.snapshot();
    expect(dut.status).toBe(0);
    expect(dut.ram.changedSince(before)).toEqual([]);
    life++;
    return life === 12;
  });
  dut.poll();
  dut.sent();
  dut.bringUp({ features: FEATURES });
  works(dut, 9);
});

conformance("DRIVER_OK before any queue is enabled is legal, and so are queues that come later", [], (dut) => {
  dut.negotiate(FEATURES);
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  expect(dut.status).toBe(RUNNING);
  dut.receive(patterned(60));
  expect(dut.interrupts()).toEqual([]);
  dut.setUpQueues({ size: 8 });
  works(dut, 10);
});

conformance(
  "PCI configuration space reads the same by bytes, halves and words",
  ["PBUS-1"],
  { transports: ["PCI"] },
  (dut) => {
    const { pci } = dut.pci;
    for (let offset = 0; offset < 0x100; offset += 4) {
      // The window's data register reads what the window shows, at the width that it was told (§4.1.4.9).
      const structure = dut.pci.structures.find(({ type }) => type === 5)!;
      if (offset === structure.at + 16) continue;
      const word = pci.read(offset, 4);
      const halves = [0, 2].map((i) => pci.read(offset + i, 2));
      const bytes = [0, 1, 2, 3].map((i) => pci.read(offset + i, 1));
      expect(halves[0]! + halves[1]! * 0x10000).toBe(word);
      expect(bytes.reduceRight((value, byte) => value * 256 + byte, 0)).toBe(word);
    }
  },
);
