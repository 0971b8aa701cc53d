/**
 * The queues of a card: what the driver has set up, which of them live, and the path that serves each. Pair i has the
 * queues 2i (receive) and 2i + 1 (transmit); the control queue comes last (virtio 1.4 §5.1.2).
 */

import { FAULT_NONE, FAULT_QUEUE_IN_USE, FAULT_QUEUE_INDEX, FAULT_QUEUE_SETUP } from "../faults.ts";
import type { FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { CAUSE_KIND_CTRL, CAUSE_KIND_RX, CAUSE_KIND_TX, type CardObserver } from "../observer.ts";
import { F_RING_EVENT_IDX, F_RING_INDIRECT_DESC } from "../spec/virtio.ts";
import { NET_F_CTRL_VQ, NET_F_MRG_RXBUF, NET_F_MTU } from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import { AREA_DESC, AREA_DEVICE, AREA_DRIVER, QueueSetup } from "../virtqueue/queue-setup.ts";
import { SplitQueue } from "../virtqueue/split-queue.ts";
import { Coalescing } from "./coalescing.ts";
import { ControlPath } from "./control.ts";
import type { DeviceStatus } from "./device-status.ts";
import type { FeatureNegotiation } from "./features.ts";
import type { FaultSink, PathContext, QueuePath } from "./queue-path.ts";
import { ReceivePath } from "./receive.ts";
import type { CardStatistics } from "./statistics.ts";
import { TransmitPath } from "./transmit.ts";
import type { TransmitStaging } from "./transmit-staging.ts";

export const PAIRS = 1;
const CONTROL_QUEUE = 2 * PAIRS;
export const QUEUE_COUNT = CONTROL_QUEUE + 1;
/** The one vector that all queues share. */
const SHARED_VECTOR = 0;
const NEVER = Number.POSITIVE_INFINITY;

/** What the bank works with; all of it belongs to the card. */
export interface QueueBankParts {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly throttle: Throttle;
  readonly observer: CardObserver | null;
  readonly faults: FaultSink;
  readonly statistics: CardStatistics;
  readonly features: FeatureNegotiation;
  readonly status: DeviceStatus;
  readonly staging: TransmitStaging;
  readonly mtu: number;
  readonly queueSizeMax: number;
}

export class QueueBank {
  /** When work became due that only a poll can do; Infinity if none is. */
  workDueNs = NEVER;
  readonly receivers: readonly ReceivePath[];
  readonly #parts: QueueBankParts;
  readonly #coalescing: Coalescing;
  readonly #transmitters: readonly TransmitPath[];
  readonly #control: ControlPath;
  // Indexed by virtqueue. Queues that are not offered have no setup.
  readonly #queues: readonly SplitQueue[];
  readonly #setups: readonly QueueSetup[];
  readonly #paths: readonly QueuePath[];
  readonly #kicked = new Uint8Array(QUEUE_COUNT);

  constructor(parts: QueueBankParts) {
    const { memory, throttle, observer, faults, statistics, features, queueSizeMax } = parts;
    this.#parts = parts;
    const offered = features.isOffered(NET_F_CTRL_VQ) ? QUEUE_COUNT : CONTROL_QUEUE;
    this.#setups = Array.from({ length: offered }, () => new QueueSetup(queueSizeMax));
    // The card looks for receive buffers itself before it drops a frame, so it needs no kicks for them.
    this.#queues = Array.from({ length: QUEUE_COUNT }, (_, i) => new SplitQueue(memory, kindOf(i) !== CAUSE_KIND_RX));
    this.#coalescing = new Coalescing(throttle, this.#queues.slice(0, CONTROL_QUEUE));
    const chain = new DescriptorChain(queueSizeMax);
    const contexts = this.#queues.map((queue, index): PathContext => {
      const own = { index, queue, vector: SHARED_VECTOR, statistics: statistics.queues[index]! };
      return { ...own, memory, chain, throttle, observer, faults };
    });
    const pairs = Array.from({ length: PAIRS }, (_, pair) => pair);
    this.receivers = pairs.map((pair) => new ReceivePath(contexts[2 * pair]!, queueSizeMax));
    this.#transmitters = pairs.map((pair) => new TransmitPath(contexts[2 * pair + 1]!, parts.port, parts.staging));
    this.#control = new ControlPath(contexts[CONTROL_QUEUE]!, features, this.#coalescing);
    this.#paths = [...pairs.flatMap((pair) => [this.receivers[pair]!, this.#transmitters[pair]!]), this.#control];
  }

  // --- what the driver does with queues, through its transport -------------------------------------------------------

  /** Queues that exist; the last one is the control queue if VIRTIO_NET_F_CTRL_VQ is offered. */
  get count(): number {
    return this.#setups.length;
  }

  /** Largest size of a queue, 0 if it does not exist. */
  sizeMax(index: number): number {
    return this.#setups[index]?.sizeMax ?? 0;
  }

  isEnabled(index: number): boolean {
    return this.#queues[index]?.enabled ?? false;
  }

  /** What the driver writes about a queue that is not enabled; null, and a fault, if it is, or does not exist. */
  setupOf(index: number, nowNs: number): QueueSetup | null {
    const setup = this.#setups[index];
    if (setup === undefined) this.#parts.faults.guestFault(FAULT_QUEUE_INDEX, nowNs);
    else if (this.isEnabled(index)) this.#parts.faults.chainFault(index, FAULT_QUEUE_IN_USE, nowNs);
    else return setup;
    return null;
  }

  /** Takes the setup over; the queue stays disabled, and a fault is counted, if it is no good. */
  enable(index: number, nowNs: number): void {
    const setup = this.setupOf(index, nowNs);
    if (setup === null) return;
    const { features, status, faults } = this.#parts;
    const negotiated = status.featuresOk && (index !== CONTROL_QUEUE || features.has(NET_F_CTRL_VQ));
    let fault: number = FAULT_QUEUE_SETUP;
    if (negotiated && !status.suspended && setup.size <= setup.sizeMax) {
      fault = this.#queues[index]!.enable({
        size: setup.size,
        descAddress: setup.address(AREA_DESC),
        driverAddress: setup.address(AREA_DRIVER),
        deviceAddress: setup.address(AREA_DEVICE),
        indirect: features.has(F_RING_INDIRECT_DESC),
        eventIdx: features.has(F_RING_EVENT_IDX),
      });
    }
    if (fault !== FAULT_NONE) faults.chainFault(index, fault, nowNs);
    else if (status.live) this.#startQueue(index, nowNs);
  }

  /** The queue is touched no more, and has forgotten everything but its setup (VQRST-1, VQRST-2, MMIO-7). */
  disable(index: number): void {
    if (!this.isEnabled(index)) return;
    this.#queues[index]!.reset();
    this.#paths[index]!.abandon();
    this.#kicked[index] = 0;
    this.#parts.throttle.detachQueue(index);
  }

  /** The driver has made buffers available; the next poll looks. Kicks that nobody needs do no harm (SASUP-5). */
  kick(index: number, nowNs: number): void {
    if (index >= this.#setups.length) {
      this.#parts.faults.guestFault(FAULT_QUEUE_INDEX, nowNs);
      return;
    }
    this.#parts.statistics.queues[index]!.kicks++;
    if (this.#queues[index]!.started && kindOf(index) !== CAUSE_KIND_RX) this.#lookAt(index, nowNs);
  }

  // --- the life of the device ----------------------------------------------------------------------------------------

  /** DRIVER_OK: enabled queues live from here on. */
  start(nowNs: number): void {
    const { features, mtu } = this.#parts;
    const mtuInForce = features.has(NET_F_MTU) ? mtu : null;
    for (const receiver of this.receivers) receiver.configure(features.has(NET_F_MRG_RXBUF), mtuInForce);
    for (const transmitter of this.#transmitters) transmitter.configure(mtuInForce);
    for (let index = 0; index < QUEUE_COUNT; index++) {
      if (this.isEnabled(index)) this.#startQueue(index, nowNs);
    }
  }

  /** Publishes what was used. */
  finish(nowNs: number): void {
    for (const path of this.#paths) path.finish(nowNs);
  }

  /** No queue is touched any more, until `resume` or the next life. */
  stop(): void {
    for (const queue of this.#queues) queue.stop();
  }

  /** Goes on after `stop`, where it stood. */
  resume(nowNs: number): void {
    for (let index = 0; index < QUEUE_COUNT; index++) {
      if (!this.isEnabled(index)) continue;
      this.#queues[index]!.start();
      this.#lookAt(index, nowNs);
    }
  }

  /** RESET-1, MMIO-5, NCOAL-9. */
  reset(): void {
    for (const queue of this.#queues) queue.reset();
    for (const setup of this.#setups) setup.reset();
    for (const path of this.#paths) path.abandon();
    this.#coalescing.reset();
    this.#kicked.fill(0);
    this.workDueNs = NEVER;
  }

  /** Without a link, what the driver sends is dropped. */
  setLinkUp(up: boolean): void {
    for (const transmitter of this.#transmitters) transmitter.linkUp = up;
  }

  #startQueue(index: number, nowNs: number): void {
    const queue = this.#queues[index]!;
    queue.start();
    this.#parts.throttle.attachQueue(index, kindOf(index), queue, SHARED_VECTOR);
    this.#coalescing.queueEnabled(index);
    this.#coalescing.apply(nowNs);
    this.#lookAt(index, nowNs);
  }

  /** Buffers wait in the queue, or may wait without a kick that told of them. */
  #lookAt(index: number, nowNs: number): void {
    this.#kicked[index] = 1;
    this.workDueNs = Math.min(this.workDueNs, nowNs);
  }

  // --- work ----------------------------------------------------------------------------------------------------------

  /** True while the receive queue of pair 0 lives: it takes all frames. */
  get receives(): boolean {
    return this.#queues[0]!.started;
  }

  /** Buffers that receive queue 0 has for the card; reads the ring. */
  get freeReceiveBuffers(): number {
    return this.#queues[0]!.refresh();
  }

  /** Serves the control queue, then the transmit queues, at most `budgetFrames` chains of each; returns their number. */
  serve(budgetFrames: number, nowNs: number): number {
    if (this.workDueNs === NEVER) return 0;
    // Until it is known to be done: the port may throw.
    this.workDueNs = nowNs;
    let chains = this.#serveQueue(CONTROL_QUEUE, this.#control, budgetFrames, nowNs);
    for (let pair = 0; pair < PAIRS; pair++) {
      chains += this.#serveQueue(2 * pair + 1, this.#transmitters[pair]!, budgetFrames, nowNs);
    }
    this.workDueNs = this.#isWorkLeft() ? nowNs : NEVER;
    return chains;
  }

  #serveQueue(index: number, path: TransmitPath | ControlPath, budgetFrames: number, nowNs: number): number {
    if (!this.#mayHoldBuffers(index)) return 0;
    this.#kicked[index] = 0;
    return path.run(budgetFrames, nowNs);
  }

  /** False for a queue that is armed: it is empty until its driver kicks. */
  #mayHoldBuffers(index: number): boolean {
    const queue = this.#queues[index]!;
    return queue.started && (!queue.armed || this.#kicked[index] === 1);
  }

  /** True if a budget has run out, or a queue was kicked from inside the calls to the outside. */
  #isWorkLeft(): boolean {
    if (this.#mayHoldBuffers(CONTROL_QUEUE)) return true;
    for (let pair = 0; pair < PAIRS; pair++) {
      if (this.#mayHoldBuffers(2 * pair + 1)) return true;
    }
    return false;
  }
}

/** CAUSE_KIND_* of a queue index. */
function kindOf(index: number): number {
  if (index === CONTROL_QUEUE) return CAUSE_KIND_CTRL;
  return index % 2 === 0 ? CAUSE_KIND_RX : CAUSE_KIND_TX;
}
