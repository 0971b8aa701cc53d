import { setImmediate } from "node:timers/promises";
import {
  ASK,
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_STOP,
  FRAMES_READ,
  HOST_DOORBELL,
  VCPU_DOORBELL,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
  VCPU_STATUS,
} from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import type { EventRingLog } from "../threads/event-ring-log.ts";
import type { RunClock } from "../threads/run-clock.ts";
import type { EmulatorStretches } from "./emulator-stretches.ts";
import type { LinuxCard } from "./linux-card.ts";

/** A sleep is never longer: bounds what a lost ring, which there must not be, would cost. */
const SLEEP_MAX_MS = 100;

export interface LinuxVcpuParts {
  /** The vCPU's control block, and the system block. */
  readonly words: Int32Array;
  readonly system: Int32Array;
  readonly card: LinuxCard;
  readonly stretches: EmulatorStretches;
  readonly clock: RunClock;
  readonly log: EventRingLog | null;
  readonly timerMarginNs: number;
}

/**
 * What a Linux guest's thread does between two orders of the host. While the guest runs, the emulator's loop serves the
 * card, between two stretches of instructions. While it is stopped the thread sleeps on its doorbell until the card's next
 * deadline, for a card is not stopped with its guest: frames come, and the host must be asked for it in time.
 */
export class LinuxVcpu {
  readonly #parts: LinuxVcpuParts;

  constructor(parts: LinuxVcpuParts) {
    this.#parts = parts;
  }

  /** Parks, and runs until the host asks to stop. */
  async run(): Promise<void> {
    const { words, card, stretches, clock, log } = this.#parts;
    let goOn = this.#park();
    while (goOn) {
      const ask = Atomics.load(words, ASK);
      if (ask === ASK_STOP) return;
      if (ask === ASK_PARK || (ask === ASK_PARK_WHEN_DRAINED && card.isDrained)) {
        goOn = this.#park();
        continue;
      }
      stretches.run();
      this.#show();
      log?.advance(clock());
      // v86 compiles what it translates in the background, and hears of it here.
      await setImmediate();
    }
  }

  /** Leaves the CPU, and sleeps until the host gives it back. False if the host asks to stop. */
  #park(): boolean {
    const { words, system, card, clock, log, timerMarginNs } = this.#parts;
    // What was read in the last stretch was read while the guest was active.
    card.lookAtDriver(card.attached.nowNs());
    this.#show();
    Atomics.store(words, VCPU_STATUS, VCPU_PREEMPTED);
    ringDoorbell(system, HOST_DOORBELL);
    for (;;) {
      // First the doorbell, then everything that it may have been rung for.
      const bell = Atomics.load(words, VCPU_DOORBELL);
      if (Atomics.load(words, ASK) === ASK_STOP) return false;
      // The status first: with it the state is there that was posted before.
      const running = Atomics.load(words, VCPU_STATUS) === VCPU_RUNNING;
      card.takeState();
      const sleepNs = card.attached.poll() - card.attached.nowNs() - timerMarginNs;
      this.#show();
      if (running) break;
      if (sleepNs <= 0) continue;
      log?.advance(Number.POSITIVE_INFINITY);
      Atomics.wait(words, VCPU_DOORBELL, bell, Math.min(sleepNs / 1e6, SLEEP_MAX_MS));
      log?.advance(clock());
    }
    return true;
  }

  #show(): void {
    const { words, card } = this.#parts;
    card.showArrivals();
    words[FRAMES_READ] = card.framesRead;
  }
}
