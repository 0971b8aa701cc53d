/** Who is on which physical CPU, who is on the way there, and which wake has been promised what. */

import { BoostWindow } from "./boost-window.ts";
import type { NaturalCalendar } from "./natural-calendar.ts";

/** No wake slice here. */
export const WAKE_SLICE_NONE = 0;
/** Promised to a woken vCPU; the present one runs on until `takeAtNs`. */
export const WAKE_SLICE_COMMITTED = 1;
/** The CPU is the woken vCPU's: it runs, or is being switched to. */
export const WAKE_SLICE_TAKEN = 2;

/** No wake is outstanding: none was made since the last activation. */
export const WAKE_NOT_ASKED = 0;
export const WAKE_UNBOOSTED = 1;
export const WAKE_BOOSTED = 2;

export class Cpu {
  readonly index: number;
  lane: number;
  /** The active vCPU, or -1. */
  occupant = -1;
  /** It was asked to park and has not answered. */
  leaving = false;
  /** With no occupant: the vCPU that is being switched to, which can run from `readyNs` on. */
  target = -1;
  readyNs = 0;
  wakeSlice = WAKE_SLICE_NONE;
  wakeHolder = -1;
  takeAtNs = 0;
  wakeEndNs = Number.POSITIVE_INFINITY;
  /** The plan that the engine was last told of. */
  toldEndNs = 0;
  toldWhenDrained = false;

  constructor(index: number) {
    this.index = index;
    this.lane = index;
  }
}

export class Vcpu {
  readonly index: number;
  readonly boost: BoostWindow;
  /** The CPU on which it is active, or -1. */
  cpu = -1;
  chargedToNs = 0;
  wake = WAKE_NOT_ASKED;
  wakeAtNs = 0;
  /** The CPU on which a wake slice is committed to it or taken, or -1. */
  wakeCpu = -1;
  /** Its wake found an empty CPU. */
  startedByWake = false;
  /** A sleeper needs its wake latency even for a natural slice. */
  notBeforeNs = Number.NEGATIVE_INFINITY;
  /** Active in its natural slice for a wake that was granted: wakes that queue do not interrupt it before this. */
  shieldedToNs = Number.NEGATIVE_INFINITY;
  /** Start of the time in a wake slice that counts for R15, or -1. */
  boostedSinceNs = -1;

  constructor(index: number, boostShareMax: number, wakeSliceNs: number) {
    this.index = index;
    this.boost = new BoostWindow(boostShareMax, wakeSliceNs);
  }
}

export class Placement {
  readonly cpus: readonly Cpu[];
  readonly vcpus: readonly Vcpu[];
  readonly #calendar: NaturalCalendar;
  readonly #cpuOfLane: Int32Array;

  constructor(cpus: readonly Cpu[], vcpus: readonly Vcpu[], calendar: NaturalCalendar) {
    this.cpus = cpus;
    this.vcpus = vcpus;
    this.#calendar = calendar;
    this.#cpuOfLane = Int32Array.from(cpus, (cpu) => cpu.index);
  }

  cpuOfLane(lane: number): Cpu {
    return this.cpus[this.#cpuOfLane[lane]!]!;
  }

  owner(cpu: Cpu): number {
    return this.#calendar.owner(cpu.lane);
  }

  /** Who should be on this CPU now, or -1. */
  wanted(cpu: Cpu): number {
    return cpu.wakeSlice === WAKE_SLICE_TAKEN ? cpu.wakeHolder : this.owner(cpu);
  }

  /** The earliest instant for the switch under way to end, Infinity if its target has yet to leave another CPU. */
  arrivalNs(cpu: Cpu): number {
    const target = this.vcpus[cpu.target];
    if (cpu.occupant >= 0 || target === undefined || target.cpu >= 0) return Number.POSITIVE_INFINITY;
    return Math.max(cpu.readyNs, cpu.wakeSlice === WAKE_SLICE_TAKEN ? target.wakeAtNs : target.notBeforeNs);
  }

  /** To let a vCPU have its natural slice where it is, instead of moving it. */
  exchangeLanes(a: Cpu, b: Cpu): void {
    const lane = a.lane;
    a.lane = b.lane;
    b.lane = lane;
    this.#cpuOfLane[a.lane] = a.index;
    this.#cpuOfLane[b.lane] = b.index;
  }
}
