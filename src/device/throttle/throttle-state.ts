/** The throttle between two events, as plain values: what the host programmed, what is pending, and what was counted. */

import { NOTIFY_CONFIG, WAKE_CONFIG } from "../interrupts.ts";
import { count, flag, integerIn, listOf, numberIn, record, type SavedCheck, word32 } from "../saved-value.ts";
import type { AttachedQueues } from "./attached-queues.ts";
import type { InterruptVector, ThrottleCounters, VcpuPresence } from "./interrupt-vector.ts";
import { checkQueueCause, type QueueCauseState } from "./queue-cause.ts";
import { anyTime, pastTime, restoredTime, type SavedTime, savedTime } from "./saved-time.ts";
import { checkUrgentCredits, type UrgentCreditsState } from "./urgent.ts";

export interface ThrottleState {
  readonly vectors: readonly VectorState[];
  readonly vcpus: readonly VcpuState[];
  readonly causes: readonly QueueCauseState[];
}

export interface VectorState {
  readonly target: number;
  readonly redirectMask: number;
  readonly latencyNs: number;
  readonly overflowNs: number;
  readonly freeMin: number;
  readonly sliceEnd: SavedTime;
  readonly maskedByHost: boolean;
  readonly maskedByDriver: boolean;
  readonly configPending: boolean;
  readonly lastNotify: SavedTime;
  readonly urgent: UrgentCreditsState;
  readonly counters: CountersState;
}

export interface VcpuState {
  readonly active: boolean;
  readonly idle: boolean;
  readonly stateSeq: number;
  readonly wakeOutstanding: boolean;
  readonly deactivated: SavedTime;
}

export interface CountersState {
  readonly notifications: readonly number[];
  readonly wakes: readonly number[];
  readonly causesCoalesced: number;
  readonly wakesCoalesced: number;
  readonly causesSuppressed: number;
  readonly latenessMaxNs: number;
}

/** More than any card has queues. */
const CAUSES_MAX = 0x20000;

const checkCounters = record({
  notifications: listOf(count, NOTIFY_CONFIG + 1),
  wakes: listOf(count, WAKE_CONFIG + 1),
  causesCoalesced: count,
  wakesCoalesced: count,
  causesSuppressed: count,
  latenessMaxNs: count,
});

const checkPresence = record({
  active: flag,
  idle: flag,
  stateSeq: integerIn(0, Number.MAX_SAFE_INTEGER),
  wakeOutstanding: flag,
  deactivated: pastTime,
});

/** The host may have written what the window does not: fractions of a nanosecond. */
const interval = numberIn(0, 0xffffffff);

function checkVector(vcpus: number): SavedCheck {
  return record({
    target: integerIn(0, vcpus - 1),
    redirectMask: word32,
    latencyNs: interval,
    overflowNs: interval,
    freeMin: interval,
    sliceEnd: anyTime,
    maskedByHost: flag,
    maskedByDriver: flag,
    configPending: flag,
    lastNotify: pastTime,
    urgent: checkUrgentCredits,
    counters: checkCounters,
  });
}

/** @throws RangeError unless it can be the state of a throttle with so many vectors and vCPUs */
export function checkThrottleState(state: ThrottleState, vectors: number, vcpus: number): void {
  record({
    vectors: listOf(checkVector(vcpus), vectors),
    vcpus: listOf(checkPresence, vcpus),
    causes: listOf(checkQueueCause, 0, CAUSES_MAX),
  })("throttle", state);
  for (const [vcpu, { active, idle, wakeOutstanding }] of state.vcpus.entries()) {
    // It would never be woken again.
    if (active && (idle || wakeOutstanding)) {
      throw new RangeError(`saved state: vCPU ${vcpu} is active, and idle or waiting to be woken as well`);
    }
  }
}

/** What has vectors and vCPUs. */
interface Programmed {
  readonly vectors: readonly InterruptVector[];
  readonly vcpus: readonly VcpuPresence[];
}

export function saveThrottle({ vectors, vcpus }: Programmed, attached: AttachedQueues, nowNs: number): ThrottleState {
  return {
    vectors: vectors.map((vector) => saveVector(vector, nowNs)),
    vcpus: vcpus.map((vcpu) => saveVcpu(vcpu, nowNs)),
    causes: attached.saveState(nowNs),
  };
}

export function restoreThrottle(
  { vectors, vcpus }: Programmed,
  attached: AttachedQueues,
  state: ThrottleState,
  nowNs: number,
): void {
  for (const [i, vector] of vectors.entries()) restoreVector(vector, state.vectors[i]!, nowNs);
  for (const [i, vcpu] of vcpus.entries()) restoreVcpu(vcpu, state.vcpus[i]!, nowNs);
  attached.restoreState(state.causes, nowNs);
  // A deadline in the past: the next `expire` finds out what each is waiting for.
  for (const vector of vectors) vector.deadlineNs = vector.hasReason() ? nowNs : Number.POSITIVE_INFINITY;
}

function saveVector(vector: InterruptVector, nowNs: number): VectorState {
  const { target, redirectMask, latencyNs, overflowNs, freeMin, maskedByHost, maskedByDriver, configPending } = vector;
  return {
    target,
    redirectMask,
    latencyNs,
    overflowNs,
    freeMin,
    maskedByHost,
    maskedByDriver,
    configPending,
    sliceEnd: savedTime(vector.sliceEndNs, nowNs),
    lastNotify: savedTime(vector.lastNotifyNs, nowNs),
    urgent: vector.urgent.saveState(nowNs),
    counters: saveCounters(vector.counters),
  };
}

function restoreVector(vector: InterruptVector, state: VectorState, nowNs: number): void {
  vector.target = state.target;
  vector.redirectMask = state.redirectMask;
  vector.latencyNs = state.latencyNs;
  vector.overflowNs = state.overflowNs;
  vector.freeMin = state.freeMin;
  vector.maskedByHost = state.maskedByHost;
  vector.maskedByDriver = state.maskedByDriver;
  vector.configPending = state.configPending;
  vector.sliceEndNs = restoredTime(state.sliceEnd, nowNs, Number.POSITIVE_INFINITY);
  vector.lastNotifyNs = restoredTime(state.lastNotify, nowNs, Number.NEGATIVE_INFINITY);
  vector.urgent.restoreState(state.urgent, nowNs);
  restoreCounters(vector.counters, state.counters);
}

function saveVcpu(vcpu: VcpuPresence, nowNs: number): VcpuState {
  const { active, idle, stateSeq, wakeOutstanding } = vcpu;
  return { active, idle, stateSeq, wakeOutstanding, deactivated: savedTime(vcpu.deactivatedAtNs, nowNs) };
}

function restoreVcpu(vcpu: VcpuPresence, state: VcpuState, nowNs: number): void {
  vcpu.active = state.active;
  vcpu.idle = state.idle;
  vcpu.stateSeq = state.stateSeq;
  vcpu.wakeOutstanding = state.wakeOutstanding;
  vcpu.deactivatedAtNs = restoredTime(state.deactivated, nowNs, Number.NEGATIVE_INFINITY);
}

function saveCounters(counters: ThrottleCounters): CountersState {
  return { ...counters, notifications: [...counters.notifications], wakes: [...counters.wakes] };
}

function restoreCounters(counters: ThrottleCounters, state: CountersState): void {
  counters.notifications.set(state.notifications);
  counters.wakes.set(state.wakes);
  counters.causesCoalesced = state.causesCoalesced;
  counters.wakesCoalesced = state.wakesCoalesced;
  counters.causesSuppressed = state.causesSuppressed;
  counters.latenessMaxNs = state.latenessMaxNs;
}
