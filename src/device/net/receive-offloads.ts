/**
 * Frames off the wire whose header says something of checksum or segments: what the driver takes is passed on, and what
 * it does not is finished here. Source: virtio 1.4 §5.1.9.4.1.
 */

import type { Frame } from "../link/frame-port.ts";
import { completeChecksum, hasChecksumField } from "../offload/partial-checksum.ts";
import type { Segmenter } from "../offload/segmenter.ts";
import {
  NET_HDR_F_DATA_VALID,
  NET_HDR_F_NEEDS_CSUM,
  NET_HDR_GSO_ECN,
  NET_HDR_GSO_NONE,
  NET_HDR_GSO_TCPV4,
  NET_HDR_GSO_TCPV6,
  NET_HDR_GSO_UDP,
} from "../spec/virtio-net.ts";
import type { FrameStaging } from "./frame-staging.ts";
import type { GuestOffloads } from "./guest-offloads.ts";

/** What is to be done with a frame. */
export const PASS_ON = 0;
export const FINISH_CHECKSUM = 1;
export const CUT = 2;
/** Its fields do not fit it: the port has not kept to FramePort. */
export const REFUSE = 3;

export class ReceiveOffloads {
  readonly #guest: GuestOffloads;
  readonly #staging: FrameStaging;
  readonly #segmenter: Segmenter;
  // Flags of the segments that are being made.
  #segmentFlags = 0;

  constructor(guest: GuestOffloads, staging: FrameStaging, segmenter: Segmenter) {
    this.#guest = guest;
    this.#staging = staging;
    this.#segmenter = segmenter;
  }

  /** What is to be done with a frame; if it is to be passed on, its fields are what the driver gets. */
  judge(frame: Frame): number {
    const { csum } = this.#guest;
    const { gsoType } = frame;
    const needsChecksum = (frame.flags & NET_HDR_F_NEEDS_CSUM) !== 0;
    if ((gsoType & ~NET_HDR_GSO_ECN) === NET_HDR_GSO_NONE) {
      frame.gsoType = NET_HDR_GSO_NONE;
      frame.gsoSize = 0;
      frame.hdrLen = 0;
      if (needsChecksum) return this.#judgeChecksum(frame);
      // NRX-5, NRX-32, NRX-33: the port has validated the checksum, not the card.
      const flags = csum ? frame.flags & NET_HDR_F_DATA_VALID : 0;
      frame.clearOffloads();
      frame.flags = flags;
      return PASS_ON;
    }
    // NRX-27, NRX-28.
    if (!needsChecksum || !this.#segmenter.begin(frame)) return REFUSE;
    frame.flags = NET_HDR_F_NEEDS_CSUM;
    // NRX-31.
    frame.hdrLen = this.#segmenter.layout.headerBytes;
    return csum && this.#takes(gsoType) ? PASS_ON : CUT;
  }

  #judgeChecksum(frame: Frame): number {
    if (!hasChecksumField(frame)) return REFUSE;
    frame.flags = NET_HDR_F_NEEDS_CSUM;
    return this.#guest.csum ? PASS_ON : FINISH_CHECKSUM;
  }

  /** NRX-7 … NRX-10, NRX-13. Of the frame that the segmenter has read. */
  #takes(gsoType: number): boolean {
    const guest = this.#guest;
    if ((gsoType & NET_HDR_GSO_ECN) !== 0 && !guest.ecn) return false;
    switch (gsoType & ~NET_HDR_GSO_ECN) {
      case NET_HDR_GSO_TCPV4:
        return guest.tso4;
      case NET_HDR_GSO_TCPV6:
        return guest.tso6;
      case NET_HDR_GSO_UDP:
        return guest.ufo;
      default:
        return this.#segmenter.layout.version === 4 ? guest.uso4 : guest.uso6;
    }
  }

  /** Finishes the checksum of a frame; false if it is longer than any frame there is. */
  finishChecksum(frame: Frame): boolean {
    if (!this.#staging.takeOver(frame)) return false;
    completeChecksum(frame, this.#segmenter.payloadSum);
    return true;
  }

  /** Begins to cut a frame that `judge` has found good: `nextSegment` makes it each of its segments. False as above. */
  beginCut(frame: Frame): boolean {
    // The card gives segments their checksums, so nobody needs to verify them; a datagram in fragments is another matter.
    const isValid = this.#guest.csum && frame.gsoType !== NET_HDR_GSO_UDP;
    this.#segmentFlags = isValid ? NET_HDR_F_DATA_VALID : 0;
    return this.#staging.takeOver(frame) && this.#segmenter.begin(frame);
  }

  nextSegment(frame: Frame): boolean {
    if (!this.#segmenter.next()) return false;
    frame.flags = this.#segmentFlags;
    return true;
  }
}
