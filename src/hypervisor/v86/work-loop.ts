/**
 * The card's share of v86's own loop: v86 asks its timers before each sleep and between two stretches of instructions for
 * how long it may sleep, and so it asks the card. There is no timer of ours, and none is needed: below a millisecond v86
 * comes back by itself.
 *
 * What comes from outside has a turn of its own, in a microtask. Microtasks run when no other code does, so no stretch is
 * under way then, whoever has sent the frame: a guest that runs is interrupted before its next stretch and not after it,
 * and what comes in one go is one turn.
 */

import type { EmulatorCpu, EmulatorInside } from "./emulator.ts";

/** Of every JavaScript host, though not of the language. */
declare function queueMicrotask(callback: () => void): void;

const NS_PER_MS = 1e6;
/** v86 sleeps for no shorter time, but comes back in the next turn of its host's event loop. */
const SLEEP_MS_MIN = 1;

export class WorkLoop {
  readonly #cpu: EmulatorCpu;
  readonly #loop: EmulatorInside["loop"];
  readonly #original: EmulatorCpu["run_hardware_timers"];
  readonly #hook: EmulatorCpu["run_hardware_timers"];
  readonly #turn: () => void;
  #closed = false;
  // Until when it sleeps, if it is asleep and nobody has woken it; it may be before its first turn.
  #asleepUntilNs = Number.POSITIVE_INFINITY;
  #turnQueued = false;

  /** @param work does what is due, and says until when, in ns, it may be left alone */
  constructor({ cpu, loop, microtickMs }: EmulatorInside, work: (nowNs: number) => number) {
    this.#cpu = cpu;
    this.#loop = loop;
    this.#original = cpu.run_hardware_timers;
    this.#hook = (acpiEnabled, nowMs) => {
      const othersMs = this.#original.call(cpu, acpiEnabled, nowMs);
      if (this.#closed) return othersMs;
      const nowNs = nowMs * NS_PER_MS;
      const dueNs = work(nowNs);
      const sleepMs = Math.min(othersMs, Math.max(0, (dueNs - nowNs) / NS_PER_MS));
      const wakesNs = Math.min(dueNs, nowNs + othersMs * NS_PER_MS);
      this.#asleepUntilNs = sleepMs >= SLEEP_MS_MIN ? wakesNs : Number.NEGATIVE_INFINITY;
      return sleepMs;
    };
    cpu.run_hardware_timers = this.#hook;
    this.#turn = () => {
      this.#turnQueued = false;
      if (this.#closed || !loop.running) return;
      const dueNs = work(microtickMs() * NS_PER_MS);
      // v86 does so by itself after the hook.
      cpu.handle_irqs();
      if (dueNs < this.#asleepUntilNs) this.#endSleep();
    };
  }

  /**
   * There is something to do before the time that was given. An interrupt of it ends v86's sleep, and so does a time that is
   * due sooner than v86 would wake, or that v86 is to stop; a frame that only waits for its interval with others does not.
   */
  wake(): void {
    if (this.#closed || !this.#loop.running) return;
    if (!this.#turnQueued) {
      this.#turnQueued = true;
      queueMicrotask(this.#turn);
    }
    if (this.#loop.stopping) this.#endSleep();
  }

  #endSleep(): void {
    if (this.#asleepUntilNs === Number.NEGATIVE_INFINITY) return;
    this.#asleepUntilNs = Number.NEGATIVE_INFINITY;
    this.#cpu.stop_idling();
  }

  close(): void {
    this.#closed = true;
    // If somebody else has come after us, the hook stays in their chain and does nothing.
    if (this.#cpu.run_hardware_timers === this.#hook) this.#cpu.run_hardware_timers = this.#original;
  }
}
