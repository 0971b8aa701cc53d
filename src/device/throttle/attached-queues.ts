import { URGENT_FILTER_OFF } from "../spec/throttle-registers.ts";
import type { InterruptSource } from "./interrupt-source.ts";
import type { InterruptVector } from "./interrupt-vector.ts";
import { type InterruptCount, QueueCause, type QueueCauseState } from "./queue-cause.ts";
import { type FilteredFrame, matchesUrgentFilter } from "./urgent.ts";

/** `attachQueue` with this vector: the queue's frames wake the guest, but nothing notifies its driver. */
export const NO_VECTOR = -1;

/** The queues that the throttle knows, each with its cause in the list of its vector. */
export class AttachedQueues {
  readonly #vectors: readonly InterruptVector[];
  readonly #causes: (QueueCause | undefined)[] = [];

  constructor(vectors: readonly InterruptVector[]) {
    this.#vectors = vectors;
  }

  /** The cause of a queue, undefined unless it is attached. */
  causeOf(queue: number): QueueCause | undefined {
    return this.#causes[queue];
  }

  /** Block 0 serves the wakes of queues that have no vector (docs/throttling.md, host window). */
  vectorOf(cause: QueueCause): InterruptVector {
    return this.#vectors[cause.vector === NO_VECTOR ? 0 : cause.vector]!;
  }

  attach(queue: number, kind: number, source: InterruptSource, vector: number, count: InterruptCount | null): void {
    const cause = new QueueCause(queue, kind, source, vector, count);
    this.#causes[queue] = cause;
    this.vectorOf(cause).queues.push(cause);
  }

  detach(cause: QueueCause): void {
    const { queues } = this.vectorOf(cause);
    queues.splice(queues.indexOf(cause), 1);
    this.#causes[cause.queue] = undefined;
  }

  /** Gives the cause to another vector, with all that is pending; with NO_VECTOR there is nobody to tell. */
  move(cause: QueueCause, vector: number): void {
    const { queues } = this.vectorOf(cause);
    queues.splice(queues.indexOf(cause), 1);
    cause.vector = vector;
    if (vector === NO_VECTOR) cause.drop();
    this.vectorOf(cause).queues.push(cause);
  }

  detachAll(): void {
    this.#causes.length = 0;
    for (const vector of this.#vectors) vector.queues.length = 0;
  }

  guardOf(queue: number): number {
    const cause = this.#causes[queue];
    return cause === undefined ? 0 : this.vectorOf(cause).freeMin;
  }

  filtersUrgent(queue: number): boolean {
    const cause = this.#causes[queue];
    return cause !== undefined && this.vectorOf(cause).urgent.filterId !== URGENT_FILTER_OFF;
  }

  isUrgent(queue: number, frame: FilteredFrame): boolean {
    const cause = this.#causes[queue];
    return cause !== undefined && matchesUrgentFilter(this.vectorOf(cause).urgent.filterId, frame);
  }

  saveState(nowNs: number): QueueCauseState[] {
    return this.#causes.filter((cause) => cause !== undefined).map((cause) => cause.saveState(nowNs));
  }

  restoreState(states: readonly QueueCauseState[], nowNs: number): void {
    for (const state of states) this.#causes[state.queue]?.restoreState(state, nowNs);
  }
}
