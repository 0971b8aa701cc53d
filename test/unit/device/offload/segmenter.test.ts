import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { Segmenter } from "../../../../src/device/offload/segmenter.ts";
import {
  arbitraryShape,
  checkTransport,
  GSO,
  type GsoFrame,
  gsoFrame,
  type Packet,
  payloadOf,
  readPacket,
  reassemble,
  type Shape,
  TCP_FLAG,
} from "../../../rings/gso-frames.ts";

const LEAD = 8;
const CANARY = 0xa5;

/** The frame in the middle of other bytes, as the header describes it. */
function frameFor({ bytes, csumStart, csumOffset }: GsoFrame, gsoType: number, gsoSize: number): Frame {
  const memory = new Uint8Array(20 + bytes.length + 20).fill(CANARY);
  memory.set(bytes, 20);
  const frame = new Frame(memory);
  frame.offset = 20;
  frame.lengthBytes = bytes.length;
  frame.flags = 1;
  frame.gsoType = gsoType;
  frame.gsoSize = gsoSize;
  frame.csumStart = csumStart;
  frame.csumOffset = csumOffset;
  return frame;
}

/** All segments, each as it is when it is sent; null if the frame is refused. */
function cut(frame: Frame, segmenter = new Segmenter()): Uint8Array[] | null {
  if (!segmenter.begin(frame)) return null;
  const { longestBytes } = segmenter;
  const segments: Uint8Array[] = [];
  while (segmenter.next()) {
    expect([frame.flags, frame.gsoType, frame.gsoSize, frame.csumStart, frame.csumOffset, frame.hdrLen]).toEqual([
      0, 0, 0, 0, 0, 0,
    ]);
    segments.push(frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes));
  }
  expect(Math.max(...segments.map(({ length }) => length))).toBe(longestBytes);
  expect(segmenter.next()).toBe(false);
  return segments;
}

function packetsOf(shape: Shape, gsoType: number, gsoSize: number): Packet[] {
  return cut(frameFor(gsoFrame(shape), gsoType, gsoSize))!.map(readPacket);
}

const tcpType = (version: number) => (version === 4 ? GSO.TCPV4 : GSO.TCPV6);

describe("TCP", () => {
  test.each([4, 6] as const)("over IPv%i is cut into segments of the size, the last with what is left", (version) => {
    const payload = payloadOf(3500);
    const packets = packetsOf({ version, protocol: "tcp", payload }, tcpType(version), 1448);
    expect(packets.map((packet) => packet.payload.length)).toEqual([1448, 1448, 604]);
    expect(packets.flatMap((packet) => packet.payload)).toEqual([...payload]);
  });

  test("counts the sequence number on, across its end", () => {
    const shape: Shape = { version: 4, protocol: "tcp", payload: payloadOf(300), sequence: 0xffffff9c };
    expect(packetsOf(shape, GSO.TCPV4, 100).map((packet) => packet.sequence)).toEqual([0xffffff9c, 0, 100]);
    const middle: Shape = { ...shape, sequence: 0x0001ffff };
    expect(packetsOf(middle, GSO.TCPV4, 100).map((packet) => packet.sequence)).toEqual([0x1ffff, 0x20063, 0x200c7]);
  });

  test("has CWR in the first segment, FIN and PSH in the last, all other flags in each (as tcp_gso_segment does)", () => {
    const { FIN, PSH, ACK, URG, ECE, CWR } = TCP_FLAG;
    const shape: Shape = { version: 6, protocol: "tcp", payload: payloadOf(300), flags: 0xff };
    const flags = packetsOf(shape, GSO.TCPV6 | GSO.ECN, 100).map((packet) => packet.flags);
    const each = 0xff & ~(FIN | PSH | CWR);
    expect(each & (ACK | URG | ECE)).toBe(ACK | URG | ECE);
    expect(flags).toEqual([each | CWR, each, each | FIN | PSH]);
  });

  test("counts the id of IPv4 on, across its end (as inet_gso_segment does), and leaves DF as it is", () => {
    const shape: Shape = { version: 4, protocol: "tcp", payload: payloadOf(300), id: 0xfffe };
    const packets = packetsOf(shape, GSO.TCPV4, 100);
    expect(packets.map((packet) => packet.id)).toEqual([0xfffe, 0xffff, 0]);
    expect(packets.map((packet) => packet.network[6])).toEqual([0x40, 0x40, 0x40]);
  });

  test("that fits one segment, or has no payload, makes one", () => {
    const whole = packetsOf({ version: 4, protocol: "tcp", payload: payloadOf(100), flags: 0xff }, GSO.TCPV4, 100);
    expect(whole.map((packet) => [packet.payload.length, packet.flags])).toEqual([[100, 0xff]]);
    const empty = packetsOf({ version: 4, protocol: "tcp", payload: [] }, GSO.TCPV4, 100);
    expect(empty.map((packet) => packet.payload.length)).toEqual([0]);
  });

  test("takes tags, options and extension headers along", () => {
    const tags = [
      [0x88a8, 0x2001],
      [0x8100, 0x0064],
    ] as const;
    const options = { tags, ipOptions: [7, 4, 4, 0], tcpOptions: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] };
    const four = packetsOf({ version: 4, protocol: "tcp", payload: payloadOf(250), ...options }, GSO.TCPV4, 100);
    for (const packet of four) {
      expect(packet.link.slice(12)).toEqual([0x88, 0xa8, 0x20, 0x01, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00]);
      expect(packet.network.slice(20)).toEqual(options.ipOptions);
      expect(packet.transport.slice(20)).toEqual(options.tcpOptions);
    }
    const extensions = [[0, [0, 0, 1, 4, 0, 0, 0, 0]] as const];
    const six = packetsOf({ version: 6, protocol: "tcp", payload: payloadOf(250), extensions }, GSO.TCPV6, 100);
    for (const packet of six) expect(packet.network.slice(40)).toEqual([6, 0, 1, 4, 0, 0, 0, 0]);
  });

  test("that goes through a routing header is summed with its last destination (RFC 8200 §8.1)", () => {
    const last = [0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 0x77];
    const route = (type: number, left: number) => [[43, [0, 2, type, left, 0, 0, 0, 0, ...last]] as const];
    for (const [type, left] of [
      [4, 1],
      [2, 1],
      [4, 0],
      [99, 0],
    ] as const) {
      const shape: Shape = { version: 6, protocol: "tcp", payload: payloadOf(250), extensions: route(type, left) };
      // The reader checks the sums.
      expect(packetsOf(shape, GSO.TCPV6, 100)).toHaveLength(3);
    }
    // Nobody knows where other kinds keep it.
    const unknown: Shape = { version: 6, protocol: "tcp", payload: payloadOf(250), extensions: route(99, 1) };
    expect(cut(frameFor(gsoFrame(unknown), GSO.TCPV6, 100))).toBeNull();
  });
});

describe("UDP", () => {
  test.each([4, 6] as const)("over IPv%i is cut into datagrams (USO)", (version) => {
    const payload = payloadOf(2500);
    const packets = packetsOf({ version, protocol: "udp", payload }, GSO.UDP_L4, 1200);
    expect(packets.map((packet) => packet.payload.length)).toEqual([1200, 1200, 100]);
    expect(packets.flatMap((packet) => packet.payload)).toEqual([...payload]);
    if (version === 4) expect(packets.map((packet) => packet.id)).toEqual([0x1234, 0x1235, 0x1236]);
  });

  test("over IPv4 is cut into fragments of one id, without DF (UFO, as inet_gso_segment does)", () => {
    const payload = payloadOf(3000);
    const packets = packetsOf({ version: 4, protocol: "udp", payload }, GSO.UDP, 1480);
    expect(packets.map((packet) => packet.fragment)).toEqual([
      { at: 0, more: true, id: 0x1234 },
      { at: 1480, more: true, id: 0x1234 },
      { at: 2960, more: false, id: 0x1234 },
    ]);
    expect(packets.every((packet) => (packet.network[6]! & 0x40) === 0)).toBe(true);
    const datagram = reassemble(packets);
    checkTransport(17, packets[0]!.network.slice(12, 20), datagram);
    expect(datagram.slice(8)).toEqual([...payload]);
  });

  test("over IPv6 gets a fragment header before the datagram (RFC 8200 §4.5)", () => {
    const payload = payloadOf(3000);
    const extensions = [[0, [0, 0, 1, 4, 0, 0, 0, 0]] as const];
    const shape: Shape = { version: 6, protocol: "udp", payload, extensions };
    const segments = cut(frameFor(gsoFrame(shape), GSO.UDP, 1448))!;
    // Hop-by-hop options lead to the fragment header, and that to UDP.
    for (const segment of segments) expect([segment[20], segment[54], segment[62]]).toEqual([0, 44, 17]);
    const packets = segments.map(readPacket);
    const datagram = reassemble(packets.toReversed());
    checkTransport(17, packets[0]!.network.slice(8, 40), datagram);
    expect(datagram.slice(8)).toEqual([...payload]);
  });

  test("gets another id of fragments for each datagram of IPv6, also after a restart", () => {
    const idOf = (segmenter: Segmenter, seed: number) => {
      const frame = frameFor(gsoFrame({ version: 6, protocol: "udp", payload: payloadOf(3000, seed) }), GSO.UDP, 1448);
      return readPacket(cut(frame, segmenter)![0]!).fragment!.id;
    };
    const segmenter = new Segmenter();
    const ids = [idOf(segmenter, 1), idOf(segmenter, 1), idOf(segmenter, 2)];
    ids.push(idOf(new Segmenter(), 3));
    expect(new Set(ids).size).toBe(4);
  });

  test.each([4, 6] as const)("over IPv%i that fits one fragment is sent whole", (version) => {
    const packets = packetsOf({ version, protocol: "udp", payload: payloadOf(92) }, GSO.UDP, 100);
    expect(packets.map(({ fragment, payload }) => [fragment, payload.length])).toEqual([[null, 92]]);
  });

  test("fragments carry a multiple of 8 bytes, whatever size is asked for", () => {
    const packets = packetsOf({ version: 4, protocol: "udp", payload: payloadOf(100) }, GSO.UDP, 47);
    expect(packets.map((packet) => packet.payload.length)).toEqual([40, 40, 28]);
  });
});

describe("whatever the frame, segments put together again are what was sent, and every checksum is right", () => {
  const others = (packet: Packet) => {
    const network = [...packet.network];
    // Length, and for IPv4 id, fragment word and checksum, are a segment's own.
    for (const at of packet.version === 4 ? [2, 3, 4, 5, 6, 7, 10, 11] : [4, 5]) network[at] = 0;
    return { link: packet.link, network };
  };

  test("TCP", () => {
    fc.assert(
      fc.property(arbitraryShape("tcp", 6000), fc.integer({ min: 8, max: 4000 }), fc.boolean(), (shape, size, ecn) => {
        const type = tcpType(shape.version) | (ecn ? GSO.ECN : 0);
        const packets = packetsOf(shape, type, size);
        const first = packets[0]!;
        expect(packets.flatMap((packet) => packet.payload)).toEqual([...shape.payload]);
        for (const [i, packet] of packets.entries()) {
          const isLast = i === packets.length - 1;
          expect(packet.sequence).toBe((shape.sequence! + i * size) % 2 ** 32);
          const flags = shape.flags! & (isLast ? 0xff : ~0x09) & (i === 0 ? 0xff : ~0x80);
          expect(packet.flags).toBe(flags);
          if (shape.version === 4) expect(packet.id).toBe((shape.id! + i) % 65536);
          expect(others(packet)).toEqual(others(first));
          expect(packet.transport.slice(20)).toEqual(shape.tcpOptions);
        }
      }),
    );
  });

  test("UDP segments", () => {
    fc.assert(
      fc.property(arbitraryShape("udp", 6000), fc.integer({ min: 8, max: 4000 }), (shape, size) => {
        const packets = packetsOf(shape, GSO.UDP_L4, size);
        expect(packets.flatMap((packet) => packet.payload)).toEqual([...shape.payload]);
        for (const packet of packets) expect(others(packet)).toEqual(others(packets[0]!));
      }),
    );
  });

  test("UDP fragments", () => {
    fc.assert(
      fc.property(arbitraryShape("udp", 6000), fc.integer({ min: 8, max: 4000 }), (shape, size) => {
        const whole = gsoFrame(shape);
        const packets = packetsOf(shape, GSO.UDP, size);
        const datagram = packets[0]!.fragment === null ? null : reassemble(packets);
        // A whole packet's checksum has been checked by the reader.
        if (datagram === null) expect(packets[0]!.payload).toEqual([...shape.payload]);
        else {
          expect(datagram.slice(8)).toEqual([...shape.payload]);
          // Put together, it is a packet with the headers of the first fragment (RFC 8200 §4.5).
          const again = whole.bytes.slice();
          again.set(datagram, whole.csumStart);
          if (shape.version === 4) again.set([0, 0], whole.networkAt + 6);
          const read = () => readPacket(again);
          if (shape.version === 6) expect(read().payload).toEqual([...shape.payload]);
          else checkTransport(17, [...again.slice(whole.networkAt + 12, whole.networkAt + 20)], datagram);
        }
        for (const packet of packets) expect(others(packet)).toEqual(others(packets[0]!));
      }),
    );
  });

  test("and nothing is written outside the frame and the 8 bytes before it", () => {
    fc.assert(
      fc.property(
        arbitraryShape("udp", 500),
        fc.constantFrom(GSO.UDP, GSO.UDP_L4),
        fc.integer({ min: 8, max: 600 }),
        (shape, type, size) => {
          const frame = frameFor(gsoFrame(shape), type, size);
          const { length } = gsoFrame(shape).bytes;
          cut(frame);
          const around = [...frame.bytes.slice(0, 20 - LEAD), ...frame.bytes.slice(20 + length)];
          expect(around.every((byte) => byte === CANARY)).toBe(true);
        },
      ),
    );
  });
});

describe("is refused, and left as it is:", () => {
  const tcp: Shape = { version: 4, protocol: "tcp", payload: payloadOf(300) };
  const udp: Shape = { version: 6, protocol: "udp", payload: payloadOf(300) };
  const whole = gsoFrame(tcp);

  const refused = (frame: Frame) => {
    const before = frame.bytes.slice();
    expect(cut(frame)).toBeNull();
    expect(frame.bytes).toEqual(before);
  };
  const withByte = (shape: Shape, at: number, value: number): GsoFrame => {
    const frame = gsoFrame(shape);
    frame.bytes[at] = value;
    return frame;
  };

  test.each([
    ["TCP over IPv4 as TCP over IPv6", tcp, GSO.TCPV6],
    ["TCP over IPv6 as TCP over IPv4", { ...tcp, version: 6 } as Shape, GSO.TCPV4],
    ["TCP as UDP segments", tcp, GSO.UDP_L4],
    ["TCP as UDP fragments", tcp, GSO.UDP],
    ["UDP as TCP", udp, GSO.TCPV6],
    ["UDP with the ECN flag", udp, GSO.UDP_L4 | GSO.ECN],
    ["an unknown type", tcp, 2],
    ["a tunnel", tcp, GSO.TCPV4 | 0x20],
    ["both tunnels", tcp, GSO.TCPV4 | 0x60],
    ["no type but a flag", tcp, GSO.ECN],
  ])("%s", (_, shape, gsoType) => {
    refused(frameFor(gsoFrame(shape), gsoType, 100));
  });

  test("a size of 0, or for fragments one that is less than their unit", () => {
    refused(frameFor(whole, GSO.TCPV4, 0));
    refused(frameFor(gsoFrame(udp), GSO.UDP, 7));
  });

  test("more segments than anybody needs", () => {
    const payload = payloadOf(60000);
    refused(frameFor(gsoFrame({ ...tcp, payload }), GSO.TCPV4, 25));
    expect(cut(frameFor(gsoFrame({ ...tcp, payload }), GSO.TCPV4, 26))).toHaveLength(2308);
  });

  test("headers that would be repeated for longer than anybody needs", () => {
    const pad = (units: number) =>
      [60, [0, units, 1, units * 8 + 4, ...new Array<number>(units * 8 + 4).fill(0)]] as const;
    const shape = (units: number): Shape => ({
      version: 6,
      protocol: "tcp",
      payload: payloadOf(300),
      extensions: [pad(units)],
    });
    expect(cut(frameFor(gsoFrame(shape(53)), GSO.TCPV6, 100))).toHaveLength(3);
    refused(frameFor(gsoFrame(shape(54)), GSO.TCPV6, 100));
  });

  test("a segment or a datagram whose length no header can tell", () => {
    refused(frameFor(gsoFrame({ ...tcp, payload: payloadOf(65496) }), GSO.TCPV4, 65535));
    expect(cut(frameFor(gsoFrame({ ...tcp, payload: payloadOf(65495) }), GSO.TCPV4, 65535))).toHaveLength(1);
    refused(frameFor(gsoFrame({ ...udp, version: 4, payload: payloadOf(65508) }), GSO.UDP, 1480));
    expect(cut(frameFor(gsoFrame({ ...udp, version: 4, payload: payloadOf(65507) }), GSO.UDP, 1480))).toHaveLength(45);
    refused(frameFor(gsoFrame({ ...udp, payload: payloadOf(65528) }), GSO.UDP, 1448));
    expect(cut(frameFor(gsoFrame({ ...udp, payload: payloadOf(65527) }), GSO.UDP, 1448))).toHaveLength(46);
  });

  test("a checksum field that is not where the headers have it", () => {
    for (const [start, offset] of [
      [33, 16],
      [34, 6],
      [34, 65535],
      [65535, 16],
    ] as const) {
      refused(frameFor({ ...whole, csumStart: start, csumOffset: offset }, GSO.TCPV4, 100));
    }
  });

  test.each([
    ["no IP", withByte(tcp, 12, 0x09)],
    ["IPv6 in a frame that says IPv4", withByte(tcp, 14, 0x65)],
    ["an IPv4 header of 16 bytes", withByte(tcp, 14, 0x44)],
    ["a fragment", withByte(tcp, 20, 0x20)],
    ["a later fragment", withByte(tcp, 21, 0x01)],
    ["ICMP", withByte(tcp, 23, 1)],
    ["a TCP header of 16 bytes", withByte(tcp, 46, 0x40)],
    [
      "three tags",
      gsoFrame({
        ...tcp,
        tags: [
          [0x8100, 1],
          [0x8100, 2],
          [0x8100, 3],
        ],
      }),
    ],
  ])("%s", (_, frame) => {
    refused(frameFor(frame, GSO.TCPV4, 100));
  });

  test.each([
    ["IPv6 in a frame that says so, but version 4", withByte(udp, 14, 0x40), GSO.UDP_L4],
    ["a fragment of IPv6", gsoFrame({ ...udp, extensions: [[44, [0, 0, 0, 1, 0, 0, 0, 9]]] }), GSO.UDP_L4],
    ["an authentication header", gsoFrame({ ...udp, extensions: [[51, new Array<number>(8).fill(0)]] }), GSO.UDP_L4],
  ])("%s", (_, frame, type) => {
    refused(frameFor(frame, type, 100));
  });

  test("headers that are cut off, wherever", () => {
    const extensions = [
      [0, [0, 0, 1, 4, 0, 0, 0, 0]] as const,
      [43, [0, 2, 4, 1, 0, 0, 0, 0, ...new Array<number>(16).fill(1)]] as const,
    ];
    for (const shape of [tcp, udp, { ...udp, extensions }]) {
      const { bytes, headerBytes, ...rest } = gsoFrame({ ...shape, tags: [[0x8100, 5]] });
      const type = shape.protocol === "tcp" ? GSO.TCPV4 : GSO.UDP_L4;
      for (let length = 0; length < headerBytes; length++) {
        refused(frameFor({ bytes: bytes.slice(0, length), headerBytes, ...rest }, type, 100));
      }
      expect(cut(frameFor({ bytes: bytes.slice(0, headerBytes), headerBytes, ...rest }, type, 100))).toHaveLength(1);
    }
  });

  test("or not, but no bytes make it throw, write elsewhere, or go on for long", () => {
    const types = fc.constantFrom(...Object.values(GSO), 0x81, 0x84, 0x21, 0xff);
    const start = fc.constantFrom(
      gsoFrame(tcp),
      gsoFrame(udp),
      gsoFrame({ ...udp, extensions: [[43, [0, 2, 4, 1, ...new Array<number>(20).fill(1)]]] }),
    );
    const changes = fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(start, changes, types, fc.nat(65535), fc.nat(80), (from, changed, type, size, length) => {
        const bytes = from.bytes.slice(0, length + 40);
        for (const [at, value] of changed) if (at < bytes.length) bytes[at] = value;
        const frame = frameFor({ ...from, bytes }, type, size);
        const segments = cut(frame);
        if (segments === null) return;
        expect(segments.length).toBeLessThanOrEqual(2341);
        const around = [...frame.bytes.slice(0, 20 - LEAD), ...frame.bytes.slice(20 + bytes.length)];
        expect(around.every((byte) => byte === CANARY)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
