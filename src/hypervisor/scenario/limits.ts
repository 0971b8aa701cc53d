/** What each number of a scenario may be: one place for the JSON schema, the command line and their messages. */

export interface Limit {
  /** Completes the sentence "allowed is …". */
  readonly allowed: string;
  readonly accepts: (value: number) => boolean;
}

function integer(min: number, max: number, unit = ""): Limit {
  return {
    allowed: `a whole number from ${min} to ${max}${unit}`,
    accepts: (value) => Number.isInteger(value) && value >= min && value <= max,
  };
}

function real(min: number, max: number, unit = ""): Limit {
  return {
    allowed: `a number from ${min} to ${max}${unit}`,
    accepts: (value) => value >= min && value <= max,
  };
}

function aboveZero(max: number, unit = ""): Limit {
  return {
    allowed: `a number above 0, at most ${max}${unit}`,
    accepts: (value) => value > 0 && value <= max,
  };
}

/** Less than Debian's kernel and its initrd take, and more than v86 can address, is of no use. */
export const MEMORY_MB = integer(64, 2048);
/** A frame must hold the stamp by which its receiver checks it (device/spec/frame-stamp.ts). */
export const FRAME_BYTES_MIN = 36;
const U32_MAX = 0xffff_ffff;
/** Eleven days: far below 2^53 ns, so that sums of times stay exact. */
const SPAN_NS_MAX = 1e15;

/** virtio 1.4 §2.7: a split queue's size is a power of two, at most 32768. One entry would leave nothing to moderate. */
export const RING: Limit = {
  allowed: "a power of two from 2 to 32768",
  accepts: (value) => Number.isInteger(value) && value >= 2 && value <= 32768 && (value & (value - 1)) === 0,
};

export const GUESTS = integer(1, 64);
export const PCPUS = integer(1, 64);
export const SEED = integer(0, U32_MAX);
export const SPEED = aboveZero(1e6);
export const DURATION_S = aboveZero(SPAN_NS_MAX / 1e9, " (seconds)");
export const DURATION_NS = integer(1, SPAN_NS_MAX, " (ns)");
export const LINK_RATE_BPS = real(1e6, 1e12, " (bit/s)");
/** The smallest MTU of IPv4, and the largest that the device's 16-bit field holds. */
export const MTU = integer(68, 65535, " (bytes)");
export const MAX_INACTIVE_DELAY_NS = integer(0, 1e9, " (ns)");
export const MAX_GAP_NS = integer(1, SPAN_NS_MAX, " (ns)");

/** ITR_LATENCY and ITR_OVERFLOW are 32-bit registers. */
export const INTERVAL_NS = integer(0, U32_MAX, " (ns)");
/** URGENT_CTRL has 24 bits for the credit rate. */
export const CREDITS_PER_S = integer(0, 0xff_ffff);

/** Below a microsecond a slice would be shorter than the switch that begins it. */
export const SLICE_NS = integer(1000, 1e10, " (ns)");
export const SHARE = real(0, 1);
export const COST_NS = integer(0, 1e9, " (ns)");
export const REFILL_BATCH = integer(1, 32768);

export const WEIGHT = aboveZero(1e6);
/** The two fields of the coalescing command are le32 (virtio 1.4 §5.1.9.5.10). */
export const COALESCE = integer(0, U32_MAX);
export const FRAME_BYTES = integer(FRAME_BYTES_MIN, 65535 + 14, " (bytes)");
export const FRAME_COUNT = integer(1, Number.MAX_SAFE_INTEGER);
export const FRAMES_PER_S = aboveZero(1e9);
export const OUTSTANDING = integer(1, 65536);
export const BURST_FRAMES = integer(1, 1e6);
export const TIME_NS = integer(0, SPAN_NS_MAX, " (ns)");
export const PERIOD_NS = integer(1, SPAN_NS_MAX, " (ns)");
