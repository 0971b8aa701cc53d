/**
 * Layout of the packed virtqueue, little-endian.
 * Source: virtio 1.4 (cs01) §2.8.
 *
 *   descriptor area   size × 16 bytes   addr u64, len u32, id u16, flags u16; read and written by both sides
 *   driver area       4 bytes           off_wrap u16, flags u16: which used buffers the driver wants to hear of
 *   device area       4 bytes           off_wrap u16, flags u16: which available buffers the device wants to hear of
 *
 * A wrap counter is a bit that begins at 1 and changes at each turn of the ring. A descriptor is available if its AVAIL
 * bit equals the wrap counter and its USED bit does not; it is used if both equal it (§2.8.1).
 */

export const PACKED_SIZE_MAX = 32768;

export const PACKED_DESC_BYTES = 16;
export const PACKED_DESC_ADDR_LOW = 0;
export const PACKED_DESC_ADDR_HIGH = 4;
export const PACKED_DESC_LEN = 8;
export const PACKED_DESC_ID = 12;
export const PACKED_DESC_FLAGS = 14;

export const PACKED_F_NEXT = 1;
export const PACKED_F_WRITE = 2;
export const PACKED_F_INDIRECT = 4;
export const PACKED_F_AVAIL = 1 << 7;
export const PACKED_F_USED = 1 << 15;

/** Both event suppression structures, §2.8.10. */
export const EVENT_OFF_WRAP = 0;
export const EVENT_FLAGS = 2;
export const EVENT_BYTES = 4;

/** `off_wrap`: the slot of a descriptor in bits 14:0, the wrap counter of the turn that is meant in bit 15. */
export const EVENT_OFFSET_MASK = 0x7fff;
export const EVENT_WRAP = 1 << 15;

/** `flags`, bits 1:0; the others are reserved. */
export const EVENT_FLAGS_MASK = 3;
export const EVENT_FLAGS_ENABLE = 0;
export const EVENT_FLAGS_DISABLE = 1;
/** Only for the descriptor that `off_wrap` names; needs VIRTIO_F_EVENT_IDX. */
export const EVENT_FLAGS_DESC = 2;

/** Alignments that the driver must keep, §2.8.10.1. */
export const PACKED_DESC_ALIGN = 16;
export const EVENT_ALIGN = 4;

export function packedAreaBytes(size: number): number {
  return PACKED_DESC_BYTES * size;
}
