/**
 * Where the headers of a packet are that is to be segmented: Ethernet with up to two tags, IPv4 or IPv6, TCP or UDP. Every
 * length is checked against the frame. Offsets are counted from the frame's first byte. Source: RFC 791, RFC 8200, RFC 9293.
 */

import type { Frame } from "../link/frame-port.ts";

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const IPV6_BYTES = 40;
export const UDP_BYTES = 8;

const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const TAGS_MAX = 2;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_SERVICE_VLAN = 0x88a8;
const IPV4_BYTES_MIN = 20;
const TCP_BYTES_MIN = 20;
const EXTENSION_UNIT_BYTES = 8;
/** Longest headers that are repeated for each segment. Nobody needs more, and a driver that has more keeps us busy. */
export const HEADER_BYTES_MAX = 512;
// Extension headers that a packet may have and still be segmented (RFC 8200 §4): what follows any other is a fragment, or
// cannot be read.
const EXT_HOP_BY_HOP = 0;
const EXT_ROUTING = 43;
const EXT_DESTINATION = 60;
// Routing headers whose first address is the packet's last destination, and where it is: mobile IPv6 (RFC 6275 §6.4.1)
// and segment routing (RFC 8754 §2).
const ROUTING_TYPE_MOBILE = 2;
const ROUTING_TYPE_SEGMENTS = 4;
const ROUTING_ADDRESS = 8;
const IPV4_SOURCE = 12;
const IPV6_SOURCE = 8;
const IPV6_DESTINATION = 24;
const IPV6_ADDRESS_BYTES = 16;

export class PacketLayout {
  /** 4 or 6. */
  version = 0;
  /** PROTOCOL_TCP or PROTOCOL_UDP. */
  protocol = 0;
  networkAt = 0;
  transportAt = 0;
  /** Bytes of all headers: where the payload begins. */
  headerBytes = 0;
  /** Where the protocol of the transport header is told. */
  protocolAt = 0;
  /** The addresses that its checksum covers. */
  sourceAt = 0;
  destinationAt = 0;

  /** Reads the headers of `frame`; false if they are none that can be segmented. */
  read(frame: Frame): boolean {
    const { bytes, offset, lengthBytes } = frame;
    let at = ETHERNET_BYTES;
    for (let tags = 0; ; tags++) {
      if (at > lengthBytes) return false;
      const ethertype = (bytes[offset + at - 2]! << 8) | bytes[offset + at - 1]!;
      this.networkAt = at;
      if (ethertype === ETHERTYPE_IPV4) return this.#readIpv4(bytes, offset, lengthBytes);
      if (ethertype === ETHERTYPE_IPV6) return this.#readIpv6(bytes, offset, lengthBytes);
      if ((ethertype !== ETHERTYPE_VLAN && ethertype !== ETHERTYPE_SERVICE_VLAN) || tags === TAGS_MAX) return false;
      at += TAG_BYTES;
    }
  }

  #readIpv4(bytes: Uint8Array, offset: number, lengthBytes: number): boolean {
    const at = offset + this.networkAt;
    if (this.networkAt + IPV4_BYTES_MIN > lengthBytes || bytes[at]! >>> 4 !== 4) return false;
    const ipBytes = (bytes[at]! & 0xf) * 4;
    // A fragment, first or later, is no whole packet.
    if (ipBytes < IPV4_BYTES_MIN || ((bytes[at + 6]! & 0x3f) | bytes[at + 7]!) !== 0) return false;
    this.version = 4;
    this.protocolAt = this.networkAt + 9;
    this.sourceAt = this.networkAt + IPV4_SOURCE;
    this.destinationAt = this.sourceAt + 4;
    return this.#readTransport(bytes, offset, this.networkAt + ipBytes, lengthBytes);
  }

  #readIpv6(bytes: Uint8Array, offset: number, lengthBytes: number): boolean {
    if (this.networkAt + IPV6_BYTES > lengthBytes || bytes[offset + this.networkAt]! >>> 4 !== 6) return false;
    this.version = 6;
    this.protocolAt = this.networkAt + 6;
    this.sourceAt = this.networkAt + IPV6_SOURCE;
    this.destinationAt = this.networkAt + IPV6_DESTINATION;
    let at = this.networkAt + IPV6_BYTES;
    const headersEnd = Math.min(lengthBytes, HEADER_BYTES_MAX);
    for (;;) {
      const next = bytes[offset + this.protocolAt]!;
      if (next !== EXT_HOP_BY_HOP && next !== EXT_ROUTING && next !== EXT_DESTINATION) break;
      if (at + EXTENSION_UNIT_BYTES > headersEnd) return false;
      const end = at + (bytes[offset + at + 1]! + 1) * EXTENSION_UNIT_BYTES;
      if (next === EXT_ROUTING && !this.#readRouting(bytes, offset, at, end)) return false;
      this.protocolAt = at;
      at = end;
    }
    return this.#readTransport(bytes, offset, at, lengthBytes);
  }

  /** RFC 8200 §8.1: a packet that has not come to its destination yet is summed with that, not with the next stop. */
  #readRouting(bytes: Uint8Array, offset: number, at: number, end: number): boolean {
    const type = bytes[offset + at + 2];
    const segmentsLeft = bytes[offset + at + 3];
    if (segmentsLeft === 0) return true;
    this.destinationAt = at + ROUTING_ADDRESS;
    return (
      (type === ROUTING_TYPE_MOBILE || type === ROUTING_TYPE_SEGMENTS) && this.destinationAt + IPV6_ADDRESS_BYTES <= end
    );
  }

  /** `at` may lie outside the frame: that is seen here. */
  #readTransport(bytes: Uint8Array, offset: number, at: number, lengthBytes: number): boolean {
    if (at + UDP_BYTES > lengthBytes) return false;
    this.protocol = bytes[offset + this.protocolAt]!;
    this.transportAt = at;
    if (this.protocol === PROTOCOL_UDP) {
      this.headerBytes = at + UDP_BYTES;
    } else {
      if (this.protocol !== PROTOCOL_TCP || at + TCP_BYTES_MIN > lengthBytes) return false;
      const tcpBytes = (bytes[offset + at + 12]! >>> 4) * 4;
      if (tcpBytes < TCP_BYTES_MIN) return false;
      this.headerBytes = at + tcpBytes;
    }
    return this.headerBytes <= Math.min(lengthBytes, HEADER_BYTES_MAX);
  }
}
