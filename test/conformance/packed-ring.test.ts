/** The descriptor ring of the packed virtqueue: virtio 1.4 §2.8, without event suppression. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { GuestBuffer } from "./harness/guest-ram.ts";
import { DESC_NEXT, DESC_WRITE, type Feature } from "./harness/numbers.ts";

const PACKED = { rings: ["packed"] } as const;
const FEATURES: readonly Feature[] = ["MAC", "CTRL_VQ", "MRG_RXBUF", "RING_INDIRECT_DESC"];
const HEADER = 12;
const AVAIL = 1 << 7;
const USED = 1 << 15;
const CANARY = 0xa5;

/** One descriptor of the ring, as it lies in memory. */
interface Descriptor {
  readonly length: number;
  readonly id: number;
  readonly flags: number;
}

function descriptor(dut: DeviceUnderTest, index: number, slot: number): Descriptor {
  const { view } = dut.ram;
  const at = dut.queues[index]!.ring.desc + 16 * slot;
  return {
    length: view.getUint32(at + 8, true),
    id: view.getUint16(at + 12, true),
    flags: view.getUint16(at + 14, true),
  };
}

/** The header and `frame`, each piece of it somewhere else in memory, the later ones lower. */
function scattered(dut: DeviceUnderTest, frame: Uint8Array, pieces: number): GuestBuffer[] {
  const bytes = Uint8Array.from([...new Uint8Array(HEADER), ...frame]);
  const size = Math.ceil(bytes.length / pieces);
  const buffers: GuestBuffer[] = [];
  for (let i = pieces - 1; i >= 0; i--) {
    const piece = bytes.slice(i * size, (i + 1) * size);
    buffers.unshift({ address: dut.ram.put(piece), length: piece.length });
  }
  return buffers;
}

conformance("Chains are taken in the order of the ring, whatever their ids", ["PACKED-1"], PACKED, (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  const { tx } = dut;
  // Three chains of one slot, whose ids fall: 7, 6, 5.
  [7, 6, 5].forEach((id, slot) => {
    const [piece] = scattered(dut, patterned(60 + slot), 1);
    dut.ram.putDescriptor(tx.ring.desc + 16 * slot, piece!.address, piece!.length, id, AVAIL);
  });
  tx.kick();
  dut.poll();
  expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual([60, 61, 62]);
  expect([0, 1, 2].map((slot) => descriptor(dut, 1, slot).id)).toEqual([7, 6, 5]);
});

conformance("A chain that is not available yet holds back those behind it", ["PACKED-1", "PDESC-3"], PACKED, (dut) => {
  dut.bringUp({ features: FEATURES, size: 8 });
  const { tx } = dut;
  const put = (slot: number, flags: number): void => {
    const [piece] = scattered(dut, patterned(60 + slot), 1);
    dut.ram.putDescriptor(tx.ring.desc + 16 * slot, piece!.address, piece!.length, slot, flags);
  };
  put(0, 0);
  put(1, AVAIL);
  put(2, AVAIL);
  tx.kick();
  dut.poll();
  expect(dut.sent()).toEqual([]);
  put(0, AVAIL);
  tx.kick();
  dut.poll();
  expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual([60, 61, 62]);
});

conformance(
  "Used descriptors come in the order of completion, each at the place where the last chain has ended",
  ["PACKED-2"],
  PACKED,
  (dut) => {
    dut.bringUp({ features: FEATURES, size: 16 });
    const { tx } = dut;
    let slot = 0;
    let flags = AVAIL | USED;
    for (const [round, pieces] of [1, 3, 2, 5, 1, 4, 1, 2, 6, 3, 1, 1, 7].entries()) {
      const chain = tx.add(scattered(dut, patterned(60 + round), pieces));
      tx.kick();
      dut.poll();
      expect(descriptor(dut, 1, slot)).toMatchObject({ id: chain.id, flags });
      expect(tx.collectUsed()).toEqual([chain]);
      slot += pieces;
      if (slot >= 16) {
        slot -= 16;
        flags ^= AVAIL | USED;
      }
    }
    expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual(Array.from({ length: 13 }, (_, i) => 60 + i));
  },
);

conformance(
  "Frames fill receive buffers in ring order, and are used in that order",
  ["PACKED-1", "PACKED-2"],
  PACKED,
  (dut) => {
    dut.bringUp({ features: ["MAC"], size: 8 });
    for (let turn = 0; turn < 5; turn++) {
      const chains = [0, 1, 2, 3, 4].map(() => dut.offerBuffer());
      dut.receive(...[0, 1, 2, 3, 4].map((i) => patterned(60 + i, turn)));
      expect(dut.rx.collectUsed()).toEqual(chains);
      expect(chains.map((chain) => dut.written(chain).slice(HEADER))).toEqual(
        [0, 1, 2, 3, 4].map((i) => patterned(60 + i, turn)),
      );
    }
  },
);

conformance(
  "The device writes to no memory but writable buffers, the ring and its own events",
  ["PDESC-1"],
  PACKED,
  (dut) => {
    dut.bringUp({ features: FEATURES });
    dut.tx.add(scattered(dut, patterned(80), 3));
    dut.tx.add(scattered(dut, patterned(81), 4), { indirect: 4 });
    const answer = dut.ram.alloc(1);
    dut.ctrl.add([
      { address: dut.ram.put([0, 0, 1]), length: 3 },
      { address: answer, length: 1, write: true },
    ]);
    const room = dut.ram.alloc(2048);
    dut.rx.add([{ address: room, length: 2048, write: true }], { indirect: 1 });
    // A broken driver's receive buffer that begins with a readable part.
    const wrong = dut.ram.alloc(64);
    dut.rx.add([
      { address: wrong, length: 64 },
      { address: room, length: 2048, write: true },
    ]);
    const before = dut.ram.snapshot();
    for (const queue of [dut.tx, dut.ctrl, dut.rx]) queue.kick();
    dut.receive(patterned(60), patterned(61));
    expect([dut.tx, dut.ctrl, dut.rx].map((queue) => queue.collectUsed().length)).toEqual([2, 1, 2]);
    const allowed = [
      ...dut.queues.map(({ ring }) => ring.deviceMayWrite),
      ...dut.queues.map(({ ring }) => [ring.device, ring.device + 4]),
      [answer, answer + 1],
      [room, room + 2048],
    ];
    for (const at of dut.ram.changedSince(before)) {
      expect(allowed.some(([from, to]) => at >= from! && at < to!)).toBe(true);
    }
  },
);

conformance("Nothing is taken from a writable buffer", ["PDESC-2"], PACKED, (dut) => {
  dut.bringUp({ features: ["MAC", "CTRL_VQ", "NOTF_COAL"] });
  const secret = dut.ram.put(new Uint8Array(40).fill(0x77));
  const [head] = scattered(dut, patterned(60), 1);
  dut.tx.add([head!, { address: secret, length: 40, write: true }]);
  dut.tx.kick();
  dut.poll();
  for (const { bytes } of dut.sent()) expect(bytes.includes(0x77)).toBe(false);
  // Were the rest of the command read from the writable buffer, receive notifications would wait for a second.
  const answer = dut.ram.put([10, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 0]);
  dut.ctrl.add([
    { address: dut.ram.put([6, 1]), length: 2 },
    { address: answer, length: 9, write: true },
  ]);
  dut.ctrl.kick();
  dut.poll();
  expect(dut.ctrl.collectUsed()).toHaveLength(1);
  dut.interrupts();
  dut.offerBuffer();
  dut.receive(patterned(60));
  expect(dut.interrupts()).toHaveLength(1);
});

conformance("A descriptor is used only once its AVAIL bit has changed, turn by turn", ["PDESC-3"], PACKED, (dut) => {
  dut.bringUp({ features: FEATURES, size: 2 });
  const { tx } = dut;
  const [piece] = scattered(dut, patterned(60), 1);
  const show = (slot: number, flags: number): number => {
    dut.ram.putDescriptor(tx.ring.desc + 16 * slot, piece!.address, piece!.length, slot, flags);
    tx.kick();
    dut.poll();
    return dut.sent().length;
  };
  for (let turn = 0; turn < 6; turn++) {
    // AVAIL and USED as they are while the driver has not yet come by, and as they are not in this turn.
    const [shown, others] = turn % 2 === 0 ? [AVAIL, [0, AVAIL | USED, USED]] : [USED, [AVAIL | USED, 0, AVAIL]];
    for (const slot of [0, 1]) {
      for (const flags of others) expect(show(slot, flags)).toBe(0);
      expect(show(slot, shown)).toBe(1);
      expect(descriptor(dut, 1, slot).flags & (AVAIL | USED)).toBe(turn % 2 === 0 ? AVAIL | USED : 0);
    }
  }
});

conformance("A ring that is not filled is not used, whatever it holds besides flags", ["PDESC-3"], PACKED, (dut) => {
  dut.negotiate(FEATURES);
  const rings = [0, 1, 2].map((index) => {
    const ring = dut.makeRing(8);
    const address = dut.ram.alloc(2048);
    for (let slot = 0; slot < 8; slot++) dut.ram.putDescriptor(ring.desc + 16 * slot, address, 2048, slot, DESC_WRITE);
    return dut.setUpQueue(index, 8, ring);
  });
  dut.driverOk();
  const before = rings.map(({ ring }) => dut.ram.bytes(ring.desc, 128));
  for (const queue of rings) queue.kick();
  dut.receive(patterned(60));
  expect(rings.map(({ ring }) => dut.ram.bytes(ring.desc, 128))).toEqual(before);
  expect(dut.sent()).toEqual([]);
});

conformance("What the driver writes over a used descriptor stays", ["PDESC-4"], PACKED, (dut) => {
  dut.bringUp({ features: ["MAC"], size: 16 });
  const { view, u16 } = dut.ram;
  const { desc } = dut.rx.ring;
  const room = [...Array(16)].map(() => dut.ram.alloc(256));
  let turn = 0;
  let next = 0;
  const fill = (): void => {
    const shown = DESC_WRITE | (turn % 2 === 0 ? AVAIL : USED);
    room.forEach((address, slot) => {
      dut.ram.putDescriptor(desc + 16 * slot, address, 256, slot, shown ^ (AVAIL | USED));
      Atomics.store(u16, (desc + 16 * slot + 14) >> 1, shown);
    });
    dut.inject(...room.map((_, slot) => patterned(60 + slot, turn)));
  };
  fill();
  dut.whilePolling(() => {
    const at = desc + 16 * next;
    const bit = turn % 2 === 0;
    const flags = Atomics.load(u16, (at + 14) >> 1);
    if (((flags & AVAIL) !== 0) !== bit || ((flags & USED) !== 0) !== bit) return false;
    expect(view.getUint32(at + 8, true)).toBe(HEADER + 60 + next);
    expect(view.getUint16(at + 12, true)).toBe(next);
    // The flags stay as the device has left them, so that it does not take the slot for available again.
    view.setUint32(at, 0x11111111, true);
    view.setUint32(at + 4, 0x22222222, true);
    view.setUint32(at + 8, 0x33333333, true);
    view.setUint16(at + 12, 0x4444, true);
    next++;
    if (next < 16) return false;
    for (let slot = 0; slot < 16; slot++) {
      expect(view.getUint32(desc + 16 * slot + 8, true)).toBe(0x33333333);
      expect(view.getUint16(desc + 16 * slot + 12, true)).toBe(0x4444);
      expect(view.getUint16(desc + 16 * slot + 14, true) & (AVAIL | USED)).toBe(bit ? AVAIL | USED : 0);
    }
    next = 0;
    turn++;
    if (turn === 30) return true;
    fill();
    return false;
  });
});

for (const [how, indirect] of [
  ["in the ring", false],
  ["in an indirect table", true],
] as const) {
  conformance(`The pieces of a chain ${how} are sent in their order`, ["PSG-1"], PACKED, (dut) => {
    dut.bringUp({ features: FEATURES, size: 8 });
    for (let round = 0; round < 6; round++) {
      // At most 5 slots of 8: chains begin in every place and go round the end.
      const pieces = scattered(dut, patterned(200 + round, round), 5);
      const chain = dut.tx.add(pieces, indirect ? { indirect: pieces.length } : {});
      dut.tx.kick();
      dut.poll();
      expect(dut.tx.collectUsed()).toEqual([chain]);
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(200 + round, round)]);
    }
  });

  conformance(`The pieces of a receive buffer ${how} are filled in their order`, ["PSG-1"], PACKED, (dut) => {
    dut.bringUp({ features: FEATURES, size: 8 });
    for (let round = 0; round < 6; round++) {
      // The first pieces lie highest.
      const buffers = [1500, 50, 30, 30, 12].map((length) => ({ address: dut.ram.alloc(length), length, write: true }));
      buffers.reverse();
      const chain = dut.rx.add(buffers, indirect ? { indirect: buffers.length } : {});
      dut.receive(patterned(100, round));
      expect(dut.rx.collectUsed()).toEqual([chain]);
      expect(chain.usedLength).toBe(HEADER + 100);
      expect(dut.written(chain).slice(HEADER)).toEqual(patterned(100, round));
      expect(dut.ram.bytes(buffers[4]!.address, 64)).toEqual(new Uint8Array(64).fill(CANARY));
    }
  });
}

conformance("A chain whose NEXT flags go round the end of the ring is one", ["PSG-1"], PACKED, (dut) => {
  dut.bringUp({ features: FEATURES, size: 5 });
  dut.tx.add(scattered(dut, patterned(60), 3));
  dut.tx.kick();
  dut.poll();
  dut.tx.collectUsed();
  const chain = dut.tx.add(scattered(dut, patterned(99), 4));
  expect(chain.slots).toEqual([3, 4, 0, 1]);
  expect(descriptor(dut, 1, 0).flags).toBe(DESC_NEXT | USED);
  dut.tx.kick();
  dut.poll();
  expect(dut.tx.collectUsed()).toEqual([chain]);
  expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(60), patterned(99)]);
});
