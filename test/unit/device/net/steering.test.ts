import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { type RssParameters, Steering } from "../../../../src/device/net/steering.ts";
import { ethernet, packet, TCP, UDP } from "../../../rings/packets.ts";

const PAIRS = 4;
const KEY = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) & 0xff);
const ALL_TYPES = 0x1ff;
const TCPV4 = 2;
const REPORT_TCPV4 = 2;

const GUEST = "192.0.2.1";
const PEER = "198.51.100.7";

function frameOf(bytes: Uint8Array): Frame {
  const frame = new Frame(bytes);
  frame.lengthBytes = bytes.length;
  return frame;
}

/** What comes in of flow `port`, and what the driver sends of it. */
const inbound = (port: number, protocol = TCP): Frame =>
  frameOf(packet(protocol, { address: PEER, port: 443 }, { address: GUEST, port }));
const outbound = (port: number, protocol = TCP): Frame =>
  frameOf(packet(protocol, { address: GUEST, port }, { address: PEER, port: 443 }));
const arp = (): Frame => frameOf(ethernet(0x0806, new Array(46).fill(1)));

interface World {
  readonly steering: Steering;
  /** Pairs whose receive queue lives. */
  readonly live: Set<number>;
}

function world(): World {
  const live = new Set([0, 1, 2, 3]);
  return { steering: new Steering(PAIRS, (pair) => live.has(pair)), live };
}

function rss(overrides: Partial<RssParameters> = {}, table: readonly number[] = [3, 2, 1, 0]): RssParameters {
  return {
    hashTypes: ALL_TYPES,
    tableEntries: table.length,
    table: Uint16Array.from(table),
    unclassifiedPair: 2,
    transmitPairs: 4,
    ...overrides,
  };
}

function pairsOf(steering: Steering, ports = 200): number[] {
  return Array.from({ length: ports }, (_, port) => steering.queueFor(inbound(port)));
}

describe("automatic steering", () => {
  test("gives everything to the first pair until the driver enables more (NMQ-1)", () => {
    const { steering } = world();
    expect(new Set(pairsOf(steering))).toEqual(new Set([0]));
    steering.noteTransmit(outbound(9), 3);
    expect(steering.queueFor(inbound(9))).toBe(0);
    expect(steering.saveState().flows).toEqual([]);
  });

  test("spreads flows over the enabled pairs, and over no others (NMQ-2)", () => {
    const { steering } = world();
    for (const pairs of [4, 3, 2, 1]) {
      expect(steering.setPairs(pairs)).toBe(true);
      const seen = pairsOf(steering);
      expect(new Set(seen)).toEqual(new Set(Array.from({ length: pairs }, (_, pair) => pair)));
      for (let pair = 0; pair < pairs; pair++) {
        expect(seen.filter((got) => got === pair).length).toBeGreaterThan(100 / pairs);
      }
    }
  });

  test("keeps a flow on its pair", () => {
    const { steering } = world();
    steering.setPairs(4);
    expect(pairsOf(steering)).toEqual(pairsOf(steering));
  });

  test("a flow comes in where the driver last sent a packet of it", () => {
    const { steering } = world();
    steering.setPairs(4);
    for (const pair of [3, 0, 2, 1]) {
      steering.noteTransmit(outbound(77), pair);
      expect(steering.queueFor(inbound(77))).toBe(pair);
    }
    const other = steering.queueFor(inbound(77, UDP));
    steering.noteTransmit(outbound(77), (other + 1) % 4);
    expect(steering.queueFor(inbound(77, UDP))).toBe(other);
  });

  test("a flow is not taken for another that was sent", () => {
    const { steering } = world();
    steering.setPairs(4);
    const spread = pairsOf(steering);
    for (let port = 0; port < 20_000; port++) steering.noteTransmit(outbound(port, UDP), 3);
    expect(pairsOf(steering)).toEqual(spread);
  });

  test("that works for IPv6 too", () => {
    const { steering } = world();
    steering.setPairs(4);
    const here = { address: "2001:db8::1", port: 5 };
    const there = { address: "2001:db8::2", port: 6 };
    for (const pair of [3, 0, 2, 1]) {
      steering.noteTransmit(frameOf(packet(UDP, here, there)), pair);
      expect(steering.queueFor(frameOf(packet(UDP, there, here)))).toBe(pair);
    }
  });

  test("a flow leaves a pair that is no longer enabled (NMQ-2)", () => {
    const { steering } = world();
    steering.setPairs(4);
    for (let port = 0; port < 50; port++) steering.noteTransmit(outbound(port), 3);
    steering.setPairs(2);
    expect(pairsOf(steering, 50).every((pair) => pair < 2)).toBe(true);
  });

  test("what is no IP packet goes to the first pair, sent packets of that kind are not remembered", () => {
    const { steering } = world();
    steering.setPairs(4);
    steering.noteTransmit(arp(), 3);
    expect(steering.queueFor(arp())).toBe(0);
  });

  test("another enabled pair takes what a queue in reset cannot (NMQ-3)", () => {
    const { steering, live } = world();
    steering.setPairs(3);
    live.delete(0);
    live.delete(1);
    expect(new Set(pairsOf(steering))).toEqual(new Set([2]));
    expect(steering.queueFor(arp())).toBe(2);
    live.delete(2);
    // Pair 3 lives, but is not enabled.
    expect(pairsOf(steering).every((pair) => pair < 3)).toBe(true);
  });

  test.each([0, PAIRS + 1, 0xffff])("%i pairs are refused, and change nothing", (pairs) => {
    const { steering } = world();
    steering.setPairs(3);
    const before = steering.saveState();
    expect(steering.setPairs(pairs)).toBe(false);
    expect(steering.saveState()).toEqual(before);
  });

  test("thousands of flows are not remembered without bound", () => {
    const { steering } = world();
    steering.setPairs(4);
    for (let port = 0; port < 20_000; port++) steering.noteTransmit(outbound(port), port % 4);
    expect(steering.saveState().flows.length).toBeLessThanOrEqual(2 * 1024);
    expect(steering.queueFor(inbound(19_999))).toBe(19_999 % 4);
  });
});

describe("the hash in the automatic mode", () => {
  test("is reported once HASH_CONFIG has enabled types, and steers nothing", () => {
    const { steering } = world();
    steering.setPairs(4);
    const steered = pairsOf(steering);
    const frame = inbound(1);
    expect([frame.hashReport, frame.hashValue]).toEqual([0, 0]);
    expect(steering.setHash(TCPV4, KEY, 0, 40)).toBe(true);
    expect(pairsOf(steering)).toEqual(steered);
    steering.queueFor(frame);
    expect(frame.hashReport).toBe(REPORT_TCPV4);
    expect(frame.hashValue).not.toBe(0);
  });

  test("is reported with one pair too", () => {
    const { steering } = world();
    steering.setHash(TCPV4, KEY, 0, 40);
    const frame = inbound(1);
    expect(steering.queueFor(frame)).toBe(0);
    expect(frame.hashReport).toBe(REPORT_TCPV4);
  });

  test("of a frame before says nothing about the next one", () => {
    const { steering } = world();
    steering.setHash(TCPV4, KEY, 0, 40);
    const frame = inbound(1);
    steering.queueFor(frame);
    frame.bytes = arp().bytes;
    steering.queueFor(frame);
    expect([frame.hashReport, frame.hashValue]).toEqual([0, 0]);
    frame.hashReport = 5;
    frame.hashValue = 6;
    steering.reset();
    steering.queueFor(frame);
    expect([frame.hashReport, frame.hashValue]).toEqual([0, 0]);
  });

  test.each([
    ["a type that the card has not", ALL_TYPES + 1, 40],
    ["the highest bit", 0x80000000, 40],
    ["a key of more than 40 bytes", ALL_TYPES, 41],
    ["types without a key", ALL_TYPES, 0],
  ])("HASH_CONFIG with %s is refused, and changes nothing", (_, types, keyBytes) => {
    const { steering } = world();
    steering.setRss(rss(), KEY, 0, 40);
    const before = steering.saveState();
    expect(steering.setHash(types, [...KEY, 1, 2], 0, keyBytes)).toBe(false);
    expect(steering.saveState()).toEqual(before);
  });

  test("no types and no key switch the hash off", () => {
    const { steering } = world();
    steering.setHash(ALL_TYPES, KEY, 0, 40);
    expect(steering.setHash(0, [], 0, 0)).toBe(true);
    const frame = inbound(1);
    steering.queueFor(frame);
    expect(frame.hashReport).toBe(0);
  });
});

describe("RSS", () => {
  test("the masked hash is the index in the indirection table (NRSS-1)", () => {
    const { steering } = world();
    const table = [3, 1, 0, 2, 2, 0, 1, 3];
    expect(steering.setRss(rss({}, table), KEY, 0, 40)).toBe(true);
    const seen = new Set<number>();
    for (let port = 0; port < 200; port++) {
      const frame = inbound(port);
      expect(steering.queueFor(frame)).toBe(table[frame.hashValue & 7]);
      expect(frame.hashReport).toBe(REPORT_TCPV4);
      seen.add(frame.hashValue & 7);
    }
    expect(seen.size).toBe(8);
  });

  test("a packet without a hash goes to the unclassified queue (NRSS-1)", () => {
    const { steering } = world();
    steering.setRss(rss({ hashTypes: TCPV4 }), KEY, 0, 40);
    expect(steering.queueFor(arp())).toBe(2);
    expect(steering.queueFor(inbound(1, UDP))).toBe(2);
    steering.setRss(rss({ hashTypes: 0, unclassifiedPair: 1 }), KEY, 0, 0);
    expect(new Set(pairsOf(steering))).toEqual(new Set([1]));
  });

  test("a queue in reset is chosen all the same, for its packets are to be dropped (NRSS-2)", () => {
    const { steering, live } = world();
    steering.setRss(rss({}, [1]), KEY, 0, 40);
    live.delete(1);
    expect(steering.queueFor(inbound(1))).toBe(1);
  });

  test("tables of 1 and of 128 entries are allowed", () => {
    const { steering } = world();
    for (const entries of [1, 128]) {
      const table = Array.from({ length: entries }, (_, i) => i % 4);
      expect(steering.setRss(rss({}, table), KEY, 0, 40)).toBe(true);
      expect(steering.saveState().table).toEqual(table);
    }
  });

  test.each<[string, Partial<RssParameters>, number[]]>([
    ["a type that the card has not", { hashTypes: 1 << 9 }, [0]],
    ["the highest bit of the types", { hashTypes: 0x80000000 }, [0]],
    ["no table", {}, []],
    ["a table of 3 entries", {}, [0, 1, 2]],
    ["a table of 256 entries", {}, new Array(256).fill(0)],
    ["an entry beyond the last pair", {}, [0, 1, 2, PAIRS]],
    ["an entry with the reserved bit", {}, [0x8000]],
    ["an unclassified queue beyond the last pair", { unclassifiedPair: PAIRS }, [0]],
    ["no transmit queue", { transmitPairs: 0 }, [0]],
    ["more transmit queues than there are", { transmitPairs: PAIRS + 1 }, [0]],
  ])("%s is refused, and changes nothing", (_, overrides, table) => {
    const { steering } = world();
    steering.setPairs(3);
    const before = steering.saveState();
    expect(steering.setRss(rss(overrides, table), KEY, 0, 40)).toBe(false);
    expect(steering.saveState()).toEqual(before);
  });

  test("a table with a queue that is not enabled is refused", () => {
    const { steering, live } = world();
    live.delete(1);
    expect(steering.setRss(rss({}, [0, 1]), KEY, 0, 40)).toBe(false);
    expect(steering.setRss(rss({}, [0, 2]), KEY, 0, 40)).toBe(true);
  });

  test("a pair beyond the last is refused though another queue lives there", () => {
    const steering = new Steering(PAIRS, () => true);
    expect(steering.setRss(rss({}, [PAIRS]), KEY, 0, 40)).toBe(false);
  });

  test("a key that is too long, or none, is refused", () => {
    const { steering } = world();
    expect(steering.setRss(rss(), [...KEY, 1], 0, 41)).toBe(false);
    expect(steering.setRss(rss(), KEY, 0, 0)).toBe(false);
  });
});

describe("the last command decides on the mode (§5.1.9.5.5)", () => {
  test("VQ_PAIRS_SET ends RSS, and RSS_CONFIG the automatic mode", () => {
    const { steering } = world();
    steering.setPairs(3);
    steering.setRss(rss({ transmitPairs: 2 }, [3]), KEY, 0, 40);
    expect(new Set(pairsOf(steering))).toEqual(new Set([3]));
    steering.noteTransmit(outbound(1), 1);
    steering.setPairs(3);
    expect(new Set(pairsOf(steering))).toEqual(new Set([0, 1, 2]));
    expect(steering.saveState().flows).toEqual([]);
  });

  test("HASH_CONFIG ends RSS", () => {
    const { steering } = world();
    steering.setRss(rss({}, [3]), KEY, 0, 40);
    steering.setHash(ALL_TYPES, KEY, 0, 40);
    expect(new Set(pairsOf(steering))).toEqual(new Set([0]));
  });
});

describe("the life of the device", () => {
  function used(): World {
    const made = world();
    made.steering.setPairs(4);
    for (let port = 0; port < 30; port++) made.steering.noteTransmit(outbound(port), port % 4);
    made.steering.setRss(rss({ transmitPairs: 3 }, [3, 1]), KEY, 0, 40);
    return made;
  }

  test("after a reset everything goes to the first pair again, and no hash is left", () => {
    const { steering } = used();
    steering.reset();
    expect(steering.saveState()).toEqual(world().steering.saveState());
    expect(new Set(pairsOf(steering))).toEqual(new Set([0]));
    steering.setPairs(4);
    expect(steering.saveState().flows).toEqual([]);
  });

  test("a restored card steers as the saved one", () => {
    const { steering } = used();
    const { steering: restored } = world();
    restored.restoreState(JSON.parse(JSON.stringify(steering.saveState())));
    expect(pairsOf(restored)).toEqual(pairsOf(steering));
    for (const each of [steering, restored]) each.setPairs(4);
    expect(pairsOf(restored)).toEqual(pairsOf(steering));
    expect(restored.saveState()).toEqual(steering.saveState());
  });

  test("a state that steers to more pairs than the card has is refused", () => {
    const { steering } = used();
    const small = new Steering(2, () => true);
    expect(() => small.restoreState(steering.saveState())).toThrow(
      new RangeError("saved state: queues.settings.steering.enabledPairs is 4, it must be an integer from 1 to 2"),
    );
  });
});
