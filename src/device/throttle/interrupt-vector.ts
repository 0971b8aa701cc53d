import { CAUSE_KIND_CTRL, CAUSE_KIND_RX, CAUSE_KIND_TX } from "../observer.ts";
import { CAUSE_CONFIG, CAUSE_CTRL, CAUSE_RX, CAUSE_TX } from "../spec/throttle-registers.ts";
import type { QueueCause } from "./queue-cause.ts";
import { UrgentCredits } from "./urgent.ts";

/** SLICE_END when the host has not said. */
export const SLICE_END_UNKNOWN = Number.POSITIVE_INFINITY;

/** Whether a vCPU is on a CPU, and what was asked of the host for it. */
export class VcpuPresence {
  active = true;
  /** Inactive because it gave the CPU up, not because the CPU was taken from it (R16). */
  idle = false;
  stateSeq = 0;
  /** A wake was raised and no activation has followed yet (R2). */
  wakeOutstanding = false;
  deactivatedAtNs = Number.NEGATIVE_INFINITY;
}

/** How often what happened, for the host window and the result. */
export class ThrottleCounters {
  /** Notifications by reason, in the order of NOTIFY_*. */
  readonly notifications = new Float64Array(5);
  /** Wakes by reason, in the order of WAKE_*. */
  readonly wakes = new Float64Array(4);
  /** Batches that found the cause already pending. */
  causesCoalesced = 0;
  /** Reasons for a wake that found one outstanding. */
  wakesCoalesced = 0;
  /** Causes dropped at sending, for the driver was polling (R9). */
  causesSuppressed = 0;
  latenessMaxNs = 0;
}

/** The registers and the state of one interrupt vector. What they mean is decided in throttle-rules.ts. */
export class InterruptVector {
  readonly index: number;
  readonly queues: QueueCause[] = [];
  readonly urgent = new UrgentCredits();
  readonly counters = new ThrottleCounters();

  target = 0;
  /** vCPUs that may take the interrupt in place of an inactive target, as a bit mask (R14). */
  redirectMask = 0;
  latencyNs = 0;
  overflowNs = 0;
  freeMin = 0;
  sliceEndNs: number = SLICE_END_UNKNOWN;
  maskedByHost = false;
  /** The driver's MSI-X mask. */
  maskedByDriver = false;

  configPending = false;
  lastNotifyNs = Number.NEGATIVE_INFINITY;
  deadlineNs = Number.POSITIVE_INFINITY;

  constructor(index: number) {
    this.index = index;
  }

  get masked(): boolean {
    return this.maskedByHost || this.maskedByDriver;
  }

  /** True if the driver's mask holds something back: the vector's pending bit in MSI-X. */
  get heldByDriver(): boolean {
    return this.maskedByDriver && (this.configPending || this.hasPendingQueue());
  }

  hasPendingQueue(): boolean {
    for (let i = 0; i < this.queues.length; i++) if (this.queues[i]!.pending) return true;
    return false;
  }

  /** True if there is anything that a deadline could stand for. */
  hasReason(): boolean {
    return this.hasPendingQueue() || this.waitingSinceNs() < Number.POSITIVE_INFINITY;
  }

  /** The earliest time at which the guest's own coalescing lets a pending cause through; Infinity without one (R12). */
  earliestReadyNs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.queues.length; i++) {
      const cause = this.queues[i]!;
      if (cause.pending) earliest = Math.min(earliest, cause.readyNs());
    }
    return earliest;
  }

  /** Since when the first frame waits for the inactive guest; Infinity if none does (R4). */
  waitingSinceNs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.queues.length; i++) earliest = Math.min(earliest, this.queues[i]!.waitingSinceNs);
    return earliest;
  }

  /** R5: a receive queue whose free buffers are at or below the minimum while its frames wait. */
  guardTripped(active: boolean): boolean {
    if (this.freeMin === 0) return false;
    for (let i = 0; i < this.queues.length; i++) {
      const cause = this.queues[i]!;
      if (cause.kind !== CAUSE_KIND_RX) continue;
      const framesWait = active ? cause.pending : cause.waitingSinceNs < Number.POSITIVE_INFINITY;
      if (framesWait && !cause.source.hasFreeAbove(this.freeMin)) return true;
    }
    return false;
  }

  /** The CAUSE register. */
  causeBits(): number {
    let bits = this.configPending ? CAUSE_CONFIG : 0;
    for (const cause of this.queues) {
      if (!cause.pending) continue;
      if (cause.kind === CAUSE_KIND_RX) bits |= CAUSE_RX;
      if (cause.kind === CAUSE_KIND_TX) bits |= CAUSE_TX;
      if (cause.kind === CAUSE_KIND_CTRL) bits |= CAUSE_CTRL;
    }
    return bits;
  }
}
