/** Messages, descriptors and indirect tables: virtio 1.4 §2.7.4, §2.7.5; the packed ring has the same in §2.8. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { GuestBuffer } from "./harness/guest-ram.ts";
import { DESC_INDIRECT, DESC_NEXT, DESC_WRITE, type Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["MAC", "CTRL_VQ", "RING_INDIRECT_DESC", "NOTF_COAL"];
const HEADER = 12;

/** `bytes` in pieces of the given lengths, anywhere in memory; what is left makes the last piece. */
function pieces(dut: DeviceUnderTest, bytes: Uint8Array, lengths: readonly number[]): GuestBuffer[] {
  const buffers: GuestBuffer[] = [];
  let at = 0;
  for (const length of [...lengths, bytes.length]) {
    const piece = bytes.subarray(at, at + length);
    if (piece.length > 0) buffers.push({ address: dut.ram.put(piece, 1), length: piece.length });
    at += length;
  }
  return buffers;
}

/** Writable pieces of the given lengths. */
function room(dut: DeviceUnderTest, lengths: readonly number[]): GuestBuffer[] {
  return lengths.map((length) => ({ address: dut.ram.alloc(length, 1), length, write: true }));
}

const CUTS: readonly [string, readonly number[]][] = [
  ["into header and frame", [HEADER]],
  ["inside the header", [1, 4, 3]],
  ["behind the header by one byte", [HEADER + 1]],
  ["into single bytes of header", Array.from({ length: HEADER }, () => 1)],
  ["nowhere", []],
  ["into equal pieces", [9, 9, 9, 9, 9, 9]],
  ["inside the Ethernet header", [HEADER + 6, 6, 1]],
];

for (const [where, lengths] of CUTS) {
  conformance(`A frame to send may be cut ${where}`, ["FRAME-1"], (dut) => {
    dut.bringUp({ features: FEATURES, size: 32 });
    const frame = patterned(70);
    const chain = dut.tx.add(pieces(dut, Uint8Array.from([...new Uint8Array(HEADER), ...frame]), lengths));
    dut.tx.kick();
    dut.poll();
    expect(dut.tx.collectUsed()).toEqual([chain]);
    expect(dut.sent().map(({ bytes }) => bytes)).toEqual([frame]);
  });

  conformance(`A receive buffer may be cut ${where}`, ["FRAME-1"], (dut) => {
    dut.bringUp({ features: FEATURES, size: 32 });
    const chain = dut.rx.add(room(dut, [...lengths, 1600]));
    dut.receive(patterned(70));
    expect(dut.rx.collectUsed()).toEqual([chain]);
    expect(chain.usedLength).toBe(HEADER + 70);
    expect(dut.written(chain).slice(HEADER)).toEqual(patterned(70));
  });
}

conformance("A control command may be cut anywhere", ["FRAME-1"], (dut) => {
  dut.bringUp({ features: FEATURES, size: 32 });
  const command = Uint8Array.from([6, 1, 10, 0, 0, 0, 0x40, 0x42, 0x0f, 0]);
  for (const lengths of [[], [1], [2], [1, 1], [2, 4], [1, 2, 3], Array.from({ length: 9 }, () => 1)]) {
    const [ack] = room(dut, [1]);
    const chain = dut.ctrl.add([...pieces(dut, command, lengths), ack!]);
    dut.ctrl.kick();
    dut.poll();
    expect(dut.ctrl.collectUsed()).toEqual([chain]);
    expect(dut.written(chain)).toEqual(Uint8Array.of(0));
  }
});

conformance("Empty pieces in a chain change nothing", ["FRAME-1"], { rings: ["split"] }, (dut) => {
  dut.bringUp({ features: FEATURES });
  const bytes = Uint8Array.from([...new Uint8Array(HEADER), ...patterned(60)]);
  const [first, second] = pieces(dut, bytes, [20]);
  dut.tx.add([first!, { address: dut.ram.alloc(16), length: 0 }, second!]);
  dut.tx.kick();
  dut.poll();
  expect(dut.sent().map(({ bytes: sent }) => sent)).toEqual([patterned(60)]);
});

conformance("What the driver gives to read is never written", ["SDESC-1"], { rings: ["split"] }, (dut) => {
  dut.bringUp({ features: FEATURES });
  const readable: GuestBuffer[] = [];
  readable.push({ address: dut.ram.put([...new Uint8Array(HEADER), ...patterned(80)]), length: HEADER + 80 });
  readable.push({ address: dut.ram.put([6, 1, 1, 0, 0, 0, 0, 0, 0, 0]), length: 10 });
  // A broken driver's receive buffer that begins with a readable part.
  readable.push({ address: dut.ram.alloc(64), length: 64 });
  const before = readable.map(({ address, length }) => dut.ram.bytes(address, length));
  dut.tx.add([readable[0]!]);
  dut.ctrl.add([readable[1]!, ...room(dut, [1])]);
  dut.rx.add([readable[2]!, ...room(dut, [1600])]);
  dut.tx.kick();
  dut.ctrl.kick();
  dut.receive(patterned(60));
  expect(dut.tx.collectUsed()).toHaveLength(1);
  expect(dut.ctrl.collectUsed()).toHaveLength(1);
  expect(readable.map(({ address, length }) => dut.ram.bytes(address, length))).toEqual(before);
});

conformance(
  "Nothing is taken from a buffer that is to be written: it is not sent",
  ["SDESC-2"],
  { rings: ["split"] },
  (dut) => {
    dut.bringUp({ features: FEATURES });
    const head = dut.ram.put([...new Uint8Array(HEADER), ...patterned(60)]);
    const secret = dut.ram.put(new Uint8Array(40).fill(0x77));
    dut.tx.add([
      { address: head, length: HEADER + 60 },
      { address: secret, length: 40, write: true },
    ]);
    dut.tx.kick();
    dut.poll();
    for (const { bytes } of dut.sent()) expect(bytes.includes(0x77)).toBe(false);
  },
);

conformance(
  "Nothing is taken from a buffer that is to be written: it is no command",
  ["SDESC-2"],
  { rings: ["split"] },
  (dut) => {
    dut.bringUp({ features: FEATURES });
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
  },
);

conformance(
  "Descriptor tables stay as the driver has written them, indirect ones too",
  ["SDESC-4"],
  { rings: ["split"] },
  (dut) => {
    dut.bringUp({ features: FEATURES, size: 8 });
    const table = dut.ram.alloc(64);
    dut.rx.add(room(dut, [HEADER, 100, 1500]));
    dut.rx.add(room(dut, [HEADER, 700, 900]), { indirect: 3, tableAddress: table });
    const frame = dut.ram.put([...new Uint8Array(HEADER), ...patterned(60)]);
    dut.tx.add([{ address: frame, length: HEADER + 60 }]);
    dut.tx.add([{ address: frame, length: 99_999_999 }]);
    const tables = (): Uint8Array[] => [
      dut.ram.bytes(dut.rx.ring.desc, 128),
      dut.ram.bytes(dut.tx.ring.desc, 128),
      dut.ram.bytes(table, 64),
    ];
    const before = tables();
    dut.tx.kick();
    dut.receive(patterned(150), patterned(1000));
    expect(dut.rx.collectUsed()).toHaveLength(2);
    expect(dut.tx.collectUsed()).toHaveLength(2);
    expect(tables()).toEqual(before);
  },
);

for (const [name, flag] of [
  ["with", DESC_WRITE],
  ["without", 0],
] as const) {
  conformance(
    `An indirect table is read ${name} the WRITE flag on its descriptor`,
    ["SIND-1"],
    { rings: ["split"] },
    (dut) => {
      dut.bringUp({ features: FEATURES });
      const frame = Uint8Array.from([...new Uint8Array(HEADER), ...patterned(60)]);
      const table = dut.ram.alloc(32);
      dut.ram.putSplitTable(table, pieces(dut, frame, [HEADER]));
      const { split } = dut.tx;
      dut.ram.putDescriptor(split.desc, table, 32, DESC_INDIRECT | flag, 0);
      split.offer(0);
      split.publish();
      dut.tx.kick();
      // The same for a receive buffer, whose pieces say themselves that they are to be written.
      const receiveTable = dut.ram.alloc(32);
      const buffers = room(dut, [HEADER, 1600]);
      dut.ram.putSplitTable(receiveTable, buffers);
      dut.ram.putDescriptor(dut.rx.split.desc, receiveTable, 32, DESC_INDIRECT | flag, 0);
      dut.rx.split.offer(0);
      dut.rx.split.publish();
      dut.receive(patterned(70));
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(60)]);
      expect(dut.ram.bytes(buffers[1]!.address, 70)).toEqual(patterned(70));
      expect(dut.statistics().faults).toEqual({});
    },
  );
}

for (const direct of [0, 1, 2, 5]) {
  conformance(
    `${direct} direct descriptors followed by an indirect one make one chain`,
    ["SIND-2"],
    { rings: ["split"] },
    (dut) => {
      dut.bringUp({ features: FEATURES });
      const frame = Uint8Array.from([...new Uint8Array(HEADER), ...patterned(90)]);
      const lengths = [5, 7, 10, 3, 20, 11];
      const all = pieces(dut, frame, lengths);
      const sent = dut.tx.add(all, { indirect: all.length - direct });
      dut.tx.kick();
      const received = dut.rx.add(room(dut, [5, 7, 10, 3, 20, 11, 200]), { indirect: 7 - direct });
      dut.receive(patterned(95));
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(90)]);
      expect(dut.tx.collectUsed()).toEqual([sent]);
      expect(dut.rx.collectUsed()).toEqual([received]);
      expect(dut.written(received).slice(HEADER)).toEqual(patterned(95));
    },
  );
}

conformance(
  "A table of one entry, and one that its descriptor chains with NEXT flags, are read",
  ["SIND-2"],
  { rings: ["split"] },
  (dut) => {
    dut.bringUp({ features: FEATURES });
    const frame = Uint8Array.from([...new Uint8Array(HEADER), ...patterned(60)]);
    dut.tx.add(pieces(dut, frame, []), { indirect: 1 });
    // The entries of a table follow `next`, not their places.
    const table = dut.ram.alloc(48);
    const [a, b, c] = pieces(dut, frame, [20, 20]);
    dut.ram.putDescriptor(table, a!.address, a!.length, DESC_NEXT, 2);
    dut.ram.putDescriptor(table + 32, b!.address, b!.length, DESC_NEXT, 1);
    dut.ram.putDescriptor(table + 16, c!.address, c!.length, 0, 0);
    dut.ram.putDescriptor(dut.tx.split.desc + 16 * 9, table, 48, DESC_INDIRECT, 0);
    dut.tx.split.offer(9);
    dut.tx.split.publish();
    dut.tx.kick();
    dut.poll();
    expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(60), patterned(60)]);
  },
);
