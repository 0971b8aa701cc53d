import { describe, expect, test } from "vitest";
import { frameOf, HEADER_BYTES, MAC, REG } from "../../../rings/card-machine.ts";
import {
  CONTROL_FEATURES,
  ControlMachine,
  ERR,
  hashConfig,
  macTables,
  OK,
  rssConfig,
  u16,
} from "../../../rings/control-machine.ts";
import { ethernet, packet, TCP } from "../../../rings/packets.ts";

const KEY = Array.from({ length: 40 }, (_, i) => (i * 91 + 3) & 0xff);
const OTHER = [0x52, 0, 0, 0, 0, 9];
const GROUP = [0x33, 0x33, 0, 0, 0, 1];
const QUEUE_DROPPED = [3, 4];

/** A frame to an address. */
function to(address: readonly number[]): Uint8Array {
  const bytes = frameOf(60);
  bytes.set(address);
  return bytes;
}

/** A TCP packet of flow `port` to the card, and the answer to it. */
const inbound = (port: number) => packet(TCP, { address: "198.51.100.7", port: 443 }, { address: "192.0.2.1", port });
const outbound = (port: number) => packet(TCP, { address: "192.0.2.1", port }, { address: "198.51.100.7", port: 443 });

function queuesOf(machine: ControlMachine, ports = 40): number[] {
  return Array.from({ length: ports }, (_, port) => machine.arrive(inbound(port))).flat();
}

describe("what the driver filters out", () => {
  test("is counted as filtered, and neither as delivered nor as dropped", () => {
    const machine = new ControlMachine();
    expect(machine.arrive(to(OTHER))).toEqual([]);
    expect(machine.arrive(to(GROUP))).toEqual([]);
    expect(machine.arrive(to(MAC))).toEqual([0]);
    const { filtered, queues } = machine.card.statistics;
    expect([filtered, queues[0]!.frames, queues[0]!.dropped, machine.drops]).toEqual([2, 1, 0, []]);
    expect(machine.card.framesArrived).toBe(3);
  });

  test("is not looked at without CTRL_RX and CTRL_VLAN (NVLAN-1)", () => {
    const machine = new ControlMachine(CONTROL_FEATURES.filter((name) => !["CTRL_RX", "CTRL_VLAN"].includes(name)));
    for (const bytes of [to(OTHER), to(GROUP), ethernet(0x0800, new Array(46).fill(0), [[0x8100, 77]])]) {
      expect(machine.arrive(bytes)).toEqual([0]);
    }
  });

  test("changes with RX modes (NRXF-1, NRXF-5)", () => {
    const machine = new ControlMachine();
    const mode = (command: number, on: number) => machine.command([0, command, on]).ack;
    expect([mode(2, 1), machine.arrive(to(OTHER)), machine.arrive(to(GROUP))]).toEqual([OK, [0], []]);
    expect([mode(1, 1), machine.arrive(to(GROUP))]).toEqual([OK, [0]]);
    expect([mode(4, 1), machine.arrive(to(MAC))]).toEqual([OK, []]);
    expect([mode(0, 1), machine.arrive(to(MAC))]).toEqual([OK, [0]]);
    expect([mode(0, 0), machine.arrive(to(MAC))]).toEqual([OK, []]);
  });

  test.each([2, 3, 0xff])("an RX mode is 0 or 1; %i is answered ERR", (value) => {
    const machine = new ControlMachine();
    for (const command of [0, 1, 2, 3, 4, 5]) expect(machine.command([0, command, value]).ack).toBe(ERR);
    expect(machine.arrive(to(OTHER))).toEqual([]);
  });

  test("changes with the tables of addresses, the first of which is unicast (NMAC-4)", () => {
    const machine = new ControlMachine();
    const wanted = () => [machine.arrive(to(OTHER)), machine.arrive(to(GROUP))];
    expect(machine.command([1, 0, ...macTables([[2, 2, 2, 2, 2, 2], OTHER], [[3, 3, 3, 3, 3, 3], GROUP])]).ack).toBe(
      OK,
    );
    expect(wanted()).toEqual([[0], [0]]);
    machine.command([1, 0, ...macTables([OTHER], [])]);
    expect(wanted()).toEqual([[0], []]);
    machine.command([1, 0, ...macTables([], [GROUP])]);
    expect(wanted()).toEqual([[], [0]]);
    machine.command([1, 0, ...macTables([GROUP], [OTHER])]);
    expect(wanted()).toEqual([[], []]);
    machine.command([1, 0, ...macTables([], [])]);
    expect(wanted()).toEqual([[], []]);
  });

  test("tables may be longer than the card's: then all of their kind passes (§5.1.9.5.2)", () => {
    const machine = new ControlMachine();
    const many = Array.from({ length: 5000 }, (_, i) => [2, 9, 9, 9, i >>> 8, i & 255]);
    expect(machine.command([1, 0, ...macTables(many, [GROUP])]).ack).toBe(OK);
    expect([machine.arrive(to(OTHER)), machine.arrive(to(GROUP)), machine.arrive(to(GROUP.with(5, 2)))]).toEqual([
      [0],
      [0],
      [],
    ]);
    machine.command([1, 0, ...macTables([], many)]);
    expect([machine.arrive(to(OTHER)), machine.arrive(to(GROUP))]).toEqual([[], [0]]);
  });

  test("a new address of the card takes the place of the old one, in the config space too (NMAC-3)", () => {
    const machine = new ControlMachine();
    const mac = () => [0, 1, 2, 3, 4, 5].map((i) => machine.read(REG.CONFIG + i, 1));
    expect(machine.command([1, 1, ...OTHER]).ack).toBe(OK);
    expect(mac()).toEqual(OTHER);
    expect([machine.arrive(to(OTHER)), machine.arrive(to(MAC))]).toEqual([[0], []]);
    machine.start();
    expect(mac()).toEqual(MAC);
    expect([machine.arrive(to(OTHER)), machine.arrive(to(MAC))]).toEqual([[], [0]]);
  });

  test("a group cannot be the card's address", () => {
    const machine = new ControlMachine();
    for (const address of [GROUP, [1, 0, 0, 0, 0, 0], new Array(6).fill(0xff)]) {
      expect(machine.command([1, 1, ...address]).ack).toBe(ERR);
    }
    expect(machine.arrive(to(MAC))).toEqual([0]);
  });

  test("either of CTRL_RX and CTRL_MAC_ADDR lets a driver set the address", () => {
    for (const missing of ["CTRL_RX", "CTRL_MAC_ADDR"] as const) {
      const machine = new ControlMachine(CONTROL_FEATURES.filter((name) => name !== missing));
      expect(machine.command([1, 1, ...OTHER]).ack).toBe(OK);
    }
  });

  test("changes with VLANs (NVLAN-2, NVLAN-3)", () => {
    const machine = new ControlMachine();
    const tagged = (id: number) => {
      const bytes = ethernet(0x0800, new Array(46).fill(0), [[0x8100, id]]);
      bytes.set(MAC);
      return machine.arrive(bytes);
    };
    expect([tagged(5), machine.arrive(to(MAC))]).toEqual([[], [0]]);
    expect(machine.command([2, 0, ...u16(5)]).ack).toBe(OK);
    expect([tagged(5), tagged(6)]).toEqual([[0], []]);
    expect(machine.command([2, 1, ...u16(5)]).ack).toBe(OK);
    expect(tagged(5)).toEqual([]);
    expect(machine.command([2, 0, ...u16(4096)]).ack).toBe(ERR);
    expect(machine.command([2, 1, ...u16(0xffff)]).ack).toBe(ERR);
  });
});

describe("pairs of queues", () => {
  test("the first one alone receives until the driver asks for more, and after a reset (NMQ-1)", () => {
    const machine = new ControlMachine();
    expect(new Set(queuesOf(machine))).toEqual(new Set([0]));
    machine.command([4, 0, ...u16(3)]);
    expect(new Set(queuesOf(machine))).toEqual(new Set([0, 2, 4]));
    machine.start();
    expect(new Set(queuesOf(machine))).toEqual(new Set([0]));
  });

  test("receive no more once VQ_PAIRS_SET has taken them out (NMQ-2)", () => {
    const machine = new ControlMachine();
    machine.command([4, 0, ...u16(3)]);
    expect(machine.command([4, 0, ...u16(2)]).ack).toBe(OK);
    expect(new Set(queuesOf(machine))).toEqual(new Set([0, 2]));
    expect(machine.command([4, 0, ...u16(1)]).ack).toBe(OK);
    expect(new Set(queuesOf(machine))).toEqual(new Set([0]));
  });

  test.each([0, 4, 0x8000, 0xffff])("%i of them are refused", (pairs) => {
    const machine = new ControlMachine();
    machine.command([4, 0, ...u16(2)]);
    expect(machine.command([4, 0, ...u16(pairs)]).ack).toBe(ERR);
    expect(new Set(queuesOf(machine))).toEqual(new Set([0, 2]));
  });

  test("a flow comes in on the pair on which the driver sends it", () => {
    const machine = new ControlMachine(CONTROL_FEATURES.filter((name) => name !== "HASH_REPORT"));
    machine.command([4, 0, ...u16(3)]);
    for (const pair of [2, 0, 1]) {
      const queue = machine.queues[2 * pair + 1]!;
      const frame = outbound(9);
      machine.ram.fill(0, 0x50000, 0x50000 + HEADER_BYTES);
      machine.ram.set(frame, 0x50000 + HEADER_BYTES);
      queue.setDescriptor(0, { address: 0x50000, length: HEADER_BYTES + frame.length });
      queue.offer(0);
      queue.publish();
      machine.kick(2 * pair + 1);
      machine.poll();
      expect(machine.arrive(inbound(9))).toEqual([2 * pair]);
    }
  });

  test("another pair takes what one in reset cannot; without any, frames are dropped (NMQ-3, NMQ-4)", () => {
    const machine = new ControlMachine();
    machine.command([4, 0, ...u16(2)]);
    machine.card.queues.reset(0);
    expect(new Set(queuesOf(machine))).toEqual(new Set([2]));
    machine.card.queues.reset(2);
    expect(queuesOf(machine, 5)).toEqual([]);
    expect(machine.drops.length).toBe(5);
    expect(machine.drops.every(({ why }) => QUEUE_DROPPED.includes(why))).toBe(true);
  });
});

describe("RSS", () => {
  test("receives on the queues of its table, and elsewhere what has no hash (NRSS-1)", () => {
    const machine = new ControlMachine();
    expect(machine.command([4, 1, ...rssConfig(0x1ff, [1, 2], 0, 3, KEY)]).ack).toBe(OK);
    expect(new Set(queuesOf(machine))).toEqual(new Set([2, 4]));
    const arp = ethernet(0x0806, new Array(46).fill(1));
    expect(machine.arrive(arp)).toEqual([0]);
  });

  test("drops what a queue in reset should get (NRSS-2)", () => {
    const machine = new ControlMachine();
    machine.command([4, 1, ...rssConfig(0x1ff, [1, 1], 0, 3, KEY)]);
    machine.card.queues.reset(2);
    expect(queuesOf(machine, 5)).toEqual([]);
    expect(machine.drops.length).toBe(5);
  });

  test.each<[string, number[]]>([
    ["an unknown hash type", rssConfig(0x200, [0, 1], 0, 3, KEY)],
    ["a mask that is no power of two less one", rssConfig(1, [0, 1, 2], 0, 3, KEY)],
    ["a table that is too long", rssConfig(1, new Array(256).fill(0), 0, 3, KEY)],
    ["a mask of 0xffff", [...rssConfig(1, [0], 0, 3, KEY)].with(4, 0xff).with(5, 0xff)],
    ["a queue that does not exist", rssConfig(1, [0, 3], 0, 3, KEY)],
    ["an unclassified queue that does not exist", rssConfig(1, [0, 1], 3, 3, KEY)],
    ["no transmit queue", rssConfig(1, [0, 1], 0, 0, KEY)],
    ["too many transmit queues", rssConfig(1, [0, 1], 0, 4, KEY)],
    ["a key of 41 bytes", rssConfig(1, [0, 1], 0, 3, [...KEY, 1])],
    ["a key of 255 bytes", rssConfig(1, [0, 1], 0, 3, new Array(255).fill(1))],
    ["a key that is cut off", rssConfig(1, [0, 1], 0, 3, KEY).slice(0, -1)],
    ["a table that is cut off", rssConfig(1, [0, 1], 0, 3, KEY).slice(0, 11)],
    ["a byte behind the key", [...rssConfig(1, [0, 1], 0, 3, KEY), 0]],
    ["no key, but types", rssConfig(1, [0, 1], 0, 3, [])],
  ])("%s is answered ERR, and changes nothing", (_, data) => {
    const machine = new ControlMachine();
    machine.command([4, 1, ...rssConfig(0x1ff, [2, 2], 1, 2, KEY)]);
    const before = machine.settings;
    expect(machine.command([4, 1, ...data]).ack).toBe(ERR);
    expect(machine.settings).toEqual(before);
  });

  test.each<[string, number[]]>([
    ["an unknown hash type", hashConfig(0x200, KEY)],
    ["a key of 41 bytes", hashConfig(1, [...KEY, 1])],
    ["a key that is cut off", hashConfig(1, KEY).slice(0, -1)],
    ["a byte behind the key", [...hashConfig(1, KEY), 0]],
  ])("HASH_CONFIG with %s is answered ERR, and changes nothing", (_, data) => {
    const machine = new ControlMachine();
    machine.command([4, 2, ...hashConfig(0x1ff, KEY)]);
    const before = machine.settings;
    expect(machine.command([4, 2, ...data]).ack).toBe(ERR);
    expect(machine.settings).toEqual(before);
  });

  test("what HASH_CONFIG has in its reserved field does not matter", () => {
    const machine = new ControlMachine();
    expect(machine.command([4, 2, ...hashConfig(0x1ff, KEY).fill(7, 4, 12)]).ack).toBe(OK);
  });
});
