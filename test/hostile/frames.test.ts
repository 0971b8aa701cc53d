import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import { BUFFERS, CardMachine, frameOf, PLAIN_FEATURES, RX, TX } from "../rings/card-machine.ts";
import { type Descriptor, WRITE } from "../rings/split-driver.ts";
import { type Range, withinBounds, worksAfterReset } from "./survival.ts";

const SIZE = 128;

describe("case 12: transmitted chains", () => {
  const pieces = (lengths: readonly number[]): Descriptor[] => {
    let address = BUFFERS;
    return lengths.map((length) => {
      address += length;
      return { address: address - length, length };
    });
  };

  test.each([
    ["shorter than the header", [11], 0],
    ["exactly the header", [12], 0],
    ["a header in single bytes", [...new Array(12).fill(1), 60], 1],
    ["a frame in single bytes", [12, ...new Array(60).fill(1)], 1],
    ["longer than 64 KiB", [12, 65536], 0],
    ["longer than 64 KiB, in pieces", [12, 40000, 40000], 0],
  ])("%s", (_, lengths, sent) => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.ram.fill(0, BUFFERS, BUFFERS + 12);
    machine.tx.offerChain(0, pieces(lengths));
    machine.tx.publish();
    withinBounds(machine, [], () => {
      machine.kick(TX);
      machine.poll();
    });
    expect(machine.port.sent).toHaveLength(sent);
    expect(machine.tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
    worksAfterReset(machine);
  });
});

describe("case 13: receive buffers", () => {
  test.each([
    ["smaller than the header, merged", PLAIN_FEATURES, [1, 1, 1, 1], "rx-too-small"],
    ["one byte less than the header, merged", PLAIN_FEATURES, [11], "rx-too-small"],
    ["a second buffer that is too small, merged", PLAIN_FEATURES, [12, 1], "rx-too-small"],
    ["smaller than the header, unmerged", ["VERSION_1"], [11], "rx-too-small"],
    ["smaller than the frame, unmerged", ["VERSION_1"], [1525], "rx-too-small"],
  ] as const)("%s", (_, features, lengths, fault) => {
    const machine = new CardMachine().bringUp(features, SIZE);
    const addresses = machine.offerReceiveBuffers(lengths);
    const given = addresses.map((address, i): Range => [address, address + lengths[i]!]);
    const used = withinBounds(machine, given, () => machine.receive(frameOf(1514)));
    expect(used.every(({ length }) => length === 0)).toBe(true);
    expect(FAULTS[machine.faults[0]!.code]!.name).toBe(fault);
    expect(machine.drops).toHaveLength(1);
    worksAfterReset(machine);
  });

  test("of one byte per descriptor are legal", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.rx.offerChain(
      0,
      Array.from({ length: 72 }, (_, i) => ({ address: BUFFERS + 2 * i, length: 1, flags: WRITE })),
    );
    machine.rx.publish();
    const given = Array.from({ length: 72 }, (_, i): Range => [BUFFERS + 2 * i, BUFFERS + 2 * i + 1]);
    expect(withinBounds(machine, given, () => machine.receive(frameOf(60)))).toEqual([{ head: 0, length: 72 }]);
    const bytes = Array.from({ length: 60 }, (_, i) => machine.ram[BUFFERS + 2 * (i + 12)]);
    expect(Uint8Array.from(bytes as number[])).toEqual(frameOf(60));
  });

  test("that are not there cost their frames, and nothing else", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    withinBounds(machine, [], () => machine.receive(frameOf(60), frameOf(60)));
    expect(machine.card.statistics.queues[RX]!.dropped).toBe(2);
    expect(machine.faults).toEqual([]);
    worksAfterReset(machine);
  });

  test("arrivals equal deliveries and drops, whatever the driver offers", () => {
    const machine = new CardMachine().bringUp(undefined, SIZE);
    machine.offerReceiveBuffers([2048, 5, 2048, 30, 11, 2048, 100, 100]);
    machine.receive(...Array.from({ length: 20 }, (_, i) => frameOf(60 + 70 * i)));
    const { frames, dropped } = machine.card.statistics.queues[RX]!;
    expect(frames + dropped).toBe(20);
    expect(machine.card.framesArrived).toBe(20);
    expect(machine.delivered.length).toBe(frames);
    expect(machine.drops.length).toBe(dropped);
  });
});

test("case 27: frames before DRIVER_OK are dropped, and the rings stay as they are", () => {
  const machine = new CardMachine();
  machine.negotiate();
  machine.setUpQueue(RX, 0x1000, 8);
  machine.offerReceiveBuffers([2048]);
  expect(machine.writtenBy(() => machine.receive(frameOf(60)))).toEqual([]);
  expect(machine.card.statistics.queues[RX]!.dropped).toBe(1);
  worksAfterReset(machine);
});
