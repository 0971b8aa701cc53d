/**
 * Layout of the split virtqueue, little-endian.
 * Source: virtio 1.4 (cs01) §2.7.
 *
 *   descriptor area   size × 16 bytes   addr u64, len u32, flags u16, next u16
 *   driver area       6 + 2 × size      flags u16, idx u16, ring u16[size], used_event u16
 *   device area       6 + 8 × size      flags u16, idx u16, ring {id u32, len u32}[size], avail_event u16
 */

export const QUEUE_SIZE_MAX = 32768;

export const DESC_BYTES = 16;
export const DESC_ADDR_LOW = 0;
export const DESC_ADDR_HIGH = 4;
export const DESC_LEN = 8;
export const DESC_FLAGS = 12;
export const DESC_NEXT = 14;

export const DESC_F_NEXT = 1;
export const DESC_F_WRITE = 2;
export const DESC_F_INDIRECT = 4;

export const AVAIL_FLAGS = 0;
export const AVAIL_IDX = 2;
export const AVAIL_RING = 4;
export const AVAIL_F_NO_INTERRUPT = 1;

export const USED_FLAGS = 0;
export const USED_IDX = 2;
export const USED_RING = 4;
export const USED_ELEM_BYTES = 8;
export const USED_F_NO_NOTIFY = 1;

/** Alignments that the driver must keep, §2.7. */
export const DESC_ALIGN = 16;
export const AVAIL_ALIGN = 2;
export const USED_ALIGN = 4;

/** Offset of `used_event` in the driver area of a queue of `size` entries. */
export function usedEventOffset(size: number): number {
  return AVAIL_RING + 2 * size;
}

/** Offset of `avail_event` in the device area of a queue of `size` entries. */
export function availEventOffset(size: number): number {
  return USED_RING + USED_ELEM_BYTES * size;
}

export function descAreaBytes(size: number): number {
  return DESC_BYTES * size;
}

/** The event word at the end of both areas is there only with VIRTIO_F_EVENT_IDX (§2.7.6, §2.7.8). */
const EVENT_WORD_BYTES = 2;

export function availAreaBytes(size: number, eventIdx = true): number {
  return AVAIL_RING + 2 * size + (eventIdx ? EVENT_WORD_BYTES : 0);
}

export function usedAreaBytes(size: number, eventIdx = true): number {
  return USED_RING + USED_ELEM_BYTES * size + (eventIdx ? EVENT_WORD_BYTES : 0);
}
