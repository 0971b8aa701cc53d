/**
 * The wire's end. A card pulls received frames from its port and hands transmitted ones to it; whatever is at the other
 * end (a traffic source, a switch, a socket) implements this one interface, and wrappers (capture, faults) nest.
 */

/**
 * One frame with its offload header (virtio 1.4 §5.1.9), in fields that are reused for every frame. A finished frame has
 * `flags` and `gsoType` 0, and then no other field of the header counts:
 * - NEEDS_CSUM in `flags`: the checksum field, `csumStart + csumOffset`, holds the sum of the pseudo header, and whoever
 *   sent the frame answers for it;
 * - DATA_VALID: the checksum is known to be right;
 * - `gsoType` is not NONE: a TCP or UDP packet that is still to be cut into pieces of `gsoSize`; NEEDS_CSUM is set too.
 */
export class Frame {
  /** Bytes of the frame lie at `bytes[offset … offset + lengthBytes)`. Valid until the next call on the port. */
  // Not born undefined, as the views of GuestMemory are not.
  declare bytes: Uint8Array;
  offset = 0;
  lengthBytes = 0;
  flags = 0;
  gsoType = 0;
  gsoSize = 0;
  hdrLen = 0;
  csumStart = 0;
  csumOffset = 0;
  /** Hash of the frame's flow and its kind (HASH_REPORT_*, virtio 1.4 §5.1.9.4.5): the receiving card fills both in. */
  hashValue = 0;
  hashReport = 0;
  /** Whatever names the frame to an observer; 0 if nothing does. */
  id = 0;
  /** Marked by the sender as one that should not wait for an interrupt interval (R11). */
  urgent = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The frame is finished: nobody has to do anything for it. */
  clearOffloads(): void {
    this.flags = 0;
    this.gsoType = 0;
    this.gsoSize = 0;
    this.hdrLen = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
  }
}

export interface FramePort {
  /** Longest frame that `transmit` takes, in bytes, Ethernet header included. */
  readonly maxFrameBytes: number;
  /** True if the port finishes partial checksums (VIRTIO_NET_HDR_F_NEEDS_CSUM) itself. */
  readonly takesChecksum: boolean;
  /** True if the port takes frames that are still to be segmented, up to `maxFrameBytes` long. */
  readonly takesSegmentation: boolean;
  /**
   * Takes the next frame off the wire into `frame`; false if there is none at `nowNs`. A card finishes what its driver does
   * not take, and drops a frame whose header does not fit it; it does not write to the bytes.
   */
  receive(frame: Frame, nowNs: number): boolean;
  /** When the next frame is due, ns; Infinity if the port does not know of any. */
  nextArrivalNs(): number;
  /** Sends a frame; false if the port had to drop it. The bytes are read before the call returns. */
  transmit(frame: Frame, nowNs: number): boolean;
}
