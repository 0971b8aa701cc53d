/** Which used buffers are notified on a split virtqueue: virtio 1.4 §2.7.7. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const SPLIT = { rings: ["split"] } as const;
const PLAIN: readonly Feature[] = ["MAC", "MRG_RXBUF"];
const EVENT: readonly Feature[] = [...PLAIN, "RING_EVENT_IDX"];

/** Receives `count` frames in one batch; returns how many interrupts came of it. */
function receive(dut: DeviceUnderTest, count: number): number {
  for (let i = 0; i < count; i++) dut.offerBuffer(256);
  dut.receive(...Array.from({ length: count }, () => patterned(60)));
  expect(dut.rx.collectUsed()).toHaveLength(count);
  return dut.interrupts().length;
}

function sendOne(dut: DeviceUnderTest): number {
  dut.send(patterned(60));
  expect(dut.tx.collectUsed()).toHaveLength(1);
  return dut.interrupts().length;
}

conformance("Without EVENT_IDX, what stands at used_event makes no difference", ["SUSUP-1"], SPLIT, (dut) => {
  dut.bringUp({ features: PLAIN });
  for (const event of [0, 1, 2, 3, 500, 0x7fff, 0xffff]) {
    dut.rx.split.usedEvent = event;
    dut.tx.split.usedEvent = event;
    expect(receive(dut, 1)).toBe(1);
    expect(sendOne(dut)).toBe(1);
  }
});

conformance("Without EVENT_IDX and with flags 1 no used buffer is notified", ["SUSUP-2"], SPLIT, (dut) => {
  dut.bringUp({ features: PLAIN });
  dut.rx.split.availFlags = 1;
  dut.tx.split.availFlags = 1;
  for (let round = 0; round < 5; round++) {
    expect(receive(dut, 2)).toBe(0);
    expect(sendOne(dut)).toBe(0);
  }
});

conformance("Without EVENT_IDX and with flags 0 used buffers are notified", ["SUSUP-3"], SPLIT, (dut) => {
  dut.bringUp({ features: PLAIN });
  for (let round = 0; round < 20; round++) {
    expect(receive(dut, 1 + (round % 3))).toBeGreaterThanOrEqual(1);
    expect(sendOne(dut)).toBe(1);
  }
});

conformance(
  "Flags that go from 1 to 0 switch notifications on for what is used from then on",
  ["SUSUP-2", "SUSUP-3"],
  SPLIT,
  (dut) => {
    dut.bringUp({ features: PLAIN });
    for (let round = 0; round < 4; round++) {
      dut.rx.split.availFlags = 1;
      expect(receive(dut, 1)).toBe(0);
      dut.rx.split.availFlags = 0;
      expect(receive(dut, 1)).toBe(1);
    }
  },
);

conformance("With EVENT_IDX the low bit of flags makes no difference", ["SUSUP-4"], SPLIT, (dut) => {
  dut.bringUp({ features: EVENT });
  for (let round = 0; round < 6; round++) {
    dut.rx.split.availFlags = round & 1;
    dut.rx.split.usedEvent = dut.rx.split.usedIdx;
    expect(receive(dut, 1)).toBe(1);
    dut.rx.split.usedEvent = dut.rx.split.usedIdx + 100;
    expect(receive(dut, 1)).toBe(0);
  }
});

conformance("With EVENT_IDX the entry at used_event is notified", ["SUSUP-5"], SPLIT, (dut) => {
  dut.bringUp({ features: EVENT });
  for (let round = 0; round < 40; round++) {
    dut.rx.split.usedEvent = dut.rx.split.usedIdx;
    expect(receive(dut, 1)).toBe(1);
    dut.tx.split.usedEvent = dut.tx.split.usedIdx;
    expect(sendOne(dut)).toBe(1);
  }
});

conformance(
  "With EVENT_IDX a batch in which the entry at used_event lies is notified once",
  ["SUSUP-5"],
  SPLIT,
  (dut) => {
    dut.bringUp({ features: EVENT });
    for (let inBatch = 0; inBatch < 6; inBatch++) {
      dut.rx.split.usedEvent = (dut.rx.split.usedIdx + inBatch) & 0xffff;
      expect(receive(dut, 6)).toBe(1);
    }
  },
);

conformance("With EVENT_IDX nothing else is notified", ["SUSUP-6"], SPLIT, (dut) => {
  dut.bringUp({ features: EVENT });
  dut.rx.split.usedEvent = 7;
  dut.tx.split.usedEvent = 3;
  expect(receive(dut, 4)).toBe(0);
  expect([sendOne(dut), sendOne(dut), sendOne(dut)]).toEqual([0, 0, 0]);
  expect(receive(dut, 3)).toBe(0);
  expect(sendOne(dut)).toBe(1);
  expect(receive(dut, 1)).toBe(1);
  // It lies behind from here on.
  expect(receive(dut, 10)).toBe(0);
  expect(sendOne(dut)).toBe(0);
});

conformance(
  "With EVENT_IDX and a used_event behind, nothing is notified until the index comes round",
  ["SUSUP-5", "SUSUP-6"],
  SPLIT,
  (dut) => {
    dut.bringUp({ features: EVENT, size: 256 });
    const { tx } = dut;
    const frame = dut.ram.zeroed(72);
    const sendBatch = (count: number): number => {
      for (let i = 0; i < count; i++) tx.add([{ address: frame, length: 72 }], { publish: false });
      tx.split.publish();
      tx.kick();
      dut.poll();
      expect(tx.collectUsed()).toHaveLength(count);
      dut.sent();
      return dut.interrupts().length;
    };
    tx.split.usedEvent = 0;
    expect(sendBatch(1)).toBe(1);
    for (let used = 1; used + 255 < 0x10000; used += 255) expect(sendBatch(255)).toBe(0);
    const left = (0x10000 - tx.split.usedIdx) & 0xffff;
    if (left > 0) expect(sendBatch(left)).toBe(0);
    expect(tx.split.usedIdx).toBe(0);
    expect(sendBatch(1)).toBe(1);
  },
);
