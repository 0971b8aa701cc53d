import { describe, expect, test } from "vitest";
import { type Feature, frameOf, MAC } from "../../../rings/card-machine.ts";
import { CONTROLQ, ControlMachine, ERR, OK, PAIRS, statsRequest, u16, u32 } from "../../../rings/control-machine.ts";
import { GSO, gsoFrame, payloadOf, type Shape } from "../../../rings/gso-frames.ts";
import { checksumHeader, DATA_VALID, gsoHeader, OffloadMachine } from "../../../rings/offload-machine.ts";

// §5.1.9.5.11, retyped.
const RX_BASIC = 0;
const TX_BASIC = 16;
const CVQ = 32;
const BASIC_BYTES = 8 + 6 * 8;
const CVQ_BYTES = 8 + 2 * 8;

interface Entry {
  readonly type: number;
  readonly index: number;
  readonly size: number;
  readonly counters: number[];
}

/** Takes the replies apart: u8 type, u8 reserved, le16 vq_index, le16 reserved, le16 size, then le64 counters. */
function entries(result: readonly number[]): Entry[] {
  const view = new DataView(Uint8Array.from(result).buffer);
  const found: Entry[] = [];
  for (let at = 0; at < result.length; ) {
    const size = view.getUint16(at + 6, true);
    expect([view.getUint8(at + 1), view.getUint16(at + 4, true)]).toEqual([0, 0]);
    const counters = Array.from({ length: (size - 8) / 8 }, (_, i) => Number(view.getBigUint64(at + 8 + 8 * i, true)));
    found.push({ type: view.getUint8(at), index: view.getUint16(at + 2, true), size, counters });
    at += size;
  }
  return found;
}

function get(machine: ControlMachine, requests: readonly number[], room = 1000): Entry[] | null {
  const { ack, result } = machine.command([8, 1, ...requests], room);
  return ack === OK ? entries(result) : null;
}

function send(machine: ControlMachine, bytes: Uint8Array, headerBytes = 20): void {
  const queue = machine.queues[1]!;
  machine.ram.fill(0, 0x50000, 0x50000 + headerBytes);
  machine.ram.set(bytes, 0x50000 + headerBytes);
  queue.setDescriptor(0, { address: 0x50000, length: headerBytes + bytes.length });
  queue.offer(0);
  queue.publish();
  machine.kick(1);
  machine.poll();
}

test("STATS_QUERY gives the types that the card counts for such a driver (NSTAT-1)", () => {
  const machine = new ControlMachine();
  const { ack, result } = machine.command([8, 0], 8);
  // GUEST_CSUM and GUEST_TSO4 were negotiated: checksums and segments of receive queues.
  expect([ack, result]).toEqual([OK, [...u32(0b111 | (1 << TX_BASIC)), ...u32(1)]]);
  expect(machine.command([8, 0], 20)).toEqual({ ack, result });
  expect(machine.command([8, 0], 7)).toEqual({ ack: ERR, result: [] });
});

describe("counters", () => {
  test("of a receive queue: kicks, packets, bytes, interrupts, drops, and drops for want of buffers", () => {
    const machine = new ControlMachine();
    machine.kick(0);
    machine.arrive(Uint8Array.from([...MAC, ...frameOf(60).slice(6)]));
    machine.arrive(Uint8Array.from([...MAC, ...frameOf(100).slice(6)]));
    const [{ type, index, size, counters } = {} as Entry] = get(machine, statsRequest(0, RX_BASIC))!;
    expect([type, index, size]).toEqual([RX_BASIC, 0, BASIC_BYTES]);
    const { queues } = machine.card.statistics;
    expect(counters.slice(0, 3)).toEqual([1, 2, 160]);
    expect(counters[3]).toBe(queues[0]!.interrupts);
    expect(counters.slice(4)).toEqual([0, 0]);
    const drops = queues[0]!.drops;
    drops[0] = 5;
    drops[1] = 7;
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters.slice(4)).toEqual([12, 5]);
  });

  test("of a transmit queue: kicks, packets, bytes, interrupts, drops, and malformed ones", () => {
    const machine = new ControlMachine();
    send(machine, frameOf(60));
    machine.port.accepts = false;
    send(machine, frameOf(61));
    send(machine, frameOf(4), 4);
    const [{ type, index, size, counters } = {} as Entry] = get(machine, statsRequest(1, TX_BASIC))!;
    expect([type, index, size]).toEqual([TX_BASIC, 1, BASIC_BYTES]);
    expect(counters.slice(0, 3)).toEqual([3, 1, machine.card.statistics.queues[1]!.bytes]);
    expect(counters[3]).toBe(machine.card.statistics.queues[1]!.interrupts);
    expect(counters.slice(4)).toEqual([2, 1]);
  });

  test("interrupts are those that told of the queue", () => {
    const machine = new ControlMachine();
    const interrupts = () =>
      get(machine, [...statsRequest(0, RX_BASIC), ...statsRequest(2, RX_BASIC)])!.map((e) => e.counters[3]);
    expect(interrupts()).toEqual([0, 0]);
    const before = machine.notified.length;
    machine.arrive(Uint8Array.from([...MAC, ...frameOf(60).slice(6)]));
    expect(machine.notified.length).toBe(before + 1);
    expect(interrupts()).toEqual([1, 0]);
  });

  test("of the control queue include the command that asks", () => {
    const machine = new ControlMachine();
    expect(get(machine, statsRequest(CONTROLQ, CVQ))).toEqual([
      { type: CVQ, index: CONTROLQ, size: CVQ_BYTES, counters: [1, 1] },
    ]);
    machine.command([99, 99]);
    machine.command([8, 1, 1]);
    expect(get(machine, statsRequest(CONTROLQ, CVQ))![0]!.counters).toEqual([4, 2]);
  });

  test("count as far as a double does, and go on from zero (NSTAT-7)", () => {
    const machine = new ControlMachine();
    machine.card.statistics.queues[0]!.bytes = 0x1fffff_fffffff0;
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[2]).toBe(0x1fffff_fffffff0);
    machine.card.statistics.queues[0]!.bytes = 2 ** 53;
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[2]).toBe(0);
  });

  test("go on after a reset of the device", () => {
    const machine = new ControlMachine();
    machine.arrive(Uint8Array.from([...MAC, ...frameOf(60).slice(6)]));
    machine.start();
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[1]).toBe(1);
  });
});

describe("counters of offloads", () => {
  const RX_CSUM = 1;
  const RX_GSO = 2;
  const TX_CSUM = 17;
  const TX_GSO = 18;
  const shape: Shape = { version: 4, protocol: "tcp", payload: payloadOf(4000) };
  const frame = gsoFrame(shape);
  const toBeCut = gsoHeader(frame, GSO.TCPV4, 1400);
  const short = gsoFrame({ ...shape, payload: payloadOf(100) });

  function statsOf(machine: OffloadMachine, index: number, type: number): number[] | null {
    const { ack, result } = machine.ask([8, 1, ...statsRequest(index, type)], 100);
    return ack === OK ? entries(result)[0]!.counters : null;
  }

  test("of a transmit queue: frames with and without a checksum to be finished; what was cut, and into what", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4", "CTRL_VQ", "DEVICE_STATS"]);
    machine.sendFrame(frameOf(60), {});
    machine.sendFrame(frameOf(60), {});
    machine.sendFrame(short.bytes, checksumHeader(short));
    machine.sendFrame(frame.bytes, toBeCut);
    machine.port.takesSegmentation = true;
    machine.sendFrame(frame.bytes, toBeCut);
    // Neither a faulty frame nor one without a link is counted.
    machine.sendFrame(frame.bytes, { ...toBeCut, gsoSize: 0 });
    machine.card.setLinkUp(false, machine.nowNs);
    machine.sendFrame(short.bytes, checksumHeader(short));
    expect(statsOf(machine, 1, TX_CSUM)).toEqual([2, 3]);
    expect(statsOf(machine, 1, TX_GSO)).toEqual([2, 2 * 4054, 3, 4054 + 2 * 54, 1, 4054]);
    expect(statsOf(machine, 1, TX_BASIC)!.slice(1, 3)).toEqual([2 + 1 + 3 + 1, 120 + 154 + 4162 + 4054]);
  });

  test("of a receive queue: frames with a validated, a partial and no checksum; frames left to be cut", () => {
    const machine = new OffloadMachine(["GUEST_CSUM", "GUEST_TSO4", "CTRL_VQ", "DEVICE_STATS"]);
    machine.arrive({ bytes: frameOf(60), flags: DATA_VALID }, { bytes: frameOf(60), flags: DATA_VALID });
    machine.arrive({ bytes: short.bytes, ...checksumHeader(short) }, { bytes: frameOf(60) });
    machine.arrive({ bytes: frame.bytes, ...toBeCut });
    // What finds no buffer, or does not fit its own header, is not passed on.
    machine.arrive({ bytes: frame.bytes, ...toBeCut, gsoSize: 0 });
    expect(statsOf(machine, 0, RX_CSUM)).toEqual([2, 2, 1, 0]);
    expect(statsOf(machine, 0, RX_GSO)).toEqual([1, 4054, 0, 0]);
  });

  test("can be had once their features are negotiated, and not before", () => {
    const needs: readonly [number, number, readonly Feature[]][] = [
      [0, RX_CSUM, ["GUEST_CSUM"]],
      [0, RX_GSO, ["GUEST_CSUM", "GUEST_TSO4"]],
      [0, RX_GSO, ["GUEST_CSUM", "GUEST_TSO6"]],
      [1, TX_CSUM, ["CSUM"]],
      [1, TX_GSO, ["CSUM", "HOST_TSO4"]],
      [1, TX_GSO, ["CSUM", "HOST_TSO6"]],
      [1, TX_GSO, ["CSUM", "HOST_USO"]],
    ];
    const basics = [...u32((1 << RX_BASIC) | (1 << TX_BASIC)), ...u32(1)];
    const without = new OffloadMachine(["CTRL_VQ", "DEVICE_STATS"]);
    expect(without.ask([8, 0], 8).result).toEqual(basics);
    for (const [index, type, features] of needs) {
      expect(statsOf(without, index, type)).toBeNull();
      const machine = new OffloadMachine([...features, "CTRL_VQ", "DEVICE_STATS"]);
      expect(statsOf(machine, index, type)).not.toBeNull();
      const [low] = new Uint32Array(Uint8Array.from(machine.ask([8, 0], 8).result).buffer);
      expect((low! >>> type) & 1).toBe(1);
    }
    const fewer = new OffloadMachine(["CSUM", "HOST_UFO", "GUEST_CSUM", "GUEST_USO4", "CTRL_VQ", "DEVICE_STATS"]);
    expect([statsOf(fewer, 0, RX_GSO), statsOf(fewer, 1, TX_GSO)]).toEqual([null, null]);
  });
});

describe("STATS_GET", () => {
  test("answers for all queues at once, in the order of the requests (NSTAT-4, NSTAT-5)", () => {
    const machine = new ControlMachine();
    const order = [5, 0, CONTROLQ, 1, 4, 2, 3, 0];
    const typeOf = (index: number) => (index === CONTROLQ ? CVQ : index % 2 === 0 ? RX_BASIC : TX_BASIC);
    const replies = get(
      machine,
      order.flatMap((index) => statsRequest(index, typeOf(index))),
    )!;
    expect(replies.map(({ type, index, size }) => [type, index, size])).toEqual(
      order.map((index) => [typeOf(index), index, index === CONTROLQ ? CVQ_BYTES : BASIC_BYTES]),
    );
  });

  test("answers nothing to nothing", () => {
    const machine = new ControlMachine();
    expect(get(machine, [])).toEqual([]);
    expect(get(machine, statsRequest(0))).toEqual([]);
  });

  test("does not look at reserved fields", () => {
    const request = statsRequest(0, RX_BASIC);
    for (let i = 2; i < 8; i++) request[i] = 0xff;
    expect(get(new ControlMachine(), request)).toHaveLength(1);
  });

  test.each<[string, number[]]>([
    ["a queue beyond the range", statsRequest(CONTROLQ + 1, RX_BASIC)],
    ["queue 65535", statsRequest(0xffff, RX_BASIC)],
    ["a type of transmit queues for a receive queue", statsRequest(0, TX_BASIC)],
    ["a type of receive queues for a transmit queue", statsRequest(1, RX_BASIC)],
    ["the control queue's type for a receive queue", statsRequest(0, CVQ)],
    ["a type of receive queues for the control queue", statsRequest(CONTROLQ, RX_BASIC)],
    ["an unknown type beside a known one", statsRequest(0, RX_BASIC, 4)],
    ["an unknown type in the high word", statsRequest(CONTROLQ, CVQ, 33)],
    ["the highest bit", statsRequest(0, RX_BASIC, 63)],
    ["bit 31", statsRequest(0, RX_BASIC, 31)],
    ["half a request", statsRequest(0, RX_BASIC).slice(0, 8)],
  ])("%s fails the whole command (NSTAT-2, NSTAT-3)", (_, request) => {
    const machine = new ControlMachine();
    const good = statsRequest(0, RX_BASIC);
    for (const requests of [request, [...good, ...request], request.length === 16 ? [...request, ...good] : request]) {
      expect(machine.command([8, 1, ...requests], 500)).toEqual({ ack: ERR, result: [] });
    }
  });

  test("fills what room there is, and no more (NSTAT-6)", () => {
    const requests = [...statsRequest(0, RX_BASIC), ...statsRequest(1, TX_BASIC)];
    const machine = new ControlMachine();
    const all = machine.command([8, 1, ...requests], 2 * BASIC_BYTES).result;
    expect(all.length).toBe(2 * BASIC_BYTES);
    for (const room of [0, 1, 7, 8, BASIC_BYTES, BASIC_BYTES + 1, 2 * BASIC_BYTES - 1, 2 * BASIC_BYTES + 1]) {
      const { ack, result } = machine.command([8, 1, ...requests], room);
      expect([ack, result]).toEqual([OK, all.slice(0, room)]);
    }
  });

  test("takes four requests for each queue, and no more, so that its work is bounded", () => {
    const machine = new ControlMachine();
    const most = 4 * (2 * PAIRS + 1);
    const requests = (count: number) => Array.from({ length: count }, () => statsRequest(0, RX_BASIC)).flat();
    expect(machine.command([8, 1, ...requests(most)], 0).ack).toBe(OK);
    expect(machine.command([8, 1, ...requests(most + 1)], 0).ack).toBe(ERR);
  });

  test("names the control queue as the driver does, without MQ and RSS too", () => {
    const machine = new ControlMachine(["VERSION_1", "CTRL_VQ", "DEVICE_STATS"]);
    expect(get(machine, statsRequest(2, CVQ))![0]).toMatchObject({ type: CVQ, index: 2 });
    expect(machine.command([8, 1, ...statsRequest(CONTROLQ, CVQ)], 50).ack).toBe(ERR);
    expect(machine.command([8, 1, ...u16(3), ...statsRequest(3, TX_BASIC).slice(2)], 50).ack).toBe(ERR);
  });
});
