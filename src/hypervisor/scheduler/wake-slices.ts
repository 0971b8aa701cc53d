/**
 * Granted wakes, from the grant to the end of the wake slice: which CPU is interrupted, when the woken vCPU takes it, and
 * what happens when its natural slice begins meanwhile. Nothing here calls the engine; the scheduler acts on the outcome.
 */

import type { SchedulerStats } from "./actions.ts";
import type { NaturalCalendar } from "./natural-calendar.ts";
import type { Cpu, Placement, Vcpu } from "./placement.ts";
import { WAKE_BOOSTED, WAKE_SLICE_COMMITTED, WAKE_SLICE_NONE, WAKE_SLICE_TAKEN } from "./placement.ts";
import { VcpuFifo } from "./vcpu-fifo.ts";

export class WakeSlices {
  readonly #placement: Placement;
  readonly #calendar: NaturalCalendar;
  readonly #switchNs: number;
  readonly #wakeSliceNs: number;
  readonly #stats: SchedulerStats;
  /** Granted, and no CPU interrupted for it yet. */
  readonly #pending: VcpuFifo;

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

  /** The woken vCPU arrives in its wake slice, which ends early if its share of boost does. */
  begin(cpu: Cpu, vcpu: Vcpu, nowNs: number): void {
    cpu.wakeEndNs = nowNs + Math.min(this.#wakeSliceNs, vcpu.boost.remainingNs(nowNs));
    vcpu.boostedSinceNs = nowNs;
    this.#stats.wakeSlices[vcpu.index]!++;
  }

  /** It is on a CPU, so nothing more is owed to its wake. True if a CPU that was committed to it is free again. */
  settleWake(vcpu: Vcpu): boolean {
    this.#pending.remove(vcpu.index);
    const committed = this.#placement.cpus[vcpu.wakeCpu];
    if (committed === undefined || committed.wakeSlice !== WAKE_SLICE_COMMITTED) return false;
    this.#release(committed);
    return true;
  }

  /** It left the CPU. */
  left(cpu: Cpu, vcpu: Vcpu, nowNs: number): void {
    this.#countBoost(vcpu, nowNs);
    if (vcpu.wakeCpu === cpu.index && cpu.wakeSlice === WAKE_SLICE_TAKEN) this.#release(cpu);
  }

  /** Brings wake slices in line with the calendar and with the time. Natural slices come first: they absorb. */
  advance(nowNs: number): void {
    this.#fillEmptyLanes(nowNs);
    for (const cpu of this.#placement.cpus) if (cpu.wakeSlice !== WAKE_SLICE_NONE) this.#absorb(cpu, nowNs);
    for (const cpu of this.#placement.cpus) if (this.endNs(cpu) <= nowNs) this.#release(cpu);
    this.#commit(nowNs);
    for (const cpu of this.#placement.cpus) {
      if (cpu.wakeSlice === WAKE_SLICE_COMMITTED && cpu.takeAtNs <= nowNs) this.#take(cpu);
    }
  }

  /** End of the wake slice that runs here, Infinity if none does. */
  endNs(cpu: Cpu): number {
    const runs = cpu.wakeSlice === WAKE_SLICE_TAKEN && cpu.occupant === cpu.wakeHolder && !cpu.leaving;
    return runs ? cpu.wakeEndNs : Number.POSITIVE_INFINITY;
  }

  nextDeadlineNs(): number {
    let earliestNs = Number.POSITIVE_INFINITY;
    for (const cpu of this.#placement.cpus) {
      const dueNs = cpu.wakeSlice === WAKE_SLICE_COMMITTED ? cpu.takeAtNs : this.endNs(cpu);
      if (dueNs < earliestNs) earliestNs = dueNs;
    }
    return earliestNs;
  }

  clear(): void {
    this.#pending.clear();
    for (const cpu of this.#placement.cpus) if (cpu.wakeSlice !== WAKE_SLICE_NONE) this.#release(cpu);
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

  /** The natural slice of a woken vCPU begins inside its wake slice, or before it. */
  #absorb(cpu: Cpu, nowNs: number): void {
    const vcpu = this.#placement.vcpus[cpu.wakeHolder]!;
    const lane = this.#calendar.laneOf(vcpu.index);
    if (lane < 0) return;
    const home = this.#placement.cpuOfLane(lane);
    if (cpu.wakeSlice === WAKE_SLICE_TAKEN) {
      if (home !== cpu) this.#placement.exchangeLanes(home, cpu);
      if (vcpu.cpu === cpu.index) {
        this.#countBoost(vcpu, nowNs);
        this.#calendar.markRun(vcpu.index);
      }
      this.#release(cpu);
    } else if (home.wakeSlice !== WAKE_SLICE_TAKEN || home === cpu) {
      this.#release(cpu);
    }
  }

  /** Finds a CPU for each grant: of those in no wake slice, the one whose natural slice has the longest to go. */
  #commit(nowNs: number): void {
    for (let i = 0; i < this.#pending.size; ) {
      const vcpu = this.#placement.vcpus[this.#pending.at(i)]!;
      const lane = this.#calendar.laneOf(vcpu.index);
      if (lane >= 0 && this.#placement.cpuOfLane(lane).wakeSlice !== WAKE_SLICE_TAKEN) {
        // Its own natural slice is about to bring it.
        i++;
        continue;
      }
      const cpu = this.#latestEnding(nowNs, false) ?? this.#latestEnding(nowNs, true);
      if (cpu === undefined) return;
      this.#pending.removeAt(i);
      cpu.wakeSlice = WAKE_SLICE_COMMITTED;
      cpu.wakeHolder = vcpu.index;
      cpu.takeAtNs = Math.max(nowNs, vcpu.wakeAtNs - this.#switchNs);
      vcpu.wakeCpu = cpu.index;
    }
  }

  /** `evenAwaited`: also the CPU that another woken vCPU is coming to for its natural slice. */
  #latestEnding(nowNs: number, evenAwaited: boolean): Cpu | undefined {
    let best: Cpu | undefined;
    let bestEndNs = Number.NEGATIVE_INFINITY;
    for (const cpu of this.#placement.cpus) {
      if (cpu.wakeSlice !== WAKE_SLICE_NONE) continue;
      const owner = this.#placement.vcpus[this.#placement.owner(cpu)];
      if (owner?.wake === WAKE_BOOSTED && !evenAwaited) continue;
      const endNs = this.#calendar.endNs(cpu.lane, nowNs);
      if (endNs <= bestEndNs) continue;
      best = cpu;
      bestEndNs = endNs;
    }
    return best;
  }

  #take(cpu: Cpu): void {
    const lane = this.#calendar.laneOf(cpu.wakeHolder);
    if (lane < 0) {
      cpu.wakeSlice = WAKE_SLICE_TAKEN;
      cpu.wakeEndNs = Number.POSITIVE_INFINITY;
      return;
    }
    // It owns a natural slice that another's wake slice keeps it from: it has it here, and the owner here waits there.
    const home = this.#placement.cpuOfLane(lane);
    if (home.wakeSlice === WAKE_SLICE_TAKEN) this.#placement.exchangeLanes(home, cpu);
    this.#release(cpu);
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
