import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import {
  BUFFERS,
  CANARY,
  CardMachine,
  type Feature,
  frameOf,
  HEADER_BYTES,
  PLAIN_FEATURES,
} from "../../../rings/card-machine.ts";
import { NEXT, WRITE } from "../../../rings/split-driver.ts";

const WITHOUT_MERGING = PLAIN_FEATURES.filter((name) => name !== "MRG_RXBUF");
const WITHOUT_MTU = PLAIN_FEATURES.filter((name) => name !== "MTU");

// Drop reasons, retyped.
const NO_BUFFER = 0;
const TOO_LONG = 1;
const FAULT = 2;

/** A card that is observed takes chains one by one, others take plain ones in stretches. */
const WAYS = [
  ["one by one", true],
  ["in stretches", false],
] as const;

function machineWith(features: readonly Feature[] = PLAIN_FEATURES, size = 8, observed = true): CardMachine {
  return new CardMachine({ observed }).bringUp(features, size);
}

function faultNames(machine: CardMachine): string[] {
  return machine.faults.map(({ code }) => FAULTS[code]!.name);
}

/** Header of a frame in `buffers` buffers, as bytes (§5.1.9): all zero but num_buffers. */
function headerBytes(buffers: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, buffers & 0xff, buffers >>> 8);
}

/** Reads header and frame back out of used buffers, in the order in which they were used. */
function joined(machine: CardMachine, used: readonly { head: number; length: number }[]): Uint8Array {
  const parts = used.map(({ head, length }) => machine.bytes(BUFFERS + 0x1000 * head, length));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function packet(frame: Uint8Array, buffers: number): Uint8Array {
  return Uint8Array.from([...headerBytes(buffers), ...frame]);
}

/** Values of used.idx, as the driver sees them during `work`. */
function usedIdxSeen(machine: CardMachine, work: () => void): number[] {
  const seen: number[] = [];
  const store = machine.memory.storeReleaseU16.bind(machine.memory);
  machine.memory.storeReleaseU16 = (offset, value) => {
    store(offset, value);
    if (offset === machine.rx.used + 2) seen.push(value);
  };
  work();
  return seen;
}

describe.each(WAYS)("one buffer that holds the frame, taken %s,", (_way, observed) => {
  const machineOf = (features = PLAIN_FEATURES): CardMachine => machineWith(features, 8, observed);

  test("gets a header and the frame, and nothing more (§5.1.9.4)", () => {
    const machine = machineOf();
    const [address] = machine.offerReceiveBuffers([2048]);
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: HEADER_BYTES + 60 }]);
    expect(machine.bytes(address!, HEADER_BYTES + 60)).toEqual(packet(frameOf(60), 1));
    expect(machine.ram[address! + HEADER_BYTES + 60]).toBe(CANARY);
  });

  test("may be exactly as long as header and frame", () => {
    const machine = machineOf();
    const [address] = machine.offerReceiveBuffers([HEADER_BYTES + 60]);
    expect(machine.receive(frameOf(60))).toHaveLength(1);
    expect(machine.bytes(address!, HEADER_BYTES + 60)).toEqual(packet(frameOf(60), 1));
  });

  test.each([1, 2, 3, 5])("may begin at any byte: at 8n + %i", (shift) => {
    const machine = machineOf();
    machine.rx.offerChain(0, [{ address: BUFFERS + shift, length: 100, flags: WRITE }]);
    machine.rx.publish();
    machine.receive(frameOf(60));
    expect(machine.bytes(BUFFERS + shift, HEADER_BYTES + 60)).toEqual(packet(frameOf(60), 1));
    expect(machine.ram[BUFFERS + shift - 1]).toBe(CANARY);
  });

  test("sets num_buffers to 1 without MRG_RXBUF too (NRX-1)", () => {
    const machine = machineOf(WITHOUT_MERGING);
    const [address] = machine.offerReceiveBuffers([2048]);
    machine.receive(frameOf(60));
    expect(machine.bytes(address!, HEADER_BYTES)).toEqual(headerBytes(1));
  });

  test("lies in shared memory as well", () => {
    const machine = new CardMachine({ shared: true }).bringUp();
    const [address] = machine.offerReceiveBuffers([2048]);
    machine.receive(frameOf(1514));
    expect(machine.bytes(address!, HEADER_BYTES + 1514)).toEqual(packet(frameOf(1514), 1));
  });
});

describe("a chain of several descriptors", () => {
  test.each([
    [12, 60],
    [1, 71],
    [11, 1, 60],
    [10, 1, 1, 5, 55],
    [6, 3, 2, 1, 30, 30],
  ])("takes header and frame wherever it is cut: %j (FRAME-1)", (...lengths) => {
    const machine = machineWith();
    const addresses = lengths.map((_, i) => BUFFERS + 0x100 * i + 3);
    machine.rx.offerChain(
      0,
      lengths.map((length, i) => ({ address: addresses[i]!, length, flags: WRITE })),
    );
    machine.rx.publish();
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: HEADER_BYTES + 60 }]);
    const bytes = lengths.flatMap((length, i) => [...machine.bytes(addresses[i]!, length)]);
    expect(Uint8Array.from(bytes)).toEqual(packet(frameOf(60), 1));
  });
});

describe("mergeable buffers", () => {
  test("all but the last are filled to the end, and num_buffers counts them (NRX-2, NRX-3)", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([100, 100, 100, 100]);
    const used = machine.receive(frameOf(200));
    expect(used).toEqual([
      { head: 0, length: 100 },
      { head: 1, length: 100 },
      { head: 2, length: 12 },
    ]);
    expect(joined(machine, used)).toEqual(packet(frameOf(200), 3));
    expect(machine.delivered).toEqual([{ id: 1, buffers: 3, free: 1 }]);
  });

  test("become visible together (NRX-4)", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([100, 100, 100]);
    expect(usedIdxSeen(machine, () => machine.receive(frameOf(200)))).toEqual([3]);
  });

  test("of the least legal size take a frame of many buffers", () => {
    const machine = machineWith(PLAIN_FEATURES, 128);
    machine.offerReceiveBuffers(new Array(32).fill(12));
    const used = machine.receive(frameOf(300));
    expect(used).toHaveLength(26);
    expect(joined(machine, used)).toEqual(packet(frameOf(300), 26));
  });

  test("that do not suffice stay the card's, and the frame is dropped", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([100, 100]);
    expect(machine.receive(frameOf(300))).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: NO_BUFFER }]);
    expect(machine.card.freeReceiveBuffers).toBe(2);
    const used = machine.receive(frameOf(150));
    expect(joined(machine, used)).toEqual(packet(frameOf(150), 2));
  });

  test("num_buffers takes more than 255 buffers", () => {
    const machine = new CardMachine({ mtu: 9000, ramBytes: 0x100000 }).bringUp(PLAIN_FEATURES, 512);
    machine.ram.fill(CANARY, BUFFERS);
    for (let i = 0; i < 300; i++) {
      machine.rx.setDescriptor(i, { address: BUFFERS + 0x40 * i, length: 16, flags: WRITE });
      machine.rx.offer(i);
    }
    machine.rx.publish();
    const used = machine.receive(frameOf(4600));
    expect(used).toHaveLength(289);
    expect(machine.bytes(BUFFERS, HEADER_BYTES)).toEqual(headerBytes(289));
  });
});

describe("a chain that is no receive buffer", () => {
  test("with a readable descriptor goes back unused, and takes the frame with it (SDESC-1)", () => {
    const machine = machineWith();
    machine.rx.offerChain(0, [
      { address: BUFFERS, length: 12 },
      { address: BUFFERS + 64, length: 2000, flags: WRITE },
    ]);
    machine.rx.publish();
    const changed = machine.writtenBy(() => machine.receive(frameOf(60)));
    expect(machine.faults).toHaveLength(1);
    expect(faultNames(machine)).toEqual(["rx-readable"]);
    expect(changed.filter(([first]) => first >= BUFFERS)).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: FAULT }]);
  });

  test("that is readable, though long enough, goes back unused", () => {
    const machine = machineWith();
    machine.rx.offerChain(0, [{ address: BUFFERS, length: 2048 }]);
    machine.rx.publish();
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 0 }]);
    expect(faultNames(machine)).toEqual(["rx-readable"]);
    expect(machine.ram[BUFFERS]).toBe(CANARY);
  });

  test("smaller than the header is a fault with merging too (§5.1.9.3.1)", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([11, 2048]);
    expect(machine.receive(frameOf(60), frameOf(61))).toEqual([
      { head: 0, length: 0 },
      { head: 1, length: HEADER_BYTES + 61 },
    ]);
    expect(faultNames(machine)).toEqual(["rx-too-small"]);
  });

  test("in the middle of a merged frame: all its chains go back unused, and the next frame finds the ring in order", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([100, 100, 5, 2048]);
    expect(machine.receive(frameOf(300), frameOf(60))).toEqual([
      { head: 0, length: 0 },
      { head: 1, length: 0 },
      { head: 2, length: 0 },
      { head: 3, length: HEADER_BYTES + 60 },
    ]);
    expect(machine.drops).toEqual([{ id: 1, why: FAULT }]);
    expect(machine.card.statistics.queues[0]).toMatchObject({ frames: 1, bytes: 60, buffers: 4 });
  });

  test("without merging must hold the whole frame, in exactly one chain (NRXB-2)", () => {
    const machine = machineWith(WITHOUT_MERGING);
    machine.offerReceiveBuffers([HEADER_BYTES + 59, HEADER_BYTES + 60]);
    expect(machine.receive(frameOf(60), frameOf(60))).toEqual([
      { head: 0, length: 0 },
      { head: 1, length: HEADER_BYTES + 60 },
    ]);
    expect(faultNames(machine)).toEqual(["rx-too-small"]);
  });

  test("is no fault if nobody promised room for such a frame: it stays the card's", () => {
    const machine = machineWith(WITHOUT_MERGING.filter((name) => name !== "MTU"));
    machine.offerReceiveBuffers([1526]);
    expect(machine.receive(frameOf(1515))).toEqual([]);
    expect(machine.drops).toEqual([{ id: 1, why: TOO_LONG }]);
    expect(machine.faults).toEqual([]);
    expect(machine.receive(frameOf(1514))).toEqual([{ head: 0, length: 1526 }]);
  });

  test("made of empty descriptors is too small", () => {
    const machine = machineWith();
    machine.rx.offerChain(0, [
      { address: 0, length: 0, flags: WRITE },
      { address: 0, length: 0, flags: WRITE },
    ]);
    machine.rx.publish();
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 0 }]);
    expect(faultNames(machine)).toEqual(["rx-too-small"]);
  });

  test("with a loop goes back unused", () => {
    const machine = machineWith();
    machine.rx.setDescriptor(0, { address: BUFFERS, length: 1, flags: WRITE | NEXT, next: 0 });
    machine.rx.offer(0);
    machine.rx.publish();
    expect(machine.receive(frameOf(60))).toEqual([{ head: 0, length: 0 }]);
    expect(faultNames(machine)).toEqual(["chain-too-long"]);
  });
});

describe("frames that are dropped", () => {
  test("for want of a buffer are counted, one by one", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([2048]);
    expect(machine.receive(frameOf(60), frameOf(61), frameOf(62))).toHaveLength(1);
    expect(machine.drops).toEqual([
      { id: 2, why: NO_BUFFER },
      { id: 3, why: NO_BUFFER },
    ]);
    expect(machine.card.statistics.queues[0]).toMatchObject({ frames: 1, dropped: 2 });
    expect(machine.card.framesArrived).toBe(3);
  });

  test("are those longer than MTU and Ethernet header, once MTU is negotiated (NCFG-5)", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([2048, 2048]);
    expect(machine.receive(frameOf(1515), frameOf(1514))).toEqual([{ head: 0, length: HEADER_BYTES + 1514 }]);
    expect(machine.drops).toEqual([{ id: 1, why: TOO_LONG }]);
  });

  test("are tagged frames only if they exceed that by more than the tag", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([2048, 2048]);
    const tagged = (length: number) => {
      const frame = frameOf(length);
      frame.set([0x81, 0x00], 12);
      return frame;
    };
    expect(machine.receive(tagged(1518), tagged(1519))).toEqual([{ head: 0, length: HEADER_BYTES + 1518 }]);
    expect(machine.drops).toEqual([{ id: 2, why: TOO_LONG }]);
  });

  test("are not the long ones if MTU was not negotiated and the buffers hold them", () => {
    const machine = machineWith(WITHOUT_MTU);
    machine.offerReceiveBuffers([2048, 2048]);
    expect(machine.receive(frameOf(3000))).toHaveLength(2);
  });

  test("are those whose header does not fit them (NRX-20, NRX-27)", () => {
    const machine = machineWith();
    machine.offerReceiveBuffers([2048, 2048, 2048]);
    machine.port.arrivals.push({ bytes: frameOf(60), flags: 1, csumStart: 59 }, { bytes: frameOf(60), gsoType: 1 });
    machine.port.arrivals.push({ bytes: frameOf(60), flags: 2 });
    machine.poll();
    expect(machine.drops).toEqual([
      { id: 1, why: FAULT },
      { id: 2, why: FAULT },
    ]);
    // DATA_VALID is true of a frame that the card cannot say it of; it is left out.
    expect(machine.bytes(BUFFERS, HEADER_BYTES)).toEqual(headerBytes(1));
  });
});

describe.each(WAYS)("publishing of buffers taken %s", (_way, observed) => {
  const machineOf = (): CardMachine => machineWith(PLAIN_FEATURES, 8, observed);

  test("happens once per poll", () => {
    const machine = machineOf();
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    const seen = usedIdxSeen(machine, () => machine.receive(frameOf(60), frameOf(60), frameOf(60)));
    expect(seen).toEqual([3]);
    expect(machine.card.statistics.queues[0]!.batches).toBe(1);
  });

  test("happens after every frame once free buffers are at the guard (R5)", () => {
    const machine = machineOf();
    machine.card.throttle.vectors[0]!.freeMin = 5;
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    const frames = new Array(6).fill(0).map(() => frameOf(60));
    expect(usedIdxSeen(machine, () => machine.receive(...frames))).toEqual([3, 4, 5, 6]);
  });

  test("does not, if the driver has refilled since the card last looked", () => {
    const machine = machineOf();
    machine.offerReceiveBuffers([2048, 2048, 2048, 2048]);
    machine.receive(frameOf(60));
    // Four more buffers, of which the card's cached count of 3 does not know.
    for (const i of [4, 5, 6, 7]) {
      machine.rx.setDescriptor(i, { address: BUFFERS + 0x1000 * i, length: 2048, flags: WRITE });
      machine.rx.offer(i);
    }
    machine.rx.publish();
    machine.card.throttle.vectors[0]!.freeMin = 4;
    expect(usedIdxSeen(machine, () => machine.receive(frameOf(60), frameOf(60)))).toEqual([3]);
    expect(machine.card.freeReceiveBuffers).toBe(5);
  });

  test("heeds a guard that the host programs between two polls", () => {
    const machine = machineOf();
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    const seen = usedIdxSeen(machine, () => {
      machine.receive(frameOf(60), frameOf(60));
      machine.card.throttle.vectors[0]!.freeMin = 8;
      machine.receive(frameOf(60), frameOf(60));
      machine.card.throttle.vectors[0]!.freeMin = 0;
      machine.receive(frameOf(60), frameOf(60));
    });
    expect(seen).toEqual([2, 3, 4, 6]);
  });

  test("heeds a guard that was programmed after a poll in which all was dropped (R5)", () => {
    const machine = machineOf();
    machine.receive(frameOf(60));
    machine.card.throttle.vectors[0]!.freeMin = 5;
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    const frames = new Array(5).fill(0).map(() => frameOf(60));
    expect(usedIdxSeen(machine, () => machine.receive(...frames))).toEqual([3, 4, 5]);
  });

  test("happens at once for an urgent frame (R11)", () => {
    const machine = machineOf();
    machine.card.throttle.vectors[0]!.urgent.program(1, 1000, 0);
    machine.offerReceiveBuffers(new Array(8).fill(2048));
    machine.port.arrivals.push({ bytes: frameOf(60) }, { bytes: frameOf(60), urgent: true }, { bytes: frameOf(60) });
    expect(usedIdxSeen(machine, () => machine.poll())).toEqual([2, 3]);
  });

  test("comes before a frame is dropped for want of a buffer", () => {
    const machine = machineOf();
    machine.offerReceiveBuffers([2048]);
    const seenAtDrop: number[] = [];
    const starved = machine.card.throttle.starved.bind(machine.card.throttle);
    machine.card.throttle.starved = (queue, nowNs) => {
      seenAtDrop.push(machine.rx.usedIdx);
      starved(queue, nowNs);
    };
    machine.receive(frameOf(60), frameOf(60));
    expect(seenAtDrop).toEqual([1]);
  });
});
