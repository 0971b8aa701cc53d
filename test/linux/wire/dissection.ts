/** Takes frames apart, and checks every checksum and length in them. */

import { onesSum, pseudoHeaderSum } from "./checksum.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, ICMP, ICMPV6, macText, TCP, UDP } from "./packets.ts";

export interface IpPacket {
  readonly version: 4 | 6;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly protocol: number;
  /** What follows the header; of a fragment, its part. */
  readonly payload: Uint8Array;
  readonly id: number;
  readonly fragmentOffsetBytes: number;
  readonly moreFragments: boolean;
  /** The two bits of explicit congestion notification (RFC 3168). */
  readonly ecn: number;
}

export interface Dissection {
  readonly toMac: string;
  readonly fromMac: string;
  /** Null without a tag. */
  readonly vlan: number | null;
  readonly ethertype: number;
  readonly payload: Uint8Array;
  readonly ip: IpPacket | null;
  /** Ports of TCP and UDP, 0 otherwise. */
  readonly fromPort: number;
  readonly toPort: number;
  /** Flags of TCP, 0 otherwise. */
  readonly tcpFlags: number;
  /** What is wrong with the frame, in words. */
  readonly faults: readonly string[];
}

export function dissect(frame: Uint8Array): Dissection {
  const faults: string[] = [];
  const tagged = be16(frame, 12) === ETHERTYPE_VLAN;
  const ethertype = be16(frame, tagged ? 16 : 12);
  const payload = frame.subarray(tagged ? 18 : 14);
  const ip =
    ethertype === ETHERTYPE_IPV4
      ? readIpv4(payload, faults)
      : ethertype === ETHERTYPE_IPV6
        ? readIpv6(payload, faults)
        : null;
  const whole = ip !== null && ip.fragmentOffsetBytes === 0 && !ip.moreFragments;
  if (whole) checkTransport(ip, faults);
  const ports = ip !== null && ip.fragmentOffsetBytes === 0 && (ip.protocol === TCP || ip.protocol === UDP);
  return {
    toMac: macText(frame.subarray(0, 6)),
    fromMac: macText(frame.subarray(6, 12)),
    vlan: tagged ? be16(frame, 14) & 0x0fff : null,
    ethertype,
    payload,
    ip,
    fromPort: ports ? be16(ip.payload, 0) : 0,
    toPort: ports ? be16(ip.payload, 2) : 0,
    tcpFlags: ports && ip.protocol === TCP ? ip.payload[13]! : 0,
    faults,
  };
}

function readIpv4(packet: Uint8Array, faults: string[]): IpPacket | null {
  const headerBytes = (packet[0]! & 15) * 4;
  const totalBytes = be16(packet, 2);
  if (packet[0]! >>> 4 !== 4 || headerBytes < 20 || totalBytes < headerBytes || totalBytes > packet.length) {
    faults.push(`IPv4 header of ${headerBytes} bytes, packet of ${totalBytes}, frame's payload of ${packet.length}`);
    return null;
  }
  if (onesSum(packet.subarray(0, headerBytes)) !== 0xffff) faults.push("checksum of the IPv4 header");
  const fragment = be16(packet, 6);
  return {
    version: 4,
    from: packet.subarray(12, 16),
    to: packet.subarray(16, 20),
    protocol: packet[9]!,
    payload: packet.subarray(headerBytes, totalBytes),
    id: be16(packet, 4),
    fragmentOffsetBytes: (fragment & 0x1fff) * 8,
    moreFragments: (fragment & 0x2000) !== 0,
    ecn: packet[1]! & 3,
  };
}

function readIpv6(packet: Uint8Array, faults: string[]): IpPacket | null {
  const payloadBytes = be16(packet, 4);
  if (packet[0]! >>> 4 !== 6 || packet.length < 40 + payloadBytes) {
    faults.push(`IPv6 payload of ${payloadBytes} bytes in a frame's payload of ${packet.length}`);
    return null;
  }
  const whole = {
    version: 6 as const,
    from: packet.subarray(8, 24),
    to: packet.subarray(24, 40),
    ecn: (packet[1]! >>> 4) & 3,
  };
  let protocol = packet[6]!;
  let rest = packet.subarray(40, 40 + payloadBytes);
  // Hop-by-hop options, as in reports of multicast listeners (RFC 8200 §4.3).
  if (protocol === 0) {
    protocol = rest[0]!;
    rest = rest.subarray(8 + rest[1]! * 8);
  }
  if (protocol !== 44)
    return { ...whole, protocol, payload: rest, id: 0, fragmentOffsetBytes: 0, moreFragments: false };
  const fragment = be16(rest, 2);
  return {
    ...whole,
    protocol: rest[0]!,
    payload: rest.subarray(8),
    id: be16(rest, 6),
    fragmentOffsetBytes: fragment & 0xfff8,
    moreFragments: (fragment & 1) !== 0,
  };
}

/** Checksum and lengths of a transport packet that is there as a whole. */
export function checkTransport(ip: Pick<IpPacket, "from" | "to" | "protocol" | "payload">, faults: string[]): void {
  const { from, to, protocol, payload } = ip;
  if (protocol === ICMP) {
    if (onesSum(payload) !== 0xffff) faults.push("checksum of ICMP");
    return;
  }
  if (protocol !== TCP && protocol !== UDP && protocol !== ICMPV6) return;
  if (protocol === UDP && be16(payload, 4) !== payload.length) {
    faults.push(`UDP length of ${be16(payload, 4)} in a payload of ${payload.length}`);
  }
  // RFC 768: 0 means that the sender computed none.
  if (protocol === UDP && from.length === 4 && be16(payload, 6) === 0) return;
  const name = protocol === TCP ? "TCP" : protocol === UDP ? "UDP" : "ICMPv6";
  if (onesSum(payload, pseudoHeaderSum(from, to, protocol, payload.length)) !== 0xffff)
    faults.push(`checksum of ${name}`);
}

const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
