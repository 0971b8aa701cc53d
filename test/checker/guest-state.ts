/**
 * What the events so far say about one guest: its state, its vectors, its queues. Order inside one instant is not the
 * checker's business (two things at the same nanosecond may be taken either way round), so each flag that can change
 * remembers when it did, and answers two questions: was it ever so in this instant, and was it so all through it.
 */

import type { Coalescing, GuestHeader } from "./events.ts";
import { Vector } from "./vector.ts";

export class Queue {
  readonly index: number;
  /** The vector that its causes named; null before the first one. */
  vector: number | null = null;
  unread = 0;
  free: number;
  private suppressed = false;
  private changedNs = Number.NEGATIVE_INFINITY;
  /** The driver waits for the next frame's interrupt, having read all before it: the next frame must latch a cause (R9). */
  armed = true;
  /** The driver was interrupted since it last switched notifications on: it has a reason to poll. */
  asked = false;
  /** A frame that must latch a cause was written in this instant. */
  needsCause = false;
  lastFrameNs = Number.NEGATIVE_INFINITY;

  constructor(index: number, free: number) {
    this.index = index;
    this.free = free;
  }

  /** False if it was so already, and the driver had said so: then an event is missing in between. */
  setSuppressed(suppressed: boolean, tNs: number): boolean {
    const first = this.changedNs === Number.NEGATIVE_INFINITY;
    if (this.suppressed === suppressed) return first;
    this.suppressed = suppressed;
    this.changedNs = tNs;
    return true;
  }

  get suppressedNow(): boolean {
    return this.suppressed;
  }

  suppressedAllThrough(tNs: number): boolean {
    return this.suppressed && this.changedNs < tNs;
  }

  suppressedAtTimes(tNs: number): boolean {
    return this.suppressed || this.changedNs === tNs;
  }
}

export class GuestState {
  readonly header: GuestHeader;
  private readonly coalescing: Coalescing | "unknown" | null;
  readonly vectors = new Map<number, Vector>();
  readonly queues = new Map<number, Queue>();
  active: boolean;
  /** Null while the header alone speaks, and says `inactive`. */
  idle: boolean | null;
  wakeOutstanding = false;
  nowNs = 0;
  activatedNs = Number.NEGATIVE_INFINITY;
  deactivatedNs = Number.NEGATIVE_INFINITY;
  /** The last activation that ended a wake (R6). */
  wakeEndedNs = Number.NEGATIVE_INFINITY;
  /** Looks of the guard in this instant that found it closed (R5), by vector: those that oblige, and those that allow. */
  readonly guardMust = new Set<number>();
  readonly guardMay = new Set<number>();

  constructor(header: GuestHeader, coalescing: Coalescing | "unknown" | null) {
    this.header = header;
    this.coalescing = coalescing;
    this.active = header.active;
    this.idle = header.idle;
  }

  vector(index: number): Vector {
    let vector = this.vectors.get(index);
    if (vector === undefined) {
      vector = new Vector(index, this.coalescing);
      this.vectors.set(index, vector);
    }
    return vector;
  }

  queue(index: number): Queue {
    let queue = this.queues.get(index);
    if (queue === undefined) {
      const free = this.header.free;
      queue = new Queue(index, typeof free === "number" ? free : (free[index] ?? 0));
      this.queues.set(index, queue);
    }
    return queue;
  }

  /** Before a queue's first cause its vector is not known; the lowest block that was programmed is then its best guess. */
  vectorOf(queue: Queue): Vector {
    return this.vector(queue.vector ?? Math.min(...(this.vectors.size === 0 ? [0] : this.vectors.keys())));
  }

  queuesOf(vector: Vector): Queue[] {
    return [...this.queues.values()].filter((queue) => this.vectorOf(queue) === vector);
  }

  /** R5: free buffers at or below RX_FREE_MIN, and frames wait. `must`: this is a moment at which the rule looks. */
  lookAtGuard(queue: Queue, free: number, must: boolean): boolean {
    const vector = this.vectorOf(queue);
    if (vector.freeMin <= 0 || free > vector.freeMin || queue.unread <= 0) return false;
    this.guardMay.add(vector.index);
    if (must) this.guardMust.add(vector.index);
    return must;
  }

  forgetLooks(): void {
    this.guardMust.clear();
    this.guardMay.clear();
  }
}
