/**
 * Cuts a frame that was left to be segmented into frames of the size that its header asks for: TCP and UDP segments, each
 * with headers and checksums of its own, or fragments of one UDP datagram. Source: virtio 1.4 §5.1.9.2, RFC 791, RFC 8200,
 * RFC 9293. Flags and identifications are those that Linux gives (tcp_gso_segment, inet_gso_segment).
 *
 * It is done in place: payload stays where it lies, and each segment's headers are written before its piece, over what has
 * been sent by then. So the frame's bytes must be the card's own, and 8 more before it, for a header that IPv6 fragments get.
 *
 * The header's hdr_len is not looked at (NTX-7): how long the headers are is read from them.
 */

import type { Frame } from "../link/frame-port.ts";
import {
  NET_HDR_GSO_ECN,
  NET_HDR_GSO_TCPV4,
  NET_HDR_GSO_TCPV6,
  NET_HDR_GSO_UDP,
  NET_HDR_GSO_UDP_L4,
} from "../spec/virtio-net.ts";
import {
  fold,
  loadBigEndian16,
  onesComplementSum,
  PayloadSum,
  storeBigEndian16,
  transportChecksum,
} from "./internet-checksum.ts";
import { HEADER_BYTES_MAX, IPV6_BYTES, PacketLayout, PROTOCOL_TCP, PROTOCOL_UDP } from "./packet-layout.ts";

/**
 * Most segments of one frame. The shortest that anybody needs carry 28 bytes: an IPv4 path takes packets of 68 (RFC 791),
 * of which TCP and IP have 40. That makes 2341 of the longest packet; a driver that asks for more wants to keep us busy.
 */
export const SEGMENTS_MAX = 2341;
/** Bytes before a frame that must be the card's own too. */
export const SEGMENT_LEAD_BYTES = 8;

/** Largest length that fits an IP header. */
const IP_LENGTH_MAX = 65535;
const FRAGMENT_HEADER_BYTES = 8;
const FRAGMENT_UNIT_BYTES = 8;
const EXT_FRAGMENT = 44;
const TCP_FIN_AND_PSH = 0x09;
const TCP_CWR = 0x80;
const IPV4_MORE_FRAGMENTS = 0x2000;
// Places in headers, from their beginnings.
const IPV4_TOTAL_LENGTH = 2;
const IPV4_ID = 4;
const IPV4_FRAGMENT = 6;
const IPV4_CHECKSUM = 10;
const IPV6_PAYLOAD_LENGTH = 4;
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const UDP_LENGTH = 4;
const UDP_CHECKSUM = 6;

export class Segmenter {
  /** What sums up its payloads, for whoever finishes checksums beside it. */
  readonly payloadSum = new PayloadSum();
  readonly #layout = new PacketLayout();
  // Null once all of it is cut.
  #frame: Frame | null = null;
  #fragments = false;
  // What goes before each piece, from the frame's first byte on; and where the first piece is, in the frame's array.
  readonly #headers = new Uint8Array(HEADER_BYTES_MAX + FRAGMENT_HEADER_BYTES);
  #headerBytes = 0;
  #payloadAt = 0;
  // Payload bytes of the whole, of each segment, and of those that were made.
  #payloadBytes = 0;
  #sizeBytes = 0;
  #doneBytes = 0;
  #segments = 0;
  #fragmentCount = 0;

  /** Headers of the frame that `begin` has taken. */
  get layout(): PacketLayout {
    return this.#layout;
  }

  /** Bytes of the longest segment that the frame that `begin` has taken will make. */
  get longestBytes(): number {
    return this.#headerBytes + Math.min(this.#sizeBytes, this.#payloadBytes);
  }

  /**
   * Takes a frame whose gsoType is not NONE, and leaves it as it is until the first `next`. False if it breaks a rule: its
   * headers are not what its gsoType says, its checksum is not left to the card, at the place where the headers have it
   * (§5.1.9.2.1), or it asks for segments of no size, or too many.
   */
  begin(frame: Frame): boolean {
    this.#frame = null;
    const layout = this.#layout;
    if (!layout.read(frame) || !fits(frame.gsoType, layout)) return false;
    const checksumAt = layout.protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
    if (frame.csumStart !== layout.transportAt || frame.csumOffset !== checksumAt) return false;
    const fragmentBytes = frame.gsoSize - (frame.gsoSize % FRAGMENT_UNIT_BYTES);
    // A datagram that fits one fragment is none (RFC 6946). Fragments share one UDP header, which is payload to IP.
    this.#fragments = frame.gsoType === NET_HDR_GSO_UDP && frame.lengthBytes - layout.transportAt > frame.gsoSize;
    const payloadAt = this.#fragments ? layout.transportAt : layout.headerBytes;
    this.#payloadBytes = frame.lengthBytes - payloadAt;
    this.#sizeBytes = this.#fragments ? fragmentBytes : frame.gsoSize;
    if (this.#sizeBytes === 0 || this.#payloadBytes > SEGMENTS_MAX * this.#sizeBytes) return false;
    this.#headerBytes = payloadAt + (this.#fragments && layout.version === 6 ? FRAGMENT_HEADER_BYTES : 0);
    // What is put together again, or goes as it is, must be a packet whose length can be told.
    const packetBytes = this.#fragments ? frame.lengthBytes : this.longestBytes;
    if (packetBytes - layout.networkAt - (layout.version === 6 ? IPV6_BYTES : 0) > IP_LENGTH_MAX) return false;
    this.#payloadAt = frame.offset + payloadAt;
    this.#doneBytes = 0;
    this.#segments = 0;
    this.#frame = frame;
    return true;
  }

  /** Makes the frame that was begun the next segment of what it was; false if there is none left. */
  next(): boolean {
    const frame = this.#frame;
    if (frame === null) return false;
    if (this.#segments === 0) this.#prepare(frame);
    const { bytes } = frame;
    const headerBytes = this.#headerBytes;
    const pieceBytes = Math.min(this.#sizeBytes, this.#payloadBytes - this.#doneBytes);
    const isLast = this.#doneBytes + pieceBytes === this.#payloadBytes;
    const at = this.#payloadAt + this.#doneBytes - headerBytes;
    const headers = this.#headers;
    for (let i = 0; i < headerBytes; i++) bytes[at + i] = headers[i]!;
    frame.offset = at;
    frame.lengthBytes = headerBytes + pieceBytes;
    if (this.#fragments) this.#finishFragment(bytes, at, isLast, pieceBytes);
    else this.#finishSegment(bytes, at, isLast, pieceBytes);
    this.#doneBytes += pieceBytes;
    this.#segments++;
    if (isLast) this.#frame = null;
    return true;
  }

  /** Keeps the headers, for they will be written over; and the frame asks for nothing any more. */
  #prepare(frame: Frame): void {
    const { bytes, offset } = frame;
    const headers = this.#headers;
    const { transportAt, protocolAt, version } = this.#layout;
    if (this.#fragments) this.#finishDatagram(bytes, offset);
    const keptBytes = this.#fragments ? transportAt : this.#headerBytes;
    for (let i = 0; i < keptBytes; i++) headers[i] = bytes[offset + i]!;
    if (this.#fragments && version === 6) {
      // RFC 8200 §4.5: next header, reserved, offset and M flag, identification. No two datagrams that are under way may
      // have the same one, not even across a restart of the card: half of it counts, the other half is the datagram's own.
      this.#fragmentCount++;
      headers[transportAt] = headers[protocolAt]!;
      headers[transportAt + 1] = 0;
      headers[protocolAt] = EXT_FRAGMENT;
      storeBigEndian16(headers, transportAt + 4, loadBigEndian16(bytes, offset + transportAt + UDP_CHECKSUM));
      storeBigEndian16(headers, transportAt + 6, this.#fragmentCount);
    }
    frame.clearOffloads();
  }

  #finishSegment(bytes: Uint8Array, at: number, isLast: boolean, pieceBytes: number): void {
    const { transportAt, headerBytes, protocol } = this.#layout;
    const transportBytes = headerBytes - transportAt + pieceBytes;
    this.#finishNetwork(bytes, at, transportAt + transportBytes, this.#segments);
    const transport = at + transportAt;
    const isTcp = protocol === PROTOCOL_TCP;
    if (isTcp) this.#finishTcp(bytes, transport, isLast);
    else storeBigEndian16(bytes, transport + UDP_LENGTH, transportBytes);
    const checksumAt = transport + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM);
    storeBigEndian16(bytes, checksumAt, 0);
    const sum = this.payloadSum.of(bytes, transport, transport + transportBytes);
    storeBigEndian16(bytes, checksumAt, transportChecksum(fold(this.#pseudoSum(bytes, at, transportBytes) + sum)));
  }

  /** RFC 9293: the sequence number counts on; FIN and PSH belong to the last segment, CWR to the first (RFC 3168). */
  #finishTcp(bytes: Uint8Array, at: number, isLast: boolean): void {
    const high = loadBigEndian16(bytes, at + TCP_SEQUENCE);
    const low = loadBigEndian16(bytes, at + TCP_SEQUENCE + 2) + this.#doneBytes;
    storeBigEndian16(bytes, at + TCP_SEQUENCE, high + (low >>> 16));
    storeBigEndian16(bytes, at + TCP_SEQUENCE + 2, low);
    if (!isLast) bytes[at + TCP_FLAGS]! &= ~TCP_FIN_AND_PSH;
    if (this.#doneBytes !== 0) bytes[at + TCP_FLAGS]! &= ~TCP_CWR;
  }

  #finishFragment(bytes: Uint8Array, at: number, isLast: boolean, pieceBytes: number): void {
    const { networkAt, transportAt, version } = this.#layout;
    if (version === 4) {
      // Whoever asks for fragments does not mean the DF flag.
      const fragment = this.#doneBytes / FRAGMENT_UNIT_BYTES + (isLast ? 0 : IPV4_MORE_FRAGMENTS);
      storeBigEndian16(bytes, at + networkAt + IPV4_FRAGMENT, fragment);
    } else {
      storeBigEndian16(bytes, at + transportAt + 2, this.#doneBytes | (isLast ? 0 : 1));
    }
    // All fragments of a packet have one id.
    this.#finishNetwork(bytes, at, this.#headerBytes + pieceBytes, 0);
  }

  /** Length and checksum of the whole datagram, which has one checksum over all of it, in the first fragment. */
  #finishDatagram(bytes: Uint8Array, offset: number): void {
    const at = offset + this.#layout.transportAt;
    const lengthBytes = this.#payloadBytes;
    storeBigEndian16(bytes, at + UDP_LENGTH, lengthBytes);
    storeBigEndian16(bytes, at + UDP_CHECKSUM, 0);
    const sum = this.payloadSum.of(bytes, at, at + lengthBytes);
    storeBigEndian16(
      bytes,
      at + UDP_CHECKSUM,
      transportChecksum(fold(this.#pseudoSum(bytes, offset, lengthBytes) + sum)),
    );
  }

  /** Lengths, and for IPv4 id and checksum, of the packet in a frame of `frameBytes` bytes from `offset` on. */
  #finishNetwork(bytes: Uint8Array, offset: number, frameBytes: number, idStep: number): void {
    const { networkAt, version } = this.#layout;
    const at = offset + networkAt;
    const packetBytes = frameBytes - networkAt;
    if (version === 6) {
      storeBigEndian16(bytes, at + IPV6_PAYLOAD_LENGTH, packetBytes - IPV6_BYTES);
      return;
    }
    storeBigEndian16(bytes, at + IPV4_ID, loadBigEndian16(bytes, at + IPV4_ID) + idStep);
    storeBigEndian16(bytes, at + IPV4_TOTAL_LENGTH, packetBytes);
    storeBigEndian16(bytes, at + IPV4_CHECKSUM, 0);
    storeBigEndian16(bytes, at + IPV4_CHECKSUM, ~onesComplementSum(bytes, at, at + (bytes[at]! & 0xf) * 4, 0) & 0xffff);
  }

  /** Sum of the pseudo header of a packet with `transportBytes` bytes: addresses, protocol, length. */
  #pseudoSum(bytes: Uint8Array, offset: number, transportBytes: number): number {
    const { version, protocol, sourceAt, destinationAt } = this.#layout;
    const addressBytes = version === 4 ? 4 : 16;
    const source = onesComplementSum(bytes, offset + sourceAt, offset + sourceAt + addressBytes, 0);
    const to = offset + destinationAt;
    return onesComplementSum(bytes, to, to + addressBytes, source + protocol + transportBytes);
  }
}

/** True if a packet is what a gso type is for. Only TCP has congestion to tell of. */
function fits(gsoType: number, { version, protocol }: PacketLayout): boolean {
  switch (gsoType) {
    case NET_HDR_GSO_TCPV4:
    case NET_HDR_GSO_TCPV4 | NET_HDR_GSO_ECN:
      return version === 4 && protocol === PROTOCOL_TCP;
    case NET_HDR_GSO_TCPV6:
    case NET_HDR_GSO_TCPV6 | NET_HDR_GSO_ECN:
      return version === 6 && protocol === PROTOCOL_TCP;
    case NET_HDR_GSO_UDP:
    case NET_HDR_GSO_UDP_L4:
      return protocol === PROTOCOL_UDP;
    default:
      return false;
  }
}
