/**
 * The device's side of a virtqueue, whichever ring it is laid out in. `SplitQueue` (virtio 1.4 §2.7) and `PackedQueue`
 * (§2.8) implement it; paths and throttle know no more of a queue than this.
 *
 * Chains are taken in the order in which the driver made them available, and used in that same order: IN_ORDER
 * (§2.7.9, §2.8.8) is kept whether it was negotiated or not. Both ways go in batches, and what is used becomes visible
 * to the driver with `publish`.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import type { InterruptSource } from "../throttle/interrupt-source.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import type { QueueAreas } from "./queue-areas.ts";
import type { QueueSnapshot } from "./queue-snapshot.ts";
import type { Stretch } from "./stretch.ts";

/** What `take` gives. */
export const TAKE_EMPTY = 0;
/** The chain is valid. */
export const TAKE_CHAIN = 1;
/** The chain was taken, but breaks a rule, see `fault`: return it with length 0. */
export const TAKE_FAULT = 2;
/** The ring breaks a rule, see `fault`: the device needs a reset. */
export const TAKE_BROKEN = 3;

export interface Virtqueue extends InterruptSource {
  readonly memory: GuestMemory;
  /** Of plain chains, to be opened before use. Whatever else is done with the queue comes after it is closed. */
  readonly stretch: Stretch;
  /** Number of entries; 0 while the queue is not enabled. */
  readonly size: number;
  /** Code of the last fault that `take` met. */
  readonly fault: number;
  /** True after a fault of the ring itself. */
  readonly broken: boolean;
  /**
   * Changes whenever the queue starts another life or stops. Who calls out in mid-batch compares it afterwards: the
   * callee may have reset the card.
   */
  readonly epoch: number;
  readonly enabled: boolean;
  /** True while the device may touch the rings: between `start` and `stop`. */
  readonly started: boolean;
  /** True if the driver will kick at the next buffer that it makes available, so that nobody needs to look. */
  readonly armed: boolean;
  /** Available chains that the last look at the ring has shown and that are not taken. */
  readonly cachedFree: number;
  /** Chains that are taken and not used. */
  readonly inHand: number;

  /**
   * Takes over the driver's setup, all indices 0 and wrap counters 1; touches no guest memory. Returns FAULT_QUEUE_SETUP,
   * and stays disabled, unless the size is allowed and the areas are aligned, inside guest memory and apart.
   */
  enable(areas: QueueAreas): number;
  /** Back to the state before `enable` (virtio 1.4 §2.6.1.1, VQRST-2). */
  reset(): void;
  /** The device may touch the rings from here on: DRIVER_OK, or its return after SUSPEND. */
  start(): void;
  /** The device touches the rings no more; an unpublished batch is published first by whoever wants it seen. */
  stop(): void;
  /** Looks at the ring afresh; returns the number of available chains, 0 if the ring is broken or not started. */
  refresh(): number;
  /** Takes the next available chain into `chain`; returns one of TAKE_*. */
  take(chain: DescriptorChain): number;
  /**
   * Opens the stretch at the next available chain, for at most `chainsMax`, device-writable or not; false if there is none.
   * To be called when all that was taken is used.
   */
  openStretch(chainsMax: number, writable: boolean): boolean;
  /** Closes the stretch, open or not; returns how many chains were used in it. The driver sees them after `publish`. */
  closeStretch(): number;
  /** Gives back the last `count` chains taken, none of which was used. They will be read again. */
  rewind(count: number): void;
  /**
   * Uses the oldest chain that was taken and not used yet: `id` is its `chain.head`, `lengthBytes` what was written to it.
   * The driver sees it after `publish`.
   */
  pushUsed(id: number, lengthBytes: number): void;
  /** Shows the driver all that was used since the last time. */
  publish(): void;
  /**
   * Asks the driver for a kick at its next buffer, then looks at the ring once more; returns the number of available
   * chains. To be called when the ring is found empty; if it returns more than 0 there is work, and the kick is
   * forbidden again by the next `take`.
   */
  armKick(): number;
  /** @throws RangeError while chains are taken and not used, or used and not published */
  snapshot(): QueueSnapshot;
  /**
   * Goes on from a snapshot of a queue of the same setup. To be called after `enable`, before `start`.
   * @throws RangeError if its numbers are impossible
   */
  restore(snapshot: QueueSnapshot): void;
}
