/**
 * Frames off the wire, one by one: is anybody there, does the driver want it, as it is or finished first, which receive
 * queue is its. Each frame is delivered, dropped or filtered before the next is taken.
 */

import { Frame, type FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { DROP_FAULT, DROP_NOT_READY, DROP_SUSPENDED, DROP_TOO_LONG } from "../observer.ts";
import { HASH_REPORT_NONE, NET_HDR_GSO_NONE } from "../spec/virtio-net.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { DeviceStatus } from "./device-status.ts";
import type { FrameHandler, ReceivePath } from "./receive.ts";
import type { ReceiveFilter } from "./receive-filter.ts";
import { CUT, FINISH_CHECKSUM, PASS_ON, type ReceiveOffloads } from "./receive-offloads.ts";
import type { CardStatistics } from "./statistics.ts";
import type { Steering } from "./steering.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const GSO_NONE = NET_HDR_GSO_NONE;

export interface FrameIntakeParts {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly config: ConfigSpace;
  readonly status: DeviceStatus;
  readonly filter: ReceiveFilter;
  readonly steering: Steering;
  readonly offloads: ReceiveOffloads;
  readonly statistics: CardStatistics;
  /** Indexed by pair. */
  readonly receivers: readonly ReceivePath[];
}

export class FrameIntake implements FrameHandler {
  direct: ReceivePath | null = null;
  readonly #port: FramePort;
  readonly #config: ConfigSpace;
  readonly #status: DeviceStatus;
  readonly #filter: ReceiveFilter;
  readonly #steering: Steering;
  readonly #offloads: ReceiveOffloads;
  readonly #statistics: CardStatistics;
  readonly #receivers: readonly ReceivePath[];
  readonly #frame: Frame;

  constructor(parts: FrameIntakeParts) {
    this.#port = parts.port;
    this.#config = parts.config;
    this.#status = parts.status;
    this.#filter = parts.filter;
    this.#steering = parts.steering;
    this.#offloads = parts.offloads;
    this.#statistics = parts.statistics;
    this.#receivers = parts.receivers;
    this.#frame = new Frame(parts.memory.u8);
  }

  /**
   * Takes frames until there is none, or there were at least `budgetFrames`: one that is cut counts as all that it makes,
   * which is at most SEGMENTS_MAX. Returns how many there were.
   */
  run(budgetFrames: number, nowNs: number): number {
    const port = this.#port;
    const frame = this.#frame;
    this.#chooseWay(frame);
    let frames = 0;
    if (this.direct !== null) frames = this.direct.run(port, frame, budgetFrames, nowNs, this);
    // From the beginning, or since what the port called has changed the way.
    if (this.direct === null) {
      while (frames < budgetFrames && port.receive(frame, nowNs)) frames += this.handle(frame, nowNs);
    }
    const receivers = this.#receivers;
    for (let pair = 0; pair < receivers.length; pair++) receivers[pair]!.finish(nowNs);
    return frames;
  }

  handle(frame: Frame, nowNs: number): number {
    if ((frame.flags | frame.gsoType) !== GSO_NONE) return this.#handleOffloaded(frame, nowNs);
    if (this.direct !== null) this.direct.accept(frame, nowNs);
    else if (this.#admits(frame, nowNs)) this.#deliver(frame, nowNs);
    return 1;
  }

  /** Status or link have changed; what the port calls may do that in mid-run. */
  reconsider(): void {
    // With nothing taken ahead, each frame is looked at.
    this.direct?.settle();
    this.direct = null;
  }

  #chooseWay(frame: Frame): void {
    const pair = this.#steering.onlyPair;
    const simple = this.#status.live && this.#config.linkUp && this.#filter.passesAll && pair >= 0;
    this.direct = simple ? this.#receivers[pair]! : null;
    frame.hashValue = 0;
    frame.hashReport = HASH_REPORT_NONE;
  }

  /** False if the frame is dropped, because nobody is there, or filtered. */
  #admits(frame: Frame, nowNs: number): boolean {
    if (!this.#status.live || !this.#config.linkUp) {
      this.#receivers[0]!.refuse(frame, this.#status.suspended ? DROP_SUSPENDED : DROP_NOT_READY, nowNs);
      return false;
    }
    if (this.#filter.accepts(frame)) return true;
    this.#statistics.filtered++;
    return false;
  }

  /** Gives a frame to the queue that it belongs to; false as `ReceivePath.accept`. */
  #deliver(frame: Frame, nowNs: number): boolean {
    return this.#receivers[this.#steering.queueFor(frame)]!.accept(frame, nowNs);
  }

  /** Deals with a frame whose checksum or segmentation is spoken of; returns how many frames it was. */
  #handleOffloaded(frame: Frame, nowNs: number): number {
    // What nobody wants is not worth finishing.
    if (!this.#admits(frame, nowNs)) return 1;
    switch (this.#offloads.judge(frame)) {
      case PASS_ON:
        if (this.#deliver(frame, nowNs)) return 1;
        return this.#cut(frame, nowNs);
      case FINISH_CHECKSUM:
        if (this.#offloads.finishChecksum(frame)) this.#deliver(frame, nowNs);
        else this.#refuse(frame, DROP_TOO_LONG, nowNs);
        return 1;
      case CUT:
        return this.#cut(frame, nowNs);
      default:
        this.#refuse(frame, DROP_FAULT, nowNs);
        return 1;
    }
  }

  #cut(frame: Frame, nowNs: number): number {
    if (!this.#offloads.beginCut(frame)) {
      this.#refuse(frame, DROP_TOO_LONG, nowNs);
      return 1;
    }
    let segments = 0;
    for (; this.#offloads.nextSegment(frame); segments++) this.#deliver(frame, nowNs);
    return segments;
  }

  #refuse(frame: Frame, why: number, nowNs: number): void {
    this.#receivers[this.#steering.queueFor(frame)]!.refuse(frame, why, nowNs);
  }
}
