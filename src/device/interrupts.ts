/** How the card reaches the outside: to interrupt the driver, and to ask the host to put a guest on a CPU. */

export const NOTIFY_LATENCY = 0;
export const NOTIFY_GUARD = 1;
export const NOTIFY_URGENT = 2;
export const NOTIFY_WAKE = 3;
export const NOTIFY_CONFIG = 4;

export const WAKE_OVERFLOW = 0;
export const WAKE_GUARD = 1;
export const WAKE_URGENT = 2;
export const WAKE_CONFIG = 3;

export interface InterruptSink {
  /** Interrupts the driver on `vector`: the vector's guest is active. `why` is one of NOTIFY_*. */
  notify(vector: number, why: number, nowNs: number): void;
  /** Asks the host to activate vCPU `vcpu`: it is inactive. `why` is one of WAKE_*. */
  wake(vcpu: number, why: number, nowNs: number): void;
}
