/**
 * The control block: the Int32 words through which the host's scheduler, the device thread and one vCPU thread talk.
 * One block per vCPU, and one system block for all. Who writes a word, and what it is ordered with, is in
 * docs/memory-model.md.
 */

/** Words of one vCPU's block: a few cache lines, so that neighbours do not share one. */
export const VCPU_BLOCK_WORDS = 192;

// --- host → device -------------------------------------------------------------------------------------------------
/** `seq << 2 | GUEST_STATE`: written by the host alone, in one atomic store. */
export const STATE = 0;
/** Time of the post, ns, split; written before STATE. */
export const STATE_POSTED_LOW = 1;
export const STATE_POSTED_HIGH = 2;
// The throttle's program that goes with the state; written before STATE, read after it.
export const PROGRAM_LATENCY = 3;
export const PROGRAM_OVERFLOW = 4;
export const PROGRAM_FREE_MIN = 5;
export const PROGRAM_SLICE_END_LOW = 6;
export const PROGRAM_SLICE_END_HIGH = 7;

// --- device → host -------------------------------------------------------------------------------------------------
/** The state word that the device has taken over. */
export const STATE_ECHO = 16;
/** Sequence of the newest wake, 0 = none yet; the host compares it with the newest that it has handled. */
export const WAKE_SEQ = 17;
export const WAKE_REASON = 18;
// What the governor observes; refreshed at each poll that moved a frame.
export const SEEN_ARRIVED = 19;
export const SEEN_FREE = 20;
/** Newest time from a wake to the takeover of the activation that answered it, ns; 0 = none since the host last took it. */
export const SEEN_WAKE_LATENCY = 21;
export const SEEN_DELIVERED = 22;

// --- device → vCPU -------------------------------------------------------------------------------------------------
/** One bit per interrupt vector, exchanged with 0 by whoever takes them. */
export const PENDING = 32;
/** The InterruptStatus register, mirrored so that reading it is no exit. */
export const INTERRUPT_STATUS = 33;
export const VCPU_DOORBELL = 34;

// --- host → vCPU ---------------------------------------------------------------------------------------------------
export const ASK = 48;
export const ASK_RUN = 0;
/** Leave the CPU at the next poll step. */
export const ASK_PARK = 1;
/** A wake slice: leave the CPU as soon as the receive ring is drained. */
export const ASK_PARK_WHEN_DRAINED = 2;
/** Leave the loop and report. */
export const ASK_STOP = 3;

// --- vCPU → host ---------------------------------------------------------------------------------------------------
export const VCPU_STATUS = 64;
export const VCPU_STARTING = 0;
export const VCPU_RUNNING = 1;
export const VCPU_PREEMPTED = 2;
/** In the idle wait. The host claims an idle vCPU by changing IDLE to OFF; the vCPU takes itself back by IDLE → RUNNING. */
export const VCPU_IDLE = 3;
export const VCPU_OFF = 4;
export const VCPU_STOPPED = 5;
export const VCPU_FAILED = 6;
/** 1 once its application has nothing more to send of its own accord. */
export const SENDS_DONE = 65;
/** Frames that its driver has read: the run is not over while the card has delivered more. */
export const FRAMES_READ = 66;
/** The system's number for the vCPU's thread, 0 where there is none. */
export const VCPU_THREAD_ID = 67;

// --- exits: register accesses of the vCPU --------------------------------------------------------------------------
/** `epoch << 16 | seq & 0xffff`: published last. */
export const EXIT_REQUEST = 80;
export const EXIT_OFFSET = 81;
export const EXIT_WIDTH = 82;
/** The answer's value, then EXIT_ANSWER repeats the request word. */
export const EXIT_VALUE = 96;
export const EXIT_ANSWER = 97;
/** Raised by the host when a worker was killed: answers of another epoch are ignored. */
export const EXIT_EPOCH = 98;

/** Posted writes: a ring of (offset, width, value), filled by the vCPU, emptied by the device. */
export const POST_HEAD = 112;
export const POST_TAIL = 113;
export const POST_RING = 128;
export const POST_ENTRIES = 16;
export const POST_ENTRY_WORDS = 4;

// --- system block --------------------------------------------------------------------------------------------------
export const SYSTEM_BLOCK_WORDS = 64;
export const HOST_DOORBELL = 0;
export const DEVICE_DOORBELL = 16;
/** 1 while the device thread serves exits; the host clears it, and rings every vCPU, when that thread ends. */
export const DEVICE_ALIVE = 32;
export const DEVICE_STOP = 33;
/** 1 once the traffic may begin, at the time START. */
export const DEVICE_GO = 34;
export const DEVICE_THREAD_ID = 38;
export const START_LOW = 36;
export const START_HIGH = 37;
/** Guests whose traffic has ended, as counted by the device. */
export const TRAFFIC_ENDED = 35;
