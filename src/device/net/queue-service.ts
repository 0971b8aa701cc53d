/**
 * Which queues hold work that only a poll can do, and doing it: the control queue's commands, and what the driver sends.
 * Receive queues have none: frames look for them.
 */

import type { Virtqueue } from "../virtqueue/virtqueue.ts";
import type { QueueNumbering } from "./queue-numbering.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** A path whose driver hands it work. */
export interface ServedPath {
  /** Handles at most `budget` chains; returns their number. */
  run(budget: number, nowNs: number): number;
}

export class QueueService {
  /** When work became due; Infinity if there is none. */
  workDueNs = NEVER;
  readonly #numbering: QueueNumbering;
  readonly #control: ServedPath;
  readonly #transmitters: readonly ServedPath[];
  // By slot. The queues may be exchanged in place.
  readonly #queues: readonly Virtqueue[];
  readonly #kicked: Uint8Array;

  constructor(
    numbering: QueueNumbering,
    queues: readonly Virtqueue[],
    control: ServedPath,
    transmitters: readonly ServedPath[],
  ) {
    this.#numbering = numbering;
    this.#queues = queues;
    this.#control = control;
    this.#transmitters = transmitters;
    this.#kicked = new Uint8Array(numbering.slotCount);
  }

  /** Buffers wait in the queue of a slot, or may wait without a kick that told of them. */
  lookAt(slot: number, nowNs: number): void {
    this.#kicked[slot] = 1;
    this.workDueNs = Math.min(this.workDueNs, nowNs);
  }

  /** The queue of a slot was reset: nothing of its work is left. */
  forget(slot: number): void {
    this.#kicked[slot] = 0;
  }

  forgetAll(): void {
    this.#kicked.fill(0);
    this.workDueNs = NEVER;
  }

  /** Serves the control queue, then the transmit queues, at most `budgetFrames` chains of each; returns their number. */
  serve(budgetFrames: number, nowNs: number): number {
    if (this.workDueNs === NEVER) return 0;
    // Until it is known to be done: the port may throw.
    this.workDueNs = nowNs;
    let chains = this.#serveQueue(this.#numbering.control, this.#control, budgetFrames, nowNs);
    for (let pair = 0; pair < this.#transmitters.length; pair++) {
      chains += this.#serveQueue(2 * pair + 1, this.#transmitters[pair]!, budgetFrames, nowNs);
    }
    this.workDueNs = this.#isWorkLeft() ? nowNs : NEVER;
    return chains;
  }

  #serveQueue(slot: number, path: ServedPath, budgetFrames: number, nowNs: number): number {
    if (!this.#mayHoldBuffers(slot)) return 0;
    this.#kicked[slot] = 0;
    return path.run(budgetFrames, nowNs);
  }

  /** False for a queue that is armed: it is empty until its driver kicks. */
  #mayHoldBuffers(slot: number): boolean {
    const queue = this.#queues[slot]!;
    return queue.started && (!queue.armed || this.#kicked[slot] === 1);
  }

  /** True if a budget has run out, or a queue was kicked from inside the calls to the outside. */
  #isWorkLeft(): boolean {
    if (this.#mayHoldBuffers(this.#numbering.control)) return true;
    for (let pair = 0; pair < this.#transmitters.length; pair++) {
      if (this.#mayHoldBuffers(2 * pair + 1)) return true;
    }
    return false;
  }
}
