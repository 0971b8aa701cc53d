import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameOf, MAC } from "../rings/card-machine.ts";
import {
  CONTROLQ,
  ControlMachine,
  ERR,
  hashConfig,
  macTables,
  OK,
  PAIRS,
  rssConfig,
  statsRequest,
  u16,
  u32,
} from "../rings/control-machine.ts";
import { WRITE } from "../rings/split-driver.ts";
import { type Range, withinBounds } from "./survival.ts";

const COMMAND_AT = 0x30000;
const REPLY_AT = 0x38000;
const KEY = Array.from({ length: 40 }, (_, i) => i + 1);
const OTHER = [2, 9, 9, 9, 9, 9];
const TO_CARD = Uint8Array.from([...MAC, ...frameOf(60).slice(6)]);
const GROUP = [3, 9, 9, 9, 9, 9];

/** What a command may change in memory: the driver's own ring and command, and the room for the answer. */
function given({ queues }: ControlMachine, bytes: number, resultBytes: number): Range[] {
  const { table, used } = queues[CONTROLQ]!;
  return [
    [table, used],
    [COMMAND_AT, COMMAND_AT + bytes],
    [REPLY_AT, REPLY_AT + 1 + resultBytes + 16],
  ];
}

/** The driver resets the card and uses it as if nothing had been. */
function startsAgain(machine: ControlMachine): void {
  machine.start();
  expect(machine.status).toBe(15);
  expect(machine.arrive(TO_CARD)).toEqual([0]);
  expect(machine.command([4, 0, ...u16(1)]).ack).toBe(OK);
}

describe("case 17: counts of address tables", () => {
  const table = (unicasts: number, multicasts: number | null, ...addresses: number[][]) => [
    1,
    0,
    ...u32(unicasts),
    ...addresses.flat(),
    ...(multicasts === null ? [] : u32(multicasts)),
  ];

  test.each<[string, number[], number]>([
    ["no addresses", table(0, 0), OK],
    ["no second table", table(0, null), ERR],
    ["no second table behind an address", table(1, null, OTHER), ERR],
    ["an address that is not there", table(1, 0), ERR],
    ["one address too many", table(0, 0, OTHER), ERR],
    ["2^32 - 1 of them", table(0xffffffff, 0), ERR],
    ["a count whose bytes are 2^32 and 2", table(0x2aaaaaab, 0, [0, 0]), ERR],
    ["a count whose bytes are 2^32 - 4", table(0x2aaaaaaa, 0), ERR],
    ["a second count whose bytes are 2^32 and 2", [...table(0, 0x2aaaaaab), 0, 0], ERR],
    ["a second count of 2^32 - 1", table(0, 0xffffffff), ERR],
    ["both counts of 2^31", table(0x80000000, 0x80000000), ERR],
    ["a first count that hides the second", table(2, 0, OTHER), ERR],
  ])("%s", (_, bytes, ack) => {
    const machine = new ControlMachine();
    machine.command([1, 0, ...macTables([OTHER], [GROUP])]);
    const before = machine.settings;
    expect(withinBounds(machine, given(machine, bytes.length, 0), () => machine.command(bytes)).ack).toBe(ack);
    if (ack === ERR) expect(machine.settings).toEqual(before);
    startsAgain(machine);
  });
});

/** Commands at the limits of what is valid. */
const VALID: [string, number[], number][] = [
  ["RX_ALLMULTI", [0, 1, 1], 0],
  ["MAC_TABLE_SET", [1, 0, ...macTables(new Array(64).fill(OTHER), new Array(65).fill(GROUP))], 0],
  ["MAC_ADDR_SET", [1, 1, ...OTHER], 0],
  ["VLAN_ADD", [2, 0, ...u16(4095)], 0],
  ["VQ_PAIRS_SET", [4, 0, ...u16(PAIRS)], 0],
  ["RSS_CONFIG", [4, 1, ...rssConfig(0x1ff, new Array(128).fill(2), 2, PAIRS, KEY)], 0],
  ["HASH_CONFIG", [4, 2, ...hashConfig(0x1ff, KEY)], 0],
  ["GUEST_OFFLOADS_SET", [5, 0, ...u32(0x82), ...u32(0)], 0],
  ["VQ_SET", [6, 2, ...u16(4), 0, 0, ...u32(0xffffffff), ...u32(0)], 0],
  ["VQ_GET", [6, 3, ...u16(4), 0, 0], 8],
  ["STATS_GET", [8, 1, ...statsRequest(0, 0), ...statsRequest(CONTROLQ, 32)], 80],
];

/** Counts reads of the command's bytes; each is followed by a write of `value`, as by another vCPU, unless it is null. */
function spyOn(machine: ControlMachine, bytes: number, value: number | null): Map<number, number> {
  const reads = new Map<number, number>();
  const { memory } = machine;
  memory.u8 = new Proxy(memory.u8, {
    get: (target, key) => {
      const result: unknown = Reflect.get(target, key, target);
      const at = typeof key === "symbol" ? Number.NaN : Number(key) - COMMAND_AT;
      if (typeof result === "function") return result.bind(target);
      if (!(at >= 0 && at < bytes)) return result;
      reads.set(at, (reads.get(at) ?? 0) + 1);
      if (value !== null) target[COMMAND_AT + at] = value;
      return result;
    },
    set: (target, key, byte: number) => {
      target[Number(key)] = byte;
      return true;
    },
  });
  return reads;
}

describe("case 25: a command that changes under the card", () => {
  test.each(VALID)("%s is carried out as it was first read, and each byte is read once", (_, bytes, resultBytes) => {
    const honest = new ControlMachine();
    const reply = honest.command(bytes, resultBytes);
    expect(reply.ack).toBe(OK);
    for (const value of [0, 0xff, 0x80]) {
      const machine = new ControlMachine();
      const reads = spyOn(machine, bytes.length, value);
      expect(machine.command(bytes, resultBytes)).toEqual(reply);
      expect(machine.settings).toEqual(honest.settings);
      expect(Math.max(...reads.values())).toBe(1);
    }
  });
});

describe("case 18: what is out of range", () => {
  test.each<[string, number[]]>([
    ["an indirection table entry beyond the queues", [4, 1, ...rssConfig(1, [0, PAIRS], 0, 1, KEY)]],
    ["one far beyond", [4, 1, ...rssConfig(1, [0xffff], 0, 1, KEY)]],
    ["a mask of 0xffff", [4, 1, ...u32(1), 0xff, 0xff, ...new Array(300).fill(0)]],
    ["a mask that is no power of two less one", [4, 1, ...rssConfig(1, [0, 0, 0, 0, 0], 0, 1, KEY)]],
    ["a key of 255 bytes", [4, 1, ...rssConfig(1, [0], 0, 1, new Array(255).fill(1))]],
    ["a key that is not there", [4, 2, ...u32(1), ...new Array(8).fill(0), 40]],
  ])("%s is refused, and frames go on", (_, bytes) => {
    const machine = new ControlMachine();
    const before = machine.settings;
    expect(withinBounds(machine, given(machine, bytes.length, 0), () => machine.command(bytes)).ack).toBe(ERR);
    expect(machine.settings).toEqual(before);
    expect(machine.arrive(TO_CARD)).toEqual([0]);
    startsAgain(machine);
  });
});

describe("commands of hundreds of megabytes", () => {
  // As many descriptors as the ring has, each over all of the command's memory, and again.
  const huge = (machine: ControlMachine, first: number[]): { ack: number; reads: number } => {
    const ctrl = machine.queues[CONTROLQ]!;
    machine.ram.fill(1, COMMAND_AT, COMMAND_AT + 0x8000);
    machine.ram.set(first, COMMAND_AT);
    const readable = Array.from({ length: 1000 }, () => ({ address: COMMAND_AT, length: 0x8000 }));
    ctrl.offerChain(0, [...readable, { address: REPLY_AT, length: 1, flags: WRITE }]);
    ctrl.publish();
    const reads = spyOn(machine, 0x8000, null);
    machine.kick(CONTROLQ);
    machine.poll();
    return { ack: machine.ram[REPLY_AT]!, reads: [...reads.values()].reduce((sum, count) => sum + count, 0) };
  };

  test.each<[string, number[]]>([
    ["an unknown command", [99, 0]],
    ["a receive mode", [0, 0, 1]],
    ["address tables that fill it", [1, 0, ...u32(0x500000)]],
    ["RSS", [4, 1, ...rssConfig(1, [0], 0, 1, KEY)]],
    ["requests for statistics", [8, 1, ...statsRequest(0, 0)]],
  ])("%s: no more than a command's worth of bytes is looked at", (_, first) => {
    const { ack, reads } = huge(new ControlMachine(), first);
    expect(ack).toBe(ERR);
    expect(reads).toBeLessThan(1000);
  });
});

const nasty = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 40, 41, 64, 127, 128, 255),
  fc.constantFrom(0x80, 0xff, 0x7f),
  fc.nat(255),
);
/** Any command, some of whose bytes were changed, cut off or added. */
const spoiled = fc
  .record({
    base: fc.constantFrom(...VALID.map(([, bytes]) => bytes), [8, 0], [3, 0], [9, 9]),
    changes: fc.array(fc.tuple(fc.nat(40), nasty), { maxLength: 4 }),
    length: fc.option(fc.nat(400)),
  })
  .map(({ base, changes, length }) => {
    const bytes = base.slice();
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    if (length === null) return bytes;
    return Array.from({ length }, (_, i) => bytes[i] ?? 0);
  });
const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });

test("whatever commands say, the card answers each, changes nothing that it refuses, and keeps to its queues", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(spoiled, fc.nat(120), cuts), { minLength: 1, maxLength: 8 }), (commands) => {
      const machine = new ControlMachine();
      for (const [bytes, resultBytes, sizes] of commands) {
        const before = machine.settings;
        const reply = withinBounds(machine, given(machine, bytes.length, resultBytes), () =>
          machine.command(bytes, resultBytes, sizes),
        );
        expect([OK, ERR]).toContain(reply.ack);
        if (reply.ack === OK) continue;
        expect(reply.result).toEqual([]);
        expect(machine.settings).toEqual(before);
      }
      machine.arrive(frameOf(60));
      expect(machine.faults).toEqual([]);
      expect(machine.status).toBe(15);
    }),
    { numRuns: 150 },
  );
});
