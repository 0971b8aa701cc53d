/** What a governor knows when it programs the throttle: all of it observed by the host, nothing of it the future. */
export interface Observation {
  /** The state that the guest has from now on: GUEST_ACTIVE, GUEST_PREEMPTED or GUEST_IDLE. */
  readonly state: number;
  readonly nowNs: number;
  /** Entries of the guest's receive ring. */
  readonly ring: number;
  /** Receive buffers that the card has left. */
  readonly free: number;
  /** Highest recent arrival rate, frames per second; 0 = nothing seen yet. */
  readonly peakFramesPerS: number;
  /** From a wake to the woken guest's first instruction, ns, as experienced. */
  readonly wakeLatencyNs: number;
  /** From the interrupt to the first buffers given back, ns. */
  readonly firstRefillNs: number;
  /** Planned start of the guest's next natural slice; Infinity if none is planned. */
  readonly nextActivationNs: number;
  /** Planned end of the slice that begins now; Infinity if nobody else wants the CPU. */
  readonly sliceEndNs: number;
  readonly linkRateBps: number;
  /** Most receive buffers that one frame can take. */
  readonly buffersPerFrameMax: number;
  readonly maxInactiveDelayNs: number;
  /** What the guest asked for by NOTF_COAL, ns; 0 = nothing. */
  readonly guestCoalesceNs: number;
}

/** What goes into the throttle's registers. Written by `programFor`, reused from call to call. */
export interface ThrottleProgram {
  latencyNs: number;
  overflowNs: number;
  freeMin: number;
  /** Infinity = not said. */
  sliceEndNs: number;
}
