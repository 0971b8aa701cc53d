/**
 * Finishes checksums that a sender has left to the card: the field holds the sum of the pseudo header, and the sum of all
 * from `csumStart` on, its complement, is put in its place. Source: virtio 1.4 §5.1.9.2.
 */

import type { Frame } from "../link/frame-port.ts";
import { type PayloadSum, storeBigEndian16, transportChecksum } from "./internet-checksum.ts";

/** True if the checksum field of a frame with NEEDS_CSUM lies within the frame. */
export function hasChecksumField(frame: Frame): boolean {
  return frame.csumStart + frame.csumOffset + 2 <= frame.lengthBytes;
}

/** Finishes the checksum of a frame that has its field, in its bytes, which must be the card's own; it asks for nothing then. */
export function completeChecksum(frame: Frame, payloadSum: PayloadSum): void {
  const { bytes, offset } = frame;
  const start = offset + frame.csumStart;
  const sum = payloadSum.of(bytes, start, offset + frame.lengthBytes);
  storeBigEndian16(bytes, start + frame.csumOffset, transportChecksum(sum));
  frame.clearOffloads();
}
