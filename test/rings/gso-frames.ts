/**
 * Frames as a driver leaves them to be segmented, and an independent reader of what becomes of them. Written from RFC 791,
 * 768, 8200, 9293 and 1071, slowly and without a line of the card's.
 */

import fc from "fast-check";
import { addressBytes } from "./packets.ts";

// virtio 1.4 §5.1.9.
export const GSO = { NONE: 0, TCPV4: 1, UDP: 3, TCPV6: 4, UDP_L4: 5, ECN: 0x80 } as const;
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

const be16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)];

export interface Shape {
  readonly version: 4 | 6;
  readonly protocol: "tcp" | "udp";
  /** TPID and TCI of each tag. */
  readonly tags?: readonly (readonly [number, number])[];
  /** Multiples of 4 bytes. */
  readonly ipOptions?: readonly number[];
  readonly tcpOptions?: readonly number[];
  /** IPv6 extension headers: kind and bytes, the first of which is filled in. */
  readonly extensions?: readonly (readonly [number, readonly number[]])[];
  readonly source?: string;
  readonly destination?: string;
  readonly id?: number;
  /** The word of fragmentation of an IPv4 header. */
  readonly fragment?: number;
  readonly sequence?: number;
  readonly flags?: number;
  readonly payload: readonly number[] | Uint8Array;
}

export interface GsoFrame {
  readonly bytes: Uint8Array;
  readonly headerBytes: number;
  readonly networkAt: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

/** Plain RFC 1071, one word after the other. */
export function sumOf(bytes: ArrayLike<number>, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** A frame whose transport checksum is the sum of its pseudo header, as §5.1.9.2.1 asks. */
export function gsoFrame(shape: Shape): GsoFrame {
  const { version, protocol, payload } = shape;
  const { tags = [], ipOptions = [], tcpOptions = [], extensions = [], id = 0x1234, fragment = 0x4000 } = shape;
  const ethernet = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
  for (const [tpid, tci] of tags) ethernet.push(...be16(tpid), ...be16(tci));
  ethernet.push(...be16(version === 4 ? 0x0800 : 0x86dd));
  const source = addressBytes(shape.source ?? (version === 4 ? "192.0.2.1" : "2001:db8::1"));
  const destination = addressBytes(shape.destination ?? (version === 4 ? "198.51.100.7" : "2001:db8:7::9"));
  const number = protocol === "tcp" ? 6 : 17;
  const transportBytes = (protocol === "tcp" ? 20 + tcpOptions.length : 8) + payload.length;
  const pseudo = sumOf([...source, ...destination, ...be32(transportBytes), 0, 0, 0, number]);
  const transport =
    protocol === "tcp"
      ? [
          ...[...be16(49152), ...be16(80), ...be32(shape.sequence ?? 1), ...be32(77)],
          ...[(5 + tcpOptions.length / 4) << 4, shape.flags ?? TCP_FLAG.ACK, ...be16(4096), ...be16(pseudo), 0, 0],
          ...tcpOptions,
        ]
      : [...be16(49152), ...be16(443), ...be16(transportBytes), ...be16(pseudo)];
  let network: number[];
  if (version === 4) {
    const total = 20 + ipOptions.length + transportBytes;
    network = [0x45 + ipOptions.length / 4, 0xb8, ...be16(total), ...be16(id), ...be16(fragment), 63, number, 0, 0];
    network.push(...source, ...destination, ...ipOptions);
    network.splice(10, 2, ...be16(0xffff - sumOf(network)));
  } else {
    const kinds = [...extensions.map(([kind]) => kind), number];
    const chain = extensions.flatMap(([, bytes], i) => [kinds[i + 1]!, ...bytes.slice(1)]);
    network = [0x6b, 0x81, 0x23, 0x45, ...be16(chain.length + transportBytes), kinds[0]!, 63];
    network.push(...source, ...destination, ...chain);
  }
  const headers = [...ethernet, ...network, ...transport];
  const bytes = new Uint8Array(headers.length + payload.length);
  bytes.set(headers);
  bytes.set(payload, headers.length);
  return {
    bytes,
    headerBytes: headers.length,
    networkAt: ethernet.length,
    csumStart: ethernet.length + network.length,
    csumOffset: protocol === "tcp" ? 16 : 6,
  };
}

export function payloadOf(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) * 17 + seed * 101) & 0xff);
}

/** What a receiver reads from a frame. */
export interface Packet {
  /** Everything before the network header. */
  readonly link: readonly number[];
  readonly version: number;
  /** IPv4 header or IPv6 header with all extension headers but a fragment header, lengths, ids and checksums as they are. */
  readonly network: readonly number[];
  readonly id: number | null;
  /** Offset in bytes and whether more follow; null if the packet is no fragment. */
  readonly fragment: { readonly at: number; readonly more: boolean; readonly id: number } | null;
  readonly protocol: number;
  /** Transport header of a whole packet. */
  readonly transport: readonly number[];
  readonly sequence: number;
  readonly flags: number;
  readonly payload: readonly number[];
}

/** Reads a finished frame as its receiver does. Throws if a length or a checksum is wrong. */
export function readPacket(frame: Uint8Array): Packet {
  const bytes = [...frame];
  const u16 = (at: number) => bytes[at]! * 256 + bytes[at + 1]!;
  let at = 12;
  while (u16(at) === 0x8100 || u16(at) === 0x88a8) at += 4;
  const ethertype = u16(at);
  at += 2;
  const link = bytes.slice(0, at);
  let protocol: number;
  let network: number[];
  let id: number | null = null;
  let fragment: Packet["fragment"] = null;
  let addresses: number[];
  const networkAt = at;
  if (ethertype === 0x0800) {
    const headerBytes = (bytes[at]! % 16) * 4;
    network = bytes.slice(at, at + headerBytes);
    if (sumOf(network) !== 0xffff) throw new Error("IPv4 header checksum is wrong");
    if (u16(at + 2) !== bytes.length - at) throw new Error(`total length is ${u16(at + 2)}, not ${bytes.length - at}`);
    id = u16(at + 4);
    const word = u16(at + 6);
    if ((word & 0x3fff) !== 0) fragment = { at: (word % 0x2000) * 8, more: (word & 0x2000) !== 0, id };
    protocol = bytes[at + 9]!;
    addresses = bytes.slice(at + 12, at + 20);
    at += headerBytes;
  } else {
    if (ethertype !== 0x86dd) throw new Error(`EtherType is ${ethertype}`);
    if (u16(at + 4) !== bytes.length - at - 40) throw new Error(`payload length is ${u16(at + 4)}`);
    protocol = bytes[at + 6]!;
    addresses = bytes.slice(at + 8, at + 40);
    at += 40;
    network = bytes.slice(networkAt, at);
    while ([0, 43, 44, 60].includes(protocol)) {
      const headerBytes = protocol === 44 ? 8 : (bytes[at + 1]! + 1) * 8;
      if (protocol === 44) {
        const word = u16(at + 2);
        fragment = { at: word & 0xfff8, more: (word & 1) === 1, id: u16(at + 4) * 65536 + u16(at + 6) };
        if (bytes[at + 1] !== 0 || (word & 6) !== 0) throw new Error("reserved bits of a fragment header are set");
      } else {
        network.push(...bytes.slice(at, at + headerBytes));
        // A packet under way is summed with its last destination.
        if (protocol === 43 && bytes[at + 3]! > 0) addresses.splice(16, 16, ...bytes.slice(at + 8, at + 24));
      }
      protocol = bytes[at]!;
      at += headerBytes;
    }
  }
  const rest = bytes.slice(at);
  if (fragment !== null) {
    return {
      link,
      version: bytes[networkAt]! >>> 4,
      network,
      id,
      fragment,
      protocol,
      transport: [],
      sequence: 0,
      flags: 0,
      payload: rest,
    };
  }
  const headerBytes = protocol === 6 ? (rest[12]! >>> 4) * 4 : 8;
  checkTransport(protocol, addresses, rest);
  const transport = rest.slice(0, headerBytes);
  const sequence =
    protocol === 6 ? ((transport[4]! * 256 + transport[5]!) * 256 + transport[6]!) * 256 + transport[7]! : 0;
  const flags = protocol === 6 ? transport[13]! : 0;
  const payload = rest.slice(headerBytes);
  return {
    link,
    version: bytes[networkAt]! >>> 4,
    network,
    id,
    fragment,
    protocol,
    transport,
    sequence,
    flags,
    payload,
  };
}

/** Throws unless the checksum, and for UDP the length, is right. */
export function checkTransport(protocol: number, addresses: readonly number[], segment: readonly number[]): void {
  const pseudo = sumOf([...addresses, ...be32(segment.length), 0, 0, 0, protocol]);
  if (sumOf(segment, pseudo) !== 0xffff) throw new Error("transport checksum is wrong");
  if (protocol !== 17) return;
  if (segment[4]! * 256 + segment[5]! !== segment.length) throw new Error("UDP length is wrong");
  if (segment[6] === 0 && segment[7] === 0) throw new Error("UDP checksum says that there is none");
}

/** Puts the fragments of one datagram together again (RFC 791, RFC 8200 §4.5), whatever their order; returns the datagram. */
export function reassemble(packets: readonly Packet[]): number[] {
  const sorted = [...packets].sort((a, b) => a.fragment!.at - b.fragment!.at);
  const datagram: number[] = [];
  for (const [i, packet] of sorted.entries()) {
    const { at, more, id } = packet.fragment!;
    if (id !== sorted[0]!.fragment!.id) throw new Error("fragments have different ids");
    if (at !== datagram.length) throw new Error(`a fragment begins at ${at}, not ${datagram.length}`);
    if (more !== i < sorted.length - 1) throw new Error("the last fragment is not the one without more");
    if (more && packet.payload.length % 8 !== 0) throw new Error("a fragment is no multiple of 8 bytes");
    datagram.push(...packet.payload);
  }
  return datagram;
}

const tag = fc.tuple(fc.constantFrom(0x8100, 0x88a8), fc.nat(0xffff));
const words = (most: number) =>
  fc.array(fc.nat(255), { maxLength: most }).map((bytes) => bytes.slice(0, bytes.length & ~3));

/** An extension header of `units` times 8 bytes of padding. */
const padding = fc.tuple(fc.constantFrom(0, 60), fc.nat(3)).map(([kind, units]): [number, number[]] => {
  return [kind, [0, units, 1, units * 8 + 4, ...new Array<number>(units * 8 + 4).fill(0)]];
});
const routing = fc.constantFrom(0, 1).map((left): [number, number[]] => {
  return [43, [0, 2, 4, left, 0, 0, 0, 0, ...addressBytes("2001:db8:ffff::5")]];
});
/** Hop-by-hop options come first, and once. */
const extensions = fc
  .tuple(fc.array(padding, { maxLength: 2 }), fc.option(routing))
  .map(([paddings, route]) => [
    ...paddings.map(([, bytes], i): [number, number[]] => [i === 0 ? 0 : 60, bytes]),
    ...(route ? [route] : []),
  ]);

/** Frames of every shape that may be segmented. */
export function arbitraryShape(protocol: "tcp" | "udp", payloadMax: number): fc.Arbitrary<Shape> {
  return fc.record({
    version: fc.constantFrom(4, 6) as fc.Arbitrary<4 | 6>,
    protocol: fc.constant(protocol),
    tags: fc.array(tag, { maxLength: 2 }),
    ipOptions: words(40),
    tcpOptions: words(40),
    extensions,
    id: fc.nat(0xffff),
    sequence: fc.nat(0xffffffff),
    flags: fc.nat(255),
    payload: fc.tuple(fc.nat(payloadMax), fc.nat(255)).map(([length, seed]) => payloadOf(length, seed)),
  });
}
