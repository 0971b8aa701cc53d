import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { FlowFields } from "../../../../src/device/net/flow-fields.ts";
import { FlowHash } from "../../../../src/device/net/flow-hash.ts";
import {
  addressBytes,
  type End,
  ethernet,
  homeAddressHeader,
  ipv4,
  ipv6,
  packet,
  routingHeader,
  TCP,
  transport,
  UDP,
} from "../../../rings/packets.ts";

// §5.1.9.4.4, retyped.
const TYPE = { IPv4: 1, TCPv4: 2, UDPv4: 4, IPv6: 8, TCPv6: 16, UDPv6: 32, IP_EX: 64, TCP_EX: 128, UDP_EX: 256 };
const REPORT = {
  NONE: 0,
  IPv4: 1,
  TCPv4: 2,
  UDPv4: 3,
  IPv6: 4,
  TCPv6: 5,
  UDPv6: 6,
  IPv6_EX: 7,
  TCPv6_EX: 8,
  UDPv6_EX: 9,
};
const ALL = 0x1ff;

// The key and the packets by which Microsoft has RSS implementations verified.
const KEY = [
  0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
  0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
  0x01, 0xfa,
];
/** Destination, source, hash of the addresses, hash of addresses and ports. */
const PUBLISHED: [End, End, number, number][] = [
  [{ address: "161.142.100.80", port: 1766 }, { address: "66.9.149.187", port: 2794 }, 0x323e8fc2, 0x51ccc178],
  [{ address: "65.69.140.83", port: 4739 }, { address: "199.92.111.2", port: 14230 }, 0xd718262a, 0xc626b0ea],
  [{ address: "12.22.207.184", port: 38024 }, { address: "24.19.198.95", port: 12898 }, 0xd2d0a5de, 0x5c2b394a],
  [{ address: "209.142.163.6", port: 2217 }, { address: "38.27.205.30", port: 48228 }, 0x82989176, 0xafc7327f],
  [{ address: "202.188.127.2", port: 1303 }, { address: "153.39.163.191", port: 44251 }, 0x5d1809c5, 0x10e828a2],
  [
    { address: "3ffe:2501:200:3::1", port: 1766 },
    { address: "3ffe:2501:200:1fff::7", port: 2794 },
    0x2cc18cd5,
    0x40207d3d,
  ],
  [
    { address: "ff02::1", port: 4739 },
    { address: "3ffe:501:8::260:97ff:fe40:efab", port: 14230 },
    0x0f0c461c,
    0xdde51bbf,
  ],
  [
    { address: "fe80::200:f8ff:fe21:67cf", port: 38024 },
    { address: "3ffe:1900:4545:3:200:f8ff:fe21:67cf", port: 44251 },
    0x4b61e985,
    0x02d1feef,
  ],
];
const FROM: End = { address: "2001:db8::1", port: 1000 };
const TO: End = { address: "2001:db8::2", port: 2000 };
const HOME = "2001:db8:1::77";
const FINAL = "2001:db8:2::88";

/** Toeplitz as it is defined: a bit of the input that is 1 adds the 32 bits of the key that begin at its position. */
function toeplitz(key: readonly number[], input: readonly number[]): number {
  const keyBits = key.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => (byte >>> (7 - bit)) & 1));
  let hash = 0;
  for (let i = 0; i < input.length * 8; i++) {
    if (((input[i >>> 3]! >>> (7 - (i & 7))) & 1) === 0) continue;
    let window = 0;
    for (let bit = 0; bit < 32; bit++) window = (window << 1) | (keyBits[i + bit] ?? 0);
    hash ^= window;
  }
  return hash >>> 0;
}

function portBytes(...ends: End[]): number[] {
  return ends.flatMap(({ port = 0 }) => [port >>> 8, port & 0xff]);
}

function inputOf(from: End, to: End, ports = true): number[] {
  const addresses = [...addressBytes(from.address), ...addressBytes(to.address)];
  return ports ? [...addresses, ...portBytes(from, to)] : addresses;
}

// Used for all packets, as the card does.
const FIELDS = new FlowFields();
const HASH = new FlowHash();

/** [report, value] of a frame, which lies somewhere in a larger buffer. */
function hashOf(bytes: Uint8Array, types = ALL, key: readonly number[] = KEY): [number, number] {
  const buffer = new Uint8Array(bytes.length + 40).fill(0x3c);
  buffer.set(bytes, 17);
  const frame = new Frame(buffer);
  frame.offset = 17;
  frame.lengthBytes = bytes.length;
  FIELDS.read(frame);
  HASH.configure(types, key, 0, key.length);
  HASH.calculate(FIELDS, buffer);
  return [HASH.report, HASH.value];
}

describe("published verification packets", () => {
  test.each(PUBLISHED)("%o from %o", (to, from, overAddresses, overPorts) => {
    const six = to.address.includes(":");
    expect(hashOf(packet(TCP, from, to))).toEqual([six ? REPORT.TCPv6 : REPORT.TCPv4, overPorts]);
    expect(hashOf(packet(UDP, from, to))).toEqual([six ? REPORT.UDPv6 : REPORT.UDPv4, overPorts]);
    const addressTypes = TYPE.IPv4 | TYPE.IPv6;
    expect(hashOf(packet(TCP, from, to), addressTypes)).toEqual([six ? REPORT.IPv6 : REPORT.IPv4, overAddresses]);
    expect(toeplitz(KEY, inputOf(from, to))).toBe(overPorts);
  });
});

describe("the type of the hash (§5.1.9.4.4)", () => {
  const from4 = PUBLISHED[0]![1];
  const to4 = PUBLISHED[0]![0];

  test.each([
    ["TCP over IPv4", packet(TCP, from4, to4), TYPE.TCPv4 | TYPE.IPv4, REPORT.TCPv4],
    ["TCP over IPv4 without TCPv4", packet(TCP, from4, to4), TYPE.UDPv4 | TYPE.IPv4, REPORT.IPv4],
    ["UDP over IPv4", packet(UDP, from4, to4), TYPE.UDPv4 | TYPE.IPv4, REPORT.UDPv4],
    ["UDP over IPv4 without UDPv4", packet(UDP, from4, to4), TYPE.TCPv4 | TYPE.IPv4, REPORT.IPv4],
    ["TCP over IPv4 with UDPv4 alone", packet(TCP, from4, to4), TYPE.UDPv4, REPORT.NONE],
    ["TCP over IPv4 with types of IPv6 alone", packet(TCP, from4, to4), ALL & ~7, REPORT.NONE],
    ["another protocol over IPv4", ethernet(0x0800, ipv4(1, from4, to4, [8, 0, 0, 0])), ALL, REPORT.IPv4],
    ["TCP over IPv6", packet(TCP, FROM, TO), ALL, REPORT.TCPv6],
    ["UDP over IPv6 without UDPv6", packet(UDP, FROM, TO), TYPE.TCPv6 | TYPE.IPv6, REPORT.IPv6],
    ["TCP over IPv6 with the types of extension headers alone", packet(TCP, FROM, TO), ALL & ~0x3f, REPORT.NONE],
    ["TCP over IPv6 with types of IPv4 alone", packet(TCP, FROM, TO), 7, REPORT.NONE],
    ["no types", packet(TCP, from4, to4), 0, REPORT.NONE],
    ["ARP", ethernet(0x0806, new Array(46).fill(1)), ALL, REPORT.NONE],
  ])("%s", (_, bytes, types, report) => {
    const [got, value] = hashOf(bytes, types);
    expect(got).toBe(report);
    if (report === REPORT.NONE) expect(value).toBe(0);
  });

  test("a tag, or two, change nothing", () => {
    const payload = ipv4(TCP, from4, to4, transport(TCP, from4, to4));
    expect(hashOf(ethernet(0x0800, payload, [[0x8100, 5]]))).toEqual([REPORT.TCPv4, 0x51ccc178]);
    const twice: [number, number][] = [
      [0x88a8, 9],
      [0x8100, 5],
    ];
    expect(hashOf(ethernet(0x0800, payload, twice))).toEqual([REPORT.TCPv4, 0x51ccc178]);
    expect(hashOf(ethernet(0x0800, payload, [...twice, [0x8100, 6]]))[0]).toBe(REPORT.NONE);
  });

  test("IPv4 options are skipped", () => {
    const plain = ipv4(TCP, from4, to4, transport(TCP, from4, to4));
    const withOptions = [
      0x47,
      0,
      0,
      plain.length + 8,
      ...plain.slice(4, 20),
      1,
      1,
      1,
      1,
      1,
      1,
      1,
      0,
      ...plain.slice(20),
    ];
    expect(hashOf(ethernet(0x0800, withOptions))).toEqual([REPORT.TCPv4, 0x51ccc178]);
  });

  test("all fragments of a packet have one hash, that of the addresses", () => {
    for (const word of [0x2000, 0x2001, 0x0001, 0x1fff, 0x0100]) {
      const bytes = ethernet(0x0800, ipv4(TCP, from4, to4, transport(TCP, from4, to4), word));
      expect(hashOf(bytes)).toEqual([REPORT.IPv4, 0x323e8fc2]);
    }
    const fragment = (word: number) => [TCP, 0, word >>> 8, word & 0xff, 0, 0, 0, 1, ...transport(TCP, FROM, TO)];
    const addresses = toeplitz(KEY, inputOf(FROM, TO, false));
    for (const word of [0x0001, 0x0008, 0x0100]) {
      expect(hashOf(ethernet(0x86dd, ipv6(44, FROM, TO, fragment(word))))).toEqual([REPORT.IPv6_EX, addresses]);
    }
    // A fragment that is all of its packet (RFC 6946).
    expect(hashOf(ethernet(0x86dd, ipv6(44, FROM, TO, fragment(0))))[0]).toBe(REPORT.TCPv6_EX);
  });
});

describe("IPv6 packets with extension headers", () => {
  const tcp = transport(TCP, FROM, TO);
  const udp = transport(UDP, FROM, TO);
  const both = (protocol: number, payload: number[]) => [
    ...homeAddressHeader(43, HOME),
    ...routingHeader(protocol, FINAL),
    ...payload,
  ];
  const mobileFrom = { ...FROM, address: HOME };
  const mobileTo = { ...TO, address: FINAL };

  test.each([
    ["both addresses", 60, both(TCP, tcp), REPORT.TCPv6_EX, inputOf(mobileFrom, mobileTo)],
    ["both addresses, UDP", 60, both(UDP, udp), REPORT.UDPv6_EX, inputOf(mobileFrom, mobileTo)],
    ["both addresses, neither", 60, both(59, []), REPORT.IPv6_EX, inputOf(mobileFrom, mobileTo, false)],
    ["home address alone", 60, [...homeAddressHeader(TCP, HOME), ...tcp], REPORT.TCPv6_EX, inputOf(mobileFrom, TO)],
    ["routing header alone", 43, [...routingHeader(TCP, FINAL), ...tcp], REPORT.TCPv6_EX, inputOf(FROM, mobileTo)],
    ["neither", 0, [TCP, 0, 1, 4, 0, 0, 0, 0, ...tcp], REPORT.TCPv6_EX, inputOf(FROM, TO)],
    [
      "a routing header of another type",
      43,
      [TCP, 2, 4, 1, 0, 0, 0, 0, ...addressBytes(FINAL), ...tcp],
      REPORT.TCPv6_EX,
      inputOf(FROM, TO),
    ],
    [
      "a routing header of type 2 that is longer than one address",
      43,
      [TCP, 4, 2, 2, 0, 0, 0, 0, ...addressBytes(FINAL), ...addressBytes(FINAL), ...tcp],
      REPORT.TCPv6_EX,
      inputOf(FROM, TO),
    ],
    [
      "a home address option that is no address long",
      60,
      [TCP, 2, 201, 20, ...addressBytes(HOME), 0, 0, 0, 0, ...tcp],
      REPORT.TCPv6_EX,
      inputOf(FROM, TO),
    ],
    ["an authentication header", 51, [TCP, 1, ...new Array(10).fill(0), ...tcp], REPORT.TCPv6_EX, inputOf(FROM, TO)],
    [
      "a home address behind padding",
      60,
      [TCP, 3, 0, 1, 3, 0, 0, 0, 0, 0, 201, 16, ...addressBytes(HOME), 1, 2, 0, 0, ...tcp],
      REPORT.TCPv6_EX,
      inputOf(mobileFrom, TO),
    ],
  ])("%s", (_, next, payload, report, input) => {
    expect(hashOf(ethernet(0x86dd, ipv6(next, FROM, TO, payload)))).toEqual([report, toeplitz(KEY, input)]);
  });

  test("UDP_EX and IP_EX serve what TCP_EX would, if that is off", () => {
    const bytes = ethernet(0x86dd, ipv6(60, FROM, TO, both(TCP, tcp)));
    const input = inputOf(mobileFrom, mobileTo, false);
    expect(hashOf(bytes, ALL & ~TYPE.TCP_EX)).toEqual([REPORT.IPv6_EX, toeplitz(KEY, input)]);
  });

  test("without their types they are hashed as if there were none", () => {
    const bytes = ethernet(0x86dd, ipv6(60, FROM, TO, both(TCP, tcp)));
    expect(hashOf(bytes, 0x3f)).toEqual([REPORT.TCPv6, toeplitz(KEY, inputOf(FROM, TO))]);
    expect(hashOf(bytes, TYPE.IPv6)).toEqual([REPORT.IPv6, toeplitz(KEY, inputOf(FROM, TO, false))]);
    expect(hashOf(bytes, TYPE.UDP_EX | TYPE.TCPv6)[0]).toBe(REPORT.TCPv6);
  });
});

describe("packets that are cut off or wrong", () => {
  const from4 = PUBLISHED[0]![1];
  const to4 = PUBLISHED[0]![0];

  test("at every length, what is left is hashed, and nothing behind it is read", () => {
    for (const whole of [packet(TCP, from4, to4), packet(UDP, FROM, TO)]) {
      const network = whole.length > 60 ? 14 + 40 : 14 + 20;
      for (let length = 0; length < whole.length; length++) {
        const [report] = hashOf(whole.subarray(0, length));
        if (length < network) expect(report).toBe(REPORT.NONE);
        else expect(report).not.toBe(REPORT.NONE);
      }
    }
    const headers = ethernet(
      0x86dd,
      ipv6(60, FROM, TO, [...homeAddressHeader(TCP, HOME), ...transport(TCP, FROM, TO)]),
    );
    for (let length = 54; length < 78; length++) {
      const input = inputOf(FROM, TO, false);
      expect(hashOf(headers.subarray(0, length))).toEqual([REPORT.IPv6_EX, toeplitz(KEY, input)]);
    }
  });

  test("padding of a short frame is no transport header", () => {
    const bytes = ethernet(0x0800, [...ipv4(TCP, from4, to4, []), ...new Array(26).fill(7)]);
    expect(hashOf(bytes)).toEqual([REPORT.IPv4, 0x323e8fc2]);
    const six = ethernet(0x86dd, [...ipv6(UDP, FROM, TO, []), ...new Array(26).fill(7)]);
    expect(hashOf(six)[0]).toBe(REPORT.IPv6);
  });

  test.each([
    ["a version that is not 4", [0x65]],
    ["a header of less than 20 bytes", [0x44]],
    ["a total length below the header's", [0x45, 0, 0, 19]],
  ])("IPv4 with %s has no hash", (_, first) => {
    const bytes = packet(TCP, from4, to4);
    bytes.set(first, 14);
    expect(hashOf(bytes)[0]).toBe(REPORT.NONE);
  });

  test("options that run over their header end it", () => {
    const header = [TCP, 1, 30, 200, 0, 0, 0, 0, 201, 16, 0, 0, 0, 0, 0, 0];
    const bytes = ethernet(0x86dd, ipv6(60, FROM, TO, [...header, ...transport(TCP, FROM, TO)]));
    expect(hashOf(bytes)).toEqual([REPORT.TCPv6_EX, toeplitz(KEY, inputOf(FROM, TO))]);
    const cut = [TCP, 1, 1, 4, 0, 0, 0, 0, 201, 16, 0, 0, 0, 0, 0, 0];
    const other = ethernet(0x86dd, ipv6(60, FROM, TO, [...cut, ...transport(TCP, FROM, TO)]));
    expect(hashOf(other)).toEqual([REPORT.TCPv6_EX, toeplitz(KEY, inputOf(FROM, TO))]);
  });
});

describe("keys", () => {
  test("a short key goes on with zeros", () => {
    const { length } = KEY;
    for (const keyBytes of [1, 4, 12, 39, length]) {
      const key = KEY.slice(0, keyBytes);
      expect(hashOf(packet(TCP, FROM, TO), ALL, key)[1]).toBe(toeplitz(key, inputOf(FROM, TO)));
    }
  });

  test("a new key takes the place of the old one as a whole", () => {
    const hash = new FlowHash();
    hash.configure(ALL, KEY, 0, 40);
    hash.configure(ALL, [9, 9, 1, 2, 3], 2, 3);
    const bytes = packet(TCP, FROM, TO);
    const frame = new Frame(bytes);
    frame.lengthBytes = bytes.length;
    const fields = new FlowFields();
    fields.read(frame);
    hash.calculate(fields, bytes);
    expect(hash.value).toBe(toeplitz([1, 2, 3], inputOf(FROM, TO)));
    const again = new FlowHash();
    again.restoreState(JSON.parse(JSON.stringify(hash.saveState())));
    again.calculate(fields, bytes);
    expect([again.report, again.value]).toEqual([hash.report, hash.value]);
    again.reset();
    again.calculate(fields, bytes);
    expect([again.report, again.value]).toEqual([REPORT.NONE, 0]);
    expect(again.saveState()).toEqual({ types: 0, key: [] });
  });
});
