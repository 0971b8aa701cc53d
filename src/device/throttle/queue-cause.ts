import { CAUSE_KIND_RX } from "../observer.ts";
import { count, flag, integerIn, record, word16, word32 } from "../saved-value.ts";
import type { InterruptSource } from "./interrupt-source.ts";
import { pastTime, restoredTime, type SavedTime, savedTime } from "./saved-time.ts";

/** Entries after which an event index may have wrapped unseen, so that a late check can no longer be trusted (R9). */
const EVENT_INDEX_HORIZON = 0x8000;

/** Counts the notifications that told of a queue. */
export interface InterruptCount {
  interrupts: number;
}

/**
 * One virtqueue's wish for an interrupt: the latched cause (R9), what the guest's own coalescing makes of it (R12), and
 * since when a frame waits for an inactive guest (R4).
 */
export class QueueCause {
  readonly queue: number;
  readonly kind: number;
  readonly source: InterruptSource;
  /** The vector that serves the queue's notifications, or -1: then its frames can wake the guest, but nothing notifies. */
  vector: number;

  pending = false;
  /** Since when an unread frame waits while the guest is inactive; Infinity if none does. */
  waitingSinceNs = Number.POSITIVE_INFINITY;

  maxUsecs = 0;
  maxPackets = 0;

  #latchIdx = 0;
  #entries = 0;
  #frames = 0;
  #firstNs = 0;
  #reachedNs = Number.POSITIVE_INFINITY;
  #notified = false;
  readonly #count: InterruptCount | null;

  constructor(queue: number, kind: number, source: InterruptSource, vector: number, count: InterruptCount | null) {
    this.queue = queue;
    this.kind = kind;
    this.source = source;
    this.vector = vector;
    this.#count = count;
  }

  /** The batch that starts at `fromUsedIdx` crossed the driver's event: remember from where, and when. */
  latch(fromUsedIdx: number, nowNs: number): void {
    this.pending = true;
    this.#latchIdx = fromUsedIdx;
    this.#entries = 0;
    this.#frames = 0;
    this.#firstNs = nowNs;
    this.#reachedNs = Number.POSITIVE_INFINITY;
    this.#notified = false;
  }

  add(entries: number, frames: number, nowNs: number): void {
    this.#entries += entries;
    this.#frames += frames;
    this.#noteReached(nowNs);
  }

  setCoalescing(maxUsecs: number, maxPackets: number, nowNs: number): void {
    this.maxUsecs = maxUsecs;
    this.maxPackets = maxPackets;
    this.#reachedNs = Number.POSITIVE_INFINITY;
    this.#noteReached(nowNs);
  }

  /** G of R12: when the guest's own settings let the cause through. */
  readyNs(): number {
    // virtio 1.4 §5.1.9.5.10: with either at 0 the condition is met after every packet.
    if (this.maxUsecs === 0 || this.maxPackets === 0) return this.#firstNs;
    return Math.min(this.#reachedNs, this.#firstNs + this.maxUsecs * 1000);
  }

  /**
   * R9, at sending: does the driver still want it? It may have polled on and armed itself further along, in which case it
   * re-read the ring after arming and saw these entries. Past 2^15 entries the window no longer tells: then notify.
   */
  stillWanted(): boolean {
    return this.#entries > EVENT_INDEX_HORIZON || this.source.wantsInterrupt(this.#latchIdx);
  }

  /** R7, R16: whether used entries of the queue wait for a vCPU that is inactive, and idle or not. */
  isUnread(idle: boolean): boolean {
    if (this.kind === CAUSE_KIND_RX) return this.pending || this.source.mayHaveUnread();
    return idle && this.pending;
  }

  /** The cause was notified. It can come back until the driver took the interrupt (`restore`). */
  clearNotified(): void {
    this.#notified = this.pending;
    if (this.pending && this.#count !== null) this.#count.interrupts++;
    this.pending = false;
  }

  drop(): void {
    this.pending = false;
    this.#notified = false;
  }

  /** The notification never reached the driver: its cause is pending again, as old as before. */
  restore(): boolean {
    if (this.#notified) this.pending = true;
    this.#notified = false;
    return this.pending;
  }

  saveState(nowNs: number): QueueCauseState {
    return {
      queue: this.queue,
      pending: this.pending,
      waitingSince: savedTime(this.waitingSinceNs, nowNs),
      maxUsecs: this.maxUsecs,
      maxPackets: this.maxPackets,
      latchIdx: this.#latchIdx,
      entries: this.#entries,
      frames: this.#frames,
      first: savedTime(this.#firstNs, nowNs),
      reached: savedTime(this.#reachedNs, nowNs),
      notified: this.#notified,
    };
  }

  restoreState(state: QueueCauseState, nowNs: number): void {
    this.pending = state.pending;
    this.waitingSinceNs = restoredTime(state.waitingSince, nowNs, Number.POSITIVE_INFINITY);
    this.maxUsecs = state.maxUsecs;
    this.maxPackets = state.maxPackets;
    this.#latchIdx = state.latchIdx;
    this.#entries = state.entries;
    this.#frames = state.frames;
    this.#firstNs = restoredTime(state.first, nowNs, 0);
    this.#reachedNs = restoredTime(state.reached, nowNs, Number.POSITIVE_INFINITY);
    this.#notified = state.notified;
  }

  #noteReached(nowNs: number): void {
    if (this.pending && this.maxPackets > 0 && this.#frames >= this.maxPackets && this.#reachedNs > nowNs) {
      this.#reachedNs = nowNs;
    }
  }
}

export const checkQueueCause = record({
  queue: integerIn(0, Number.MAX_SAFE_INTEGER),
  pending: flag,
  waitingSince: pastTime,
  maxUsecs: word32,
  maxPackets: word32,
  latchIdx: word16,
  entries: count,
  frames: count,
  first: pastTime,
  reached: pastTime,
  notified: flag,
});

export interface QueueCauseState {
  readonly queue: number;
  readonly pending: boolean;
  readonly waitingSince: SavedTime;
  readonly maxUsecs: number;
  readonly maxPackets: number;
  readonly latchIdx: number;
  readonly entries: number;
  readonly frames: number;
  readonly first: SavedTime;
  readonly reached: SavedTime;
  readonly notified: boolean;
}
