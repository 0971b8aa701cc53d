import {
  NOTIFY_GUARD,
  NOTIFY_LATENCY,
  NOTIFY_URGENT,
  NOTIFY_WAKE,
  WAKE_GUARD,
  WAKE_OVERFLOW,
  WAKE_URGENT,
} from "../interrupts.ts";
import { CAUSE_KIND_RX, type CardObserver } from "../observer.ts";
import { NO_VECTOR } from "./attached-queues.ts";
import type { InterruptDelivery } from "./interrupt-delivery.ts";
import type { InterruptVector, VcpuPresence } from "./interrupt-vector.ts";
import type { QueueCause } from "./queue-cause.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * What the throttle decides on one vector: what a batch, a dropped frame, a change of the guest's state or the end of an
 * interval means for it, and when it is to be looked at next. `R1` … `R17` are the rules of docs/throttling.md.
 */
export class ThrottleRules {
  readonly #vcpus: readonly VcpuPresence[];
  readonly #delivery: InterruptDelivery;
  readonly #observer: CardObserver | null;

  constructor(vcpus: readonly VcpuPresence[], delivery: InterruptDelivery, observer: CardObserver | null) {
    this.#vcpus = vcpus;
    this.#delivery = delivery;
    this.#observer = observer;
  }

  /** A batch of used entries `fromUsedIdx … source.usedIdx` with `frames` frames was published; `urgent`: one of them is. */
  published(
    vector: InterruptVector,
    cause: QueueCause,
    fromUsedIdx: number,
    frames: number,
    urgent: boolean,
    nowNs: number,
  ): void {
    this.#latch(vector, cause, fromUsedIdx, frames, nowNs);

    const vcpu = this.#delivery.servedBy(vector);
    // R9: a frame for an inactive guest waits whether or not the driver asked for interrupts: it may have been cut off
    // in mid-poll, with interrupts off. A transmit completion waits only if asked for, and only while the guest idles (R16).
    if (!vcpu.active && (cause.kind === CAUSE_KIND_RX || (vcpu.idle && cause.pending))) {
      cause.waitingSinceNs = Math.min(cause.waitingSinceNs, nowNs);
    }
    if (cause.kind === CAUSE_KIND_RX) this.#countCoalesced(vector, vcpu);
    this.evaluate(vector, nowNs, cause.kind === CAUSE_KIND_RX);
    if (urgent) this.#bypass(vector, cause, vcpu, nowNs);
  }

  /** A frame was dropped for want of a buffer: a reason to look at the guard (R5). */
  starved(vector: InterruptVector, nowNs: number): void {
    this.#countCoalesced(vector, this.#delivery.servedBy(vector));
    this.evaluate(vector, nowNs, true);
  }

  /** Sends what is due on `vector` and sets its deadline anew. `lookAtGuard`: one of R5's occasions. */
  evaluate(vector: InterruptVector, nowNs: number, lookAtGuard: boolean): void {
    vector.deadlineNs = NEVER;
    if (this.#delivery.suspended) return;
    const vcpu = this.#delivery.servedBy(vector);
    if (vcpu.active) this.#evaluateActive(vector, nowNs, lookAtGuard);
    else this.#evaluateInactive(vector, vcpu, nowNs, lookAtGuard);
  }

  /** The vector is served by an active vCPU from now on (R6). `endsWake`: it was woken. */
  activated(vector: InterruptVector, endsWake: boolean, nowNs: number): void {
    for (const cause of vector.queues) {
      cause.waitingSinceNs = NEVER;
      // The driver was cut off in mid-poll and goes on polling: it will see the entries by itself.
      if (cause.pending && !cause.stillWanted()) {
        cause.drop();
        vector.counters.causesSuppressed++;
      }
    }
    vector.deadlineNs = NEVER;
    if (this.#delivery.suspended) return;
    if (vector.configPending) this.#delivery.notifyConfig(vector, nowNs);
    if (endsWake && !vector.masked && vector.hasPendingQueue()) this.#delivery.notify(vector, NOTIFY_WAKE, nowNs);
    else this.evaluate(vector, nowNs, false);
  }

  /** The vector is served by no active vCPU any more (R7). */
  deactivated(vector: InterruptVector, nowNs: number): void {
    const vcpu = this.#delivery.servedBy(vector);
    for (const cause of vector.queues) cause.waitingSinceNs = cause.isUnread(vcpu.idle) ? nowNs : NEVER;
    if (vector.configPending) this.#delivery.notifyConfig(vector, nowNs);
    this.evaluate(vector, nowNs, true);
  }

  /** An inactive guest may have changed between preempted and idle: another interval, and other causes, count then (R16). */
  turnedIdle(vector: InterruptVector, nowNs: number): void {
    const { idle } = this.#vcpus[vector.target]!;
    for (const cause of vector.queues) {
      if (cause.kind === CAUSE_KIND_RX) continue;
      cause.waitingSinceNs = idle && cause.pending ? Math.min(cause.waitingSinceNs, nowNs) : NEVER;
    }
    this.evaluate(vector, nowNs, false);
  }

  /** R9: whether the batch crosses the driver's event is decided here, once, and remembered. */
  #latch(vector: InterruptVector, cause: QueueCause, fromUsedIdx: number, frames: number, nowNs: number): void {
    if (cause.vector === NO_VECTOR) return;
    if (cause.pending) vector.counters.causesCoalesced++;
    else if (cause.source.wantsInterrupt(fromUsedIdx)) {
      cause.latch(fromUsedIdx, nowNs);
      this.#observer?.cause(vector.index, cause.queue, cause.kind, nowNs);
    }
    if (cause.pending) cause.add((cause.source.usedIdx - fromUsedIdx) & 0xffff, frames, nowNs);
  }

  /** R2: a frame written or dropped that would have been a reason to wake, had none been outstanding. */
  #countCoalesced(vector: InterruptVector, vcpu: VcpuPresence): void {
    if (vcpu.wakeOutstanding && vector.guardTripped(false)) vector.counters.wakesCoalesced++;
  }

  #evaluateActive(vector: InterruptVector, nowNs: number, lookAtGuard: boolean): void {
    const readyNs = vector.earliestReadyNs();
    // R1: no cause, no deadline. R9: a mask keeps the cause.
    if (readyNs === NEVER || vector.masked) return;
    // R3 and R12.
    let dueNs = Math.max(vector.lastNotifyNs + vector.latencyNs, readyNs);
    // R7: what would fall behind the end of the slice comes before it. A slice end that has passed says nothing.
    if (nowNs <= vector.sliceEndNs && dueNs > vector.sliceEndNs) dueNs = vector.sliceEndNs;
    if (this.#delivery.held) vector.deadlineNs = dueNs;
    else if (dueNs <= nowNs) this.#delivery.notify(vector, NOTIFY_LATENCY, nowNs);
    else if (lookAtGuard && vector.guardTripped(true)) this.#delivery.notify(vector, NOTIFY_GUARD, nowNs);
    else vector.deadlineNs = dueNs;
  }

  #evaluateInactive(vector: InterruptVector, vcpu: VcpuPresence, nowNs: number, lookAtGuard: boolean): void {
    const waitingSinceNs = vector.waitingSinceNs();
    if (waitingSinceNs === NEVER) return;
    // R2: one wake at a time, and R4: no interval runs meanwhile.
    if (vcpu.wakeOutstanding) return;
    if (lookAtGuard && vector.guardTripped(false)) {
      this.#delivery.wake(vector, WAKE_GUARD, nowNs);
      return;
    }
    // R4 and R7: from the first frame, or from the deactivation if one waited then. R16: the idle are not kept waiting.
    const dueNs = Math.max(waitingSinceNs, vcpu.deactivatedAtNs) + (vcpu.idle ? vector.latencyNs : vector.overflowNs);
    if (dueNs <= nowNs) this.#delivery.wake(vector, WAKE_OVERFLOW, nowNs);
    else vector.deadlineNs = dueNs;
  }

  /** R11: past both intervals while credits last; not where the interval has let it through already. */
  #bypass(vector: InterruptVector, cause: QueueCause, vcpu: VcpuPresence, nowNs: number): void {
    if (this.#delivery.suspended) return;
    if (vcpu.active) {
      if (cause.pending && !vector.masked && vector.urgent.take(nowNs)) {
        vector.deadlineNs = NEVER;
        this.#delivery.notify(vector, NOTIFY_URGENT, nowNs);
      }
    } else if (vcpu.wakeOutstanding) {
      vector.counters.wakesCoalesced++;
    } else if (vector.urgent.take(nowNs)) {
      vector.deadlineNs = NEVER;
      this.#delivery.wake(vector, WAKE_URGENT, nowNs);
    }
  }
}
