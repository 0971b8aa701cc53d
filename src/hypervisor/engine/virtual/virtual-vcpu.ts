import type { Vcpu } from "../../../guest/vcpu.ts";
import type { Costs } from "../../scenario/scenario.ts";

/** Results of `Vcpu.step` that the clockwork must tell apart; the guest's module is loaded at run time. */
interface StepResults {
  readonly STEP_IDLE: number;
  readonly STEP_POLLED: number;
}

/** The vCPU has no frame to handle and nothing to send. */
const PHASE_QUIET = 0;
/** It is in the interrupt service routine. */
const PHASE_INTERRUPT = 1;
/** It handles the next frame, which is read when that is done. */
const PHASE_FRAME = 2;
/** It pays for frames that it sent. */
const PHASE_SEND = 3;

/**
 * A guest's vCPU in virtual time: charges the scenario's costs for what the driver does, and stands still while the
 * guest is inactive. Whatever it was doing when its CPU was taken goes on where it was.
 */
export class VirtualVcpu {
  /** When the present phase is over; Infinity while quiet or inactive. */
  dueNs = Number.POSITIVE_INFINITY;
  active = false;
  /** `seq << 2 | GUEST_STATE` of the present span. */
  stateWord = 0;
  readonly #vcpu: Vcpu;
  readonly #costs: Costs;
  readonly #results: StepResults;
  #pendingVectors = 0;
  #phase = PHASE_QUIET;
  /** What was left of the phase when the guest was deactivated. */
  #leftNs = 0;

  constructor(vcpu: Vcpu, costs: Costs, results: StepResults) {
    this.#vcpu = vcpu;
    this.#costs = costs;
    this.#results = results;
  }

  get quiet(): boolean {
    return this.#phase === PHASE_QUIET && this.#pendingVectors === 0;
  }

  /** An interrupt arrives. A vCPU that is busy with frames takes it when it is done with the present one. */
  interrupt(vector: number, nowNs: number): void {
    this.#pendingVectors |= 1 << vector;
    if (this.active && this.#phase === PHASE_QUIET) this.#goOn(nowNs);
  }

  activate(nowNs: number): void {
    this.active = true;
    if (this.#phase === PHASE_QUIET) this.#goOn(nowNs);
    else this.dueNs = nowNs + this.#leftNs;
  }

  /** The CPU is taken away, or given up. Returns the interrupts that had arrived and were not taken. */
  deactivate(nowNs: number): number {
    // A service routine that finds no frame ends its polling at once: a parked driver with its notifications off
    // always has unread frames, and the card may rely on it.
    if (this.#phase === PHASE_INTERRUPT && !this.#vcpu.driver.hasUnread()) this.#step(nowNs);
    this.active = false;
    this.#leftNs = this.#phase === PHASE_QUIET ? 0 : this.dueNs - nowNs;
    this.dueNs = Number.POSITIVE_INFINITY;
    const returned = this.#pendingVectors;
    this.#pendingVectors = 0;
    return returned;
  }

  /** The present phase is over. */
  complete(nowNs: number): void {
    if (this.#phase === PHASE_INTERRUPT && this.#vcpu.driver.hasUnread()) {
      this.#enter(PHASE_FRAME, nowNs + this.#costs.frameCostNs);
    } else {
      this.#step(nowNs);
    }
  }

  #step(nowNs: number): void {
    const { sentFrames } = this.#stepped(nowNs);
    if (sentFrames > 0) this.#enter(PHASE_SEND, nowNs + sentFrames * this.#costs.frameCostNs);
    else this.#goOn(nowNs);
  }

  #stepped(nowNs: number): Vcpu {
    this.#vcpu.step(1, nowNs, this.stateWord);
    return this.#vcpu;
  }

  /** Chooses what comes next: an interrupt, the next frame of a poll, what the application sends by itself, or nothing. */
  #goOn(nowNs: number): void {
    if (this.#pendingVectors !== 0) {
      const vectors = this.#pendingVectors;
      this.#pendingVectors = 0;
      this.#enter(PHASE_INTERRUPT, nowNs + this.#costs.isrNs);
      this.#vcpu.takeInterrupt(vectors);
    } else if (this.#vcpu.driver.polling) {
      this.#enter(PHASE_FRAME, nowNs + this.#costs.frameCostNs);
    } else {
      const result = this.#vcpu.step(1, nowNs, this.stateWord);
      if (result === this.#results.STEP_IDLE) this.#enter(PHASE_QUIET, Number.POSITIVE_INFINITY);
      else this.#enter(PHASE_SEND, nowNs + this.#vcpu.sentFrames * this.#costs.frameCostNs);
    }
  }

  #enter(phase: number, dueNs: number): void {
    this.#phase = phase;
    this.dueNs = dueNs;
  }
}
