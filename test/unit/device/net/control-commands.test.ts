import { describe, expect, test } from "vitest";
import type { Feature } from "../../../rings/card-machine.ts";
import {
  CONTROL_FEATURES,
  CONTROLQ,
  ControlMachine,
  ERR,
  hashConfig,
  macTables,
  OK,
  rssConfig,
  statsRequest,
  u16,
  u32,
} from "../../../rings/control-machine.ts";

const KEY = Array.from({ length: 40 }, (_, i) => i + 1);
const GROUP = [0x33, 0x33, 0, 0, 0, 1];
const OTHER = [0x52, 0, 0, 0, 0, 9];

/** Every command of §5.1.9.5, its number, its data, what it needs, and how long its result is. */
const COMMANDS: [name: string, bytes: number[], needs: Feature[], resultBytes: number][] = [
  ["RX_PROMISC", [0, 0, 1], ["CTRL_RX"], 0],
  ["RX_ALLMULTI", [0, 1, 1], ["CTRL_RX"], 0],
  ["RX_ALLUNI", [0, 2, 1], ["CTRL_RX_EXTRA"], 0],
  ["RX_NOMULTI", [0, 3, 1], ["CTRL_RX_EXTRA"], 0],
  ["RX_NOUNI", [0, 4, 1], ["CTRL_RX_EXTRA"], 0],
  ["RX_NOBCAST", [0, 5, 1], ["CTRL_RX_EXTRA"], 0],
  ["MAC_TABLE_SET", [1, 0, ...macTables([OTHER, OTHER], [GROUP])], ["CTRL_RX"], 0],
  ["MAC_ADDR_SET", [1, 1, ...OTHER], ["CTRL_MAC_ADDR", "CTRL_RX"], 0],
  ["VLAN_ADD", [2, 0, ...u16(0x0abc)], ["CTRL_VLAN"], 0],
  ["MQ_VQ_PAIRS_SET", [4, 0, ...u16(2)], ["MQ"], 0],
  ["MQ_RSS_CONFIG", [4, 1, ...rssConfig(0x1ff, [2, 1, 0, 1], 2, 3, KEY)], ["RSS"], 0],
  ["MQ_HASH_CONFIG", [4, 2, ...hashConfig(0x1ff, KEY)], ["HASH_REPORT"], 0],
  ["GUEST_OFFLOADS_SET", [5, 0, ...u32(1 << 1), ...u32(1 << 23)], ["CTRL_GUEST_OFFLOADS"], 0],
  ["NOTF_COAL_TX_SET", [6, 0, ...u32(3), ...u32(4)], ["NOTF_COAL"], 0],
  ["NOTF_COAL_RX_SET", [6, 1, ...u32(3), ...u32(4)], ["NOTF_COAL"], 0],
  ["NOTF_COAL_VQ_SET", [6, 2, ...u16(1), 0, 0, ...u32(3), ...u32(4)], ["VQ_NOTF_COAL"], 0],
];
/** Those that change nothing that is not so already. */
const CHANGELESS: typeof COMMANDS = [
  ["VLAN_DEL", [2, 1, ...u16(5)], ["CTRL_VLAN"], 0],
  ["ANNOUNCE_ACK", [3, 0], ["GUEST_ANNOUNCE"], 0],
  ["NOTF_COAL_VQ_GET", [6, 3, ...u16(1), 0, 0], ["VQ_NOTF_COAL"], 8],
  ["STATS_QUERY", [8, 0], ["DEVICE_STATS"], 8],
  ["STATS_GET", [8, 1, ...statsRequest(0, 0), ...statsRequest(1, 16)], ["DEVICE_STATS"], 112],
];
const ALL = [...COMMANDS, ...CHANGELESS];

test.each(COMMANDS)("%s changes what it should, and a reset takes that back", (_, bytes, _needs, resultBytes) => {
  const machine = new ControlMachine();
  const before = machine.settings;
  expect(machine.command(bytes, resultBytes)).toEqual({ ack: OK, result: [] });
  expect(machine.settings).not.toEqual(before);
  machine.start();
  expect(machine.settings).toEqual(before);
});

test.each(CHANGELESS)("%s is answered OK, with its result", (_, bytes, _needs, resultBytes) => {
  const machine = new ControlMachine();
  const before = machine.settings;
  const { ack, result } = machine.command(bytes, resultBytes);
  expect([ack, result.length]).toEqual([OK, resultBytes]);
  expect(machine.settings).toEqual(before);
});

test.each(ALL)("%s is answered ERR without its feature, and changes nothing", (_, bytes, needs, resultBytes) => {
  const machine = new ControlMachine(CONTROL_FEATURES.filter((name) => !needs.includes(name)));
  const before = machine.settings;
  expect(machine.command(bytes, resultBytes)).toEqual({ ack: ERR, result: [] });
  expect(machine.settings).toEqual(before);
});

test.each(
  ALL,
)("%s is answered ERR at any length but its own, and changes nothing", (name, bytes, _needs, resultBytes) => {
  const machine = new ControlMachine();
  const before = machine.settings;
  const lengths = [...bytes.keys(), bytes.length + 1, bytes.length + 300];
  for (const length of lengths) {
    // A list of requests is as long as the driver likes.
    if (name === "STATS_GET" && [2, 18].includes(length)) continue;
    const cut = Array.from({ length }, (_, i) => bytes[i] ?? 0);
    expect(machine.command(cut, resultBytes)).toEqual({ ack: ERR, result: [] });
    expect(machine.settings).toEqual(before);
  }
  // The queue goes on.
  expect(machine.command(bytes, resultBytes).ack).toBe(OK);
});

test.each(ALL)("%s may be cut anywhere (FRAME-1)", (_, bytes, _needs, resultBytes) => {
  const whole = new ControlMachine();
  whole.command(bytes, resultBytes);
  for (const cuts of [...bytes.keys()]
    .slice(1)
    .map((length) => [length, 10_000])
    .concat([[1], [1, 2, 3, 5], [7]])) {
    const machine = new ControlMachine();
    const { ack, result } = machine.command(bytes, resultBytes, cuts);
    expect([ack, result.length, machine.settings]).toEqual([OK, resultBytes, whole.settings]);
  }
});

describe("no command", () => {
  const known = new Set(ALL.map(([, [group, command]]) => `${group} ${command}`));

  test("of all others, in any class, is known", () => {
    const machine = new ControlMachine();
    const before = machine.settings;
    for (let group = 0; group < 256; group++) {
      for (const command of [0, 1, 2, 3, 4, 5, 6, 7, 255]) {
        if (known.has(`${group} ${command}`)) continue;
        expect(machine.command([group, command, 1, 0, 0, 0], 8)).toEqual({ ack: ERR, result: [] });
      }
    }
    expect(machine.settings).toEqual(before);
  });
});

describe("a command takes effect before its buffer is used", () => {
  test.each(COMMANDS)("%s (NMAC-2, NMAC-3, NANN-1, NMQ-2)", (_, bytes) => {
    const machine = new ControlMachine();
    const before = JSON.stringify(machine.settings);
    const seen: boolean[] = [];
    const store = machine.memory.storeReleaseU16.bind(machine.memory);
    machine.memory.storeReleaseU16 = (offset, value) => {
      if (offset === machine.queues[CONTROLQ]!.used + 2) seen.push(JSON.stringify(machine.settings) !== before);
      store(offset, value);
    };
    machine.command(bytes);
    expect(seen).toEqual([true]);
  });
});

test("ANNOUNCE_ACK takes the announcement back before its buffer is used (NANN-1)", () => {
  const machine = new ControlMachine();
  const announcing = () => (machine.read(0x106, 2) & 2) !== 0;
  machine.card.announce(machine.nowNs);
  expect([announcing(), machine.notified.length]).toEqual([true, 1]);
  const seen: boolean[] = [];
  const store = machine.memory.storeReleaseU16.bind(machine.memory);
  machine.memory.storeReleaseU16 = (offset, value) => {
    if (offset === machine.queues[CONTROLQ]!.used + 2) seen.push(announcing());
    store(offset, value);
  };
  expect(machine.command([3, 0])).toEqual({ ack: OK, result: [] });
  expect(seen).toEqual([false]);
  expect(announcing()).toBe(false);
});

test("the config space's generation tells of a new address, and of announcements", () => {
  const machine = new ControlMachine();
  const generation = () => machine.read(0xfc);
  const at = [generation()];
  machine.command([1, 1, ...OTHER]);
  at.push(generation());
  machine.card.announce(machine.nowNs);
  at.push(generation());
  machine.command([3, 0]);
  at.push(generation());
  expect(new Set(at).size).toBe(4);
});

describe("offloads (§5.1.9.5.8)", () => {
  const offloadsOf = (machine: ControlMachine) => {
    const { csum, tso4, tso6, ecn, ufo, uso4, uso6 } = machine.card.queues.settings.guestOffloads;
    return { csum, tso4, tso6, ecn, ufo, uso4, uso6 };
  };
  const none = { csum: false, tso4: false, tso6: false, ecn: false, ufo: false, uso4: false, uso6: false };
  const negotiated = { ...none, csum: true, tso4: true, uso6: true };
  const set = (machine: ControlMachine, ...bits: number[]) => {
    const bytes = [0, 0, 0, 0, 0, 0, 0, 0];
    for (const bit of bits) bytes[bit >>> 3]! |= 1 << (bit & 7);
    return machine.command([5, 0, ...bytes]).ack;
  };

  test("what was negotiated is on at first", () => {
    expect(offloadsOf(new ControlMachine())).toEqual(negotiated);
    const without = CONTROL_FEATURES.filter((name) => !name.startsWith("GUEST_"));
    expect(offloadsOf(new ControlMachine([...without, "GUEST_ANNOUNCE"]))).toEqual(none);
  });

  test("a mask switches on what is in it, and off what is not", () => {
    const machine = new ControlMachine();
    expect(set(machine)).toBe(OK);
    expect(offloadsOf(machine)).toEqual(none);
    expect(set(machine, 1, 55)).toBe(OK);
    expect(offloadsOf(machine)).toEqual({ ...none, csum: true, uso6: true });
    expect(set(machine, 1, 7, 55)).toBe(OK);
    expect(offloadsOf(machine)).toEqual(negotiated);
    set(machine);
    machine.start();
    expect(offloadsOf(machine)).toEqual(negotiated);
  });

  test("a reset leaves none", () => {
    const machine = new ControlMachine();
    machine.write(0x070, 0);
    expect(offloadsOf(machine)).toEqual(none);
  });

  test("bits that were not negotiated, or are no offloads, are refused, and change nothing", () => {
    const machine = new ControlMachine();
    for (let bit = 0; bit < 64; bit++) {
      if ([1, 7, 55].includes(bit)) continue;
      expect(set(machine, 1, bit)).toBe(ERR);
      expect(offloadsOf(machine)).toEqual(negotiated);
    }
  });

  test("all seven have their bit", () => {
    const names = [
      "GUEST_CSUM",
      "GUEST_TSO4",
      "GUEST_TSO6",
      "GUEST_ECN",
      "GUEST_UFO",
      "GUEST_USO4",
      "GUEST_USO6",
    ] as const;
    const features = [...new Set<Feature>([...CONTROL_FEATURES, ...names])];
    const machine = new ControlMachine(features, { offer: features });
    const bits = { csum: 1, tso4: 7, tso6: 8, ecn: 9, ufo: 10, uso4: 54, uso6: 55 };
    for (const [name, bit] of Object.entries(bits)) {
      expect(set(machine, bit)).toBe(OK);
      expect(offloadsOf(machine)).toEqual({ ...none, [name]: true });
    }
  });
});
