/**
 * A ring of events in shared memory: one thread writes, one reads, nobody waits; what finds no room is counted as lost.
 * Indices count Int32 words unless they say otherwise; the ring begins at a multiple of 8 bytes.
 *
 *   0   head: records written so far, free-running        writer, Atomics
 *   1   lost: events that found the ring full             writer
 *   2   capacity in records, a power of two               creator
 *   3   sequence lock of the watermark, odd while it changes   writer, Atomics
 *   4   watermark, ns, float64                            writer
 *   16  tail: records read so far, free-running           reader, Atomics
 *   32  records
 *
 * The watermark promises that all events of this writer with an earlier time are in the ring. A reader reads it first and
 * head afterwards: head was stored before the watermark. A writer that goes to sleep sets it to Infinity; a reader that
 * merges several rings looks at such a watermark once more after all others, for the sleeper may have woken meanwhile.
 */

export const EVENT_HEAD = 0;
export const EVENT_LOST = 1;
export const EVENT_CAPACITY = 2;
export const EVENT_WATERMARK_LOCK = 3;
/** In float64 elements. */
export const EVENT_WATERMARK_F64 = 2;
export const EVENT_TAIL = 16;
export const EVENT_RECORDS = 32;

// One record. Times and the two last operands may exceed 32 bits: float64, at an even word.
export const EVENT_RECORD_WORDS = 12;
/** In float64 elements from the record's beginning. */
export const EVENT_TIME_F64 = 0;
export const EVENT_KIND = 2;
export const EVENT_GUEST = 3;
export const EVENT_A = 4;
export const EVENT_B = 5;
export const EVENT_C = 6;
export const EVENT_D_F64 = 4;
export const EVENT_E_F64 = 5;

// Kinds that a guest writes; the same numbers as in the hypervisor's event vocabulary.
/** a = first frame's id, b = queue, c = last frame's id, d = frames. */
export const EVENT_KIND_DRAIN = 4;
/** b = queue, c = buffers. */
export const EVENT_KIND_REFILL = 5;
/** b = queue. */
export const EVENT_KIND_NOTIFY_OFF = 7;
export const EVENT_KIND_NOTIFY_ON = 8;

export function eventRingBytes(capacity: number): number {
  return 4 * (EVENT_RECORDS + EVENT_RECORD_WORDS * capacity);
}
