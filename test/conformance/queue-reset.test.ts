/** Reset of one virtqueue, and what it is set up as afterwards: virtio 1.4 §2.6.1. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["RING_RESET", "MAC", "CTRL_VQ", "RING_INDIRECT_DESC"];

function sendEach(dut: DeviceUnderTest, count: number): void {
  for (let i = 0; i < count; i++) {
    const chain = dut.send(patterned(60 + i));
    expect(dut.tx.collectUsed()).toEqual([chain]);
  }
}

conformance("A queue in reset is not worked on and not notified, while the others go on", ["VQRST-1"], (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.offerBuffer();
  dut.poll();
  dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  const { tx } = dut;
  dut.transport.resetQueue(1);
  const before = dut.ram.snapshot();
  tx.kick();
  dut.poll();
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.sent()).toEqual([]);
  expect(dut.interrupts()).toEqual([]);
  dut.receive(patterned(60));
  expect(dut.rx.collectUsed()).toHaveLength(1);
  expect(dut.interrupts()).toHaveLength(1);
});

conformance("A receive queue in reset gets no frame", ["VQRST-1"], (dut) => {
  dut.bringUp({ features: FEATURES });
  dut.offerBuffer();
  dut.poll();
  dut.transport.resetQueue(0);
  const before = dut.ram.snapshot();
  dut.receive(patterned(60), patterned(60));
  dut.advance(1e9);
  dut.poll();
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.interrupts()).toEqual([]);
});

conformance("A notification that was due for a queue is not sent once the queue is reset", ["VQRST-1"], (dut) => {
  dut.bringUp({ features: [...FEATURES, "NOTF_COAL"] });
  // Receive notifications after 10 packets or 1 s (§5.1.9.5.9).
  expect(dut.command(6, 1, [10, 0, 0, 0, 0x40, 0x42, 0x0f, 0])).toEqual(Uint8Array.of(0));
  dut.interrupts();
  dut.offerBuffer();
  dut.receive(patterned(60));
  expect(dut.interrupts()).toEqual([]);
  dut.transport.resetQueue(0);
  dut.advance(2e9);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
});

conformance("A queue that was reset begins at its first entry again", ["VQRST-2"], (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  sendEach(dut, 11);
  dut.sent();
  dut.transport.resetQueue(1);
  expect(dut.transport.isQueueEnabled(1)).toBe(false);
  dut.setUpQueue(1, 8);
  const chain = dut.send(patterned(99));
  expect(dut.tx.collectUsed()).toEqual([chain]);
  expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(99)]);
  sendEach(dut, 20);
});

conformance("A receive queue that was reset forgets the buffers that it was given", ["VQRST-2"], (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  for (let i = 0; i < 4; i++) dut.offerBuffer(256);
  dut.receive(patterned(60));
  dut.rx.collectUsed();
  dut.transport.resetQueue(0);
  dut.setUpQueue(0, 8);
  const before = dut.ram.snapshot();
  dut.receive(patterned(60));
  expect(dut.ram.changedSince(before)).toEqual([]);
  const chain = dut.offerBuffer(256);
  dut.receive(patterned(61));
  expect(dut.rx.collectUsed()).toEqual([chain]);
  expect(chain.usedLength).toBe(73);
});

for (const size of [1, 2, 4, 16]) {
  conformance(`A queue of 8 entries that was reset comes back with ${size}`, ["VQREEN-1"], (dut) => {
    dut.bringUp({ features: FEATURES, size: 8 });
    for (let i = 0; i < 5; i++) dut.send(patterned(60));
    dut.transport.resetQueue(1);
    dut.setUpQueue(1, size);
    dut.sent();
    for (let i = 0; i < 2 * size + 3; i++) {
      const chain = dut.send(patterned(60 + i));
      expect(dut.tx.collectUsed()).toEqual([chain]);
    }
    expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual(Array.from({ length: 2 * size + 3 }, (_, i) => 60 + i));
  });
}

conformance("After re-enabling, only the new ring is used, wherever it lies", ["VQREEN-1"], (dut) => {
  dut.bringUp({ features: FEATURES });
  const old = dut.tx.ring;
  dut.transport.resetQueue(1);
  dut.setUpQueue(1);
  const before = dut.ram.bytes(old.desc, old.device + 64 - old.desc);
  const chain = dut.send(patterned(60));
  expect(dut.tx.collectUsed()).toEqual([chain]);
  expect(dut.ram.bytes(old.desc, old.device + 64 - old.desc)).toEqual(before);
});
