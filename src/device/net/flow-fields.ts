/**
 * Where a frame says which flow it belongs to: addresses and ports of IPv4 and IPv6 packets, tagged or not. Reads
 * headers only, allocates nothing, and takes time linear in the headers at most.
 *
 * A fragment has no transport here, not even the first, so that all fragments of a packet are one flow.
 */

import type { Frame } from "../link/frame-port.ts";

/** The `version` of a frame that is no IP packet, and an `…At` of a field that is not there. */
export const NO_IP = 0;
export const NOT_THERE = -1;
/** Values of `transport`. */
export const TRANSPORT_OTHER = 0;
export const TRANSPORT_TCP = 1;
export const TRANSPORT_UDP = 2;

const ETHERNET_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_SERVICE_VLAN = 0x88a8;
const TAG_BYTES = 4;
const TAGS_MAX = 2;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const TCP_BYTES = 20;
const UDP_BYTES = 8;
// Extension headers, RFC 8200 §4. All but the authentication header count their length in units of 8 bytes.
const EXT_HOP_BY_HOP = 0;
const EXT_ROUTING = 43;
const EXT_FRAGMENT = 44;
const EXT_AUTHENTICATION = 51;
const EXT_DESTINATION = 60;
// RFC 6275 §6.3, §6.4.
const OPTION_PAD1 = 0;
const OPTION_HOME_ADDRESS = 201;
const ROUTING_TYPE_2 = 2;
const ADDRESS_BYTES = 16;

export class FlowFields {
  /** 4, 6 or NO_IP. */
  version: number = NO_IP;
  /** TRANSPORT_*; a fragment has TRANSPORT_OTHER. */
  transport: number = TRANSPORT_OTHER;
  /** True for an IPv6 packet with extension headers. */
  extended = false;
  // Offsets into the frame's `bytes`.
  sourceAt = NOT_THERE;
  destinationAt = NOT_THERE;
  /** Source port, then destination port. */
  portsAt = NOT_THERE;
  /** Home address option of an IPv6 packet, and the address in its type 2 routing header. */
  homeAddressAt = NOT_THERE;
  routedToAt = NOT_THERE;

  /** Reads the headers of `frame`. */
  read(frame: Frame): void {
    this.version = NO_IP;
    this.transport = TRANSPORT_OTHER;
    this.extended = false;
    this.portsAt = NOT_THERE;
    this.homeAddressAt = NOT_THERE;
    this.routedToAt = NOT_THERE;
    const { bytes, offset } = frame;
    const end = offset + frame.lengthBytes;
    let at = offset + ETHERNET_BYTES;
    // Whether there is so much of the frame is seen below: no IP header fits otherwise.
    let ethertype = (bytes[at - 2]! << 8) | bytes[at - 1]!;
    for (let tags = 0; tags < TAGS_MAX; tags++) {
      if (ethertype !== ETHERTYPE_VLAN && ethertype !== ETHERTYPE_SERVICE_VLAN) break;
      at += TAG_BYTES;
      ethertype = (bytes[at - 2]! << 8) | bytes[at - 1]!;
    }
    if (ethertype === ETHERTYPE_IPV4) this.#readIpv4(bytes, at, end);
    else if (ethertype === ETHERTYPE_IPV6) this.#readIpv6(bytes, at, end);
  }

  #readIpv4(bytes: Uint8Array, at: number, frameEnd: number): void {
    if (at + IPV4_BYTES > frameEnd) return;
    const first = bytes[at]!;
    const headerBytes = (first & 0xf) * 4;
    const totalBytes = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (first >>> 4 !== 4 || headerBytes < IPV4_BYTES || totalBytes < headerBytes) return;
    this.version = 4;
    this.sourceAt = at + 12;
    this.destinationAt = at + 16;
    // More fragments, or an offset.
    if (((bytes[at + 6]! & 0x3f) | bytes[at + 7]!) !== 0) return;
    // What follows the packet is padding of the frame.
    this.#readTransport(bytes[at + 9]!, at + headerBytes, Math.min(frameEnd, at + totalBytes));
  }

  #readIpv6(bytes: Uint8Array, at: number, frameEnd: number): void {
    if (at + IPV6_BYTES > frameEnd || bytes[at]! >>> 4 !== 6) return;
    this.version = 6;
    this.sourceAt = at + 8;
    this.destinationAt = at + 24;
    const payloadBytes = (bytes[at + 4]! << 8) | bytes[at + 5]!;
    const end = Math.min(frameEnd, at + IPV6_BYTES + payloadBytes);
    let next = bytes[at + 6]!;
    let header = at + IPV6_BYTES;
    while (isExtension(next)) {
      this.extended = true;
      if (header + 8 > end) return;
      const units = bytes[header + 1]!;
      if (next === EXT_FRAGMENT) {
        if ((bytes[header + 2]! | (bytes[header + 3]! & 0xf9)) !== 0) return;
      }
      const headerBytes = next === EXT_FRAGMENT ? 8 : next === EXT_AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
      if (header + headerBytes > end) return;
      if (next === EXT_DESTINATION) this.#findHomeAddress(bytes, header + 2, header + headerBytes);
      // RFC 6275 §6.4.1: a type 2 header holds one address and nothing else.
      else if (next === EXT_ROUTING && bytes[header + 2] === ROUTING_TYPE_2 && headerBytes === 8 + ADDRESS_BYTES) {
        this.routedToAt = header + 8;
      }
      next = bytes[header]!;
      header += headerBytes;
    }
    this.#readTransport(next, header, end);
  }

  #findHomeAddress(bytes: Uint8Array, from: number, end: number): void {
    let at = from;
    while (at + 2 <= end) {
      const type = bytes[at]!;
      if (type === OPTION_PAD1) {
        at++;
        continue;
      }
      const optionBytes = bytes[at + 1]!;
      if (type === OPTION_HOME_ADDRESS && optionBytes === ADDRESS_BYTES && at + 2 + ADDRESS_BYTES <= end) {
        this.homeAddressAt = at + 2;
        return;
      }
      at += 2 + optionBytes;
    }
  }

  #readTransport(protocol: number, at: number, end: number): void {
    if (protocol === PROTOCOL_TCP && at + TCP_BYTES <= end) this.transport = TRANSPORT_TCP;
    else if (protocol === PROTOCOL_UDP && at + UDP_BYTES <= end) this.transport = TRANSPORT_UDP;
    else return;
    this.portsAt = at;
  }
}

function isExtension(next: number): boolean {
  return (
    next === EXT_HOP_BY_HOP ||
    next === EXT_ROUTING ||
    next === EXT_FRAGMENT ||
    next === EXT_DESTINATION ||
    next === EXT_AUTHENTICATION
  );
}
