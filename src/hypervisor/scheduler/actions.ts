import type { ActivateReason, DeactivateReason } from "../events/event.ts";

/**
 * What the scheduler asks of the engine that drives it. Any of these calls may lead to `parked()` or `wake()` before
 * it returns: the virtual engine parks at once, and a card that sees its guest leave may wake it at that instant.
 */
export interface SchedulerActions {
  /**
   * Puts the vCPU on the CPU now. `boosted`: a wake brought it here, ahead of its turn. `sliceEndNs`: when it is planned
   * to leave, Infinity if nobody else wants the CPU. `whenDrained`: it is to leave by itself as soon as its receive
   * ring is drained, for this is a wake slice.
   */
  activate(
    vcpu: number,
    cpu: number,
    why: ActivateReason,
    boosted: boolean,
    sliceEndNs: number,
    whenDrained: boolean,
    nowNs: number,
  ): void;
  /** Asks it to leave; the engine answers with one `parked()`. */
  park(vcpu: number, why: DeactivateReason, nowNs: number): void;
  /**
   * The plan for a vCPU that stays on its CPU has changed: another slice end; or `whenDrained`, off when its wake slice
   * became a natural one, on when it is in its natural slice because of a wake, and other wakes queue behind it.
   */
  replan(vcpu: number, sliceEndNs: number, whenDrained: boolean, nowNs: number): void;
}

/** The scheduler's share of the costs of virtual time; where real time passes by itself there are none. */
export interface SwitchCosts {
  /** From a wake to the woken guest's first instruction, the switch included. */
  readonly wakeLatencyNs: number;
  /** From the last instruction of one guest to the first of the next. */
  readonly switchNs: number;
}

export interface VcpuSpec {
  /** Share under the credit scheduler, relative to the others. */
  readonly weight: number;
}

/** Counts since `start()`; one entry per vCPU where there are several. */
export interface SchedulerStats {
  /** Activations after the first placement: each costs the host one switch. */
  switches: number;
  readonly activations: Float64Array;
  readonly activeNs: Float64Array;
  /** Wake slices begun, and the time run in them that R15 bounds: parts that a natural slice absorbed are left out. */
  readonly wakeSlices: Float64Array;
  readonly wakeSliceNs: Float64Array;
  /** Wakes acted on, whether boosted or not. */
  readonly wakes: Float64Array;
  /** Of these, wakes that only made the vCPU runnable: boost is off, or its share is used up (R15). */
  readonly unboosted: Float64Array;
  /** Wakes of a vCPU that was active, or whose earlier wake was still outstanding: not acted on. */
  readonly ignored: Float64Array;
}

export function newStats(vcpus: number): SchedulerStats {
  return {
    switches: 0,
    activations: new Float64Array(vcpus),
    activeNs: new Float64Array(vcpus),
    wakeSlices: new Float64Array(vcpus),
    wakeSliceNs: new Float64Array(vcpus),
    wakes: new Float64Array(vcpus),
    unboosted: new Float64Array(vcpus),
    ignored: new Float64Array(vcpus),
  };
}
