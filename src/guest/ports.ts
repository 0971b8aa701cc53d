/**
 * What a guest sees of its machine: memory, the card's registers, a clock. A vCPU worker implements these over the
 * control block; the virtual engine implements them by direct calls. The driver and the applications know nothing else.
 */

/** The card's MMIO registers. A posted write may take effect later; a read waits for all earlier writes. */
export interface RegisterPort {
  read(offset: number, widthBytes: 1 | 2 | 4): number;
  write(offset: number, widthBytes: 1 | 2 | 4, value: number): void;
}

/** Guest-physical memory: address 0 is at `byteOffset` of `buffer`. */
export interface GuestRam {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly sizeBytes: number;
}

/** What a driver reports to whoever watches (the event log); every method is called outside the ring's critical order. */
export interface DriverObserver {
  /** Frames `firstId … lastId` were read, in order, from receive queue `queue`. */
  drained(queue: number, firstId: number, lastId: number, count: number): void;
  refilled(queue: number, count: number): void;
  notifications(queue: number, on: boolean): void;
}
