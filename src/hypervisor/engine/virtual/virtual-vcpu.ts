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

const FRAMES_AHEAD_MAX = 1024;

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
  readonly #clock: { nowNs: number };
  readonly #readsAhead: boolean;
  #pendingVectors = 0;
  #phase = PHASE_QUIET;
  /** What was left of the phase when the guest was deactivated. */
  #leftNs = 0;

  /**
   * `readsAhead`: it may read several frames in one step, as many as it is done with before anything else happens; for
   * guests that send nothing, and where nobody records when each frame was read.
   */
  constructor(vcpu: Vcpu, costs: Costs, results: StepResults, clock: { nowNs: number }, readsAhead: boolean) {
    this.#vcpu = vcpu;
    this.#costs = costs;
    this.#results = results;
    this.#clock = clock;
    this.#readsAhead = readsAhead && costs.frameCostNs > 0;
    if (this.#readsAhead) vcpu.application.intake.frameNs = costs.frameCostNs;
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

  /** The present phase is over. Nothing else happens before `othersNs`. */
  complete(nowNs: number, othersNs: number): void {
    if (this.#phase === PHASE_INTERRUPT && this.#vcpu.driver.hasUnread()) {
      this.#enter(PHASE_FRAME, nowNs + this.#costs.frameCostNs);
    } else if (this.#phase === PHASE_FRAME && this.#readsAhead) {
      this.#readAhead(nowNs, othersNs);
    } else {
      this.#step(nowNs);
    }
  }

  #step(nowNs: number): void {
    const vcpu = this.#vcpu;
    vcpu.step(1, nowNs, this.stateWord);
    if (vcpu.sentFrames > 0) this.#enter(PHASE_SEND, nowNs + vcpu.sentFrames * this.#costs.frameCostNs);
    else this.#goOn(nowNs);
  }

  /** Reads this frame and those that would be done before `othersNs`, each at its own time. */
  #readAhead(nowNs: number, othersNs: number): void {
    const vcpu = this.#vcpu;
    const { frameCostNs } = this.#costs;
    const budgetFrames = Math.max(1, Math.min(FRAMES_AHEAD_MAX, Math.ceil((othersNs - nowNs) / frameCostNs)));
    vcpu.step(budgetFrames, nowNs, this.stateWord);
    const readNs = nowNs + Math.max(0, vcpu.polledFrames - 1) * frameCostNs;
    this.#clock.nowNs = readNs;
    this.#goOn(readNs);
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
