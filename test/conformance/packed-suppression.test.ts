/** Which used buffers are notified on a packed virtqueue, and which kicks it asks for: virtio 1.4 §2.8.10. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";
import { EVENT_DESC, EVENT_DISABLE, EVENT_ENABLE } from "./harness/packed-ring.ts";

const PACKED = { rings: ["packed"] } as const;
const PLAIN: readonly Feature[] = ["MAC", "MRG_RXBUF", "RING_INDIRECT_DESC"];
const EVENT: readonly Feature[] = [...PLAIN, "RING_EVENT_IDX"];
const RESERVED = 3;
const SIZE = 16;

/** Sends `count` frames in one batch, each of `pieces` descriptors; returns how many interrupts came of it. */
function send(dut: DeviceUnderTest, count: number, pieces = 1): number {
  const { tx } = dut;
  for (let i = 0; i < count; i++) {
    const rest = Array.from({ length: pieces - 1 }, () => ({ address: dut.ram.zeroed(1), length: 1 }));
    tx.add([{ address: dut.ram.zeroed(72), length: 72 }, ...rest], { publish: false });
  }
  tx.packed.publish();
  tx.kick();
  dut.poll();
  expect(tx.collectUsed()).toHaveLength(count);
  expect(dut.sent()).toHaveLength(count);
  return dut.interrupts().length;
}

/** Asks for an interrupt when the descriptor `ahead` of the next one is used. */
function askFor(dut: DeviceUnderTest, ahead: number): void {
  const { packed } = dut.tx;
  const slot = packed.next + ahead;
  const round = Math.floor(slot / packed.size) % 2;
  packed.setDriverEvent(EVENT_DESC, slot % packed.size, packed.wrap ^ round);
}

conformance("ENABLE has used buffers notified, DISABLE has not", [], PACKED, (dut) => {
  for (const features of [PLAIN, EVENT]) {
    dut.bringUp({ features, size: SIZE });
    for (let round = 0; round < 12; round++) {
      dut.tx.packed.setDriverEvent(EVENT_ENABLE);
      expect(send(dut, 1 + (round % 3))).toBe(1);
      dut.tx.packed.setDriverEvent(EVENT_DISABLE);
      expect(send(dut, 1 + (round % 3))).toBe(0);
    }
  }
});

conformance("Without EVENT_IDX the offset of an event makes no difference", [], PACKED, (dut) => {
  dut.bringUp({ features: PLAIN, size: SIZE });
  for (const offset of [0, 1, 5, 15, 16, 0x7fff]) {
    for (const flags of [EVENT_ENABLE, EVENT_DESC, RESERVED]) {
      for (const wrap of [0, 1]) {
        dut.tx.packed.setDriverEvent(flags, offset, wrap);
        expect(send(dut, 1)).toBe(1);
      }
    }
    dut.tx.packed.setDriverEvent(EVENT_DISABLE, offset, 1);
    expect(send(dut, 1)).toBe(0);
  }
});

conformance("DESC has the batch notified in which the descriptor is used, and no other", [], PACKED, (dut) => {
  dut.bringUp({ features: EVENT, size: SIZE });
  for (let round = 0; round < 20; round++) {
    askFor(dut, 0);
    expect(send(dut, 1)).toBe(1);
    // It lies behind from here on.
    expect([send(dut, 1), send(dut, 3)]).toEqual([0, 0]);
    askFor(dut, 4);
    expect([send(dut, 2), send(dut, 2), send(dut, 3)]).toEqual([0, 0, 1]);
  }
});

conformance("DESC finds its descriptor anywhere in a batch", [], PACKED, (dut) => {
  dut.bringUp({ features: EVENT, size: SIZE });
  for (let round = 0; round < 5; round++) {
    for (let inBatch = 0; inBatch < 7; inBatch++) {
      askFor(dut, inBatch);
      expect(send(dut, 7)).toBe(1);
    }
    askFor(dut, 7);
    expect(send(dut, 7)).toBe(0);
  }
});

conformance("DESC counts descriptors, not chains", [], PACKED, (dut) => {
  dut.bringUp({ features: EVENT, size: SIZE });
  for (let round = 0; round < 10; round++) {
    askFor(dut, 6);
    expect([send(dut, 1, 3), send(dut, 1, 3), send(dut, 1, 3)]).toEqual([0, 0, 1]);
  }
});

conformance("DESC tells a turn of the ring from the next by the wrap counter", [], PACKED, (dut) => {
  dut.bringUp({ features: EVENT, size: SIZE });
  for (let round = 0; round < 4; round++) {
    askFor(dut, SIZE);
    expect(send(dut, 5)).toBe(0);
    expect(send(dut, 11)).toBe(0);
    expect(send(dut, 1)).toBe(1);
  }
});

conformance("Received frames are notified as the driver asks", [], PACKED, (dut) => {
  dut.bringUp({ features: EVENT, size: SIZE });
  const receive = (count: number): number => {
    for (let i = 0; i < count; i++) dut.offerBuffer(256);
    dut.receive(...Array.from({ length: count }, () => patterned(60)));
    expect(dut.rx.collectUsed()).toHaveLength(count);
    return dut.interrupts().length;
  };
  expect(receive(3)).toBe(1);
  dut.rx.packed.setDriverEvent(EVENT_DESC, 7, 1);
  expect([receive(3), receive(1), receive(1), receive(1)]).toEqual([0, 0, 1, 0]);
  dut.rx.packed.setDriverEvent(EVENT_DISABLE);
  expect(receive(4)).toBe(0);
  dut.rx.packed.setDriverEvent(EVENT_ENABLE);
  expect(receive(1)).toBe(1);
});

for (const features of [PLAIN, EVENT]) {
  const name = features === EVENT ? "with" : "without";
  conformance(
    `A driver ${name} EVENT_IDX that kicks only where the device asks for it loses nothing`,
    [],
    PACKED,
    (dut) => {
      dut.bringUp({ features, size: SIZE });
      const { tx } = dut;
      const frame = dut.ram.zeroed(72);
      let added = 0;
      let used = 0;
      dut.whilePolling(() => {
        const before = tx.packed.next + (tx.packed.wrap === 1 ? 0 : SIZE);
        const batch = Math.min(1 + (added % 5), SIZE - (added - used), 600 - added);
        for (let i = 0; i < batch; i++) tx.add([{ address: frame, length: 72 }], { publish: false });
        tx.packed.publish();
        added += batch;
        const { flags, offset, wrap } = tx.packed.deviceEvent;
        const event = (offset + (wrap === 1 ? 0 : SIZE) - before + 2 * SIZE) % (2 * SIZE);
        if (batch > 0 && (flags === EVENT_ENABLE || (flags === EVENT_DESC && event < batch))) tx.kick();
        used += tx.collectUsed().length;
        return used === 600;
      });
      expect(dut.sent()).toHaveLength(600);
    },
  );
}

conformance("The device's event suppression keeps to flags that were negotiated", [], PACKED, (dut) => {
  for (const [features, allowed] of [
    [PLAIN, [EVENT_ENABLE, EVENT_DISABLE]],
    [EVENT, [EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC]],
  ] as const) {
    dut.bringUp({ features, size: SIZE });
    for (let round = 0; round < 20; round++) {
      if (round % 3 === 0) dut.offerBuffer();
      dut.receive(patterned(60));
      send(dut, 1 + (round % 4));
      dut.rx.collectUsed();
      for (const { packed } of dut.queues) {
        expect(allowed).toContain(packed.deviceEvent.flags);
        expect(packed.deviceEvent.offset).toBeLessThan(SIZE);
      }
    }
  }
});
