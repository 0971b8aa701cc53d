/** Frames for the wire's end to send, their checksums right: Ethernet, ARP, IPv4, IPv6, ICMP, UDP. */

import { checksumOf, onesSum, pseudoHeaderSum } from "./checksum.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Local experimental EtherType: nobody answers it. */
export const ETHERTYPE_EXPERIMENTAL = 0x88b5;

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

const TTL = 64;

/** Who sends and who is meant: MAC addresses as `02:00:00:00:00:01`, IP addresses as text. */
export interface Ends {
  readonly fromMac: string;
  readonly toMac: string;
  readonly from: string;
  readonly to: string;
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Four bytes, or sixteen. */
export function addressBytes(address: string): Uint8Array {
  if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);
  const [head = "", tail = ""] = address.split("::");
  const words = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16));
  const [first, last] = [words(head), words(tail)];
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(all.flatMap(be16));
}

/** The address as `addressBytes` takes it. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(":");
}

export function concat(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A frame without its checksum; `vlan` adds a tag (IEEE 802.1Q). */
export function ethernet(
  fromMac: string,
  toMac: string,
  ethertype: number,
  payload: ArrayLike<number>,
  vlan?: number,
): Uint8Array {
  const tag = vlan === undefined ? [] : [...be16(ETHERTYPE_VLAN), ...be16(vlan)];
  const frame = concat(macBytes(toMac), macBytes(fromMac), tag, be16(ethertype), payload);
  // Ethernet pads to 60 bytes, without the checksum.
  return frame.length >= 60 ? frame : concat(frame, new Uint8Array(60 - frame.length));
}

/** RFC 826; `reply` to whoever asked, or a request to all. */
export function arp(ends: Ends, reply: boolean): Uint8Array {
  const target = reply ? macBytes(ends.toMac) : new Uint8Array(6);
  const operation = reply ? 2 : 1;
  const head = [0, 1, 8, 0, 6, 4, 0, operation];
  const { fromMac, from, to } = ends;
  const body = concat(head, macBytes(fromMac), addressBytes(from), target, addressBytes(to));
  return ethernet(fromMac, reply ? ends.toMac : BROADCAST, ETHERTYPE_ARP, body);
}

/** An IPv4 packet, or a fragment of one: `offsetBytes` is a multiple of 8. */
export function ipv4(
  { from, to }: Ends,
  protocol: number,
  payload: Uint8Array,
  fragment = { id: 0, offsetBytes: 0, more: false },
): Uint8Array {
  const { id, offsetBytes, more } = fragment;
  const flags = (more ? 0x2000 : 0) | (offsetBytes / 8);
  const head = concat(
    [0x45, 0, ...be16(20 + payload.length), ...be16(id), ...be16(flags), TTL, protocol, 0, 0],
    addressBytes(from),
    addressBytes(to),
  );
  head.set(be16(checksumOf(onesSum(head))), 10);
  return concat(head, payload);
}

export function ipv6({ from, to }: Ends, next: number, payload: Uint8Array, hopLimit = TTL): Uint8Array {
  const head = [0x60, 0, 0, 0, ...be16(payload.length), next, hopLimit];
  return concat(head, addressBytes(from), addressBytes(to), payload);
}

/** A frame with an IP packet of the version that the addresses have. */
export function ip(ends: Ends, protocol: number, payload: Uint8Array, vlan?: number): Uint8Array {
  return ends.from.includes(":")
    ? ethernet(ends.fromMac, ends.toMac, ETHERTYPE_IPV6, ipv6(ends, protocol, payload), vlan)
    : ethernet(ends.fromMac, ends.toMac, ETHERTYPE_IPV4, ipv4(ends, protocol, payload), vlan);
}

/** Header and payload of an ICMP echo request or reply (RFC 792). */
export function echo(reply: boolean, id: number, sequence: number, payload: Uint8Array): Uint8Array {
  const message = concat([reply ? 0 : 8, 0, 0, 0, ...be16(id), ...be16(sequence)], payload);
  message.set(be16(checksumOf(onesSum(message))), 2);
  return message;
}

/** A frame with an ICMPv6 message, whose checksum is filled in, and with the hop limit that neighbour discovery asks for (RFC 4861 §7.1.2). */
export function icmpv6(ends: Ends, message: Uint8Array): Uint8Array {
  const { from, to } = ends;
  message.set([0, 0], 2);
  const sum = pseudoHeaderSum(addressBytes(from), addressBytes(to), ICMPV6, message.length);
  message.set(be16(checksumOf(onesSum(message, sum))), 2);
  return ethernet(ends.fromMac, ends.toMac, ETHERTYPE_IPV6, ipv6(ends, ICMPV6, message, 255));
}

/** Header and payload of a UDP datagram; `checksum` says what to put in place of the right one. */
export function udp(
  { from, to }: Ends,
  fromPort: number,
  toPort: number,
  payload: Uint8Array,
  checksum?: number,
): Uint8Array {
  const length = 8 + payload.length;
  const datagram = concat(be16(fromPort), be16(toPort), be16(length), [0, 0], payload);
  const sum = onesSum(datagram, pseudoHeaderSum(addressBytes(from), addressBytes(to), UDP, length));
  // RFC 768: a checksum that comes out as 0 is sent as all ones.
  datagram.set(be16(checksum ?? (checksumOf(sum) || 0xffff)), 6);
  return datagram;
}

/** A payload whose bytes tell where in it they are, and which one it is. */
export function pattern(lengthBytes: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + (i >>> 8) * 7 + seed) & 0xff);
}

const be16 = (value: number): [number, number] => [(value >>> 8) & 0xff, value & 0xff];
