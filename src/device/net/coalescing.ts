/**
 * The guest's own interrupt coalescing (virtio 1.4 §5.1.9.5.10): parameters per queue, and the defaults that a queue
 * takes when it is enabled. The throttle applies them (R12).
 */

import { listOf, record, word32 } from "../saved-value.ts";
import type { Throttle } from "../throttle/throttle.ts";
import { NO_SLOT, type QueueNumbering } from "./queue-numbering.ts";

interface Parameters {
  maxUsecs: number;
  maxPackets: number;
}

export const COALESCE_RX = 0;
export const COALESCE_TX = 1;

export class Coalescing {
  readonly #throttle: Throttle;
  readonly #isLive: (slot: number) => boolean;
  readonly #current: readonly Parameters[];
  // What RX_SET and TX_SET have set, indexed by COALESCE_*.
  readonly #defaults: readonly [Parameters, Parameters] = [none(), none()];
  // 1 for each queue whose parameters the throttle does not know yet.
  readonly #changed: Uint8Array;

  /** Receive and transmit queues alone have parameters: slots 2i and 2i + 1. `isLive` tells whether one is enabled. */
  constructor(throttle: Throttle, numbering: QueueNumbering, isLive: (slot: number) => boolean) {
    this.#throttle = throttle;
    this.#isLive = isLive;
    this.#current = Array.from({ length: numbering.control }, none);
    this.#changed = new Uint8Array(numbering.control);
  }

  /** RX_SET or TX_SET: sets all queues of a direction, and what those take that are enabled later. */
  setAll(direction: typeof COALESCE_RX | typeof COALESCE_TX, maxUsecs: number, maxPackets: number): void {
    const defaults = this.#defaults[direction];
    defaults.maxUsecs = maxUsecs;
    defaults.maxPackets = maxPackets;
    for (let index: number = direction; index < this.#current.length; index += 2) {
      if (this.isEnabled(index)) this.#set(index, maxUsecs, maxPackets);
    }
  }

  /** VQ_SET; false unless `index` is an enabled receive or transmit queue (NCOAL-4). */
  setQueue(index: number, maxUsecs: number, maxPackets: number): boolean {
    if (!this.isEnabled(index)) return false;
    this.#set(index, maxUsecs, maxPackets);
    return true;
  }

  /** False also for NO_SLOT, and the control queue, which has no parameters. */
  isEnabled(index: number): boolean {
    return index !== NO_SLOT && index < this.#current.length && this.#isLive(index);
  }

  maxUsecs(index: number): number {
    return this.#current[index]!.maxUsecs;
  }

  maxPackets(index: number): number {
    return this.#current[index]!.maxPackets;
  }

  /** The queue was enabled: it takes the parameters of its direction (NCOAL-5, NCOAL-6). */
  queueEnabled(index: number): void {
    if (index >= this.#current.length) return;
    const { maxUsecs, maxPackets } = this.#defaults[index % 2 === 0 ? COALESCE_RX : COALESCE_TX];
    this.#set(index, maxUsecs, maxPackets);
  }

  /**
   * Passes on what has changed. It may interrupt the driver at once, and so lead anywhere: to be called when the queues
   * are in order.
   */
  apply(nowNs: number): void {
    for (let index = 0; index < this.#current.length; index++) {
      if (this.#changed[index] === 0 || !this.isEnabled(index)) continue;
      this.#changed[index] = 0;
      const { maxUsecs, maxPackets } = this.#current[index]!;
      this.#throttle.setCoalescing(index, maxUsecs, maxPackets, nowNs);
    }
  }

  /** NCOAL-9; the throttle forgets by its own reset. */
  reset(): void {
    for (const parameters of [...this.#current, ...this.#defaults]) {
      parameters.maxUsecs = 0;
      parameters.maxPackets = 0;
    }
    this.#changed.fill(0);
  }

  saveState(): CoalescingState {
    return { queues: this.#current.map(copied), defaults: this.#defaults.map(copied) };
  }

  /** The throttle restores its own part. */
  restoreState(state: CoalescingState): void {
    record({ queues: listOf(checkParameters, this.#current.length), defaults: listOf(checkParameters, 2) })(
      "queues.settings.coalescing",
      state,
    );
    for (const [slot, parameters] of this.#current.entries()) Object.assign(parameters, state.queues[slot]);
    for (const [direction, parameters] of this.#defaults.entries())
      Object.assign(parameters, state.defaults[direction]);
  }

  #set(index: number, maxUsecs: number, maxPackets: number): void {
    const current = this.#current[index]!;
    current.maxUsecs = maxUsecs;
    current.maxPackets = maxPackets;
    this.#changed[index] = 1;
  }
}

/** All that `saveState` keeps. */
export interface CoalescingState {
  /** By slot. */
  readonly queues: readonly Parameters[];
  /** By COALESCE_*. */
  readonly defaults: readonly Parameters[];
}

const checkParameters = record({ maxUsecs: word32, maxPackets: word32 });

function copied({ maxUsecs, maxPackets }: Parameters): Parameters {
  return { maxUsecs, maxPackets };
}

function none(): Parameters {
  return { maxUsecs: 0, maxPackets: 0 };
}
