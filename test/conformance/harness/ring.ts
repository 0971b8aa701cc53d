/** The driver's side of a virtqueue, whichever its ring. */

import type { GuestBuffer } from "./guest-ram.ts";

export interface AddOptions {
  /** How many buffers, from the end, lie in an indirect table; default 0. On the packed ring all or none. */
  readonly indirect?: number;
  /** Where that table lies; default: anywhere. */
  readonly tableAddress?: number;
  /** False: written to the ring, but not shown to the device before the next `add` or `publish`. */
  readonly publish?: boolean;
}

/** A chain that the driver has made available. */
export interface Chain {
  /** Head descriptor of a split ring, buffer id of a packed one. */
  readonly id: number;
  readonly buffers: readonly GuestBuffer[];
  /** Ring entries (split: descriptors) that it takes. */
  readonly slots: readonly number[];
  /** What the device has said to have written, once used. */
  usedLength: number;
}

export interface RingDriver {
  readonly kind: "split" | "packed";
  readonly size: number;
  /** Guest-physical addresses of the three areas. */
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  /** Memory that the device may write: [first byte, last byte + 1]. */
  readonly deviceMayWrite: readonly [number, number];
  /** What NOTIFICATION_DATA puts into the upper half of a notification (§2.9). */
  readonly nextAvailable: number;
  add(buffers: readonly GuestBuffer[], options?: AddOptions): Chain;
  publish(): void;
  /** Chains that the device has used since last asked, in the order of their use. */
  collectUsed(): Chain[];
  /** Asks for no notifications, or for all of them. */
  wantInterrupts(wanted: boolean): void;
}
