/** What a card tells whoever watches it. A card without an observer pays one null test for each. */

export const CAUSE_KIND_RX = 0;
export const CAUSE_KIND_TX = 1;
export const CAUSE_KIND_CTRL = 2;
export const CAUSE_KIND_CONFIG = 3;

/** Why a received frame was dropped, in the order of the event log's DROP_REASONS. */
export const DROP_NO_BUFFER = 0;
export const DROP_TOO_LONG = 1;
export const DROP_FAULT = 2;
export const DROP_NOT_READY = 3;
export const DROP_SUSPENDED = 4;

export interface CardObserver {
  /** A frame was taken off the wire. */
  arrived(frameId: number, queue: number, lengthBytes: number, nowNs: number): void;
  /** It was written to the ring; `free` buffers are left for the card. */
  delivered(frameId: number, queue: number, buffers: number, free: number, nowNs: number): void;
  dropped(frameId: number, queue: number, why: number, nowNs: number): void;
  /** A cause was latched: the driver wants an interrupt for what was just used. */
  cause(vector: number, queue: number, kind: number, nowNs: number): void;
  /** The driver broke a rule of the standard: `code` is one of FAULT_*, `queue` is -1 if it belongs to none. */
  fault?(code: number, queue: number, nowNs: number): void;
}
