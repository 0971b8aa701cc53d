import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import {
  BUFFERS,
  CANARY,
  CardMachine,
  CTRL,
  DEVICE_NEEDS_RESET,
  type Feature,
  frameOf,
  HEADER_BYTES,
  PLAIN_FEATURES,
  REG,
  RUNNING,
  RX,
  TX,
} from "../rings/card-machine.ts";
import { AVAIL, INDIRECT, NEXT, PackedDriver, type PackedElement, USED, WRITE } from "../rings/packed-driver.ts";
import { worksAfterReset } from "./survival.ts";

// Neither a power of two nor the same for all.
const SIZES = [7, 5, 3];
const RINGS = [0x1000, 0x4000, 0x8000];
const RAM_END = 0x40000;
const PACKED: readonly Feature[] = [...PLAIN_FEATURES, "RING_PACKED"];

/** A card that runs with packed rings, and the driver's end of each. */
function packedMachine(): { machine: CardMachine; rings: PackedDriver[] } {
  const machine = new CardMachine({ extra: ["RING_PACKED"] });
  machine.negotiate(PACKED);
  const rings = SIZES.map((size, queue) => {
    const ring = new PackedDriver(machine.ram.buffer, RINGS[queue]!, size);
    machine.ram.fill(0, RINGS[queue]!, ring.end);
    machine.write(REG.QUEUE_SEL, queue);
    machine.write(REG.QUEUE_SIZE, size);
    machine.write(REG.QUEUE_DESC_LOW, ring.ring);
    machine.write(REG.QUEUE_DESC_HIGH, 0);
    machine.write(REG.QUEUE_DRIVER_LOW, ring.driverArea);
    machine.write(REG.QUEUE_DRIVER_HIGH, 0);
    machine.write(REG.QUEUE_DEVICE_LOW, ring.deviceArea);
    machine.write(REG.QUEUE_DEVICE_HIGH, 0);
    machine.write(REG.QUEUE_READY, 1);
    return ring;
  });
  machine.write(REG.STATUS, RUNNING);
  return { machine, rings };
}

/** What the card does when something arrives and every queue is kicked. */
function stir(machine: CardMachine): void {
  machine.port.arrivals.push({ bytes: frameOf(1514) }, { bytes: frameOf(60) });
  for (const queue of [RX, TX, CTRL]) machine.kick(queue);
  machine.poll();
}

describe("a card with packed rings", () => {
  test("receives, merges buffers, and sends", () => {
    const { machine, rings } = packedMachine();
    const [rx, tx] = rings as [PackedDriver, PackedDriver];
    for (let turn = 0; turn < 20; turn++) {
      rx.offer(40, [{ address: BUFFERS, length: 1000, flags: WRITE }]);
      rx.offer(41, [
        { address: BUFFERS + 0x1000, length: 300, flags: WRITE },
        { address: BUFFERS + 0x2000, length: 300, flags: WRITE },
      ]);
      machine.port.arrivals.push({ bytes: frameOf(1400, turn) });
      machine.poll();
      expect(rx.takeUsed()).toEqual([
        { id: 40, length: 1000, written: true },
        { id: 41, length: 412, written: true },
      ]);
      const frame = [...machine.bytes(BUFFERS + HEADER_BYTES, 988), ...machine.bytes(BUFFERS + 0x1000, 300)];
      expect([...frame, ...machine.bytes(BUFFERS + 0x2000, 112)]).toEqual([...frameOf(1400, turn)]);
      machine.ram.fill(0, BUFFERS + 0x8000, BUFFERS + 0x8000 + HEADER_BYTES);
      machine.ram.set(frameOf(61, turn), BUFFERS + 0x8000 + HEADER_BYTES);
      tx.offer(9, [
        { address: BUFFERS + 0x8000, length: 20 },
        { address: BUFFERS + 0x8014, length: 53 },
      ]);
      machine.kick(TX);
      machine.poll();
      expect(machine.port.sent.at(-1)).toEqual(frameOf(61, turn));
      expect(tx.takeUsed()).toEqual([{ id: 9, length: 0, written: false }]);
    }
    expect(machine.faults).toEqual([]);
    expect(rx.free + tx.free).toBe(7 + 5);
  });

  const FAULTY: [string, readonly PackedElement[], string][] = [
    ["outside memory", [{ address: RAM_END, length: 100, flags: WRITE }], "address"],
    ["at the top of 64 bits", [{ address: 2n ** 64n - 64n, length: 100 }], "address"],
    ["with an indirect table of no bytes", [{ address: BUFFERS, length: 0, flags: INDIRECT }], "indirect-length"],
    ["with a table larger than the ring", [{ address: BUFFERS, length: 16 * 64, flags: INDIRECT }], "chain-too-long"],
    [
      "with a table in a list",
      [
        { address: BUFFERS, length: 16, flags: INDIRECT },
        { address: BUFFERS, length: 16 },
      ],
      "indirect-with-next",
    ],
    [
      "readable after writable",
      [
        { address: BUFFERS, length: 64, flags: WRITE },
        { address: BUFFERS, length: 64 },
      ],
      "readable-after-writable",
    ],
  ];

  test.each(FAULTY)("gives back a chain %s, on every queue, and goes on", (_, elements, fault) => {
    for (const queue of [RX, TX, CTRL]) {
      const { machine, rings } = packedMachine();
      rings[queue]!.offer(77, elements);
      stir(machine);
      expect(machine.faults.map(({ code, queue: at }) => [FAULTS[code]!.name, at])).toEqual([[fault, queue]]);
      expect(rings[queue]!.takeUsed()).toEqual([{ id: 77, length: 0, written: false }]);
      expect(machine.status).toBe(RUNNING);
      worksAfterReset(machine);
    }
  });

  const BREAKING: [string, (ring: PackedDriver) => void][] = [
    [
      "a chain that runs on into nothing",
      (ring) => {
        ring.offer(1, [{ address: BUFFERS, length: 64, flags: WRITE }]);
        ring.setFlags(0, AVAIL | WRITE | NEXT);
      },
    ],
    [
      "a loop of all slots",
      (ring) => {
        for (let slot = 0; slot < ring.size; slot++) {
          ring.writeDescriptor(ring.ring + 16 * slot, { address: BUFFERS, length: 64, flags: AVAIL | WRITE | NEXT });
        }
      },
    ],
  ];

  test.each(BREAKING)("asks for a reset after %s, on every queue (STATUS-2)", (_, attack) => {
    for (const queue of [RX, TX, CTRL]) {
      const { machine, rings } = packedMachine();
      attack(rings[queue]!);
      stir(machine);
      expect(machine.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
      expect(machine.faults.at(-1)!.queue).toBe(queue);
      expect(FAULTS[machine.faults.at(-1)!.code]!.name).toBe("chain-unended");
      worksAfterReset(machine);
    }
  });

  test("survives rings of any content, and works again after a reset", () => {
    let state = 1;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % below;
    };
    const kinds = [0, WRITE, WRITE, NEXT, NEXT | WRITE, INDIRECT, INDIRECT | NEXT];
    for (let run = 0; run < 60; run++) {
      const { machine, rings } = packedMachine();
      for (let round = 0; round < 12; round++) {
        for (const ring of rings) {
          for (let i = next(2 * ring.size); i > 0; i--) {
            const flags = [AVAIL, USED][next(2)]! | kinds[next(kinds.length)]!;
            const element = { address: BUFFERS + next(RAM_END - BUFFERS + 99), length: 16 * next(120), flags };
            ring.writeDescriptor(ring.ring + 16 * next(ring.size), element, next(0x10000));
          }
          ring.setEvents(next(4), next(16), next(2));
        }
        stir(machine);
      }
      // Below the rings nothing was given to the card.
      expect(machine.ram.subarray(0, RINGS[0]).every((byte) => byte === CANARY)).toBe(true);
      worksAfterReset(machine);
    }
  });
});
