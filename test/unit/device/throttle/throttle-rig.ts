import type { InterruptSink } from "../../../../src/device/interrupts.ts";
import type { InterruptSource } from "../../../../src/device/throttle/interrupt-source.ts";
import type { InterruptVector } from "../../../../src/device/throttle/interrupt-vector.ts";
import { Throttle } from "../../../../src/device/throttle/throttle.ts";

export const RX = 0;
export const TX = 1;
export const CTRL = 2;
export const PREEMPTED = 0;
export const ACTIVE = 1;
export const IDLE = 2;

const NOTIFY_WHY = ["latency", "guard", "urgent", "wake", "config"];
const WAKE_WHY = ["overflow", "guard", "urgent", "config"];

/** A virtqueue whose driver does what the test says. */
export class ScriptedQueue implements InterruptSource {
  usedIdx = 0;
  free = 256;
  /** Frames used that the driver has not read. */
  unread = 0;
  polling = false;
  /** Used index at which the driver last turned its interrupts on; entries before it were seen. */
  armedAt = 0;

  hasFreeAbove(count: number): boolean {
    return this.free > count;
  }
  wantsInterrupt(sinceUsedIdx: number): boolean {
    if (this.polling) return false;
    // vring_need_event(event, new, old), retyped from virtio 1.4 §2.7.10.
    return ((this.usedIdx - this.armedAt - 1) & 0xffff) < ((this.usedIdx - sinceUsedIdx) & 0xffff);
  }
  mayHaveUnread(): boolean {
    return this.unread > 0;
  }
  /** The driver takes the interrupt: it turns interrupts off and begins to poll. */
  takeInterrupt(): void {
    this.polling = true;
  }
  /** The driver has read and given back everything, and turns interrupts on again. */
  finishPoll(size = 256): void {
    this.polling = false;
    this.unread = 0;
    this.free = size;
    this.armedAt = this.usedIdx;
  }
}

/** A throttle with one vCPU and one vector unless told otherwise, on queues that the test scripts, and a log of interrupts. */
export class ThrottleRig {
  readonly log: string[] = [];
  readonly causes: string[] = [];
  readonly throttle: Throttle;
  readonly rx = new ScriptedQueue();
  readonly tx = new ScriptedQueue();
  readonly ctrl = new ScriptedQueue();
  #seq = 0;

  constructor(vectors = 1, vcpus = 1) {
    const sink: InterruptSink = {
      notify: (vector, why, nowNs) =>
        this.log.push(`${nowNs} notify${vectors > 1 ? ` v${vector}` : ""} ${NOTIFY_WHY[why]}`),
      wake: (vcpu, why, nowNs) => this.log.push(`${nowNs} wake${vcpus > 1 ? ` c${vcpu}` : ""} ${WAKE_WHY[why]}`),
    };
    const ignore = (): void => {};
    this.throttle = new Throttle(vectors, vcpus, sink, {
      arrived: ignore,
      delivered: ignore,
      dropped: ignore,
      cause: (vector, queue, _kind, nowNs) => this.causes.push(`${nowNs} v${vector} q${queue}`),
    });
    this.throttle.attachQueue(0, RX, this.rx, 0);
    this.throttle.attachQueue(1, TX, this.tx, 0);
    this.throttle.attachQueue(2, CTRL, this.ctrl, 0);
  }

  get vector(): InterruptVector {
    return this.throttle.vectors[0]!;
  }

  program(latencyNs: number, overflowNs: number, freeMin = 0): this {
    this.vector.latencyNs = latencyNs;
    this.vector.overflowNs = overflowNs;
    this.vector.freeMin = freeMin;
    return this;
  }

  state(state: number, nowNs: number, vcpu = 0): void {
    this.throttle.setGuestState(vcpu, state, ++this.#seq, nowNs);
  }

  /** One received frame: written, published. */
  frame(nowNs: number, queue = 0, source = this.rx, urgent = false): void {
    const from = source.usedIdx;
    source.usedIdx = (from + 1) & 0xffff;
    source.free--;
    source.unread++;
    this.throttle.published(queue, from, 1, urgent, nowNs);
  }

  completion(nowNs: number): void {
    const from = this.tx.usedIdx;
    this.tx.usedIdx = (from + 1) & 0xffff;
    this.throttle.published(1, from, 1, false, nowNs);
  }

  /** Lets time pass to `nowNs`, serving every deadline exactly when it is due. */
  advance(nowNs: number): void {
    for (let steps = 0; this.throttle.nextDeadlineNs() <= nowNs; steps++) {
      if (steps > 1000) throw new Error("deadlines without end");
      this.throttle.expire(this.throttle.nextDeadlineNs());
    }
  }
}
