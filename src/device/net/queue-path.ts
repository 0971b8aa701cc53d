/** What the receive, transmit and control paths of a card have in common. */

import type { GuestMemory } from "../memory/guest-memory.ts";
import type { CardObserver } from "../observer.ts";
import type { Throttle } from "../throttle/throttle.ts";
import type { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import type { Virtqueue } from "../virtqueue/virtqueue.ts";
import type { QueueStatistics } from "./statistics.ts";
import type { Steering } from "./steering.ts";

/** Where paths report what a driver did wrong; the card implements it. */
export interface FaultSink {
  /** A fault that belongs to no queue. */
  guestFault(code: number, nowNs: number): void;
  /** Something about `queue` is faulty, mostly one chain, which its path gives back: it is counted, and life goes on. */
  chainFault(queue: number, code: number, nowNs: number): void;
  /** The ring of `queue` cannot be believed any more: the device needs a reset (STATUS-2). */
  ringFault(queue: number, code: number, nowNs: number): void;
}

/** What a path works with. */
export interface PathContext {
  /** Slot of the virtqueue, by which statistics, throttle and observer know it. */
  readonly index: number;
  /** The queue that the path begins with. */
  readonly queue: Virtqueue;
  readonly statistics: QueueStatistics;
  readonly memory: GuestMemory;
  /** Scratch for the chain at hand, shared by all paths: none keeps a chain over a call to the outside. */
  readonly chain: DescriptorChain;
  readonly throttle: Throttle;
  readonly steering: Steering;
  readonly observer: CardObserver | null;
  readonly faults: FaultSink;
}

/** A path collects used buffers in a batch. */
export interface QueuePath {
  /** Serves another queue from here on: the driver has chosen the other kind of ring. */
  attach(queue: Virtqueue): void;
  /** Gives back what is taken and not used: somebody who was called for it has thrown. */
  giveBack(): void;
  /** Publishes the batch, if there is one, and lets the throttle know. */
  finish(nowNs: number): void;
  /** Forgets the batch: the queue is about to be reset. */
  abandon(): void;
}
