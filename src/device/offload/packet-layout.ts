/**
 * Where the headers of a packet are that is to be segmented: Ethernet with up to two tags, IPv4 or IPv6, TCP or UDP. Every
 * length is checked against the frame. Offsets are counted from the frame's first byte.
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
// Extension headers that a packet may have and still be segmented (RFC 8200 §4): what follows a fragment or routing
// header is not what it seems.
const EXT_HOP_BY_HOP = 0;
const EXT_DESTINATION = 60;

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
    return this.#readTransport(bytes, offset, this.networkAt + ipBytes, lengthBytes);
  }

  #readIpv6(bytes: Uint8Array, offset: number, lengthBytes: number): boolean {
    if (this.networkAt + IPV6_BYTES > lengthBytes || bytes[offset + this.networkAt]! >>> 4 !== 6) return false;
    this.version = 6;
    this.protocolAt = this.networkAt + 6;
    let at = this.networkAt + IPV6_BYTES;
    for (;;) {
      const next = bytes[offset + this.protocolAt]!;
      if (next !== EXT_HOP_BY_HOP && next !== EXT_DESTINATION) break;
      if (at + EXTENSION_UNIT_BYTES > lengthBytes) return false;
      this.protocolAt = at;
      at += (bytes[offset + at + 1]! + 1) * EXTENSION_UNIT_BYTES;
    }
    return this.#readTransport(bytes, offset, at, lengthBytes);
  }

  #readTransport(bytes: Uint8Array, offset: number, at: number, lengthBytes: number): boolean {
    this.protocol = bytes[offset + this.protocolAt]!;
    this.transportAt = at;
    if (this.protocol === PROTOCOL_UDP) {
      this.headerBytes = at + UDP_BYTES;
      return this.headerBytes <= lengthBytes;
    }
    if (this.protocol !== PROTOCOL_TCP || at + TCP_BYTES_MIN > lengthBytes) return false;
    const tcpBytes = (bytes[offset + at + 12]! >>> 4) * 4;
    this.headerBytes = at + tcpBytes;
    return tcpBytes >= TCP_BYTES_MIN && this.headerBytes <= lengthBytes;
  }
}
