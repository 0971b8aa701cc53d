/**
 * The host window: one block of registers per interrupt vector, reachable by the host alone.
 * Names follow Intel's EITR(n); the layout is ours (docs/throttling.md).
 */

/** Bytes from the block of vector n to that of vector n + 1. */
export const THROTTLE_STRIDE = 0x100;

export const GUEST_STATE = 0x00;
export const STATE_SEQ = 0x04;
export const TARGET = 0x08;
export const REDIRECT = 0x0c;
export const ITR_LATENCY = 0x10;
export const ITR_OVERFLOW = 0x14;
export const ITR_COUNT = 0x18;
export const RX_FREE_MIN = 0x1c;
export const SLICE_END_LOW = 0x20;
export const SLICE_END_HIGH = 0x24;
export const URGENT_CTRL = 0x28;
export const CAUSE = 0x2c;
export const MASK = 0x30;
export const COUNTERS = 0x40;

// GUEST_STATE. Bit 0 alone is the patent's register; bit 1 tells why an inactive guest is off the CPU (R16).
export const GUEST_PREEMPTED = 0;
export const GUEST_ACTIVE = 1;
export const GUEST_IDLE = 2;

// CAUSE bits.
export const CAUSE_RX = 1;
export const CAUSE_TX = 2;
export const CAUSE_CTRL = 4;
export const CAUSE_CONFIG = 8;

// URGENT_CTRL: filter id in bits 7:0, credits per second in bits 31:8.
export const URGENT_FILTER_OFF = 0;
/** Frames whose sender marked them urgent. */
export const URGENT_FILTER_MARKED = 1;
/** Frames of at most 128 bytes. */
export const URGENT_FILTER_SHORT = 2;
/** ARP, ICMP and ICMPv6. */
export const URGENT_FILTER_CONTROL = 3;
export const URGENT_SHORT_BYTES = 128;
/** Credits saturate here, as in Intel's low-latency interrupts. */
export const URGENT_CREDITS_MAX = 31;
