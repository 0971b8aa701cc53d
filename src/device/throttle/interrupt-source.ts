/** What the throttle needs to know of a virtqueue; the ring implements it. */
export interface InterruptSource {
  /** Index that the next used entry will have, mod 2^16, as published. */
  readonly usedIdx: number;
  /**
   * True if the driver has made more than `count` buffers available that the card has not used. Reads the ring afresh
   * unless what it showed last time suffices: the driver only ever adds.
   */
  hasFreeAbove(count: number): boolean;
  /**
   * True if the driver wants an interrupt for the used entries `sinceUsedIdx … usedIdx` (mod 2^16); `sinceUsedIdx` is a
   * value that `usedIdx` has had. Reads flags and event afresh (virtio 1.4 §2.7.7, §2.8.10).
   */
  wantsInterrupt(sinceUsedIdx: number): boolean;
  /**
   * True if used entries may be unread though no cause is pending: the driver has not armed itself at the present used
   * index, so it was cut off between its interrupt and the end of its polling.
   */
  mayHaveUnread(): boolean;
}
