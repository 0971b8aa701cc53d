/**
 * The interrupt status register, between the throttle and the embedder: its bits are set when the throttle lets a
 * notification through, never when a cause arises (R10), and cleared by the driver's acknowledgement or a reset.
 */

import { type InterruptSink, NOTIFY_CONFIG } from "../interrupts.ts";
import { INTERRUPT_CONFIG_CHANGE, INTERRUPT_USED_BUFFER } from "../spec/virtio.ts";

export class InterruptStatus implements InterruptSink {
  /** INTERRUPT_* bits, as the driver reads them (MMIO-3, MMIO-4). */
  value = 0;
  /** Where notifications and wakes go. */
  readonly sink: InterruptSink;

  constructor(sink: InterruptSink) {
    this.sink = sink;
  }

  notify(vector: number, why: number, nowNs: number): void {
    this.value |= why === NOTIFY_CONFIG ? INTERRUPT_CONFIG_CHANGE : INTERRUPT_USED_BUFFER;
    this.sink.notify(vector, why, nowNs);
  }

  wake(vcpu: number, why: number, nowNs: number): void {
    this.sink.wake(vcpu, why, nowNs);
  }

  /** Clears the bits that the driver has handled. */
  acknowledge(bits: number): void {
    this.value &= ~bits;
  }
}
