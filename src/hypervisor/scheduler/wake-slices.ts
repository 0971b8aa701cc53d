/**
 * Granted wakes, from the grant to the end of the wake slice: which CPU is interrupted, when the woken vCPU takes it, and
 * what happens when its natural slice begins meanwhile. Nothing here calls the engine; the scheduler acts on the outcome.
 */

import type { SchedulerStats } from "./actions.ts";
import type { NaturalCalendar } from "./natural-calendar.ts";
import type { Cpu, Placement, Vcpu } from "./placement.ts";
import { WAKE_BOOSTED, WAKE_SLICE_COMMITTED, WAKE_SLICE_NONE, WAKE_SLICE_TAKEN } from "./placement.ts";
import { VcpuFifo } from "./vcpu-fifo.ts";

const SPARE_NOBODY = 0;
/** Not the CPU that a woken vCPU is coming to for its own natural slice. */
const SPARE_AWAITED = 1;
/** Nor the one where such a vCPU has just come. */
const SPARE_SERVED = 2;

export class WakeSlices {
  readonly #placement: Placement;
  readonly #calendar: NaturalCalendar;
  readonly #switchNs: number;
  readonly #wakeSliceNs: number;
  readonly #stats: SchedulerStats;
  /** Granted, and no CPU interrupted for it yet. */
  readonly #pending: VcpuFifo;
  /** They queue: one of them found no CPU. */
  #oneWaits = false;

  constructor(
    placement: Placement,
    calendar: NaturalCalendar,
    switchNs: number,
    wakeSliceNs: number,
    stats: SchedulerStats,
  ) {
    this.#placement = placement;
    this.#calendar = calendar;
    this.#switchNs = switchNs;
    this.#wakeSliceNs = wakeSliceNs;
    this.#stats = stats;
    this.#pending = new VcpuFifo(placement.vcpus.length);
  }

  grant(vcpu: Vcpu): void {
    this.#pending.push(vcpu.index);
  }

  /** The woken vCPU arrives in its natural slice: wakes that queue leave it there for as long as a wake slice. */
  shield(vcpu: Vcpu, nowNs: number): void {
    vcpu.shieldedToNs = vcpu.wake === WAKE_BOOSTED ? nowNs + this.#wakeSliceNs : nowNs;
  }

  /** The woken vCPU arrives in its wake slice, which ends early if its share of boost does. */
  begin(cpu: Cpu, vcpu: Vcpu, nowNs: number): void {
    cpu.wakeEndNs = nowNs + Math.min(this.#wakeSliceNs, vcpu.boost.remainingNs(nowNs));
    vcpu.boostedSinceNs = nowNs;
    this.#stats.wakeSlices[vcpu.index]!++;
  }

  /** It is on a CPU: nothing more is owed to its wake. */
  arrived(vcpu: Vcpu): void {
    this.#pending.remove(vcpu.index);
  }

  /** A woken owner is left alone while others queue: until its own ring is drained, and no longer. */
  shelters(cpu: Cpu, nowNs: number): boolean {
    return this.#oneWaits && this.#shieldedToNs(cpu) > nowNs;
  }

  /** It left the CPU. */
  left(cpu: Cpu, vcpu: Vcpu, nowNs: number): void {
    this.#countBoost(vcpu, nowNs);
    if (vcpu.wakeCpu === cpu.index && cpu.wakeSlice === WAKE_SLICE_TAKEN) this.#release(cpu);
  }

  /** Brings wake slices in line with the calendar and with the time. Natural slices come first: they absorb. */
  advance(nowNs: number): void {
    this.#fillEmptyLanes(nowNs);
    for (const cpu of this.#placement.cpus) if (cpu.wakeSlice === WAKE_SLICE_TAKEN) this.#absorb(cpu, nowNs);
    for (const cpu of this.#placement.cpus) if (this.endNs(cpu) <= nowNs) this.#release(cpu);
    for (const cpu of this.#placement.cpus) if (cpu.wakeSlice === WAKE_SLICE_COMMITTED) this.#cancelIfNatural(cpu);
    // A CPU that is taken may have been another woken vCPU's way to its natural slice: that one needs a CPU now.
    do this.#commit(nowNs);
    while (this.#takeDue(nowNs));
  }

  /** End of the wake slice that runs here, Infinity if none does. */
  endNs(cpu: Cpu): number {
    const runs = cpu.wakeSlice === WAKE_SLICE_TAKEN && cpu.occupant === cpu.wakeHolder && !cpu.leaving;
    return runs ? cpu.wakeEndNs : Number.POSITIVE_INFINITY;
  }

  /** The same as far as it can be known before the woken vCPU has come. */
  foreseenEndNs(cpu: Cpu, nowNs: number): number {
    if (cpu.occupant === cpu.wakeHolder) return cpu.wakeEndNs;
    const arrivalNs = this.#placement.arrivalNs(cpu);
    return (Number.isFinite(arrivalNs) ? arrivalNs : nowNs + this.#switchNs) + this.#wakeSliceNs;
  }

  /** When the occupant is planned to leave. */
  plannedEndNs(cpu: Cpu): number {
    if (cpu.wakeSlice === WAKE_SLICE_TAKEN) return cpu.wakeEndNs;
    return Math.min(this.#calendar.plannedEndNs(cpu.lane), this.#interruptedNs(cpu));
  }

  nextDeadlineNs(): number {
    let earliestNs = Number.POSITIVE_INFINITY;
    for (const cpu of this.#placement.cpus) {
      earliestNs = Math.min(earliestNs, this.endNs(cpu), this.#interruptedNs(cpu));
    }
    return earliestNs;
  }

  /** A CPU that nobody else wants: a sleeper that was to take another's slice gets a natural one of its own. */
  #fillEmptyLanes(nowNs: number): void {
    for (let lane = this.#calendar.emptyLane(); lane >= 0; lane = this.#calendar.emptyLane()) {
      const vcpu = this.#wokenOutsider();
      if (vcpu === undefined) return;
      this.#calendar.join(vcpu.index, nowNs);
      vcpu.startedByWake = vcpu.cpu < 0;
    }
  }

  /** A sleeper whose wake was granted and which the calendar does not hold: those in their wake slice first. */
  #wokenOutsider(): Vcpu | undefined {
    const { cpus, vcpus } = this.#placement;
    for (let stage = WAKE_SLICE_TAKEN; stage >= WAKE_SLICE_COMMITTED; stage--) {
      for (const cpu of cpus) {
        if (cpu.wakeSlice === stage && !this.#calendar.holds(cpu.wakeHolder)) return vcpus[cpu.wakeHolder];
      }
    }
    for (let i = 0; i < this.#pending.size; i++) {
      if (!this.#calendar.holds(this.#pending.at(i))) return vcpus[this.#pending.at(i)];
    }
    return undefined;
  }

  /** The natural slice of a woken vCPU has begun: it has it where it is, and whoever owns this CPU's slice waits there. */
  #absorb(cpu: Cpu, nowNs: number): void {
    const vcpu = this.#placement.vcpus[cpu.wakeHolder]!;
    const lane = this.#calendar.laneOf(vcpu.index);
    if (lane < 0) return;
    const home = this.#placement.cpuOfLane(lane);
    if (home !== cpu) this.#placement.exchangeLanes(home, cpu);
    if (vcpu.cpu === cpu.index) {
      this.#countBoost(vcpu, nowNs);
      this.#calendar.markRun(vcpu.index);
      vcpu.shieldedToNs = cpu.wakeEndNs;
    }
    this.#release(cpu);
  }

  /** No need to interrupt anybody for a vCPU that has its natural slice to come to. */
  #cancelIfNatural(cpu: Cpu): void {
    if (this.#comesNaturally(cpu.wakeHolder)) this.#release(cpu);
  }

  /** It owns a natural slice that no other's wake slice keeps it from. */
  #comesNaturally(vcpu: number): boolean {
    const lane = this.#calendar.laneOf(vcpu);
    return lane >= 0 && this.#placement.cpuOfLane(lane).wakeSlice !== WAKE_SLICE_TAKEN;
  }

  /** Finds a CPU for each grant: of those in no wake slice, the one whose natural slice has the longest to go. */
  #commit(nowNs: number): void {
    const queueing = this.#oneWaits;
    this.#oneWaits = false;
    for (let i = 0; i < this.#pending.size; ) {
      const vcpu = this.#placement.vcpus[this.#pending.at(i)]!;
      if (this.#comesNaturally(vcpu.index)) {
        i++;
        continue;
      }
      // In a queue the first come is the first served, a woken owner too. With no queue a wake is never late: it goes before
      // one if all else fails.
      const cpu = queueing
        ? this.#latestEnding(nowNs, SPARE_SERVED)
        : (this.#latestEnding(nowNs, SPARE_AWAITED) ?? this.#latestEnding(nowNs, SPARE_NOBODY));
      if (cpu === undefined) {
        this.#oneWaits = true;
        return;
      }
      this.#pending.removeAt(i);
      cpu.wakeSlice = WAKE_SLICE_COMMITTED;
      cpu.wakeHolder = vcpu.index;
      cpu.takeAtNs = Math.max(nowNs, vcpu.wakeAtNs - this.#switchNs);
      vcpu.wakeCpu = cpu.index;
    }
  }

  #latestEnding(nowNs: number, spare: number): Cpu | undefined {
    let best: Cpu | undefined;
    let bestEndNs = Number.NEGATIVE_INFINITY;
    for (const cpu of this.#placement.cpus) {
      if (cpu.wakeSlice !== WAKE_SLICE_NONE) continue;
      if (spare >= SPARE_AWAITED && this.#placement.vcpus[this.#placement.owner(cpu)]?.wake === WAKE_BOOSTED) continue;
      if (spare >= SPARE_SERVED && this.#shieldedToNs(cpu) > nowNs) continue;
      const endNs = this.#calendar.endNs(cpu.lane, nowNs);
      if (endNs <= bestEndNs) continue;
      best = cpu;
      bestEndNs = endNs;
    }
    return best;
  }

  #shieldedToNs(cpu: Cpu): number {
    const owner = this.#placement.vcpus[this.#placement.owner(cpu)];
    return owner?.cpu === cpu.index ? owner.shieldedToNs : Number.NEGATIVE_INFINITY;
  }

  /** When a wake takes the CPU from the owner of its natural slice, Infinity if none is going to. */
  #interruptedNs(cpu: Cpu): number {
    if (cpu.wakeSlice === WAKE_SLICE_COMMITTED) return cpu.takeAtNs;
    if (cpu.wakeSlice === WAKE_SLICE_TAKEN || !this.#oneWaits) return Number.POSITIVE_INFINITY;
    const shieldedToNs = this.#shieldedToNs(cpu);
    return shieldedToNs === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : shieldedToNs;
  }

  #takeDue(nowNs: number): boolean {
    let taken = false;
    for (const cpu of this.#placement.cpus) {
      if (cpu.wakeSlice !== WAKE_SLICE_COMMITTED || cpu.takeAtNs > nowNs) continue;
      cpu.wakeSlice = WAKE_SLICE_TAKEN;
      // It may own a slice that another's wake slice keeps it from.
      this.#absorb(cpu, nowNs);
      taken = true;
    }
    return taken;
  }

  #release(cpu: Cpu): void {
    this.#placement.vcpus[cpu.wakeHolder]!.wakeCpu = -1;
    cpu.wakeSlice = WAKE_SLICE_NONE;
    cpu.wakeHolder = -1;
  }

  /** Until the moment that it really leaves, or that its natural slice begins. */
  #countBoost(vcpu: Vcpu, nowNs: number): void {
    if (vcpu.boostedSinceNs < 0) return;
    vcpu.boost.add(vcpu.boostedSinceNs, nowNs);
    this.#stats.wakeSliceNs[vcpu.index]! += nowNs - vcpu.boostedSinceNs;
    vcpu.boostedSinceNs = -1;
  }
}
