/** Where a card on PCI sends its interrupts: made before the card, which gets it as its sink, and then taken by the transport. */

import { checkFunction, checkMethods } from "../embedder-parts.ts";
import type { InterruptSink } from "../interrupts.ts";

/** What the embedder does with them. */
export interface PciInterruptSink {
  /** An MSI-X message: a write of 32-bit `data` to `address`. */
  message(address: number, data: number, vector: number, nowNs: number): void;
  /** INTx changed its level. */
  line(asserted: boolean, nowNs: number): void;
  /** Asks the host to activate vCPU `vcpu`; `why` is one of WAKE_*. */
  wake(vcpu: number, why: number, nowNs: number): void;
}

export class PciInterrupts implements InterruptSink {
  readonly sink: PciInterruptSink;
  /** Told of each notification as the throttle lets it through, with its reason (NOTIFY_*). */
  readonly #onReason: ((vector: number, why: number, nowNs: number) => void) | null;
  /** The transport, once there is one. */
  onNotify: ((vector: number, nowNs: number) => void) | null = null;

  /** @throws RangeError if the sink lacks a method */
  constructor(sink: PciInterruptSink, onReason: ((vector: number, why: number, nowNs: number) => void) | null = null) {
    checkMethods("sink", sink, "a PciInterruptSink", ["message", "line", "wake"]);
    if (onReason !== null) checkFunction("onReason", onReason);
    this.sink = sink;
    this.#onReason = onReason;
  }

  notify(vector: number, why: number, nowNs: number): void {
    this.#onReason?.(vector, why, nowNs);
    this.onNotify?.(vector, nowNs);
  }

  wake(vcpu: number, why: number, nowNs: number): void {
    this.sink.wake(vcpu, why, nowNs);
  }
}
