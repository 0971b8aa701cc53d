/**
 * The card: a virtio network device without a transport, and without a clock. A transport decodes register accesses
 * onto it, the embedder calls `poll`, and frames come and go through a FramePort.
 *
 * Whatever the card calls (the port, the interrupt sink, the observer) may call back: registers may be written, and
 * `poll` called, at any moment. Queues are in order before every call to the outside, and loops look afterwards
 * whether they still live.
 */

import { FAULT_NONE } from "../faults.ts";
import type { FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { CardObserver } from "../observer.ts";
import { Segmenter } from "../offload/segmenter.ts";
import { ETHERNET_HEADER_BYTES } from "../spec/virtio-net.ts";
import { Throttle } from "../throttle/throttle.ts";
import {
  checkParts,
  checkPortAndSize,
  MTU_DEFAULT,
  type NetCardOptions,
  negotiationFor,
  QUEUE_SIZE_DEFAULT,
} from "./card-options.ts";
import { CARD_STATE_FORMAT, CARD_STATE_VERSION, type CardShape, type CardState, checkCardState } from "./card-state.ts";
import { ConfigSpace } from "./config-space.ts";
import {
  DeviceStatus,
  TRANSITION_RESET,
  TRANSITION_RESUME,
  TRANSITION_START,
  TRANSITION_STOP,
  TRANSITION_SUSPEND,
} from "./device-status.ts";
import type { FeatureNegotiation } from "./features.ts";
import { FrameIntake } from "./frame-intake.ts";
import { FrameStaging } from "./frame-staging.ts";
import { InterruptRouting } from "./interrupt-routing.ts";
import { InterruptStatus } from "./interrupt-status.ts";
import { LinkChanges } from "./link-changes.ts";
import { QueueBank } from "./queue-bank.ts";
import { QueueNumbering } from "./queue-numbering.ts";
import type { FaultSink } from "./queue-path.ts";
import { ReceiveOffloads } from "./receive-offloads.ts";
import { CardStatistics } from "./statistics.ts";

export class NetCard implements FaultSink {
  readonly memory: GuestMemory;
  /** The interrupt throttle, which the host programs. */
  readonly throttle: Throttle;
  readonly statistics: CardStatistics;
  readonly features: FeatureNegotiation;
  readonly config: ConfigSpace;
  readonly interruptStatus: InterruptStatus;
  readonly queues: QueueBank;
  readonly #numbering: QueueNumbering;
  readonly #routing: InterruptRouting;
  readonly #status: DeviceStatus;
  readonly #port: FramePort;
  readonly #observer: CardObserver | null;
  readonly #intake: FrameIntake;
  readonly #link: LinkChanges;
  #polling = false;

  /** @throws RangeError for an option that is missing or out of range; the message says what was got and what is allowed */
  constructor(options: NetCardOptions) {
    checkParts(options);
    const { memory, port, mac, mtu = MTU_DEFAULT, queueSizeMax = QUEUE_SIZE_DEFAULT, pairs = 1 } = options;
    const { speedMbps, duplex, observer = null } = options;
    this.features = negotiationFor(options);
    this.config = new ConfigSpace(this.features, { mac, mtu, pairs, speedMbps, duplex });
    checkPortAndSize(port, mtu, queueSizeMax);
    this.memory = memory;
    this.#numbering = new QueueNumbering(pairs, this.features);
    this.statistics = new CardStatistics(this.#numbering.slotCount);
    this.interruptStatus = new InterruptStatus(options.interrupts);
    this.#observer = observer;
    this.throttle = new Throttle(options.vectors ?? 1, options.vcpus ?? 1, this.interruptStatus, observer);
    this.#routing = new InterruptRouting(this.throttle, this.#numbering.slotCount);
    this.#status = new DeviceStatus(this.features);
    this.#port = port;
    const staging = new FrameStaging(memory, options.txStaging, mtu + ETHERNET_HEADER_BYTES);
    const segmenter = new Segmenter();
    this.queues = new QueueBank({
      memory,
      port,
      throttle: this.throttle,
      observer,
      faults: this,
      statistics: this.statistics,
      features: this.features,
      config: this.config,
      numbering: this.#numbering,
      routing: this.#routing,
      status: this.#status,
      staging,
      segmenter,
      mtu,
      queueSizeMax,
    });
    this.#intake = new FrameIntake({
      memory,
      port,
      config: this.config,
      status: this.#status,
      filter: this.queues.settings.filter,
      steering: this.queues.settings.steering,
      offloads: new ReceiveOffloads(this.queues.settings.guestOffloads, staging, segmenter),
      statistics: this.statistics,
      receivers: this.queues.receivers,
    });
    this.#link = new LinkChanges({
      features: this.features,
      config: this.config,
      status: this.#status,
      throttle: this.throttle,
      paths: this.queues,
    });
  }

  // --- the embedder's face -------------------------------------------------------------------------------------------

  /**
   * Carries out control commands, sends, receives, and fires what the throttle has due: at most `budgetFrames` chains
   * of each queue, and as many frames off the wire. Returns how many there were; 0 if called from inside a poll.
   * `nowNs` must not decrease from call to call.
   * @throws RangeError unless `nowNs` is a number and `budgetFrames` at least 1; and what the port, the sink, the observer
   * or the memory's parts throw: what was used before is published then, the chains at hand are given back, and the next
   * poll goes on
   */
  poll(nowNs: number, budgetFrames: number): number {
    return this.#work("poll", true, nowNs, budgetFrames);
  }

  /**
   * The first half of `poll`: control commands, and what is to be sent, at most `budgetFrames` chains of each queue. For an
   * embedder that deals with a driver's kick at once, and has a poll follow for the rest: until then no queue notifies.
   * @throws as `poll`
   */
  serve(nowNs: number, budgetFrames: number): number {
    this.throttle.hold(true);
    try {
      return this.#work("serve", false, nowNs, budgetFrames);
    } finally {
      this.throttle.hold(false);
    }
  }

  #work(name: string, receives: boolean, nowNs: number, budgetFrames: number): number {
    if (!(budgetFrames >= 1) || Number.isNaN(nowNs)) {
      throw new RangeError(`${name}(${nowNs}, ${budgetFrames}): nowNs must be a number, budgetFrames at least 1`);
    }
    if (this.#polling) return 0;
    this.#polling = true;
    try {
      const chains = this.queues.service.serve(budgetFrames, nowNs);
      if (!receives) return chains;
      const frames = this.#intake.run(budgetFrames, nowNs);
      if (frames >= budgetFrames) this.queues.service.workDueNs = nowNs;
      this.throttle.expire(nowNs);
      return chains + frames;
    } catch (error) {
      // Between two polls no batch is in the works, whatever was thrown.
      this.queues.finishAfterError(nowNs);
      throw error;
    } finally {
      this.#polling = false;
    }
  }

  /** Since when the driver, or frames that a poll has left, have work for `serve` or `poll`; Infinity if there is none. */
  get workDueNs(): number {
    return this.queues.service.workDueNs;
  }

  /** When `poll` is to be called next: a time that has passed if work is left, Infinity if nothing is foreseen. */
  nextDeadlineNs(): number {
    const arrivalNs = this.#status.live ? this.#port.nextArrivalNs() : Number.POSITIVE_INFINITY;
    return Math.min(this.throttle.nextDeadlineNs(), this.queues.service.workDueNs, arrivalNs);
  }

  /** The cable was plugged in or pulled out; the driver is told if VIRTIO_NET_F_STATUS is offered. */
  setLinkUp(up: boolean, nowNs: number): void {
    this.#intake.reconsider();
    this.#link.setLinkUp(up, nowNs);
  }

  /** Asks the driver for gratuitous packets, which make the network learn where the card is (§5.1.9.5.4). */
  announce(nowNs: number): void {
    this.#link.announce(nowNs);
  }

  /** Frames taken off the wire since the card was made, dropped and filtered ones included. */
  get framesArrived(): number {
    let frames = this.statistics.filtered;
    for (let pair = 0; pair < this.#numbering.pairs; pair++) {
      const { frames: delivered, dropped } = this.statistics.queues[2 * pair]!;
      frames += delivered + dropped;
    }
    return frames;
  }

  /** Receive buffers that the driver has made available and the card has not used; reads the ring. */
  get freeReceiveBuffers(): number {
    return this.queues.freeReceiveBuffers;
  }

  // --- saving and restoring ------------------------------------------------------------------------------------------

  /**
   * All of the card but what belongs to its transport, as plain values.
   * @throws RangeError if called from inside `poll`, where frames are in the works
   */
  saveState(nowNs: number): CardState {
    if (this.#polling) throw new RangeError("saveState: called from inside poll, allowed is between two polls");
    return {
      format: CARD_STATE_FORMAT,
      version: CARD_STATE_VERSION,
      shape: this.#shape,
      features: this.features.saveState(),
      config: this.config.saveState(),
      status: this.status,
      interruptStatus: this.interruptStatus.value,
      ...this.#link.saveState(),
      routing: this.#routing.saveState(),
      queues: this.queues.saveState(),
      throttle: this.throttle.saveState(nowNs),
      statistics: this.statistics.saveState(),
    };
  }

  /**
   * Goes on where the saved card was, its times moved so that it was saved at `nowNs`. Guest memory must be as it was then.
   * @throws RangeError if the state is of another version or another kind of card, or cannot be one; this one is then as
   * after a reset
   */
  restoreState(state: CardState, nowNs: number): void {
    if (this.#polling) throw new RangeError("restoreState: called from inside poll, allowed is between two polls");
    const { linkUp } = this.config;
    this.#status.value = 0;
    this.#reset(nowNs);
    try {
      checkCardState(state, this.#shape);
      this.#restore(state, nowNs);
    } catch (error) {
      this.#status.value = 0;
      this.#reset(nowNs);
      this.setLinkUp(linkUp, nowNs);
      throw error;
    }
  }

  #restore(state: CardState, nowNs: number): void {
    this.features.restoreState(state.features);
    this.config.restoreState(state.config);
    this.#status.restoreState(state.status);
    this.#routing.restoreState(state.routing, nowNs);
    this.queues.restoreState(state.queues, nowNs);
    this.#link.restoreState(state);
    this.statistics.restoreState(state.statistics);
    this.throttle.restoreState(state.throttle, this.#status.halted, nowNs);
    this.interruptStatus.value = state.interruptStatus;
  }

  get #shape(): CardShape {
    const { pairs } = this.#numbering;
    const { vectors, vcpus } = this.throttle;
    return { pairs, queueSizeMax: this.queues.queueSizeMax, vectors: vectors.length, vcpus: vcpus.length };
  }

  // --- the transport's face ------------------------------------------------------------------------------------------

  /** The device status register. */
  get status(): number {
    return this.#status.value;
  }

  /** The driver writes the device status register (virtio 1.4 §2.1). */
  writeStatus(value: number, nowNs: number): void {
    this.#intake.reconsider();
    const transition = this.#status.write(value);
    if (this.#status.fault !== FAULT_NONE) this.guestFault(this.#status.fault, nowNs);
    if (transition === TRANSITION_RESET) this.#reset(nowNs);
    else if (transition === TRANSITION_START) this.queues.start(nowNs);
    else if (transition === TRANSITION_SUSPEND) this.#halt(nowNs);
    else if (transition === TRANSITION_RESUME) this.#resume(nowNs);
    else if (transition === TRANSITION_STOP) this.#giveUp(nowNs);
  }

  /** The driver accepts features `32 * word … 32 * word + 31`; after FEATURES_OK that is a fault, and changes nothing. */
  acceptFeatures(word: number, value: number, nowNs: number): void {
    const fault = this.features.accept(word, value);
    if (fault !== FAULT_NONE) this.guestFault(fault, nowNs);
  }

  /**
   * The platform lets the device reach memory, as at first, or not any more: on PCI, bus mastering is off. What was used is
   * published before; from then on rings stand still, nothing is sent, and frames are dropped, until it may again.
   */
  allowMemory(allowed: boolean, nowNs: number): void {
    if (allowed === this.#status.reachesMemory) return;
    this.#intake.reconsider();
    this.#status.reachesMemory = allowed;
    if (allowed) this.#goOn(nowNs);
    else this.#halt(nowNs);
  }

  /** The vector that the driver has given to configuration changes, or NO_VECTOR. */
  get configVector(): number {
    return this.#routing.configVector;
  }

  /** The driver gives configuration changes a vector: an index below `throttle.vectors.length`, or NO_VECTOR. */
  setConfigVector(vector: number, nowNs: number): void {
    this.#routing.setConfigVector(vector, nowNs);
  }

  /**
   * True, as at first: all interrupts go to vector 0, as on MMIO or with INTx. False: each to the vector that the driver
   * has given it, as with MSI-X.
   */
  useSharedVector(shared: boolean, nowNs: number): void {
    this.#routing.useShared(shared, nowNs);
  }

  // --- faults of the driver ------------------------------------------------------------------------------------------

  guestFault(code: number, nowNs: number): void {
    this.statistics.faults[code]!++;
    this.#observer?.fault?.(code, -1, nowNs);
  }

  chainFault(queue: number, code: number, nowNs: number): void {
    this.statistics.queues[queue]!.faults[code]!++;
    this.#observer?.fault?.(code, queue, nowNs);
  }

  ringFault(queue: number, code: number, nowNs: number): void {
    this.statistics.needsReset++;
    this.#status.needReset();
    this.#intake.reconsider();
    this.queues.stop();
    this.chainFault(queue, code, nowNs);
    // What was used before stays used; the driver hears of it by the notice of the reset (STATUS-3).
    this.queues.finish(nowNs);
    if (this.#status.owesResetNotice) this.throttle.configChanged(nowNs);
  }

  // --- the life of the device ----------------------------------------------------------------------------------------

  /** RESET-1, RESET-2. What the host has programmed, and the statistics, stay. */
  #reset(nowNs: number): void {
    this.statistics.resets++;
    this.queues.resetAll();
    this.features.reset();
    this.config.reset();
    this.throttle.reset();
    if (!this.#status.reachesMemory) this.throttle.suspend(nowNs);
    this.#routing.reset(nowNs);
    this.interruptStatus.value = 0;
    this.#link.reset(nowNs);
  }

  /** SUSPEND-8, R17. No buffer is in the works between two calls, but batches may wait for their publishing. */
  #halt(nowNs: number): void {
    this.queues.finish(nowNs);
    this.throttle.suspend(nowNs);
    // The driver was notified, and may have gone on at once.
    if (this.#status.halted) this.queues.stop();
    else this.throttle.resume(nowNs);
  }

  /** FAILED: no queue is touched any more, but what was used in the batch at hand is shown. */
  #giveUp(nowNs: number): void {
    this.queues.stop();
    this.queues.finish(nowNs);
  }

  #goOn(nowNs: number): void {
    if (this.#status.halted) return;
    if (this.#status.live) this.queues.resume(nowNs);
    this.throttle.resume(nowNs);
  }

  /** SUSPEND-5, SUSPEND-7. */
  #resume(nowNs: number): void {
    this.#goOn(nowNs);
    this.#link.resume(nowNs);
  }
}
