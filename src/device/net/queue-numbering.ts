/**
 * Which virtqueue has which number (virtio 1.4 §5.1.2). The card keeps its queues in fixed *slots*: 2i and 2i + 1 for the
 * receive and the transmit queue of pair i, and the control queue behind all pairs. The driver's *index* of a queue is its
 * slot, but the control queue's: that follows the last pair only if MQ or RSS was negotiated, and the first one if not.
 */

import { CAUSE_KIND_CTRL, CAUSE_KIND_RX, CAUSE_KIND_TX } from "../observer.ts";
import { CONTROLQ_ONE_PAIR, NET_F_CTRL_VQ, NET_F_MQ, NET_F_RSS } from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";

/** What `slotOf` gives for an index that no queue has. */
export const NO_SLOT = -1;

export class QueueNumbering {
  readonly pairs: number;
  /** Slots, the control queue's included. */
  readonly slotCount: number;
  /** Slot of the control queue. */
  readonly control: number;
  readonly #features: FeatureNegotiation;

  constructor(pairs: number, features: FeatureNegotiation) {
    this.pairs = pairs;
    this.control = 2 * pairs;
    this.slotCount = 2 * pairs + 1;
    this.#features = features;
  }

  /** Queues that the card has for its driver. */
  get offeredCount(): number {
    return this.#features.isOffered(NET_F_CTRL_VQ) ? this.slotCount : this.control;
  }

  /** Slot of the queue that the driver calls `index`, NO_SLOT if there is none. */
  slotOf(index: number): number {
    const first = this.#controlIndex();
    if (index === first) return this.#features.isOffered(NET_F_CTRL_VQ) ? this.control : NO_SLOT;
    return index < first ? index : NO_SLOT;
  }

  /** What the driver calls the queue of a slot. */
  indexOf(slot: number): number {
    return slot === this.control ? this.#controlIndex() : slot;
  }

  /** CAUSE_KIND_* of a slot. */
  kindOf(slot: number): number {
    if (slot === this.control) return CAUSE_KIND_CTRL;
    return slot % 2 === 0 ? CAUSE_KIND_RX : CAUSE_KIND_TX;
  }

  /** Until FEATURES_OK nobody knows; then a driver may look at all queues that are offered. */
  #controlIndex(): number {
    if (!this.#features.settled) return this.control;
    return this.#features.has(NET_F_MQ) || this.#features.has(NET_F_RSS) ? this.control : CONTROLQ_ONE_PAIR;
  }
}
