/**
 * Cuts a frame that was left to be segmented into frames of the size that its header asks for, one at a time, into memory
 * of its own: TCP and UDP segments, each with headers and checksums of its own, or fragments of one UDP datagram.
 * Source: virtio 1.4 §5.1.9.2, RFC 791, RFC 8200, RFC 9293.
 *
 * The header's hdr_len is not looked at (NTX-7): how long the headers are is read from them.
 */

import { Frame } from "../link/frame-port.ts";
import {
  NET_HDR_GSO_ECN,
  NET_HDR_GSO_TCPV4,
  NET_HDR_GSO_TCPV6,
  NET_HDR_GSO_UDP,
  NET_HDR_GSO_UDP_L4,
} from "../spec/virtio-net.ts";
import { fold, onesComplementSum, storeBigEndian16, transportChecksum } from "./internet-checksum.ts";
import { IPV6_BYTES, PacketLayout, PROTOCOL_TCP, PROTOCOL_UDP, UDP_BYTES } from "./packet-layout.ts";

/**
 * Most segments of one frame. The shortest that anybody needs carry 28 bytes: an IPv4 path takes packets of 68 (RFC 791),
 * of which TCP and IP have 40. That makes 2341 of the longest packet; a driver that asks for more wants to keep us busy.
 */
export const SEGMENTS_MAX = 2341;

/** A 64 KiB packet with its link header and the fragment header that it may get. */
const SCRATCH_BYTES = 65536 + 64;
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
const IPV4_SOURCE = 12;
const IPV6_PAYLOAD_LENGTH = 4;
const IPV6_SOURCE = 8;
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const UDP_LENGTH = 4;
const UDP_CHECKSUM = 6;

export class Segmenter {
  /** The segment that `next` has made; its bytes are valid until the next call. */
  readonly frame: Frame;
  readonly #scratch: Uint8Array;
  readonly #layout = new PacketLayout();
  #source: Frame | null = null;
  #fragments = false;
  // Payload bytes of the whole, of each segment, and of those that were made.
  #payloadBytes = 0;
  #sizeBytes = 0;
  #doneBytes = 0;
  #segments = 0;
  #fragmentId = 0;

  /** @param scratchBytes longest segment that is ever made */
  constructor(scratchBytes = SCRATCH_BYTES) {
    this.#scratch = new Uint8Array(scratchBytes);
    this.frame = new Frame(this.#scratch);
  }

  /** Headers of the frame that `begin` has taken. */
  get layout(): PacketLayout {
    return this.#layout;
  }

  /** Bytes of the longest segment that the frame that `begin` has taken will make. */
  get longestBytes(): number {
    const { headerBytes, version } = this.#layout;
    const most = Math.min(this.#sizeBytes, this.#payloadBytes);
    if (!this.#fragments) return headerBytes + most;
    return headerBytes - UDP_BYTES + (version === 6 ? FRAGMENT_HEADER_BYTES : 0) + most;
  }

  /**
   * Takes a frame whose gsoType is not NONE; it must stay as it is until the last `next`. False if its headers are not what
   * its gsoType says, or it asks for segments of no size, too many, or too long ones.
   */
  begin(frame: Frame): boolean {
    this.#source = null;
    const layout = this.#layout;
    if (frame.gsoSize === 0 || !layout.read(frame) || !fits(frame.gsoType & ~NET_HDR_GSO_ECN, layout)) return false;
    this.#fragments = (frame.gsoType & ~NET_HDR_GSO_ECN) === NET_HDR_GSO_UDP;
    // Fragments share one UDP header, which is payload to IP; all but the last carry a multiple of 8 bytes.
    const payloadAt = this.#fragments ? layout.transportAt : layout.headerBytes;
    this.#payloadBytes = frame.lengthBytes - payloadAt;
    this.#sizeBytes = this.#fragments ? frame.gsoSize - (frame.gsoSize % FRAGMENT_UNIT_BYTES) : frame.gsoSize;
    if (this.#sizeBytes === 0 || this.#payloadBytes > SEGMENTS_MAX * this.#sizeBytes) return false;
    if (this.longestBytes > this.#scratch.length) return false;
    this.#doneBytes = 0;
    this.#segments = 0;
    this.#source = frame;
    if (this.#fragments) this.#fragmentId = (this.#fragmentId + 1) >>> 0;
    return true;
  }

  /** Makes the next segment into `frame`; false if there is none left. */
  next(): boolean {
    const source = this.#source;
    if (source === null) return false;
    const pieceBytes = Math.min(this.#sizeBytes, this.#payloadBytes - this.#doneBytes);
    const isLast = this.#doneBytes + pieceBytes === this.#payloadBytes;
    const { frame } = this;
    frame.bytes = this.#scratch;
    frame.offset = 0;
    frame.flags = 0;
    frame.gsoType = 0;
    frame.gsoSize = 0;
    frame.hdrLen = 0;
    frame.csumStart = 0;
    frame.csumOffset = 0;
    frame.id = source.id;
    frame.urgent = source.urgent;
    frame.hashValue = source.hashValue;
    frame.hashReport = source.hashReport;
    if (this.#fragments) this.#makeFragment(source, pieceBytes, isLast);
    else this.#makeSegment(source, pieceBytes, isLast);
    this.#doneBytes += pieceBytes;
    this.#segments++;
    if (isLast) this.#source = null;
    return true;
  }

  #makeSegment(source: Frame, pieceBytes: number, isLast: boolean): void {
    const { headerBytes, networkAt, transportAt, protocol } = this.#layout;
    const bytes = this.#scratch;
    this.#copy(source, 0, 0, headerBytes);
    this.#copy(source, headerBytes + this.#doneBytes, headerBytes, pieceBytes);
    const lengthBytes = headerBytes + pieceBytes;
    this.frame.lengthBytes = lengthBytes;
    this.#finishNetwork(networkAt, lengthBytes - networkAt, this.#segments);
    const transportBytes = lengthBytes - transportAt;
    if (protocol === PROTOCOL_TCP) this.#finishTcp(transportAt, isLast);
    else storeBigEndian16(bytes, transportAt + UDP_LENGTH, transportBytes);
    const checksumAt = transportAt + (protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
    storeBigEndian16(bytes, checksumAt, 0);
    const sum = fold(this.#pseudoSum(transportBytes) + onesComplementSum(bytes, transportAt, lengthBytes, 0));
    storeBigEndian16(bytes, checksumAt, transportChecksum(sum));
  }

  /** RFC 9293: the sequence number counts on; FIN and PSH belong to the last segment, CWR to the first (RFC 3168). */
  #finishTcp(at: number, isLast: boolean): void {
    const bytes = this.#scratch;
    const view =
      ((bytes[at + TCP_SEQUENCE]! << 24) |
        (bytes[at + TCP_SEQUENCE + 1]! << 16) |
        (bytes[at + TCP_SEQUENCE + 2]! << 8) |
        bytes[at + TCP_SEQUENCE + 3]!) >>>
      0;
    const sequence = (view + this.#doneBytes) >>> 0;
    storeBigEndian16(bytes, at + TCP_SEQUENCE, sequence >>> 16);
    storeBigEndian16(bytes, at + TCP_SEQUENCE + 2, sequence & 0xffff);
    if (!isLast) bytes[at + TCP_FLAGS]! &= ~TCP_FIN_AND_PSH;
    if (this.#doneBytes !== 0) bytes[at + TCP_FLAGS]! &= ~TCP_CWR;
  }

  #makeFragment(source: Frame, pieceBytes: number, isLast: boolean): void {
    const { networkAt, transportAt, version, protocolAt } = this.#layout;
    const bytes = this.#scratch;
    const extraBytes = version === 6 ? FRAGMENT_HEADER_BYTES : 0;
    const pieceAt = transportAt + extraBytes;
    this.#copy(source, 0, 0, transportAt);
    this.#copy(source, transportAt + this.#doneBytes, pieceAt, pieceBytes);
    const lengthBytes = pieceAt + pieceBytes;
    this.frame.lengthBytes = lengthBytes;
    // The datagram has one checksum, over all of it; the first fragment carries it.
    if (this.#doneBytes === 0) this.#finishDatagram(source, pieceAt);
    if (version === 4) {
      const fragment = this.#doneBytes / FRAGMENT_UNIT_BYTES + (isLast ? 0 : IPV4_MORE_FRAGMENTS);
      storeBigEndian16(bytes, networkAt + IPV4_FRAGMENT, fragment);
    } else {
      // RFC 8200 §4.5: next header, reserved, offset in units of 8 with the M flag, identification.
      bytes[transportAt] = bytes[protocolAt]!;
      bytes[transportAt + 1] = 0;
      bytes[protocolAt] = EXT_FRAGMENT;
      storeBigEndian16(bytes, transportAt + 2, this.#doneBytes | (isLast ? 0 : 1));
      storeBigEndian16(bytes, transportAt + 4, this.#fragmentId >>> 16);
      storeBigEndian16(bytes, transportAt + 6, this.#fragmentId & 0xffff);
    }
    // All fragments of a packet have one id.
    this.#finishNetwork(networkAt, lengthBytes - networkAt, 0);
  }

  /** Length and checksum of the whole datagram, into the UDP header at `at` in scratch. */
  #finishDatagram(source: Frame, at: number): void {
    const bytes = this.#scratch;
    const { transportAt } = this.#layout;
    const length = this.#payloadBytes;
    const checksumAt = source.offset + transportAt + UDP_CHECKSUM;
    const stored = (source.bytes[checksumAt]! << 8) | source.bytes[checksumAt + 1]!;
    const lengthAt = source.offset + transportAt + UDP_LENGTH;
    const told = (source.bytes[lengthAt]! << 8) | source.bytes[lengthAt + 1]!;
    // What the source's own checksum and length add is taken out again, and the true length put in.
    const whole =
      onesComplementSum(source.bytes, source.offset + transportAt, source.offset + transportAt + length, 0) +
      (~stored & 0xffff) +
      (~told & 0xffff);
    const sum = fold(fold(whole) + length + this.#pseudoSum(length));
    storeBigEndian16(bytes, at + UDP_LENGTH, length);
    storeBigEndian16(bytes, at + UDP_CHECKSUM, transportChecksum(sum));
  }

  /** Lengths, and for IPv4 id and checksum, of a packet of `packetBytes` bytes from its network header on. */
  #finishNetwork(at: number, packetBytes: number, idStep: number): void {
    const bytes = this.#scratch;
    if (this.#layout.version === 6) {
      storeBigEndian16(bytes, at + IPV6_PAYLOAD_LENGTH, packetBytes - IPV6_BYTES);
      return;
    }
    const id = (bytes[at + IPV4_ID]! << 8) | bytes[at + IPV4_ID + 1]!;
    storeBigEndian16(bytes, at + IPV4_ID, id + idStep);
    storeBigEndian16(bytes, at + IPV4_TOTAL_LENGTH, packetBytes);
    storeBigEndian16(bytes, at + IPV4_CHECKSUM, 0);
    storeBigEndian16(bytes, at + IPV4_CHECKSUM, ~onesComplementSum(bytes, at, at + (bytes[at]! & 0xf) * 4, 0) & 0xffff);
  }

  /** Sum of the pseudo header of a segment of `transportBytes` bytes: addresses, protocol, length. */
  #pseudoSum(transportBytes: number): number {
    const { networkAt, version, protocol } = this.#layout;
    const addresses =
      version === 4
        ? onesComplementSum(this.#scratch, networkAt + IPV4_SOURCE, networkAt + IPV4_SOURCE + 8, 0)
        : onesComplementSum(this.#scratch, networkAt + IPV6_SOURCE, networkAt + IPV6_SOURCE + 32, 0);
    return fold(addresses + protocol + transportBytes);
  }

  #copy(source: Frame, from: number, to: number, lengthBytes: number): void {
    const start = source.offset + from;
    this.#scratch.set(source.bytes.subarray(start, start + lengthBytes), to);
  }
}

/** True if a packet is what a gso type, without the ECN flag, is for. */
function fits(gsoType: number, { version, protocol }: PacketLayout): boolean {
  switch (gsoType) {
    case NET_HDR_GSO_TCPV4:
      return version === 4 && protocol === PROTOCOL_TCP;
    case NET_HDR_GSO_TCPV6:
      return version === 6 && protocol === PROTOCOL_TCP;
    case NET_HDR_GSO_UDP:
    case NET_HDR_GSO_UDP_L4:
      return protocol === PROTOCOL_UDP;
    default:
      return false;
  }
}
