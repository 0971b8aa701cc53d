import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import { BUFFERS, CardMachine, CTRL, frameOf, RX, TX } from "../rings/card-machine.ts";
import { INDIRECT, NEXT, type SplitDriver, WRITE } from "../rings/split-driver.ts";
import { type Range, withinBounds, worksAfterReset } from "./survival.ts";

const SIZE = 8;
const RAM_END = 0x40000;
const TABLE_AT = BUFFERS + 0x8000;
const QUEUES: [string, number][] = [
  ["receive", RX],
  ["transmit", TX],
  ["control", CTRL],
];

/** Builds the chain at head 0 of `ring`, with data descriptors of the flags `data`. */
type Attack = (ring: SplitDriver, data: number) => void;

/** Attacks of peers §3.2, with the faults that they may be called: some are other faults on some queues. */
const ATTACKS: [string, Attack, string[]][] = [
  [
    "1: a descriptor that points at itself",
    (ring, data) => ring.setDescriptor(0, { address: BUFFERS, length: 1, flags: data | NEXT, next: 0 }),
    ["chain-too-long"],
  ],
  [
    "1: a loop of all descriptors",
    (ring, data) => {
      for (let i = 0; i < SIZE; i++) {
        ring.setDescriptor(i, { address: BUFFERS + i, length: 1, flags: data | NEXT, next: (i + 1) % SIZE });
      }
    },
    ["chain-too-long"],
  ],
  [
    "2: next beyond the table",
    (ring, data) => ring.setDescriptor(0, { address: BUFFERS, length: 1, flags: data | NEXT, next: SIZE }),
    ["next-out-of-range"],
  ],
  [
    "2: next of 65535",
    (ring, data) => ring.setDescriptor(0, { address: BUFFERS, length: 1, flags: data | NEXT, next: 0xffff }),
    ["next-out-of-range"],
  ],
  [
    "5: an all-zero chain",
    (ring) => ring.setDescriptor(0, { address: 0, length: 0 }),
    ["rx-too-small", "tx-too-short", "ctrl-no-ack"],
  ],
  [
    "6: a length of 2^31",
    (ring, data) => ring.setDescriptor(0, { address: BUFFERS, length: 2 ** 31, flags: data }),
    ["address"],
  ],
  [
    "6: a length that runs over 32 bits",
    (ring, data) => ring.setDescriptor(0, { address: 0xfffffff0, length: 0xffffffff, flags: data }),
    ["address"],
  ],
  [
    "6: an address whose low half is innocent",
    (ring, data) => ring.setDescriptor(0, { address: (1n << 32n) + BigInt(BUFFERS), length: 64, flags: data }),
    ["address"],
  ],
  [
    "6: an address and length that run over 64 bits",
    (ring, data) => ring.setDescriptor(0, { address: 2n ** 64n - 8n, length: 64, flags: data }),
    ["address"],
  ],
  [
    "7: a buffer that ends one byte beyond memory",
    (ring, data) => ring.setDescriptor(0, { address: RAM_END - 2047, length: 2048, flags: data }),
    ["address"],
  ],
  [
    "7: a buffer that begins beyond memory",
    (ring, data) => ring.setDescriptor(0, { address: RAM_END, length: 1, flags: data }),
    ["address"],
  ],
  [
    "9: a table inside a table",
    (ring) => {
      ring.setDescriptor(0, { address: TABLE_AT, length: 16, flags: INDIRECT });
      ring.writeDescriptor(TABLE_AT, { address: TABLE_AT, length: 16, flags: INDIRECT });
    },
    ["indirect-nested"],
  ],
  [
    "9: a table that is the descriptor table itself",
    (ring) => ring.setDescriptor(0, { address: ring.table, length: 16 * SIZE, flags: INDIRECT }),
    ["indirect-nested"],
  ],
  [
    "9: INDIRECT together with NEXT",
    (ring) => ring.setDescriptor(0, { address: TABLE_AT, length: 16, flags: INDIRECT | NEXT, next: 1 }),
    ["indirect-with-next"],
  ],
  [
    "9: an empty table",
    (ring) => ring.setDescriptor(0, { address: TABLE_AT, length: 0, flags: INDIRECT }),
    ["indirect-length"],
  ],
  [
    "9: a table with a part of a descriptor",
    (ring) => ring.setDescriptor(0, { address: TABLE_AT, length: 24, flags: INDIRECT }),
    ["indirect-length"],
  ],
  [
    "9: a chain in a table that is longer than the queue",
    (ring, data) => {
      ring.setDescriptor(0, { address: TABLE_AT, length: 16 * 64, flags: INDIRECT });
      for (let i = 0; i < 64; i++) {
        const descriptor = { address: BUFFERS + i, length: 1, flags: data | NEXT, next: (i + 1) % 64 };
        ring.writeDescriptor(TABLE_AT + 16 * i, descriptor);
      }
    },
    ["chain-too-long"],
  ],
  [
    "9: a table outside memory",
    (ring) => ring.setDescriptor(0, { address: RAM_END - 16, length: 32, flags: INDIRECT }),
    ["address"],
  ],
  [
    "11: readable after writable",
    (ring) => {
      ring.setDescriptor(0, { address: BUFFERS, length: 64, flags: WRITE | NEXT, next: 1 });
      ring.setDescriptor(1, { address: BUFFERS + 64, length: 64 });
    },
    ["readable-after-writable"],
  ],
];

describe.each(QUEUES)("on the %s queue", (_, queue) => {
  const data = queue === RX ? WRITE : 0;

  function run(machine: CardMachine, given: Range[]): { head: number; length: number }[] {
    machine.queues[queue]!.offer(0);
    machine.queues[queue]!.publish();
    withinBounds(machine, given, () => {
      if (queue === RX) machine.port.arrivals.push({ bytes: frameOf(1514) });
      machine.kick(queue);
      machine.poll();
    });
    return machine.queues[queue]!.takeUsed();
  }

  test.each(
    ATTACKS,
  )("attack %s: the chain comes back unused, the fault is counted, life goes on", (_, attack, faults) => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    attack(machine.queues[queue]!, data);
    expect(run(machine, [])).toEqual([{ head: 0, length: 0 }]);
    expect(machine.faults).toHaveLength(1);
    expect(machine.faults[0]!.queue).toBe(queue);
    expect(faults).toContain(FAULTS[machine.faults[0]!.code]!.name);
    expect(machine.card.statistics.faultTotal).toBe(1);
    expect(machine.status).toBe(15);
    worksAfterReset(machine);
  });

  test("attack 9: a table without RING_INDIRECT_DESC", () => {
    const machine = new CardMachine().bringUp(["VERSION_1", "CTRL_VQ", "MRG_RXBUF"], SIZE);
    machine.queues[queue]!.setDescriptor(0, { address: TABLE_AT, length: 16, flags: INDIRECT });
    machine.queues[queue]!.writeDescriptor(TABLE_AT, { address: BUFFERS, length: 2048, flags: data });
    expect(run(machine, [])).toEqual([{ head: 0, length: 0 }]);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe("indirect-not-negotiated");
    worksAfterReset(machine);
  });

  test("a faulty chain does not keep the ones behind it (case 29)", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    const ring = machine.queues[queue]!;
    for (let i = 0; i < SIZE; i++) {
      ring.setDescriptor(i, { address: RAM_END, length: 1, flags: data });
      ring.offer(i);
    }
    ring.publish();
    machine.kick(queue);
    for (let i = 0; i < SIZE && queue === RX; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.poll();
    expect(ring.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(machine.card.statistics.faultTotal).toBe(SIZE);
    worksAfterReset(machine);
  });
});

test("case 10: direct descriptors and one indirect at the end are legal, on receive too (SIND-2)", () => {
  const machine = new CardMachine().bringUp();
  machine.rx.setDescriptor(0, { address: BUFFERS, length: 5, flags: WRITE | NEXT, next: 3 });
  machine.rx.setDescriptor(3, { address: TABLE_AT, length: 32, flags: INDIRECT });
  machine.rx.writeDescriptor(TABLE_AT, { address: BUFFERS + 0x100, length: 10, flags: WRITE | NEXT, next: 1 });
  machine.rx.writeDescriptor(TABLE_AT + 16, { address: BUFFERS + 0x200, length: 100, flags: WRITE });
  machine.rx.offer(0);
  machine.rx.publish();
  const given: Range[] = [
    [BUFFERS, BUFFERS + 5],
    [BUFFERS + 0x100, BUFFERS + 0x10a],
    [BUFFERS + 0x200, BUFFERS + 0x264],
  ];
  const used = withinBounds(machine, given, () => machine.receive(frameOf(60)));
  expect(used).toEqual([{ head: 0, length: 72 }]);
  expect(machine.faults).toEqual([]);
});

test("case 7: a buffer that ends with the last byte of memory is legal", () => {
  const machine = new CardMachine().bringUp();
  machine.rx.offerChain(0, [{ address: RAM_END - 72, length: 72, flags: WRITE }]);
  machine.rx.publish();
  expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
  expect(machine.bytes(RAM_END - 60, 60)).toEqual(frameOf(60));
});

test("a receive buffer of no bytes does not lead back into the buffer before it, which is the driver's again", () => {
  const machine = new CardMachine().bringUp(undefined, SIZE);
  machine.rx.setDescriptor(0, { address: BUFFERS, length: 2048, flags: WRITE });
  machine.rx.offer(0);
  machine.rx.publish();
  expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 72 }]);
  machine.rx.setDescriptor(1, { address: BUFFERS + 0x1000, length: 0, flags: WRITE });
  machine.rx.offer(1);
  machine.rx.publish();
  expect(withinBounds(machine, [], () => machine.receive(frameOf(60)))).toEqual([{ head: 1, length: 0 }]);
  expect(FAULTS[machine.faults[0]!.code]!.name).toBe("rx-too-small");
});
