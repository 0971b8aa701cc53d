import { type InterruptSink, NOTIFY_CONFIG, WAKE_CONFIG } from "../interrupts.ts";
import type { InterruptVector, VcpuPresence } from "./interrupt-vector.ts";

/**
 * Sends what the throttle has decided on: the last look at suppression, the counts, and whom it reaches. All state is
 * updated before the sink is called, so that the sink may call back.
 */
export class InterruptDelivery {
  /** R17: nothing leaves. */
  suspended = false;
  /** Notifications wait for the next `expire`, which asks once more whether they are wanted (R9). */
  held = false;
  /** The vector of configuration changes; null if the driver gave them none. */
  configVector: InterruptVector | null;
  readonly #vectors: readonly InterruptVector[];
  readonly #vcpus: readonly VcpuPresence[];
  readonly #sink: InterruptSink;

  constructor(vectors: readonly InterruptVector[], vcpus: readonly VcpuPresence[], sink: InterruptSink) {
    this.#vectors = vectors;
    this.#vcpus = vcpus;
    this.#sink = sink;
    this.configVector = vectors[0]!;
  }

  /** R14: the vCPU that the vector interrupts: its target, or an active sibling where the interrupt's address allows it. */
  servedBy(vector: InterruptVector): VcpuPresence {
    const target = this.#vcpus[vector.target]!;
    if (target.active || vector.redirectMask === 0) return target;
    for (let i = 0; i < this.#vcpus.length; i++) {
      if ((vector.redirectMask >>> i) & 1 && this.#vcpus[i]!.active) return this.#vcpus[i]!;
    }
    return target;
  }

  /** R2: one notification for all causes of the vector; the next interval starts here. R9: unless no driver wants it now. */
  notify(vector: InterruptVector, why: number, nowNs: number): void {
    let wanted = false;
    for (let i = 0; i < vector.queues.length; i++) {
      const cause = vector.queues[i]!;
      if (!cause.pending) continue;
      if (cause.stillWanted()) {
        wanted = true;
        cause.clearNotified();
      } else {
        cause.drop();
        vector.counters.causesSuppressed++;
      }
    }
    if (!wanted) return;
    vector.lastNotifyNs = nowNs;
    vector.counters.notifications[why]!++;
    this.#sink.notify(vector.index, why, nowNs);
  }

  /** R2: the cause stays until the activation. */
  wake(vector: InterruptVector, why: number, nowNs: number): void {
    this.#vcpus[vector.target]!.wakeOutstanding = true;
    // Other vectors of the same vCPU need no deadline of their own now (R4), unless a sibling serves them.
    for (let i = 0; i < this.#vectors.length; i++) {
      const other = this.#vectors[i]!;
      if (other.target === vector.target && !this.servedBy(other).active) other.deadlineNs = Number.POSITIVE_INFINITY;
    }
    vector.counters.wakes[why]!++;
    this.#sink.wake(vector.target, why, nowNs);
  }

  /** R10: configuration changes are another vector's from now on, the pending one too. */
  moveConfig(vector: InterruptVector | null, nowNs: number): void {
    const before = this.configVector;
    this.configVector = vector;
    if (vector === before || before === null || !before.configPending) return;
    before.configPending = false;
    if (vector === null) return;
    vector.configPending = true;
    this.notifyConfig(vector, nowNs);
  }

  /** R13: a pending configuration change goes past all intervals; for an inactive guest it is a reason to wake. */
  notifyConfig(vector: InterruptVector, nowNs: number): void {
    if (this.suspended || vector.masked) return;
    const vcpu = this.servedBy(vector);
    if (vcpu.active) {
      vector.configPending = false;
      vector.counters.notifications[NOTIFY_CONFIG]!++;
      this.#sink.notify(vector.index, NOTIFY_CONFIG, nowNs);
    } else if (vcpu.wakeOutstanding) {
      vector.counters.wakesCoalesced++;
    } else {
      this.wake(vector, WAKE_CONFIG, nowNs);
    }
  }
}
