/**
 * What a vCPU's thread does for its whole life, over the words of its control block (DESIGN §9). Register exits apart,
 * this is the only place where it waits, and it always waits on its own doorbell.
 */
import {
  ASK,
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  ASK_STOP,
  FRAMES_READ,
  HOST_DOORBELL,
  PENDING,
  SENDS_DONE,
  STATE,
  STATE_ECHO,
  VCPU_DOORBELL,
  VCPU_IDLE,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
  VCPU_STARTING,
  VCPU_STATUS,
} from "../device/spec/control-block.ts";
import { BackgroundLoad } from "./background-load.ts";
import { ringDoorbell } from "./doorbell.ts";
import type { EventObserver } from "./event-observer.ts";
import { STEP_IDLE, STEP_POLLED, STEP_SENT, type StepResult, type Vcpu } from "./vcpu.ts";

/** An idle vCPU looks about for so long before it gives the CPU up: sleeping and waking cost as much. */
const IDLE_SPIN_NS = 20_000;
/** Looks between two readings of the clock while it spins. */
const SPINS_PER_CLOCK = 16;

export interface LoopSettings {
  readonly load: "busy" | "idle";
  readonly budgetFrames: number;
  readonly nowNs: () => number;
  readonly events: EventObserver | null;
}

export class VcpuLoop {
  readonly background = new BackgroundLoad();
  steps = 0;
  readonly #words: Int32Array;
  readonly #system: Int32Array;
  readonly #vcpu: Vcpu;
  readonly #settings: LoopSettings;

  constructor(words: Int32Array, system: Int32Array, vcpu: Vcpu, settings: LoopSettings) {
    this.#words = words;
    this.#system = system;
    this.#vcpu = vcpu;
    this.#settings = settings;
  }

  /** Runs until the host asks to stop. The driver is initialised. */
  run(): void {
    const words = this.#words;
    const busy = this.#settings.load === "busy";
    let goOn = Atomics.load(words, ASK) === ASK_PARK ? this.#park() : this.#begin();
    while (goOn) {
      const ask = Atomics.load(words, ASK);
      if (ask === ASK_STOP) return;
      if (ask === ASK_PARK) {
        goOn = this.#park();
        continue;
      }
      const result = this.#step();
      if (ask === ASK_PARK_WHEN_DRAINED && this.#nothingDue()) goOn = this.#leaveWakeSlice();
      else if (result === STEP_POLLED || result === STEP_SENT) continue;
      else if (busy) this.background.runUnit();
      else if (result === STEP_IDLE) goOn = this.#idle();
    }
  }

  #step(): StepResult {
    const { budgetFrames, nowNs, events } = this.#settings;
    const words = this.#words;
    // The clock is read after the used index, and only frames that it showed are read: none seems read before it came.
    const known = this.#vcpu.driver.unreadBuffers();
    const stepNs = nowNs();
    if (events !== null) events.nowNs = stepNs;
    // Whoever exchanges owns the bits; looking first keeps the common, empty case cheap.
    if (Atomics.load(words, PENDING) !== 0) this.#vcpu.takeInterrupt(Atomics.exchange(words, PENDING, 0));
    const result = this.#vcpu.step(Math.min(known, budgetFrames), stepNs, Atomics.load(words, STATE));
    events?.stepDone();
    if (this.#vcpu.application.done) words[SENDS_DONE] = 1;
    words[FRAMES_READ] = this.#vcpu.driver.received;
    this.steps++;
    return result;
  }

  /**
   * In a wake slice: is there really nothing to do? An empty ring does not tell. Frames, or a configuration change, may
   * be what the guest was woken for, and the interrupt for them still be on its way: the device must first take over that
   * the guest is active. It stores STATE_ECHO after it has set PENDING, so the words are read in the other order.
   */
  #nothingDue(): boolean {
    const words = this.#words;
    const { driver } = this.#vcpu;
    if (driver.polling || Atomics.load(words, STATE_ECHO) !== Atomics.load(words, STATE)) return false;
    return Atomics.load(words, PENDING) === 0 && !driver.hasUnread();
  }

  /** An idle guest that has done what it was woken for goes to sleep as it would anyway; any other wants its turn. */
  #leaveWakeSlice(): boolean {
    return this.#settings.load === "idle" && this.#vcpu.application.done ? this.#sleepIdle() : this.#park();
  }

  #begin(): boolean {
    Atomics.compareExchange(this.#words, VCPU_STATUS, VCPU_STARTING, VCPU_RUNNING);
    ringDoorbell(this.#system, HOST_DOORBELL);
    return true;
  }

  /** Leaves the CPU although there may be work. False if the host asks to stop. */
  #park(): boolean {
    Atomics.store(this.#words, VCPU_STATUS, VCPU_PREEMPTED);
    return this.#sleep();
  }

  #idle(): boolean {
    const { nowNs } = this.#settings;
    const words = this.#words;
    const untilNs = nowNs() + IDLE_SPIN_NS;
    do {
      for (let i = 0; i < SPINS_PER_CLOCK; i++) {
        if (Atomics.load(words, PENDING) !== 0 || Atomics.load(words, ASK) !== ASK_RUN) return true;
      }
      // A vCPU that was just activated stays until the device knows: the interrupt that it was woken for follows only
      // then, and giving up the CPU before it comes would only get it woken again.
    } while (nowNs() < untilNs || Atomics.load(words, STATE_ECHO) !== Atomics.load(words, STATE));
    // The device stores STATE_ECHO after PENDING: looked at in the other order, an interrupt set in between would go with
    // a vCPU that says it idles, and the wake for it have been for nothing.
    return Atomics.load(words, PENDING) !== 0 || this.#sleepIdle();
  }

  #sleepIdle(): boolean {
    Atomics.store(this.#words, VCPU_STATUS, VCPU_IDLE);
    return this.#sleep();
  }

  /**
   * Sleeps until the host activates this vCPU: it stores the new ASK, then status RUNNING. An idle vCPU that the host has
   * not claimed is still active for the device, which sends it interrupts: for one of those it takes itself back. Host
   * and vCPU both do this by compare-and-exchange from IDLE, so one of them wins; a vCPU that loses sleeps on, OFF,
   * until it is activated. False if the host asks to stop.
   */
  #sleep(): boolean {
    const words = this.#words;
    const { events } = this.#settings;
    ringDoorbell(this.#system, HOST_DOORBELL);
    events?.asleep();
    for (;;) {
      const bell = Atomics.load(words, VCPU_DOORBELL);
      if (Atomics.load(words, ASK) === ASK_STOP) return false;
      const status = Atomics.load(words, VCPU_STATUS);
      if (status === VCPU_RUNNING) break;
      if (status === VCPU_IDLE && Atomics.load(words, PENDING) !== 0) {
        if (Atomics.compareExchange(words, VCPU_STATUS, VCPU_IDLE, VCPU_RUNNING) === VCPU_IDLE) break;
      }
      Atomics.wait(words, VCPU_DOORBELL, bell);
    }
    events?.awake();
    return true;
  }
}
