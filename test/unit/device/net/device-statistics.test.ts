import { describe, expect, test } from "vitest";
import { frameOf, MAC } from "../../../rings/card-machine.ts";
import { CONTROLQ, ControlMachine, ERR, OK, PAIRS, statsRequest, u16, u32 } from "../../../rings/control-machine.ts";

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

test("STATS_QUERY gives the types that the card counts (NSTAT-1)", () => {
  const machine = new ControlMachine();
  const { ack, result } = machine.command([8, 0], 8);
  expect([ack, result]).toEqual([OK, [...u32((1 << RX_BASIC) | (1 << TX_BASIC)), ...u32(1)]]);
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

  test("have 64 bits (NSTAT-7)", () => {
    const machine = new ControlMachine();
    machine.card.statistics.queues[0]!.bytes = 0x1fffff_fffffff0;
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[2]).toBe(0x1fffff_fffffff0);
    machine.card.statistics.queues[0]!.bytes = 2 ** 64;
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[2]).toBe(0);
  });

  test("go on after a reset of the device", () => {
    const machine = new ControlMachine();
    machine.arrive(Uint8Array.from([...MAC, ...frameOf(60).slice(6)]));
    machine.start();
    expect(get(machine, statsRequest(0, RX_BASIC))![0]!.counters[1]).toBe(1);
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
