/**
 * Counters of a card. Every frame that has arrived is in exactly one of them: delivered by a receive queue, dropped by
 * one, or filtered. Every fault is in exactly one, too.
 */

import { FAULTS } from "../faults.ts";
import { DROP_SUSPENDED } from "../observer.ts";
import { count, listOf, record } from "../saved-value.ts";

const COUNTER_LIMIT = 2 ** 53;
const DROP_REASON_COUNT = DROP_SUSPENDED + 1;

/**
 * Counters of one queue. A receive queue counts the frames that it has delivered, a transmit queue those that the wire
 * has taken, the control queue the commands that it has answered.
 */
export class QueueStatistics {
  frames = 0;
  /** Bytes of those frames, without the virtio-net header. */
  bytes = 0;
  /** Chains returned to the driver, faulty ones too. */
  buffers = 0;
  /** Batches published: stores of `used.idx`. */
  batches = 0;
  /** Kicks that the driver has sent for this queue. */
  kicks = 0;
  /** Interrupts that have told the driver of this queue; one may tell of several queues. */
  interrupts = 0;
  /** Frames among those of the driver that have left a checksum to whoever is next, and such that nobody needs to verify. */
  checksumNeeded = 0;
  checksumValid = 0;
  /** Frames, and their bytes, that the driver and the card have passed on to each other to be segmented. */
  gsoFrames = 0;
  gsoBytes = 0;
  /** Those of them that went on to the wire as they were, and what the others were cut into. */
  gsoFramesWhole = 0;
  gsoBytesWhole = 0;
  segments = 0;
  segmentBytes = 0;
  /** Commands answered VIRTIO_NET_OK, on the control queue. */
  commandsDone = 0;
  /** Frames dropped, by DROP_* reason; on a transmit queue DROP_NO_BUFFER stands for "refused by the link". */
  readonly drops = new Float64Array(DROP_REASON_COUNT);
  /** Faults, by FAULT_* code. */
  readonly faults = new Float64Array(FAULTS.length);

  get dropped(): number {
    return sum(this.drops);
  }

  /** A double counts whole numbers up to 2^53; what has run over goes on from zero (NSTAT-7). */
  wrap(): void {
    for (const [name, value] of Object.entries(this)) {
      if (typeof value === "number" && value >= COUNTER_LIMIT) Object.assign(this, { [name]: value - COUNTER_LIMIT });
    }
  }

  saveState(): CountersState {
    return saveCounters(this);
  }

  restoreState(state: CountersState): void {
    restoreCounters(this, state);
  }
}

export class CardStatistics {
  /** Indexed by virtqueue. */
  readonly queues: readonly QueueStatistics[];
  /** Faults that belong to no queue: negotiation, registers. By FAULT_* code. */
  readonly faults = new Float64Array(FAULTS.length);
  /** Frames that the driver's filters have kept out: they are neither delivered nor dropped, and no loss. */
  filtered = 0;
  /** Device resets by the driver, and requests for one by the card. */
  resets = 0;
  needsReset = 0;

  constructor(queueCount: number) {
    this.queues = Array.from({ length: queueCount }, () => new QueueStatistics());
  }

  saveState(): StatisticsState {
    return { card: saveCounters(this), queues: this.queues.map((queue) => queue.saveState()) };
  }

  /** @throws RangeError if something is no count */
  restoreState(state: StatisticsState): void {
    record({ card: record({}), queues: listOf(record({}), 0, this.queues.length) })("statistics", state);
    restoreCounters(this, state.card);
    for (const [slot, queue] of this.queues.entries()) queue.restoreState(state.queues[slot] ?? {});
  }

  /** Faults of one code, in all queues and elsewhere. */
  faultCount(code: number): number {
    return this.queues.reduce((total, queue) => total + queue.faults[code]!, this.faults[code]!);
  }

  /** All faults. */
  get faultTotal(): number {
    return this.queues.reduce((total, queue) => total + sum(queue.faults), sum(this.faults));
  }
}

/** Counters by name; those with an index are arrays. */
export type CountersState = Readonly<Record<string, number | readonly number[]>>;

export interface StatisticsState {
  readonly card: CountersState;
  /** By slot. */
  readonly queues: readonly CountersState[];
}

function saveCounters(counters: object): CountersState {
  const state: Record<string, number | readonly number[]> = {};
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === "number") state[name] = value;
    else if (value instanceof Float64Array) state[name] = [...value];
  }
  return state;
}

/** A counter that the state has not was not there yet when it was saved, and stays 0. */
function restoreCounters(counters: object, state: CountersState): void {
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === "number") {
      const saved = state[name] ?? 0;
      count(`statistics.${name}`, saved);
      Object.assign(counters, { [name]: saved });
    } else if (value instanceof Float64Array) {
      const saved = state[name] ?? [];
      listOf(count, 0, value.length)(`statistics.${name}`, saved);
      value.fill(0).set(saved as readonly number[]);
    }
  }
}

function sum(counters: Float64Array): number {
  let total = 0;
  for (const counter of counters) total += counter;
  return total;
}
