import { checkInstance } from "../embedder-parts.ts";
import {
  CAUSE,
  COUNTERS,
  GUEST_ACTIVE,
  GUEST_IDLE,
  GUEST_PREEMPTED,
  GUEST_STATE,
  ITR_COUNT,
  ITR_LATENCY,
  ITR_OVERFLOW,
  MASK,
  REDIRECT,
  RX_FREE_MIN,
  SLICE_END_HIGH,
  SLICE_END_LOW,
  STATE_SEQ,
  TARGET,
  THROTTLE_STRIDE,
  URGENT_CTRL,
} from "../spec/throttle-registers.ts";
import { compileRegisters, NO_REGISTER, type RegisterDefinition } from "../transport/register-table.ts";
import type { InterruptVector, ThrottleCounters } from "./interrupt-vector.ts";
import { Throttle } from "./throttle.ts";

const ALL_ONES = 0xffffffff;
const TWO_TO_32 = 2 ** 32;
const SECTION = "docs/throttling.md, host window";

/** One vector's block, as the register accessors see it. */
interface ThrottleBlock {
  readonly throttle: Throttle;
  readonly vector: InterruptVector;
  /** Low half of SLICE_END, held until the high half is written: the pair takes effect at once. */
  sliceEndLow: number;
}

const COUNTER_SUMMARIES: readonly [name: string, summary: string, read: (counters: ThrottleCounters) => number][] = [
  ["NOTIFY_LATENCY", "Notifications let through by the latency interval.", (c) => c.notifications[0]!],
  ["NOTIFY_GUARD", "Notifications because receive buffers ran short.", (c) => c.notifications[1]!],
  ["NOTIFY_URGENT", "Notifications of urgent frames.", (c) => c.notifications[2]!],
  ["NOTIFY_WAKE", "Notifications at the activation that ended a wake.", (c) => c.notifications[3]!],
  ["NOTIFY_CONFIG", "Notifications of configuration changes.", (c) => c.notifications[4]!],
  ["WAKE_OVERFLOW", "Wakes by the overflow interval.", (c) => c.wakes[0]!],
  ["WAKE_GUARD", "Wakes because receive buffers ran short.", (c) => c.wakes[1]!],
  ["WAKE_URGENT", "Wakes for urgent frames.", (c) => c.wakes[2]!],
  ["WAKE_CONFIG", "Wakes for configuration changes.", (c) => c.wakes[3]!],
  ["CAUSES_COALESCED", "Batches that found their cause pending.", (c) => c.causesCoalesced],
  ["WAKES_COALESCED", "Reasons for a wake that found one outstanding.", (c) => c.wakesCoalesced],
  ["CAUSES_SUPPRESSED", "Causes dropped at sending, for the driver was polling.", (c) => c.causesSuppressed],
  ["LATENESS_MAX", "Greatest lateness of a deadline, ns.", (c) => c.latenessMaxNs],
];

function presenceOf(block: ThrottleBlock) {
  return block.throttle.vcpus[block.vector.target]!;
}

function guestState(block: ThrottleBlock): number {
  const presence = presenceOf(block);
  if (presence.active) return GUEST_ACTIVE;
  return presence.idle ? GUEST_IDLE : GUEST_PREEMPTED;
}

function clamp32(value: number): number {
  return Math.min(Math.max(0, Math.floor(value)), ALL_ONES);
}

/** The registers of one block, at `vector × THROTTLE_STRIDE`. */
export const THROTTLE_REGISTERS: readonly RegisterDefinition<ThrottleBlock>[] = [
  {
    name: "GUEST_STATE",
    offset: GUEST_STATE,
    width: 4,
    access: "RW",
    reset: GUEST_ACTIVE,
    section: SECTION,
    summary:
      "State of the vCPU in TARGET: 1 active, 0 inactive (preempted), 2 inactive (idle). Each write counts STATE_SEQ up.",
    read: (block) => guestState(block),
    write: (block, _index, value, nowNs) =>
      block.throttle.setGuestState(block.vector.target, value, (presenceOf(block).stateSeq + 1) >>> 0, nowNs),
  },
  {
    name: "STATE_SEQ",
    offset: STATE_SEQ,
    width: 4,
    access: "RO",
    reset: 0,
    section: SECTION,
    summary: "Sequence number of the last state change taken over.",
    read: (block) => presenceOf(block).stateSeq >>> 0,
  },
  {
    name: "TARGET",
    offset: TARGET,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "The vCPU that this vector interrupts; an index that does not exist is not taken.",
    read: (block) => block.vector.target,
    write: (block, _index, value, nowNs) => {
      if (value < block.throttle.vcpus.length)
        block.throttle.retarget(block.vector, value, block.vector.redirectMask, nowNs);
    },
  },
  {
    name: "REDIRECT",
    offset: REDIRECT,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "Bit per vCPU: siblings that may take the interrupt while the target is inactive.",
    read: (block) => block.vector.redirectMask >>> 0,
    write: (block, _index, value, nowNs) => block.throttle.retarget(block.vector, block.vector.target, value, nowNs),
  },
  {
    name: "ITR_LATENCY",
    offset: ITR_LATENCY,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "Latency interval, ns; 0 = none.",
    read: (block) => block.vector.latencyNs,
    write: (block, _index, value, nowNs) => {
      block.vector.latencyNs = value;
      block.throttle.reprogrammed(block.vector, false, nowNs);
    },
  },
  {
    name: "ITR_OVERFLOW",
    offset: ITR_OVERFLOW,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "Overflow interval, ns; 0 = wake at the first frame.",
    read: (block) => block.vector.overflowNs,
    write: (block, _index, value, nowNs) => {
      block.vector.overflowNs = value;
      block.throttle.reprogrammed(block.vector, false, nowNs);
    },
  },
  {
    name: "ITR_COUNT",
    offset: ITR_COUNT,
    width: 4,
    access: "RO",
    reset: 0,
    section: SECTION,
    summary: "Nanoseconds left of the interval that runs now; 0 if none does.",
    read: (block, _index, nowNs) => clamp32(block.throttle.runningIntervalNs(block.vector, nowNs)),
  },
  {
    name: "RX_FREE_MIN",
    offset: RX_FREE_MIN,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "The guard: free receive buffers at or below which interrupts are not held back; 0 = off.",
    read: (block) => block.vector.freeMin,
    write: (block, _index, value, nowNs) => {
      block.vector.freeMin = value;
      block.throttle.reprogrammed(block.vector, true, nowNs);
    },
  },
  {
    name: "SLICE_END_LOW",
    offset: SLICE_END_LOW,
    width: 4,
    access: "RW",
    reset: ALL_ONES,
    section: SECTION,
    summary: "Low half of the time by which a notification must be out, ns; takes effect with the high half.",
    read: (block) => (Number.isFinite(block.vector.sliceEndNs) ? block.vector.sliceEndNs % TWO_TO_32 : ALL_ONES),
    write: (block, _index, value) => {
      block.sliceEndLow = value;
    },
  },
  {
    name: "SLICE_END_HIGH",
    offset: SLICE_END_HIGH,
    width: 4,
    access: "RW",
    reset: ALL_ONES,
    section: SECTION,
    summary: "High half of SLICE_END; all ones = the host does not know.",
    read: (block) =>
      Number.isFinite(block.vector.sliceEndNs) ? Math.floor(block.vector.sliceEndNs / TWO_TO_32) : ALL_ONES,
    write: (block, _index, value, nowNs) => {
      block.vector.sliceEndNs = value === ALL_ONES ? Number.POSITIVE_INFINITY : value * TWO_TO_32 + block.sliceEndLow;
      block.throttle.reprogrammed(block.vector, false, nowNs);
    },
  },
  {
    name: "URGENT_CTRL",
    offset: URGENT_CTRL,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "Bits 7:0 filter (0 off, 1 marked, 2 at most 128 bytes, 3 ARP and ICMP), bits 31:8 credits per second.",
    read: (block) => ((block.vector.urgent.creditsPerS << 8) | block.vector.urgent.filterId) >>> 0,
    write: (block, _index, value, nowNs) => block.vector.urgent.program(value & 0xff, value >>> 8, nowNs),
  },
  {
    name: "CAUSE",
    offset: CAUSE,
    width: 4,
    access: "RO",
    reset: 0,
    section: SECTION,
    summary: "Pending causes: 1 receive, 2 transmit, 4 control, 8 configuration change.",
    read: (block) => block.vector.causeBits(),
  },
  {
    name: "MASK",
    offset: MASK,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "1 = the host holds notifications of this vector back; their causes stay.",
    read: (block) => (block.vector.maskedByHost ? 1 : 0),
    write: (block, _index, value, nowNs) => {
      block.vector.maskedByHost = (value & 1) !== 0;
      block.throttle.reprogrammed(block.vector, false, nowNs);
    },
  },
  ...COUNTER_SUMMARIES.map(
    ([name, summary, read], index): RegisterDefinition<ThrottleBlock> => ({
      name,
      offset: COUNTERS + 4 * index,
      width: 4,
      access: "RO",
      reset: 0,
      section: SECTION,
      summary: `${summary} Wraps at 2^32.`,
      read: (block) => read(block.vector.counters) % TWO_TO_32,
    }),
  ),
];

const TABLE = compileRegisters(THROTTLE_REGISTERS, THROTTLE_STRIDE);

/**
 * The host window: the throttle's registers, one block per interrupt vector. It is for the host alone: it lies in none of
 * the guest's address ranges, for a guest must not move the host's interrupt budget.
 */
export class HostWindow {
  readonly sizeBytes: number;
  readonly #blocks: readonly ThrottleBlock[];

  /** @throws RangeError if it is given anything else, such as the card */
  constructor(throttle: Throttle) {
    checkInstance("throttle", throttle, Throttle);
    this.#blocks = throttle.vectors.map((vector) => ({ throttle, vector, sliceEndLow: ALL_ONES }));
    this.sizeBytes = this.#blocks.length * THROTTLE_STRIDE;
  }

  /** Reads the 32-bit register at `offset`. Throws RangeError if there is none. */
  read(offset: number, nowNs: number): number {
    const value = TABLE.read(this.#block(offset), offset % THROTTLE_STRIDE, 4, nowNs);
    if (value === NO_REGISTER) throw new RangeError(`host window: no readable register at 0x${offset.toString(16)}`);
    return value;
  }

  /** Writes the 32-bit register at `offset`. Throws RangeError if there is none, or `value` is not a 32-bit number. */
  write(offset: number, value: number, nowNs: number): void {
    if (!Number.isInteger(value) || value < 0 || value > ALL_ONES) {
      throw new RangeError(`host window: got value ${value}, allowed are whole numbers from 0 to 4294967295`);
    }
    if (!TABLE.write(this.#block(offset), offset % THROTTLE_STRIDE, 4, value, nowNs)) {
      throw new RangeError(`host window: no writable register at 0x${offset.toString(16)}`);
    }
  }

  #block(offset: number): ThrottleBlock {
    const block = this.#blocks[Math.floor(offset / THROTTLE_STRIDE)];
    if (block === undefined) {
      throw new RangeError(`host window: got offset ${offset}, allowed are 0 to ${this.sizeBytes - 4}`);
    }
    return block;
  }
}
