/**
 * The queues of a card: what the driver has set up, which of them live, and the path that serves each. Transports name a
 * queue by its index, everything inside by its slot (queue-numbering.ts).
 */

import { FAULT_NONE, FAULT_QUEUE_IN_USE, FAULT_QUEUE_INDEX, FAULT_QUEUE_SETUP } from "../faults.ts";
import type { FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { CAUSE_KIND_RX, type CardObserver } from "../observer.ts";
import type { Segmenter } from "../offload/segmenter.ts";
import { flag, listOf, orNull, record, type SavedCheck } from "../saved-value.ts";
import { F_RING_EVENT_IDX, F_RING_INDIRECT_DESC, F_RING_PACKED } from "../spec/virtio.ts";
import { NET_F_CTRL_VQ } from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import { PackedQueue } from "../virtqueue/packed-queue.ts";
import {
  AREA_DESC,
  AREA_DEVICE,
  AREA_DRIVER,
  checkQueueSetup,
  QueueSetup,
  type QueueSetupState,
} from "../virtqueue/queue-setup.ts";
import type { QueueSnapshot } from "../virtqueue/queue-snapshot.ts";
import { SplitQueue } from "../virtqueue/split-queue.ts";
import type { Virtqueue } from "../virtqueue/virtqueue.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { DeviceStatus } from "./device-status.ts";
import { DriverSettings, type DriverSettingsState } from "./driver-settings.ts";
import type { FeatureNegotiation } from "./features.ts";
import type { FrameStaging } from "./frame-staging.ts";
import type { InterruptRouting } from "./interrupt-routing.ts";
import { negotiated } from "./negotiated.ts";
import { NO_SLOT, type QueueNumbering } from "./queue-numbering.ts";
import type { FaultSink } from "./queue-path.ts";
import { QueuePaths } from "./queue-paths.ts";
import { QueueService } from "./queue-service.ts";
import type { ReceivePath } from "./receive.ts";
import type { CardStatistics } from "./statistics.ts";

/** What the bank works with; all of it belongs to the card. */
export interface QueueBankParts {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly throttle: Throttle;
  readonly observer: CardObserver | null;
  readonly faults: FaultSink;
  readonly statistics: CardStatistics;
  readonly features: FeatureNegotiation;
  readonly config: ConfigSpace;
  readonly numbering: QueueNumbering;
  readonly routing: InterruptRouting;
  readonly status: DeviceStatus;
  readonly staging: FrameStaging;
  readonly segmenter: Segmenter;
  readonly mtu: number;
  readonly queueSizeMax: number;
}

export interface QueueBankState {
  readonly settings: DriverSettingsState;
  /** By slot. `attached`: the throttle knows the queue; `started`: the card may touch it. */
  readonly queues: readonly {
    readonly setup: QueueSetupState;
    /** Null while the queue is not enabled. */
    readonly ring: QueueSnapshot | null;
    readonly attached: boolean;
    readonly started: boolean;
  }[];
}

function checkState(slotCount: number): SavedCheck {
  const queue = record({ setup: checkQueueSetup, ring: orNull(record({})), attached: flag, started: flag });
  return record({ settings: record({}), queues: listOf(queue, slotCount) });
}

export class QueueBank {
  /** The work of the queues: what a poll has to do. */
  readonly service: QueueService;
  readonly settings: DriverSettings;
  /** Indexed by pair. */
  readonly receivers: readonly ReceivePath[];
  readonly #parts: QueueBankParts;
  readonly #numbering: QueueNumbering;
  readonly #paths: QueuePaths;
  // All that follows is indexed by slot.
  readonly #queues: Virtqueue[];
  readonly #setups: readonly QueueSetup[];

  constructor(parts: QueueBankParts) {
    const { memory, throttle, features, config, numbering, queueSizeMax } = parts;
    this.#parts = parts;
    this.#numbering = numbering;
    const slots = Array.from({ length: numbering.slotCount }, (_, slot) => slot);
    this.#setups = slots.map(() => new QueueSetup(queueSizeMax));
    // The card looks for receive buffers itself before it drops a frame, so it needs no kicks for them.
    this.#queues = slots.map((slot) => new SplitQueue(memory, numbering.kindOf(slot) !== CAUSE_KIND_RX));
    this.settings = new DriverSettings(features, config, throttle, numbering, (slot) => this.#queues[slot]!.started);
    this.#paths = new QueuePaths(parts, this.#queues, this.settings);
    this.receivers = this.#paths.receivers;
    this.service = new QueueService(numbering, this.#queues, this.#paths.control, this.#paths.transmitters);
  }

  // --- what the driver does with queues, through its transport -------------------------------------------------------

  /** Largest size that a queue may have. */
  get queueSizeMax(): number {
    return this.#parts.queueSizeMax;
  }

  /** Queues that the card has, the control queue included. */
  get count(): number {
    return this.#numbering.offeredCount;
  }

  exists(index: number): boolean {
    return this.#numbering.slotOf(index) !== NO_SLOT;
  }

  /** Largest size of a queue, 0 if it does not exist. */
  sizeMax(index: number): number {
    return this.exists(index) ? this.#parts.queueSizeMax : 0;
  }

  /** Size that the driver has set, or the largest; 0 if the queue does not exist. */
  sizeOf(index: number): number {
    return this.#setups[this.#numbering.slotOf(index)]?.size ?? 0;
  }

  isEnabled(index: number): boolean {
    return this.#queues[this.#numbering.slotOf(index)]?.enabled ?? false;
  }

  /** The setup as it stands, for a transport whose registers can be read back; null if the queue does not exist. */
  peekSetup(index: number): QueueSetup | null {
    return this.#setups[this.#numbering.slotOf(index)] ?? null;
  }

  /** What the driver writes about a queue that is not enabled; null, and a fault, if it is, or does not exist. */
  setupOf(index: number, nowNs: number): QueueSetup | null {
    const slot = this.#numbering.slotOf(index);
    if (slot === NO_SLOT) this.#parts.faults.guestFault(FAULT_QUEUE_INDEX, nowNs);
    else if (this.#queues[slot]!.enabled) this.#parts.faults.chainFault(slot, FAULT_QUEUE_IN_USE, nowNs);
    else return this.#setups[slot]!;
    return null;
  }

  /** Takes the setup over; the queue stays disabled, and a fault is counted, if it is no good. */
  enable(index: number, nowNs: number): void {
    const setup = this.setupOf(index, nowNs);
    if (setup === null) return;
    const slot = this.#numbering.slotOf(index);
    const { features, status, faults } = this.#parts;
    const negotiated = status.featuresOk && (slot !== this.#numbering.control || features.has(NET_F_CTRL_VQ));
    let fault: number = FAULT_QUEUE_SETUP;
    if (negotiated && !status.suspended) fault = this.#enableQueue(slot);
    if (fault !== FAULT_NONE) faults.chainFault(slot, fault, nowNs);
    else if (status.live) this.#startQueue(slot, nowNs);
  }

  /** The queue is touched no more, and has forgotten everything but its setup (VQRST-1, VQRST-2, MMIO-7). */
  disable(index: number): void {
    const slot = this.#numbering.slotOf(index);
    if (slot === NO_SLOT || !this.#queues[slot]!.enabled) return;
    this.#paths.of(slot).abandon();
    this.#queues[slot]!.reset();
    this.service.forget(slot);
    this.#parts.throttle.detachQueue(slot);
  }

  /** The driver resets one queue (RING_RESET): it is as after a reset of the device, and may be set up anew (VQRST-2). */
  reset(index: number): void {
    this.disable(index);
    this.peekSetup(index)?.reset();
  }

  /** The driver has made buffers available; the next poll looks. Kicks that nobody needs do no harm (SASUP-5). */
  kick(index: number, nowNs: number): void {
    const slot = this.#numbering.slotOf(index);
    if (slot === NO_SLOT) {
      this.#parts.faults.guestFault(FAULT_QUEUE_INDEX, nowNs);
      return;
    }
    this.#parts.statistics.queues[slot]!.kicks++;
    if (this.#queues[slot]!.started && this.#numbering.kindOf(slot) !== CAUSE_KIND_RX) this.service.lookAt(slot, nowNs);
  }

  /** The vector that the driver has given to a queue, or NO_VECTOR; kept, but without effect, while one is shared. */
  vectorOf(index: number): number {
    return this.#parts.routing.vectorOf(this.#numbering.slotOf(index));
  }

  /** The driver gives a queue a vector: an index below `throttle.vectors.length`, or NO_VECTOR. */
  setVector(index: number, vector: number, nowNs: number): void {
    const slot = this.#numbering.slotOf(index);
    if (slot !== NO_SLOT) this.#parts.routing.setVector(slot, vector, nowNs);
  }

  // --- the life of the device ----------------------------------------------------------------------------------------

  /** DRIVER_OK: what was negotiated holds, and enabled queues live from here on. */
  start(nowNs: number): void {
    this.#configure();
    if (this.#parts.status.live) this.resume(nowNs);
  }

  /** Publishes what was used. */
  finish(nowNs: number): void {
    this.#paths.finish(nowNs);
  }

  /** The same when somebody has thrown who was called, and may throw again: the first error is the one to be told. */
  finishAfterError(nowNs: number): void {
    this.#paths.finishAfterError(nowNs);
  }

  /** No queue is touched any more, until `resume` or the next life. */
  stop(): void {
    for (const queue of this.#queues) queue.stop();
  }

  /** Goes on after `stop`, where it stood; queues that were enabled since begin. */
  resume(nowNs: number): void {
    for (let slot = 0; slot < this.#queues.length; slot++) {
      if (this.#queues[slot]!.enabled) this.#startQueue(slot, nowNs);
    }
  }

  /** RESET-1, MMIO-5, NCOAL-9. */
  resetAll(): void {
    this.#paths.abandon();
    for (const queue of this.#queues) queue.reset();
    for (const setup of this.#setups) setup.reset();
    this.settings.reset();
    this.service.forgetAll();
  }

  /** Without a link, what the driver sends is dropped. */
  setLinkUp(up: boolean): void {
    this.#paths.setLinkUp(up);
  }

  /** What was negotiated holds from here on. */
  #configure(): void {
    this.settings.begin();
    this.#paths.configure(negotiated(this.#parts.features, this.#parts.mtu));
  }

  /** The driver may choose the other kind of ring in its next life. */
  #chooseRing(slot: number): void {
    const packed = this.#parts.features.has(F_RING_PACKED);
    if (this.#queues[slot] instanceof PackedQueue === packed) return;
    // The card looks for receive buffers itself before it drops a frame, so it needs no kicks for them.
    const { memory } = this.#parts;
    const wantsKicks = this.#numbering.kindOf(slot) !== CAUSE_KIND_RX;
    this.#queues[slot] = packed ? new PackedQueue(memory) : new SplitQueue(memory, wantsKicks);
    this.#paths.of(slot).attach(this.#queues[slot]!);
  }

  #enableQueue(slot: number): number {
    const { features } = this.#parts;
    const setup = this.#setups[slot]!;
    if (setup.size > setup.sizeMax) return FAULT_QUEUE_SETUP;
    this.#chooseRing(slot);
    return this.#queues[slot]!.enable({
      size: setup.size,
      descAddress: setup.address(AREA_DESC),
      driverAddress: setup.address(AREA_DRIVER),
      deviceAddress: setup.address(AREA_DEVICE),
      indirect: features.has(F_RING_INDIRECT_DESC),
      eventIdx: features.has(F_RING_EVENT_IDX),
    });
  }

  #startQueue(slot: number, nowNs: number): void {
    this.#queues[slot]!.start();
    this.service.lookAt(slot, nowNs);
    // A queue that goes on has its vector and parameters, and perhaps something due.
    if (this.#parts.throttle.isAttached(slot)) return;
    this.#attach(slot);
    this.settings.coalescing.queueEnabled(slot);
    this.settings.coalescing.apply(nowNs);
  }

  #attach(slot: number): void {
    const { routing, throttle, statistics } = this.#parts;
    const vector = routing.vectorInForce(slot);
    throttle.attachQueue(slot, this.#numbering.kindOf(slot), this.#queues[slot]!, vector, statistics.queues[slot]!);
  }

  // --- saving and restoring ------------------------------------------------------------------------------------------

  saveState(): QueueBankState {
    const attached = (slot: number) => this.#parts.throttle.isAttached(slot);
    return {
      settings: this.settings.saveState(),
      queues: this.#queues.map((queue, slot) => ({
        setup: this.#setups[slot]!.saveState(),
        ring: queue.enabled ? queue.snapshot() : null,
        attached: attached(slot),
        started: queue.started,
      })),
    };
  }

  /**
   * Goes on from a state, after `resetAll`, with features, status and routing restored.
   * @throws RangeError if there can be no such queues, or one does not lie in this card's memory
   */
  restoreState(state: QueueBankState, nowNs: number): void {
    checkState(this.#queues.length)("queues", state);
    this.#configure();
    this.settings.restoreState(state.settings);
    for (const [slot, { setup, ring, attached, started }] of state.queues.entries()) {
      this.#checkLife(slot, ring !== null, attached, started);
      this.#setups[slot]!.restoreState(setup);
      if (ring === null) continue;
      if (this.#enableQueue(slot) !== FAULT_NONE) {
        throw new RangeError(`saved state: queue ${slot} of ${setup.size} entries does not lie in this card's memory`);
      }
      this.#queues[slot]!.restore(ring);
      if (attached) this.#attach(slot);
      if (!started) continue;
      this.#queues[slot]!.start();
      this.service.lookAt(slot, nowNs);
    }
  }

  /** A queue is enabled once features are negotiated, attached from DRIVER_OK on, and started unless something stops it. */
  #checkLife(slot: number, enabled: boolean, attached: boolean, started: boolean): void {
    const { status } = this.#parts;
    const steps = [started, attached, enabled, status.featuresOk];
    const grown = steps.every((step, i) => !step || steps[i + 1] !== false);
    if (!grown || (attached && !status.wasReady) || (started && !status.driverReady)) {
      throw new RangeError(`saved state: queue ${slot} is further on than the device status ${status.value} allows`);
    }
  }

  // --- what others ask ------------------------------------------------------------------------------------------------

  /** False if the driver has read all that the receive queue of `pair` holds, and waits for more; reads the ring. */
  mayHaveUnread(pair: number): boolean {
    return this.#queues[2 * pair]!.mayHaveUnread();
  }

  /** Buffers that the receive queues have for the card; reads the rings. */
  get freeReceiveBuffers(): number {
    let buffers = 0;
    for (let pair = 0; pair < this.#numbering.pairs; pair++) buffers += this.#queues[2 * pair]!.refresh();
    return buffers;
  }
}
