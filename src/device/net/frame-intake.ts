/**
 * Frames off the wire, one by one: is anybody there, does the driver want it, which receive queue is its. Each frame is
 * delivered, dropped or filtered before the next is taken.
 */

import { Frame, type FramePort } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { DROP_NOT_READY, DROP_SUSPENDED } from "../observer.ts";
import { HASH_REPORT_NONE } from "../spec/virtio-net.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { DeviceStatus } from "./device-status.ts";
import type { ReceivePath } from "./receive.ts";
import type { ReceiveFilter } from "./receive-filter.ts";
import type { CardStatistics } from "./statistics.ts";
import type { Steering } from "./steering.ts";

export interface FrameIntakeParts {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly config: ConfigSpace;
  readonly status: DeviceStatus;
  readonly filter: ReceiveFilter;
  readonly steering: Steering;
  readonly statistics: CardStatistics;
  /** Indexed by pair. */
  readonly receivers: readonly ReceivePath[];
}

export class FrameIntake {
  readonly #port: FramePort;
  readonly #config: ConfigSpace;
  readonly #status: DeviceStatus;
  readonly #filter: ReceiveFilter;
  readonly #steering: Steering;
  readonly #statistics: CardStatistics;
  readonly #receivers: readonly ReceivePath[];
  readonly #frame: Frame;
  // The path that takes every frame, with nothing else to be looked at; null if each frame must be.
  #direct: ReceivePath | null = null;

  constructor(parts: FrameIntakeParts) {
    this.#port = parts.port;
    this.#config = parts.config;
    this.#status = parts.status;
    this.#filter = parts.filter;
    this.#steering = parts.steering;
    this.#statistics = parts.statistics;
    this.#receivers = parts.receivers;
    this.#frame = new Frame(parts.memory.u8);
  }

  /** Takes at most `budgetFrames` frames; returns how many there were. */
  run(budgetFrames: number, nowNs: number): number {
    const port = this.#port;
    const frame = this.#frame;
    let frames = 0;
    this.#chooseWay(frame);
    while (frames < budgetFrames && port.receive(frame, nowNs)) {
      frames++;
      const direct = this.#direct;
      if (direct !== null) direct.accept(frame, nowNs);
      else this.#handle(frame, nowNs);
    }
    const receivers = this.#receivers;
    for (let pair = 0; pair < receivers.length; pair++) receivers[pair]!.finish(nowNs);
    return frames;
  }

  /** Status or link have changed; what the port calls may do that in mid-run. */
  reconsider(): void {
    this.#direct = null;
  }

  #chooseWay(frame: Frame): void {
    const pair = this.#steering.onlyPair;
    const simple = this.#status.live && this.#config.linkUp && this.#filter.passesAll && pair >= 0;
    this.#direct = simple ? this.#receivers[pair]! : null;
    frame.hashValue = 0;
    frame.hashReport = HASH_REPORT_NONE;
  }

  #handle(frame: Frame, nowNs: number): void {
    if (!this.#status.live || !this.#config.linkUp) {
      this.#receivers[0]!.refuse(frame, this.#status.suspended ? DROP_SUSPENDED : DROP_NOT_READY, nowNs);
      return;
    }
    if (!this.#filter.accepts(frame)) {
      this.#statistics.filtered++;
      return;
    }
    this.#receivers[this.#steering.queueFor(frame)]!.accept(frame, nowNs);
  }
}
