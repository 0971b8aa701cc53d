import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { FrameStaging } from "../../../../src/device/net/frame-staging.ts";
import { BUFFERS, CardMachine, frameOf, HEADER_BYTES, PLAIN_FEATURES, RX, TX } from "../../../rings/card-machine.ts";
import { type Descriptor, INDIRECT, NEXT, WRITE } from "../../../rings/split-driver.ts";

const PACKET_AT = BUFFERS + 0x100;

function faultNames(machine: CardMachine): string[] {
  return machine.faults.map(({ code }) => FAULTS[code]!.name);
}

/** Writes header and frame to PACKET_AT. */
function writePacket(machine: CardMachine, frame: Uint8Array, header: Partial<Record<number, number>> = {}): void {
  machine.ram.fill(0, PACKET_AT, PACKET_AT + HEADER_BYTES);
  for (const [offset, value] of Object.entries(header)) machine.ram[PACKET_AT + Number(offset)] = value!;
  machine.ram.set(frame, PACKET_AT + HEADER_BYTES);
}

/** Offers one chain, kicks, polls; gives what came back. */
function sendChain(machine: CardMachine, descriptors: readonly Descriptor[]): { head: number; length: number }[] {
  machine.tx.offerChain(0, descriptors);
  machine.tx.publish();
  machine.kick(TX);
  machine.poll();
  return machine.tx.takeUsed();
}

describe("a frame", () => {
  test("goes out without its header, and its chain comes back with length 0", () => {
    const machine = new CardMachine().bringUp();
    machine.send(frameOf(60));
    expect(machine.port.sent).toEqual([frameOf(60)]);
    expect(machine.tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 1, bytes: 60, buffers: 1, dropped: 0 });
  });

  test.each([
    [12, 60],
    [72],
    [5, 7, 60],
    [1, 1, 1, 9, 60],
    [20, 2, 50],
  ])("is put together from whatever it is cut into: %j (FRAME-1)", (...lengths) => {
    const machine = new CardMachine().bringUp();
    writePacket(machine, frameOf(60));
    let address = PACKET_AT;
    const descriptors = lengths.map((length) => {
      address += length;
      return { address: address - length, length };
    });
    expect(sendChain(machine, descriptors)).toEqual([{ head: 0, length: 0 }]);
    expect(machine.port.sent).toEqual([frameOf(60)]);
  });

  test("comes out of an indirect table (SIND-2)", () => {
    const machine = new CardMachine().bringUp();
    writePacket(machine, frameOf(60));
    machine.tx.writeDescriptor(BUFFERS, { address: PACKET_AT, length: 12, flags: NEXT, next: 1 });
    machine.tx.writeDescriptor(BUFFERS + 16, { address: PACKET_AT + 12, length: 60 });
    sendChain(machine, [{ address: BUFFERS, length: 32, flags: INDIRECT }]);
    expect(machine.port.sent).toEqual([frameOf(60)]);
  });

  test("of MTU and Ethernet header is forwarded whole (NCFG-6), and a tagged one with its tag", () => {
    const machine = new CardMachine().bringUp();
    machine.send(frameOf(1514));
    machine.send(frameOf(1518), undefined, 1);
    expect(machine.port.sent.map((frame) => frame.length)).toEqual([1514, 1518]);
  });

  test("keeps its bytes though the driver reuses the buffer at once", () => {
    const machine = new CardMachine().bringUp();
    machine.port.onTransmit = () => machine.ram.fill(0, BUFFERS);
    machine.send(frameOf(100));
    expect(machine.port.sent).toEqual([frameOf(100)]);
  });

  test("that the link refuses is counted, and its chain comes back", () => {
    const machine = new CardMachine().bringUp();
    machine.port.accepts = false;
    machine.send(frameOf(60));
    expect(machine.tx.takeUsed()).toHaveLength(1);
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 0, dropped: 1 });
  });

  test("without a link is dropped, and its chain comes back", () => {
    const machine = new CardMachine().bringUp();
    machine.card.setLinkUp(false, machine.nowNs);
    machine.send(frameOf(60));
    expect(machine.port.sent).toEqual([]);
    expect(machine.tx.takeUsed()).toHaveLength(1);
    expect(machine.card.statistics.queues[TX]!.dropped).toBe(1);
  });
});

describe("what is no frame comes back unsent", () => {
  test.each([
    ["a writable descriptor", [{ address: PACKET_AT, length: 72, flags: WRITE }], "tx-writable"],
    [
      "a writable descriptor at the end",
      [
        { address: PACKET_AT, length: 72 },
        { address: PACKET_AT, length: 1, flags: WRITE },
      ],
      "tx-writable",
    ],
    ["an empty chain", [{ address: PACKET_AT, length: 0 }], "tx-too-short"],
    ["less than a header", [{ address: PACKET_AT, length: 11 }], "tx-too-short"],
    ["a header and nothing else", [{ address: PACKET_AT, length: 12 }], "tx-too-short"],
    ["less than an Ethernet header", [{ address: PACKET_AT, length: 25 }], "tx-too-short"],
    ["more than MTU, header and tag", [{ address: PACKET_AT, length: 12 + 1519 }], "tx-too-long"],
    ["more than 64 KiB", [{ address: PACKET_AT, length: 12 + 65554 }], "tx-too-long"],
    ["an address outside memory", [{ address: 0x40000, length: 72 }], "address"],
  ] as [string, Descriptor[], string][])("%s", (_, descriptors, fault) => {
    const machine = new CardMachine().bringUp();
    writePacket(machine, frameOf(60));
    expect(sendChain(machine, descriptors)).toEqual([{ head: 0, length: 0 }]);
    expect(faultNames(machine)).toEqual([fault]);
    expect(machine.port.sent).toEqual([]);
    expect(machine.card.statistics.queues[TX]!.dropped).toBe(1);
    machine.send(frameOf(60));
    expect(machine.port.sent).toHaveLength(1);
  });

  test.each([
    ["a partial checksum", { 0: 1 }],
    ["TCP over IPv4 to be cut", { 1: 1 }],
    ["UDP to be cut", { 1: 5 }],
    ["a gso type that does not exist", { 1: 2 }],
    ["ECN alone", { 1: 0x80 }],
    ["both tunnel bits", { 1: 0x60 }],
  ])("a header that asks for an offload that is not negotiated: %s (§5.1.9.2.1)", (_, header) => {
    const machine = new CardMachine().bringUp();
    writePacket(machine, frameOf(60), header);
    expect(sendChain(machine, [{ address: PACKET_AT, length: 72 }])).toHaveLength(1);
    expect(faultNames(machine)).toEqual(["tx-offload"]);
    expect(machine.port.sent).toEqual([]);
  });

  test("flags that mean nothing on transmit are ignored (NTX-1, NTX-2)", () => {
    const machine = new CardMachine().bringUp();
    writePacket(machine, frameOf(60), { 0: 0xfe, 2: 0xff, 6: 0xff, 8: 0xff, 10: 7 });
    sendChain(machine, [{ address: PACKET_AT, length: 72 }]);
    expect(machine.port.sent).toEqual([frameOf(60)]);
    expect(machine.faults).toEqual([]);
  });

  test("a frame longer than the MTU is sent if MTU was not negotiated and the link takes it", () => {
    const machine = new CardMachine().bringUp(PLAIN_FEATURES.filter((name) => name !== "MTU"));
    machine.send(frameOf(9014));
    expect(machine.port.sent).toEqual([frameOf(9014)]);
  });
});

describe("polling", () => {
  function offerFrames(machine: CardMachine, count: number): void {
    for (let i = 0; i < count; i++) {
      const address = BUFFERS + 0x100 * i;
      machine.ram.fill(0, address, address + HEADER_BYTES);
      machine.ram.set(frameOf(60, i), address + HEADER_BYTES);
      machine.tx.setDescriptor(i, { address, length: HEADER_BYTES + 60 });
      machine.tx.offer(i);
    }
    machine.tx.publish();
    machine.kick(TX);
  }

  test("sends all that is queued, in order, and publishes once", () => {
    const machine = new CardMachine().bringUp();
    offerFrames(machine, 5);
    expect(machine.poll()).toBe(5);
    expect(machine.port.sent).toEqual([0, 1, 2, 3, 4].map((i) => frameOf(60, i)));
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 5, batches: 1 });
  });

  test("stops at its budget and says that work is left", () => {
    const machine = new CardMachine().bringUp();
    machine.poll();
    offerFrames(machine, 5);
    expect(machine.poll(2)).toBe(2);
    expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
    expect(machine.poll(2)).toBe(2);
    expect(machine.poll(2)).toBe(1);
    expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("looks at the queue only after a kick, for the driver must kick an armed queue", () => {
    const machine = new CardMachine().bringUp();
    machine.poll();
    expect(machine.tx.availEvent).toBe(0);
    let loads = 0;
    const load = machine.memory.loadAcquireU16.bind(machine.memory);
    machine.memory.loadAcquireU16 = (offset) => {
      loads++;
      return load(offset);
    };
    machine.poll();
    expect(loads).toBe(0);
    machine.send(frameOf(60));
    expect(machine.port.sent).toHaveLength(1);
  });

  test("kicks that nobody asked for do no harm (SASUP-5)", () => {
    const machine = new CardMachine().bringUp();
    for (let i = 0; i < 3; i++) machine.kick(TX);
    machine.kick(RX);
    expect(machine.poll()).toBe(0);
    expect(machine.card.statistics.queues[TX]!.kicks).toBe(3);
    expect(machine.card.statistics.queues[RX]!.kicks).toBe(1);
  });
});

describe("the staging area", () => {
  const RAM = 0x8000;
  const memory = new GuestMemory(new ArrayBuffer(RAM + 0x4000), [{ guestAddress: 0, sizeBytes: RAM, byteOffset: 0 }]);

  test("may lie in the guest's buffer, outside the guest's memory", () => {
    const staging = new FrameStaging(memory, { bytes: memory.u8, offset: RAM, lengthBytes: 2048 }, 1514);
    expect(staging.bytes).toBe(memory.u8);
    const view = new Uint8Array(memory.u8.buffer, RAM);
    const shifted = new FrameStaging(memory, { bytes: view, offset: 8, lengthBytes: 2048 }, 1514);
    expect(shifted.bytes).toBe(memory.u8);
    expect(shifted.offset).toBe(RAM + 8);
  });

  test("follows the memory to another buffer", () => {
    const growing = new GuestMemory(new ArrayBuffer(RAM + 0x4000), [
      { guestAddress: 0, sizeBytes: RAM, byteOffset: 0 },
    ]);
    const area = { bytes: growing.u8, offset: RAM, lengthBytes: 2048 };
    const staging = new FrameStaging(growing, area, 1514);
    growing.rebind(new ArrayBuffer(2 * RAM));
    expect(staging.bytes).toBe(growing.u8);
  });

  test("is refused within the guest's reach, for the guest could change what was checked", () => {
    const area = { bytes: memory.u8, offset: RAM - 8, lengthBytes: 2048 };
    expect(() => new FrameStaging(memory, area, 1514)).toThrow(/overlaps the guest's region/);
  });

  test("is refused if it is too small or outside its array", () => {
    const bytes = new Uint8Array(4096);
    const short = { bytes, offset: 0, lengthBytes: 1533 };
    expect(() => new FrameStaging(memory, short, 1514)).toThrow(/at least 1534 are needed/);
    const outside = { bytes, offset: 4000, lengthBytes: 2048 };
    expect(() => new FrameStaging(memory, outside, 1514)).toThrow(/its array has 4096/);
  });
});
