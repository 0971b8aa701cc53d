/**
 * What a frame costs whose checksum or segmentation somebody has left to somebody else: TCP over IPv4, in shared memory with
 * the fast copy. `frameBytes` is what the driver, or the wire, hands over in one piece.
 */

/** Ethernet, IPv4 and TCP without options, and the payload of a segment. */
export const HEADERS_BYTES = 54;
export const SEGMENT_BYTES = 1448;
const SEGMENTS = 45;
const LONG_BYTES = HEADERS_BYTES + SEGMENTS * SEGMENT_BYTES;
const SHORT_BYTES = HEADERS_BYTES + SEGMENT_BYTES;

export const CASES = {
  /** The driver sends a frame that the card cuts into 45. */
  sendCut: {
    receives: false,
    portTakes: false,
    driverTakes: false,
    gso: true,
    frameBytes: LONG_BYTES,
    makes: SEGMENTS,
  },
  /** The same, for a port that cuts it itself. */
  sendWhole: { receives: false, portTakes: true, driverTakes: false, gso: true, frameBytes: LONG_BYTES, makes: 1 },
  /** The driver sends a frame whose checksum the card finishes. */
  sendChecksum: {
    receives: false,
    portTakes: false,
    driverTakes: false,
    gso: false,
    frameBytes: SHORT_BYTES,
    makes: 1,
  },
  /** The wire brings a frame that the card cuts for its driver. */
  receiveCut: {
    receives: true,
    portTakes: true,
    driverTakes: false,
    gso: true,
    frameBytes: LONG_BYTES,
    makes: SEGMENTS,
  },
  /** The same, for a driver that takes it whole, in 43 buffers. */
  receiveWhole: { receives: true, portTakes: true, driverTakes: true, gso: true, frameBytes: LONG_BYTES, makes: 1 },
  /** The wire brings a frame with a partial checksum, which the card finishes, or passes on. */
  receiveChecksum: {
    receives: true,
    portTakes: true,
    driverTakes: false,
    gso: false,
    frameBytes: SHORT_BYTES,
    makes: 1,
  },
  receivePartial: { receives: true, portTakes: true, driverTakes: true, gso: false, frameBytes: SHORT_BYTES, makes: 1 },
};

/** Bytes of the frame: a driver of Linux would send it so, but for its checksums, which the card does not look at. */
export function makeFrame(frameBytes) {
  const bytes = new Uint8Array(frameBytes).map((_, i) => (i * 7 + 1) & 0xff);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
  bytes.set(
    [0x45, 0, (frameBytes - 14) >>> 8, frameBytes - 14, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
    14,
  );
  bytes.set([0xc0, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 64, 0, 0, 0, 0], 34);
  return bytes;
}
