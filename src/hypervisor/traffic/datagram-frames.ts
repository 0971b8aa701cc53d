import type { Frame } from "../../device/link/frame-port.ts";
import type { FrameMaker } from "./frame-maker.ts";
import { Random } from "./random.ts";
import { WIRE_MAC } from "./stamped-frames.ts";

/**
 * Frames for a guest that is an operating system: UDP datagrams to a port that nobody listens on. The guest's kernel takes
 * them apart, verifies both checksums and counts them (NoPorts, InCsumErrors), and does nothing else. It answers nothing
 * either: to reject a datagram it would need a route to the sender, and it has none.
 *
 *   0  Ethernet    14  IPv4    34  UDP    42  sequence number, big-endian    46  filler
 *
 * The filler is written once, along with the checksum's sum over every number of its first words, so that a frame of any
 * length costs the same.
 */

/** RFC 2544: addresses for benchmarks, which are routed nowhere. */
export const SENDER_ADDRESS: readonly number[] = [198, 18, 0, 1];
/** RFC 863, discard. */
const DESTINATION_PORT = 9;
/** RFC 6335: ports of nobody in particular. */
const SOURCE_PORT_FIRST = 49152;

const ETHERNET_BYTES_MIN = 60;
const FRAME_BYTES_MAX = 65535 + 14;
const IP_AT = 14;
const IP_TOTAL_AT = IP_AT + 2;
const IP_ID_AT = IP_AT + 4;
const IP_CHECKSUM_AT = IP_AT + 10;
const UDP_AT = 34;
const UDP_LENGTH_AT = UDP_AT + 4;
const UDP_CHECKSUM_AT = UDP_AT + 6;
const SEQUENCE_AT = 42;
const FILLER_AT = 46;
/** Where the frame begins in its array: 4 mod 8, as in the buffers of guests. */
const OFFSET = 4;
const PROTOCOL_UDP = 17;

export interface DatagramFramesOptions {
  /** The longest frame. */
  readonly slotBytes: number;
  readonly destinationMac: ArrayLike<number>;
  readonly destinationAddress: readonly number[];
  /** Of the filler. */
  readonly seed: number;
}

export class DatagramFrames implements FrameMaker {
  readonly slotBytes: number;
  readonly #bytes: Uint8Array;
  /** Sums of the filler's first n words of 16 bits, big-endian, for n = 0 … */
  readonly #sums: Uint32Array;
  /** Sum of all of the IP header that does not change, and the same for UDP with its pseudo-header. */
  readonly #ipSum: number;
  readonly #udpSum: number;

  /** @throws RangeError if the longest frame is too short for its headers, or longer than an IP packet can be */
  constructor({ slotBytes, destinationMac, destinationAddress, seed }: DatagramFramesOptions) {
    if (!Number.isInteger(slotBytes) || slotBytes < ETHERNET_BYTES_MIN || slotBytes > FRAME_BYTES_MAX) {
      throw new RangeError(
        `slotBytes: got ${slotBytes}, allowed are ${ETHERNET_BYTES_MIN} to ${FRAME_BYTES_MAX} for a datagram`,
      );
    }
    this.slotBytes = slotBytes;
    const bytes = new Uint8Array(OFFSET + slotBytes + 1);
    this.#bytes = bytes;
    bytes.set([...Array.from(destinationMac), ...WIRE_MAC, 0x08, 0x00], OFFSET);
    // Version 4 with 5 words, don't fragment, 64 hops.
    const addresses = [...SENDER_ADDRESS, ...destinationAddress];
    bytes.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0, ...addresses], OFFSET + IP_AT);
    bytes.set([SOURCE_PORT_FIRST >>> 8, SOURCE_PORT_FIRST & 0xff, 0, DESTINATION_PORT], OFFSET + UDP_AT);
    this.#ipSum = this.#sumOf(IP_AT, UDP_AT);
    // RFC 768: the pseudo-header has both addresses, the protocol and the length.
    this.#udpSum = this.#sumOf(IP_AT + 12, UDP_AT) + PROTOCOL_UDP + this.#sumOf(UDP_AT, UDP_AT + 4);
    this.#sums = this.#fill(new Random(seed));
  }

  stamp(frame: Frame, sequence: number, lengthBytes: number): void {
    const length = lengthBytes < ETHERNET_BYTES_MIN ? ETHERNET_BYTES_MIN : lengthBytes | 0;
    if (length > this.slotBytes) {
      throw new RangeError(`lengthBytes: got ${lengthBytes}, allowed are at most the slot's ${this.slotBytes}`);
    }
    const ipBytes = length - IP_AT;
    const udpBytes = length - UDP_AT;
    const sequenceHigh = (sequence >>> 16) & 0xffff;
    const sequenceLow = sequence & 0xffff;
    this.#store(IP_TOTAL_AT, ipBytes);
    this.#store(IP_ID_AT, sequenceLow);
    this.#store(IP_CHECKSUM_AT, checksumOf(this.#ipSum + ipBytes + sequenceLow));
    this.#store(UDP_LENGTH_AT, udpBytes);
    this.#store(SEQUENCE_AT, sequenceHigh);
    this.#store(SEQUENCE_AT + 2, sequenceLow);
    const fillerBytes = length - FILLER_AT;
    const oddByte = (fillerBytes & 1) === 0 ? 0 : this.#bytes[OFFSET + length - 1]! << 8;
    const fillerSum = this.#sums[fillerBytes >>> 1]! + oddByte;
    const checksum = checksumOf(this.#udpSum + 2 * udpBytes + sequenceHigh + sequenceLow + fillerSum);
    // RFC 768: 0 would mean that there is none.
    this.#store(UDP_CHECKSUM_AT, checksum === 0 ? 0xffff : checksum);
    frame.bytes = this.#bytes;
    frame.offset = OFFSET;
    frame.lengthBytes = length;
    frame.id = sequence;
    frame.urgent = false;
    frame.clearOffloads();
  }

  #store(at: number, value: number): void {
    this.#bytes[OFFSET + at] = value >>> 8;
    this.#bytes[OFFSET + at + 1] = value;
  }

  #sumOf(from: number, to: number): number {
    let sum = 0;
    for (let at = OFFSET + from; at < OFFSET + to; at += 2) sum += (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
    return sum;
  }

  #fill(random: Random): Uint32Array {
    const words = Math.ceil((this.slotBytes - FILLER_AT) / 2);
    const sums = new Uint32Array(words + 1);
    for (let word = 0; word < words; word++) {
      const value = random.uint32() & 0xffff;
      this.#store(FILLER_AT + 2 * word, value);
      sums[word + 1] = sums[word]! + value;
    }
    return sums;
  }
}

/** RFC 1071: the complement of the sum, its carries folded in. */
function checksumOf(sum: number): number {
  let folded = (sum % 0x10000) + Math.floor(sum / 0x10000);
  folded = (folded & 0xffff) + (folded >>> 16);
  return ~(folded + (folded >>> 16)) & 0xffff;
}
