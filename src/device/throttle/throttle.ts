import { type InterruptSink, NOTIFY_LATENCY } from "../interrupts.ts";
import { CAUSE_KIND_CONFIG, type CardObserver } from "../observer.ts";
import { shownValue } from "../shown-value.ts";
import { GUEST_ACTIVE, GUEST_IDLE } from "../spec/throttle-registers.ts";
import { AttachedQueues } from "./attached-queues.ts";
import { InterruptDelivery } from "./interrupt-delivery.ts";
import type { InterruptSource } from "./interrupt-source.ts";
import { InterruptVector, VcpuPresence } from "./interrupt-vector.ts";
import type { InterruptCount } from "./queue-cause.ts";
import { ThrottleRules } from "./throttle-rules.ts";
import { restoreThrottle, saveThrottle, type ThrottleState } from "./throttle-state.ts";
import type { FilteredFrame } from "./urgent.ts";

export { NO_VECTOR } from "./attached-queues.ts";

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The interrupt throttle: decides when a used buffer becomes an interrupt, and of which kind.
 *
 * To *notify* is to interrupt the driver of an active guest, at most once per latency interval. To *wake* is to ask the
 * host to activate an inactive guest, one overflow interval after the first frame that it does not know of, or at once
 * when the receive ring runs out of buffers. The two have different clocks, counters and rules; `R1` … `R17` in the
 * comments are those of docs/throttling.md.
 *
 * It owns no clock. Every call that can depend on time takes `nowNs`, which must not decrease. Interrupts leave through
 * the sink from inside such a call, with all state already updated, so that the sink may call back.
 */
export class Throttle {
  readonly vectors: readonly InterruptVector[];
  readonly vcpus: readonly VcpuPresence[];
  /** How late the interrupt that is being delivered is, against its deadline, in ns; 0 if none was set. */
  latenessNs = 0;

  readonly #attached: AttachedQueues;
  readonly #observer: CardObserver | null;
  /** Scratch of `setGuestState`: which vectors had an active vCPU before the change. */
  readonly #wasServed: Uint8Array;
  readonly #delivery: InterruptDelivery;
  readonly #rules: ThrottleRules;

  /** Throws RangeError unless 1 ≤ vectors ≤ 2048 and 1 ≤ vcpus ≤ 32. */
  constructor(vectors: number, vcpus: number, sink: InterruptSink, observer: CardObserver | null) {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > 2048) {
      throw new RangeError(`vectors: got ${shownValue(vectors)}, allowed are 1 to 2048`);
    }
    if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > 32) {
      throw new RangeError(`vcpus: got ${shownValue(vcpus)}, allowed are 1 to 32`);
    }
    this.vectors = Array.from({ length: vectors }, (_, index) => new InterruptVector(index));
    this.vcpus = Array.from({ length: vcpus }, () => new VcpuPresence());
    this.#attached = new AttachedQueues(this.vectors);
    this.#wasServed = new Uint8Array(vectors);
    this.#delivery = new InterruptDelivery(this.vectors, this.vcpus, sink);
    this.#rules = new ThrottleRules(this.vcpus, this.#delivery, observer);
    this.#observer = observer;
  }

  // --- queues --------------------------------------------------------------------------------------------------------

  /**
   * Takes on a queue: `kind` is CAUSE_KIND_RX, _TX or _CTRL; `vector` an index or NO_VECTOR; `count` is told of the
   * notifications. Forgets its old life (R10).
   */
  attachQueue(queue: number, kind: number, source: InterruptSource, vector: number, count?: InterruptCount): void {
    this.detachQueue(queue);
    this.#attached.attach(queue, kind, source, vector, count ?? null);
  }

  /**
   * The driver gave `queue` another vector, an index or NO_VECTOR. No interrupt follows on the old one (R10); what the
   * driver has not been told of goes to the new one, if there is any.
   */
  assignVector(queue: number, vector: number, nowNs: number): void {
    const cause = this.#attached.causeOf(queue);
    if (cause === undefined || cause.vector === vector) return;
    const before = this.#attached.vectorOf(cause);
    this.#attached.move(cause, vector);
    const after = this.#attached.vectorOf(cause);
    // The new vector may be another vCPU's, in another state.
    const vcpu = this.#delivery.servedBy(after);
    if (vcpu.active) cause.waitingSinceNs = NEVER;
    else cause.waitingSinceNs = Math.min(cause.waitingSinceNs, cause.isUnread(vcpu.idle) ? nowNs : NEVER);
    this.#rules.evaluate(before, nowNs, false);
    if (after !== before) this.#rules.evaluate(after, nowNs, false);
  }

  /** The queue was reset or disabled: nothing of its old life survives (R10). */
  detachQueue(queue: number): void {
    const cause = this.#attached.causeOf(queue);
    if (cause === undefined) return;
    const vector = this.#attached.vectorOf(cause);
    this.#attached.detach(cause);
    if (!vector.hasPendingQueue() && vector.waitingSinceNs() === NEVER) vector.deadlineNs = NEVER;
  }

  isAttached(queue: number): boolean {
    return this.#attached.causeOf(queue) !== undefined;
  }

  /** RX_FREE_MIN of the queue's vector: at or below that many free buffers the card reports every frame by itself. */
  guardOf(queue: number): number {
    return this.#attached.guardOf(queue);
  }

  /** True if the queue's vector has an urgent filter on, so that `isUrgent` is worth asking (R11). */
  filtersUrgent(queue: number): boolean {
    return this.#attached.filtersUrgent(queue);
  }

  /** True if the urgent filter of the queue's vector matches `frame` (R11). */
  isUrgent(queue: number, frame: FilteredFrame): boolean {
    return this.#attached.isUrgent(queue, frame);
  }

  /**
   * A batch of used entries `fromUsedIdx … source.usedIdx` with `frames` frames was published on `queue`. `urgent` says
   * that the urgent filter matched one of them.
   */
  published(queue: number, fromUsedIdx: number, frames: number, urgent: boolean, nowNs: number): void {
    const cause = this.#attached.causeOf(queue);
    if (cause === undefined) return;
    this.#rules.published(this.#attached.vectorOf(cause), cause, fromUsedIdx, frames, urgent, nowNs);
  }

  /** A frame was dropped for want of a buffer on receive queue `queue`: a reason to look at the guard (R5). */
  starved(queue: number, nowNs: number): void {
    const cause = this.#attached.causeOf(queue);
    if (cause === undefined) return;
    this.#rules.starved(this.#attached.vectorOf(cause), nowNs);
  }

  /** The guest's own coalescing of `queue` (virtio 1.4 §5.1.9.5.10); what is due under the new setting goes at once (R12). */
  setCoalescing(queue: number, maxUsecs: number, maxPackets: number, nowNs: number): void {
    const cause = this.#attached.causeOf(queue);
    if (cause === undefined) return;
    cause.setCoalescing(maxUsecs, maxPackets, nowNs);
    this.#rules.evaluate(this.#attached.vectorOf(cause), nowNs, false);
  }

  /** The driver masks a vector, or unmasks it (MSI-X). R9: its causes stay, and what is due then goes at once. */
  maskByDriver(vector: number, masked: boolean, nowNs: number): void {
    const interruptVector = this.vectors[vector];
    if (interruptVector === undefined || interruptVector.maskedByDriver === masked) return;
    interruptVector.maskedByDriver = masked;
    this.reprogrammed(interruptVector, false, nowNs);
  }

  /**
   * The driver was told by one notification of `vector`, and looks through all the rings now (virtio 1.4 §4.1.5.5): what has
   * been used meanwhile and waits for its interval is found at this occasion (R9). A notification of it would find nothing.
   */
  driverLooks(vector: number, nowNs: number): void {
    const interruptVector = this.vectors[vector]!;
    if (!this.#delivery.servedBy(interruptVector).active || !interruptVector.hasPendingQueue()) return;
    for (const cause of interruptVector.queues) {
      if (!cause.pending) continue;
      cause.drop();
      interruptVector.counters.causesSuppressed++;
    }
    this.#rules.evaluate(interruptVector, nowNs, false);
  }

  // --- the guest's states --------------------------------------------------------------------------------------------

  /**
   * The host changed the state of vCPU `vcpu` to GUEST_ACTIVE, GUEST_PREEMPTED or GUEST_IDLE. `seq` names the change and is
   * echoed in STATE_SEQ. Repeating the present state changes the sequence alone.
   */
  setGuestState(vcpu: number, state: number, seq: number, nowNs: number): void {
    const presence = this.vcpus[vcpu];
    if (presence === undefined) throw new RangeError(`vcpu: got ${vcpu}, allowed are 0 to ${this.vcpus.length - 1}`);
    presence.stateSeq = seq;
    const active = (state & GUEST_ACTIVE) !== 0;
    const idle = !active && (state & GUEST_IDLE) !== 0;
    if (active === presence.active && idle === presence.idle) return;
    for (let i = 0; i < this.vectors.length; i++)
      this.#wasServed[i] = this.#delivery.servedBy(this.vectors[i]!).active ? 1 : 0;
    const endsWake = active && presence.wakeOutstanding;
    if (active) presence.wakeOutstanding = false;
    else if (presence.active) presence.deactivatedAtNs = nowNs;
    presence.active = active;
    presence.idle = idle;
    for (let i = 0; i < this.vectors.length; i++) {
      const vector = this.vectors[i]!;
      const isServed = this.#delivery.servedBy(vector).active;
      const wasServed = this.#wasServed[i] === 1;
      if (isServed && !wasServed) this.#rules.activated(vector, endsWake, nowNs);
      else if (wasServed && !isServed) this.#rules.deactivated(vector, nowNs);
      else if (!isServed && vector.target === vcpu) this.#rules.turnedIdle(vector, nowNs);
    }
  }

  /**
   * Interrupts of `vector` that were sent but never taken: the guest was deactivated in between. They become causes again
   * (protocol step 4). `config` says that a configuration change was among them. To be called before the state is set.
   */
  returned(vector: number, config: boolean): void {
    const interruptVector = this.vectors[vector];
    if (interruptVector === undefined)
      throw new RangeError(`vector: got ${vector}, allowed are 0 to ${this.vectors.length - 1}`);
    for (const cause of interruptVector.queues) cause.restore();
    if (config) interruptVector.configPending = true;
  }

  // --- configuration changes, suspend, reset -------------------------------------------------------------------------

  /**
   * The driver gave configuration changes another vector, an index or NO_VECTOR. A change of which it has not been told
   * goes to the new one, and nothing follows on the old one (R10).
   */
  assignConfigVector(vector: number, nowNs: number): void {
    this.#delivery.moveConfig(this.vectors[vector] ?? null, nowNs);
  }

  /** R13: never delayed, wakes an inactive guest, and stands outside the latency interval's count. */
  configChanged(nowNs: number): void {
    const vector = this.#delivery.configVector;
    if (vector === null) return;
    vector.configPending = true;
    this.#observer?.cause(vector.index, -1, CAUSE_KIND_CONFIG, nowNs);
    this.#delivery.notifyConfig(vector, nowNs);
  }

  /** R17: what the driver has not been told goes out now, whatever the interval says; then nothing leaves until `resume`. */
  suspend(nowNs: number): void {
    for (const vector of this.vectors) {
      if (this.#delivery.servedBy(vector).active && !vector.masked && vector.hasPendingQueue()) {
        this.#delivery.notify(vector, NOTIFY_LATENCY, nowNs);
      }
      vector.deadlineNs = NEVER;
    }
    this.#delivery.suspended = true;
  }

  resume(nowNs: number): void {
    this.#delivery.suspended = false;
    for (const vector of this.vectors) {
      if (vector.configPending) this.#delivery.notifyConfig(vector, nowNs);
      this.#rules.evaluate(vector, nowNs, true);
    }
  }

  /**
   * The guest reset its device: no interrupt of the old life follows (R10). What the host programmed stays, and so do the
   * counts, and a wake that the host is acting on.
   */
  reset(): void {
    this.#delivery.suspended = false;
    this.#delivery.configVector = this.vectors[0]!;
    this.#attached.detachAll();
    for (const vector of this.vectors) {
      vector.configPending = false;
      vector.maskedByDriver = false;
      vector.lastNotifyNs = Number.NEGATIVE_INFINITY;
      vector.deadlineNs = NEVER;
    }
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  /** While `held`, no notification leaves: what is due then goes at the next `expire`. */
  hold(held: boolean): void {
    this.#delivery.held = held;
  }

  /** Fires what is due at `nowNs`. */
  expire(nowNs: number): void {
    for (let i = 0; i < this.vectors.length; i++) {
      const vector = this.vectors[i]!;
      if (vector.deadlineNs > nowNs) continue;
      this.latenessNs = nowNs - vector.deadlineNs;
      vector.counters.latenessMaxNs = Math.max(vector.counters.latenessMaxNs, this.latenessNs);
      this.#rules.evaluate(vector, nowNs, false);
      this.latenessNs = 0;
    }
  }

  /** When `expire` is to be called next; Infinity if no interval runs. */
  nextDeadlineNs(): number {
    let next = NEVER;
    for (let i = 0; i < this.vectors.length; i++) next = Math.min(next, this.vectors[i]!.deadlineNs);
    return next;
  }

  /** A register of `vector` was written: what is due under the new value goes at once (R8). RX_FREE_MIN asks for `guard` (R5). */
  reprogrammed(vector: InterruptVector, guard: boolean, nowNs: number): void {
    if (vector.configPending) this.#delivery.notifyConfig(vector, nowNs);
    this.#rules.evaluate(vector, nowNs, guard);
  }

  /** TARGET or REDIRECT was written: the vector may be served by a vCPU of another state from now on (R14). */
  retarget(vector: InterruptVector, target: number, redirectMask: number, nowNs: number): void {
    const wasServed = this.#delivery.servedBy(vector).active;
    vector.target = target;
    vector.redirectMask = redirectMask;
    const isServed = this.#delivery.servedBy(vector).active;
    if (isServed && !wasServed) this.#rules.activated(vector, false, nowNs);
    else if (wasServed && !isServed) this.#rules.deactivated(vector, nowNs);
    else if (isServed) this.#rules.evaluate(vector, nowNs, false);
    else this.#rules.turnedIdle(vector, nowNs);
  }

  /** ITR_COUNT: ns left of the interval that runs now. */
  runningIntervalNs(vector: InterruptVector, nowNs: number): number {
    const endNs = this.#delivery.servedBy(vector).active ? vector.lastNotifyNs + vector.latencyNs : vector.deadlineNs;
    return endNs === NEVER ? 0 : Math.max(0, endNs - nowNs);
  }

  // --- saving and restoring ------------------------------------------------------------------------------------------

  saveState(nowNs: number): ThrottleState {
    return saveThrottle(this, this.#attached, nowNs);
  }

  /**
   * Goes on from a state of a throttle with as many vectors and vCPUs, once the same queues are attached. Intervals run
   * on; nothing is sent from here: what is due goes at the next `expire`, or if `suspended` after `resume`.
   */
  restoreState(state: ThrottleState, suspended: boolean, nowNs: number): void {
    this.#delivery.suspended = suspended;
    restoreThrottle(this, this.#attached, state, nowNs);
  }
}
