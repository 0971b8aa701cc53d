/**
 * The card: a virtio network device without a transport, and without a clock. A transport decodes register accesses
 * onto it, the embedder calls `poll`, and frames come and go through a FramePort.
 *
 * Whatever the card calls (the port, the interrupt sink, the observer) may call back: registers may be written, and
 * `poll` called, at any moment. Queues are in order before every call to the outside, and loops look afterwards
 * whether they still live.
 */

import { FAULT_NONE } from "../faults.ts";
import type { InterruptSink } from "../interrupts.ts";
import { Frame, type FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { type CardObserver, DROP_NOT_READY, DROP_SUSPENDED } from "../observer.ts";
import { QUEUE_SIZE_MAX } from "../spec/split-ring.ts";
import { ETHERNET_HEADER_BYTES, MTU_MAX, VLAN_TAG_BYTES } from "../spec/virtio-net.ts";
import { Throttle } from "../throttle/throttle.ts";
import { ConfigSpace } from "./config-space.ts";
import {
  DeviceStatus,
  TRANSITION_RESET,
  TRANSITION_RESUME,
  TRANSITION_START,
  TRANSITION_STOP,
  TRANSITION_SUSPEND,
} from "./device-status.ts";
import { type FeatureName, FeatureNegotiation } from "./features.ts";
import { InterruptStatus } from "./interrupt-status.ts";
import { PAIRS, QUEUE_COUNT, QueueBank } from "./queue-bank.ts";
import type { FaultSink } from "./queue-path.ts";
import { CardStatistics } from "./statistics.ts";
import { type StagingArea, TransmitStaging } from "./transmit-staging.ts";

export interface NetCardOptions {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly interrupts: InterruptSink;
  /** Six bytes of a unicast address. */
  readonly mac: ArrayLike<number>;
  /** Largest payload of a frame, 68…65535 bytes; default 1500. */
  readonly mtu?: number;
  /** Largest size that the driver may give a queue, a power of two up to 32768; default 1024. */
  readonly queueSizeMax?: number;
  /** Features not to offer; what needs them is withheld too. */
  readonly withhold?: readonly FeatureName[];
  readonly observer?: CardObserver;
  /** vCPUs of the guest; default 1. */
  readonly vcpus?: number;
  /** Interrupt vectors; default 1, as MMIO has. */
  readonly vectors?: number;
  /** Where transmitted frames are gathered; by default memory of the card's own. */
  readonly txStaging?: StagingArea;
}

const MTU_DEFAULT = 1500;
const QUEUE_SIZE_DEFAULT = 1024;

export class NetCard implements FaultSink {
  readonly memory: GuestMemory;
  /** The interrupt throttle, which the host programs. */
  readonly throttle: Throttle;
  readonly statistics = new CardStatistics(QUEUE_COUNT);
  readonly features: FeatureNegotiation;
  readonly config: ConfigSpace;
  readonly interruptStatus: InterruptStatus;
  readonly queues: QueueBank;
  readonly #status: DeviceStatus;
  readonly #port: FramePort;
  readonly #observer: CardObserver | null;
  readonly #frame: Frame;
  #polling = false;
  // Link state to be shown when the driver resumes the card; null if it has not changed since.
  #heldLinkUp: boolean | null = null;

  /** @throws RangeError for an option out of range; the message says what was got and what is allowed */
  constructor(options: NetCardOptions) {
    const { memory, port, mac, mtu = MTU_DEFAULT, queueSizeMax = QUEUE_SIZE_DEFAULT } = options;
    this.features = new FeatureNegotiation(options.withhold);
    this.config = new ConfigSpace(this.features, mac, mtu, PAIRS);
    checkPortAndSize(port, mtu, queueSizeMax);
    this.memory = memory;
    this.interruptStatus = new InterruptStatus(options.interrupts);
    this.#observer = options.observer ?? null;
    this.throttle = new Throttle(options.vectors ?? 1, options.vcpus ?? 1, this.interruptStatus, this.#observer);
    this.#status = new DeviceStatus(this.features);
    this.#port = port;
    this.#frame = new Frame(memory.u8);
    const frameBytesMax = Math.min(port.maxFrameBytes, MTU_MAX + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES);
    this.queues = new QueueBank({
      memory,
      port,
      throttle: this.throttle,
      observer: this.#observer,
      faults: this,
      statistics: this.statistics,
      features: this.features,
      status: this.#status,
      staging: new TransmitStaging(memory, options.txStaging, mtu + ETHERNET_HEADER_BYTES, frameBytesMax),
      mtu,
      queueSizeMax,
    });
  }

  // --- the embedder's face -------------------------------------------------------------------------------------------

  /**
   * Carries out control commands, sends, receives, and fires what the throttle has due: at most `budgetFrames` chains
   * of each queue, and as many frames off the wire. Returns how many there were; 0 if called from inside a poll.
   * `nowNs` must not decrease from call to call.
   * @throws RangeError unless `nowNs` is a number and `budgetFrames` at least 1
   */
  poll(nowNs: number, budgetFrames: number): number {
    if (!(budgetFrames >= 1) || Number.isNaN(nowNs)) {
      throw new RangeError(`poll(${nowNs}, ${budgetFrames}): nowNs must be a number, budgetFrames at least 1`);
    }
    if (this.#polling) return 0;
    this.#polling = true;
    try {
      const handled = this.queues.serve(budgetFrames, nowNs) + this.#receive(budgetFrames, nowNs);
      this.throttle.expire(nowNs);
      return handled;
    } finally {
      this.#polling = false;
    }
  }

  /** When `poll` is to be called next: a time that has passed if work is left, Infinity if nothing is foreseen. */
  nextDeadlineNs(): number {
    const arrivalNs = this.#status.live ? this.#port.nextArrivalNs() : Number.POSITIVE_INFINITY;
    return Math.min(this.throttle.nextDeadlineNs(), this.queues.workDueNs, arrivalNs);
  }

  /** The cable was plugged in or pulled out; the driver is told if VIRTIO_NET_F_STATUS is offered. */
  setLinkUp(up: boolean, nowNs: number): void {
    if (this.#status.suspended) {
      // SUSPEND-3, SUSPEND-4: nothing in the configuration space moves before the driver resumes the card.
      this.#heldLinkUp = up;
      return;
    }
    this.queues.setLinkUp(up);
    if (this.config.setLinkUp(up) && this.#status.live) this.throttle.configChanged(nowNs);
  }

  /** Frames taken off the wire since the card was made, dropped ones included. */
  get framesArrived(): number {
    let frames = 0;
    for (let pair = 0; pair < PAIRS; pair++) {
      const { frames: delivered, dropped } = this.statistics.queues[2 * pair]!;
      frames += delivered + dropped;
    }
    return frames;
  }

  /** Receive buffers that the driver has made available and the card has not used; reads the ring. */
  get freeReceiveBuffers(): number {
    return this.queues.freeReceiveBuffers;
  }

  // --- the transport's face ------------------------------------------------------------------------------------------

  /** The device status register. */
  get status(): number {
    return this.#status.value;
  }

  /** The driver writes the device status register (virtio 1.4 §2.1). */
  writeStatus(value: number, nowNs: number): void {
    const transition = this.#status.write(value);
    if (this.#status.fault !== FAULT_NONE) this.guestFault(this.#status.fault, nowNs);
    if (transition === TRANSITION_RESET) this.#reset(nowNs);
    else if (transition === TRANSITION_START) this.queues.start(nowNs);
    else if (transition === TRANSITION_SUSPEND) this.#suspend(nowNs);
    else if (transition === TRANSITION_RESUME) this.#resume(nowNs);
    else if (transition === TRANSITION_STOP) this.queues.stop();
  }

  /** The driver accepts features `32 * word … 32 * word + 31`; after FEATURES_OK that is a fault, and changes nothing. */
  acceptFeatures(word: number, value: number, nowNs: number): void {
    const fault = this.features.accept(word, value);
    if (fault !== FAULT_NONE) this.guestFault(fault, nowNs);
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
    this.queues.reset();
    this.features.reset();
    this.throttle.reset();
    this.interruptStatus.value = 0;
    this.#showHeldLink(nowNs);
  }

  /** SUSPEND-8, R17. No buffer is in the works between two calls, but batches may wait for their publishing. */
  #suspend(nowNs: number): void {
    this.queues.finish(nowNs);
    this.throttle.suspend(nowNs);
    // The driver was notified, and may have gone on at once.
    if (this.#status.suspended) this.queues.stop();
    else this.throttle.resume(nowNs);
  }

  /** SUSPEND-5, SUSPEND-7. */
  #resume(nowNs: number): void {
    this.queues.resume(nowNs);
    this.throttle.resume(nowNs);
    this.#showHeldLink(nowNs);
  }

  #showHeldLink(nowNs: number): void {
    const up = this.#heldLinkUp;
    this.#heldLinkUp = null;
    if (up !== null) this.setLinkUp(up, nowNs);
  }

  // --- receiving -----------------------------------------------------------------------------------------------------

  /** Takes frames off the wire, at most `budgetFrames`; each is delivered or dropped at once. */
  #receive(budgetFrames: number, nowNs: number): number {
    const port = this.#port;
    const frame = this.#frame;
    const receiver = this.queues.receivers[0]!;
    let frames = 0;
    while (frames < budgetFrames && port.receive(frame, nowNs)) {
      frames++;
      if (this.queues.receives && this.config.linkUp) receiver.accept(frame, nowNs);
      else receiver.refuse(frame, this.#status.suspended ? DROP_SUSPENDED : DROP_NOT_READY, nowNs);
    }
    receiver.finish(nowNs);
    if (frames >= budgetFrames) this.queues.workDueNs = nowNs;
    return frames;
  }
}

/** Throws RangeError unless `sizeMax` is a queue size, and `port` takes the frames that the card must forward (NCFG-6). */
function checkPortAndSize(port: FramePort, mtu: number, sizeMax: number): void {
  if (!Number.isInteger(sizeMax) || sizeMax < 1 || sizeMax > QUEUE_SIZE_MAX || (sizeMax & (sizeMax - 1)) !== 0) {
    throw new RangeError(`queueSizeMax is ${sizeMax}; it must be a power of two from 1 to ${QUEUE_SIZE_MAX}`);
  }
  const owedBytes = mtu + ETHERNET_HEADER_BYTES;
  if (!(port.maxFrameBytes >= owedBytes)) {
    throw new RangeError(
      `port.maxFrameBytes is ${port.maxFrameBytes}; with mtu ${mtu} it must be at least ${owedBytes}`,
    );
  }
}
