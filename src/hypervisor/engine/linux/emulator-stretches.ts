import type { V86 } from "v86";
import { type EmulatorCpu, insideOf } from "../../v86/emulator.ts";

/** What this needs of v86's CPU beside what the adapter does. */
interface RunnableCpu extends EmulatorCpu {
  /** Runs the guest for about a millisecond; returns for how many ms it may sleep, 0 if it has more to do. */
  main_loop(): number;
}

/**
 * Runs a stopped emulator stretch by stretch, in place of its own loop: a guest can then be left between any two stretches,
 * at once, while v86's `stop` and `run` wait for its event loop.
 */
export class EmulatorStretches {
  readonly #cpu: RunnableCpu;

  /**
   * `look` is called after every 100,000 instructions or so, before the card gets its turn, with the emulator's time, ns.
   * The card must be attached already.
   */
  constructor(emulator: V86, look: (nowNs: number) => void) {
    const cpu = insideOf(emulator).cpu as RunnableCpu;
    if (typeof cpu.main_loop !== "function") throw new TypeError("this v86 has no v86.cpu.main_loop: use v86 0.5.462");
    const inner = cpu.run_hardware_timers;
    cpu.run_hardware_timers = (acpiEnabled, nowMs) => {
      look(nowMs * 1e6);
      return inner.call(cpu, acpiEnabled, nowMs);
    };
    this.#cpu = cpu;
  }

  /** Runs the guest for about a millisecond; returns for how many ms it may sleep, 0 if it has more to do. */
  run(): number {
    return this.#cpu.main_loop();
  }
}
