/**
 * What the driver may leave to the card with a frame that it sends, its checksum and its segmentation: whether the header
 * asks for it rightly, and doing it if the port does not. Source: virtio 1.4 §5.1.9.2.
 */

import { FAULT_NONE, FAULT_TX_OFFLOAD, FAULT_TX_OFFLOAD_FIELDS, FAULT_TX_TOO_LONG } from "../faults.ts";
import type { Frame, FramePort } from "../link/frame-port.ts";
import { completeChecksum, hasChecksumField } from "../offload/partial-checksum.ts";
import type { Segmenter } from "../offload/segmenter.ts";
import {
  NET_F_CSUM,
  NET_F_HOST_ECN,
  NET_F_HOST_TSO4,
  NET_F_HOST_TSO6,
  NET_F_HOST_UFO,
  NET_F_HOST_USO,
  NET_HDR_CSUM_OFFSET,
  NET_HDR_CSUM_START,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_FLAGS,
  NET_HDR_GSO_ECN,
  NET_HDR_GSO_NONE,
  NET_HDR_GSO_SIZE,
  NET_HDR_GSO_TCPV4,
  NET_HDR_GSO_TCPV6,
  NET_HDR_GSO_TYPE,
  NET_HDR_GSO_UDP,
  NET_HDR_GSO_UDP_L4,
} from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";

/** Each gso type, and what allows the driver to ask for it. */
const GSO_FEATURES: readonly (readonly [gsoType: number, feature: number])[] = [
  [NET_HDR_GSO_TCPV4, NET_F_HOST_TSO4],
  [NET_HDR_GSO_TCPV6, NET_F_HOST_TSO6],
  [NET_HDR_GSO_UDP, NET_F_HOST_UFO],
  [NET_HDR_GSO_UDP_L4, NET_F_HOST_USO],
];

export class TransmitOffloads {
  readonly #port: FramePort;
  readonly #segmenter: Segmenter;
  #checksum = false;
  #segmentation = false;
  // 1 for each value of gso_type that was negotiated.
  readonly #allowed = new Uint8Array(256);
  #frameBytesMax = 0;

  constructor(port: FramePort, segmenter: Segmenter) {
    this.#port = port;
    this.#segmenter = segmenter;
  }

  /** Features were negotiated; no frame may be longer than `frameBytesMax` once it is cut. */
  configure(features: FeatureNegotiation, frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax;
    this.#checksum = features.has(NET_F_CSUM);
    const ecn = features.has(NET_F_HOST_ECN);
    this.#allowed.fill(0);
    this.#allowed[NET_HDR_GSO_NONE] = 1;
    // NCFG-6 speaks of a gso_type of ECN and nothing else, as of NONE: nothing is to be cut.
    this.#allowed[NET_HDR_GSO_ECN] = ecn ? 1 : 0;
    this.#segmentation = false;
    for (const [gsoType, feature] of GSO_FEATURES) {
      if (!features.has(feature)) continue;
      this.#segmentation = true;
      this.#allowed[gsoType] = 1;
      const isTcp = feature === NET_F_HOST_TSO4 || feature === NET_F_HOST_TSO6;
      if (isTcp && ecn) this.#allowed[gsoType | NET_HDR_GSO_ECN] = 1;
    }
  }

  /** True if frames may be longer than the link takes. */
  get segmentation(): boolean {
    return this.#segmentation;
  }

  /**
   * Takes the header at `headerAt` in the bytes of `frame` over into its fields. Returns a fault if the driver asks for
   * what was not negotiated, or asks wrongly; a header that asks for nothing gives a frame as long as it is.
   */
  describe(frame: Frame, headerAt: number): number {
    const { bytes } = frame;
    const gsoType = bytes[headerAt + NET_HDR_GSO_TYPE]!;
    const needsChecksum = (bytes[headerAt + NET_HDR_FLAGS]! & NET_HDR_F_NEEDS_CSUM) !== 0;
    frame.clearOffloads();
    if ((needsChecksum && !this.#checksum) || this.#allowed[gsoType] === 0) return FAULT_TX_OFFLOAD;
    if (needsChecksum) {
      frame.flags = NET_HDR_F_NEEDS_CSUM;
      frame.csumStart = loadU16(bytes, headerAt + NET_HDR_CSUM_START);
      frame.csumOffset = loadU16(bytes, headerAt + NET_HDR_CSUM_OFFSET);
      if (!hasChecksumField(frame)) return FAULT_TX_OFFLOAD_FIELDS;
    }
    if ((gsoType & ~NET_HDR_GSO_ECN) === NET_HDR_GSO_NONE) {
      return frame.lengthBytes > this.#frameBytesMax ? FAULT_TX_TOO_LONG : FAULT_NONE;
    }
    frame.gsoType = gsoType;
    frame.gsoSize = loadU16(bytes, headerAt + NET_HDR_GSO_SIZE);
    if (!needsChecksum || !this.#segmenter.begin(frame)) return FAULT_TX_OFFLOAD_FIELDS;
    // NTX-7: what the header says of this need not be right.
    frame.hdrLen = this.#segmenter.layout.headerBytes;
    return this.#segmenter.longestBytes > this.#frameBytesMax ? FAULT_TX_TOO_LONG : FAULT_NONE;
  }

  /**
   * Does what the port does not, for the frame that was described last. True if it is to be cut: then each `nextSegment`
   * makes it another frame. False if it can go as it is.
   */
  finish(frame: Frame): boolean {
    const port = this.#port;
    if (frame.gsoType !== NET_HDR_GSO_NONE) {
      return !port.takesSegmentation || frame.lengthBytes > port.maxFrameBytes;
    }
    if (!port.takesChecksum) completeChecksum(frame, this.#segmenter.payloadSum);
    return false;
  }

  /** Makes the frame the next segment of what it was; false if there is none left. */
  nextSegment(): boolean {
    return this.#segmenter.next();
  }
}

function loadU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
