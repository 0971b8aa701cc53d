/** Where rings and buffers lie in the guest's memory, and how much goes into one batch: the same for every subject. */

/** Entries of a queue, and frames of a batch: half a ring, as a driver refills it. */
export const RING = 256;
export const BATCH = 128;

/** Guest memory; in an emulated PC the area from 2 MiB on is plain RAM. */
export const RAM_BYTES = 4 << 20;
export const TABLE = 0x20_0000;
export const DRIVER_AREA = 0x20_2000;
export const DEVICE_AREA = 0x20_3000;
export const BUFFERS = 0x21_0000;
/** Bytes of a buffer: header and the longest frame, in whole cache lines. */
export const BUFFER_BYTES = 1536;

/** The virtio-net header of a modern device (virtio 1.4 §5.1.9), and the word that says num_buffers = 1. */
export const HEADER_BYTES = 12;
export const ONE_BUFFER = 1 << 16;
export const FRAME_BYTES_MAX = 1514;

/** The frame on the wire: every byte differs from its neighbours, and from zeroed memory. */
export function makeFrame(lengthBytes) {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + 1) & 0xff);
}
