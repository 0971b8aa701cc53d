/**
 * The host's scheduler (docs/scheduling.md): natural slices from a calendar that wakes cannot move, wake slices cut out of
 * them, and a bound on those (R15). It has no clock. Every method takes the time; both engines drive it the same way,
 * the virtual one, where a vCPU parks at once, and the one of threads, where it answers later.
 *
 * Every call changes some facts and then settles: CPUs whose occupant is not the one wanted are asked for, and empty ones
 * are given away. Calls that the engine makes from inside an action change facts only, and settling goes on.
 */

import type { DeactivateReason } from "../events/event.ts";
import type { SchedulerSpec } from "../scenario/scenario.ts";
import type { SchedulerActions, SchedulerStats, SwitchCosts, VcpuSpec } from "./actions.ts";
import { newStats } from "./actions.ts";
import { checkSchedulerInput } from "./check-input.ts";
import { CreditQueue } from "./credit-queue.ts";
import { NaturalCalendar } from "./natural-calendar.ts";
import { Cpu, Placement, Vcpu, WAKE_BOOSTED, WAKE_NOT_ASKED, WAKE_SLICE_TAKEN, WAKE_UNBOOSTED } from "./placement.ts";
import type { RunQueue } from "./run-queue.ts";
import { RoundRobinQueue } from "./run-queue.ts";
import { WakeSlices } from "./wake-slices.ts";

export class Scheduler {
  readonly stats: SchedulerStats;
  readonly #spec: SchedulerSpec;
  readonly #wakeLatencyNs: number;
  readonly #switchNs: number;
  readonly #actions: SchedulerActions;
  readonly #queue: RunQueue;
  readonly #calendar: NaturalCalendar;
  readonly #placement: Placement;
  readonly #wakeSlices: WakeSlices;
  #phase: "new" | "running" | "stopped" = "new";
  #settling = false;
  #unsettled = false;

  /** `costs` null: real time passes by itself. */
  constructor(
    spec: SchedulerSpec,
    costs: SwitchCosts | null,
    pcpus: number,
    vcpus: readonly VcpuSpec[],
    actions: SchedulerActions,
  ) {
    checkSchedulerInput(spec, costs, pcpus, vcpus);
    this.stats = newStats(vcpus.length);
    this.#spec = spec;
    this.#wakeLatencyNs = costs?.wakeLatencyNs ?? 0;
    this.#switchNs = costs?.switchNs ?? 0;
    this.#actions = actions;
    this.#queue =
      spec.kind === "credit"
        ? new CreditQueue(
            vcpus.map((vcpu) => vcpu.weight),
            pcpus,
            spec.sliceNs,
          )
        : new RoundRobinQueue(vcpus.length);
    this.#calendar = new NaturalCalendar(pcpus, vcpus.length, spec.sliceNs, this.#queue);
    this.#placement = new Placement(
      Array.from({ length: pcpus }, (_, index) => new Cpu(index)),
      vcpus.map((_, index) => new Vcpu(index, spec.boostShareMax, spec.wakeSliceNs)),
      this.#calendar,
    );
    this.#wakeSlices = new WakeSlices(this.#placement, this.#calendar, this.#switchNs, spec.wakeSliceNs, this.stats);
  }

  /** All vCPUs become runnable; the first ones, as many as there are CPUs, are active at once. */
  start(nowNs: number): void {
    if (this.#phase !== "new") throw new Error("Scheduler.start(): it was started before; a run has one scheduler");
    this.#phase = "running";
    this.#queue.begin(nowNs);
    for (const vcpu of this.#placement.vcpus) {
      vcpu.chargedToNs = nowNs;
      this.#queue.setRunnable(vcpu.index, true);
      this.#calendar.join(vcpu.index, nowNs);
    }
    this.#settling = true;
    for (const cpu of this.#placement.cpus) {
      const owner = this.#placement.vcpus[this.#placement.owner(cpu)];
      if (owner !== undefined) this.#activate(cpu, owner, nowNs);
    }
    this.#settling = false;
    this.#settle(nowNs);
  }

  /** The card asks for an inactive vCPU. One wake is outstanding until activation; more are counted only. */
  wake(vcpuIndex: number, nowNs: number): void {
    const vcpu = this.#vcpu(vcpuIndex);
    if (this.#phase !== "running") return;
    if (vcpu.cpu >= 0 || vcpu.wake !== WAKE_NOT_ASKED) {
      this.stats.ignored[vcpuIndex]!++;
      return;
    }
    this.#catchUp(nowNs);
    this.stats.wakes[vcpuIndex]!++;
    vcpu.wakeAtNs = nowNs + this.#wakeLatencyNs;
    const sleeps = !this.#calendar.holds(vcpuIndex);
    if (sleeps) {
      vcpu.notBeforeNs = vcpu.wakeAtNs;
      this.#queue.setRunnable(vcpuIndex, true);
    }
    if (this.#spec.boost && vcpu.boost.allows(nowNs)) {
      vcpu.wake = WAKE_BOOSTED;
      this.#wakeSlices.grant(vcpu);
    } else {
      vcpu.wake = WAKE_UNBOOSTED;
      this.stats.unboosted[vcpuIndex]!++;
      if (sleeps) {
        this.#calendar.join(vcpuIndex, nowNs);
        vcpu.startedByWake = this.#calendar.laneOf(vcpuIndex) >= 0;
      }
    }
    this.#settle(nowNs);
  }

  /**
   * The vCPU left its CPU: as it was asked to, or by itself because its ring is drained in a wake slice, or because it has
   * nothing to do (`idle`: it leaves the run queue until it is woken).
   */
  parked(vcpuIndex: number, idle: boolean, nowNs: number): void {
    const vcpu = this.#vcpu(vcpuIndex);
    const cpu = this.#placement.cpus[vcpu.cpu];
    if (cpu === undefined) {
      throw new Error(`Scheduler.parked(): vCPU ${vcpuIndex} is not on a CPU; it parks once per activation`);
    }
    this.#catchUp(nowNs);
    cpu.occupant = -1;
    cpu.leaving = false;
    vcpu.cpu = -1;
    this.#wakeSlices.left(cpu, vcpu, nowNs);
    if (idle) {
      this.#queue.setRunnable(vcpuIndex, false);
      this.#calendar.leave(vcpuIndex, nowNs);
    } else if (!this.#calendar.holds(vcpuIndex)) {
      this.#calendar.join(vcpuIndex, nowNs);
    }
    this.#settle(nowNs);
  }

  /** Does what is due. */
  expire(nowNs: number): void {
    if (this.#phase === "running") this.#settle(nowNs);
  }

  nextDeadlineNs(): number {
    if (this.#phase !== "running") return Number.POSITIVE_INFINITY;
    let earliestNs = Math.min(this.#calendar.nextBoundaryNs(), this.#wakeSlices.nextDeadlineNs());
    for (const cpu of this.#placement.cpus) earliestNs = Math.min(earliestNs, this.#placement.arrivalNs(cpu));
    return earliestNs;
  }

  /** Parks everyone. Answers may still come; nothing else happens any more. */
  stop(nowNs: number): void {
    this.#phase = "stopped";
    for (const cpu of this.#placement.cpus) {
      if (cpu.occupant >= 0 && !cpu.leaving) this.#askToPark(cpu, "slice-end", nowNs);
    }
  }

  /** True while it runs in a wake slice. */
  isInWakeSlice(vcpuIndex: number): boolean {
    const cpu = this.#placement.cpus[this.#vcpu(vcpuIndex).cpu];
    return cpu !== undefined && cpu.wakeSlice === WAKE_SLICE_TAKEN && cpu.wakeHolder === vcpuIndex;
  }

  /** From its activation until it has parked. */
  isActive(vcpuIndex: number): boolean {
    return this.#vcpu(vcpuIndex).cpu >= 0;
  }

  /** Owner of the natural slice that runs out on this CPU, or -1; not always who is active there. */
  naturalOwner(cpuIndex: number): number {
    return this.#placement.owner(this.#placement.cpus[cpuIndex]!);
  }

  /**
   * Foresight: when the calendar will put this vCPU on a CPU (again), wakes apart. Exact under round-robin while nobody
   * wakes or goes idle, an estimate otherwise. Infinity for one that sleeps, and for one that nothing will take off.
   */
  nextActivationNs(vcpuIndex: number, nowNs: number): number {
    const vcpu = this.#vcpu(vcpuIndex);
    const lane = this.#calendar.laneOf(vcpuIndex);
    if (vcpu.cpu < 0 && !this.#calendar.holds(vcpuIndex)) return Number.POSITIVE_INFINITY;
    // The engine asks from inside `park`, too: whoever is leaving counts as gone.
    const stays = vcpu.cpu >= 0 && !this.#placement.cpus[vcpu.cpu]!.leaving;
    if (lane >= 0 && !stays) {
      const home = this.#placement.cpuOfLane(lane);
      if (home.target === vcpuIndex) return this.#placement.arrivalNs(home);
      const freeNs = home.wakeSlice === WAKE_SLICE_TAKEN ? this.#wakeSlices.foreseenEndNs(home, nowNs) : nowNs;
      if (freeNs < this.#calendar.plannedEndNs(lane)) return freeNs + this.#switchNs;
    }
    return this.#calendar.nextSliceNs(vcpuIndex, nowNs) + this.#switchNs;
  }

  #settle(nowNs: number): void {
    this.#unsettled = true;
    if (this.#settling) return;
    this.#settling = true;
    while (this.#unsettled && this.#phase === "running") {
      this.#unsettled = false;
      this.#catchUp(nowNs);
      this.#wakeSlices.advance(nowNs);
      for (const cpu of this.#placement.cpus) this.#parkUnwanted(cpu, nowNs);
      for (const cpu of this.#placement.cpus) this.#activateWanted(cpu, nowNs);
      for (const cpu of this.#placement.cpus) this.#tellPlan(cpu, nowNs);
    }
    this.#settling = false;
  }

  /** Time that was run is charged before anything is decided on it; slices that ended are passed on. */
  #catchUp(nowNs: number): void {
    for (const cpu of this.#placement.cpus) {
      const occupant = this.#placement.vcpus[cpu.occupant];
      if (occupant === undefined) continue;
      const ranNs = nowNs - occupant.chargedToNs;
      occupant.chargedToNs = nowNs;
      this.stats.activeNs[occupant.index]! += ranNs;
      this.#queue.charge(occupant.index, ranNs);
    }
    this.#queue.account(nowNs);
    this.#calendar.rotate(nowNs);
  }

  #parkUnwanted(cpu: Cpu, nowNs: number): void {
    if (cpu.occupant < 0 || cpu.leaving || cpu.occupant === this.#placement.wanted(cpu)) return;
    const why = this.#calendar.laneOf(cpu.occupant) >= 0 ? "preempted" : "slice-end";
    this.#askToPark(cpu, why, nowNs);
  }

  #askToPark(cpu: Cpu, why: DeactivateReason, nowNs: number): void {
    cpu.leaving = true;
    this.#actions.park(cpu.occupant, why, nowNs);
  }

  #activateWanted(cpu: Cpu, nowNs: number): void {
    if (cpu.occupant >= 0 || this.#phase !== "running") return;
    const wanted = this.#placement.wanted(cpu);
    if (wanted !== cpu.target) {
      // A switch under way is redirected, not begun again.
      if (cpu.target < 0) cpu.readyNs = nowNs + this.#switchNs;
      cpu.target = wanted;
    }
    if (this.#placement.arrivalNs(cpu) > nowNs) return;
    this.stats.switches++;
    this.#activate(cpu, this.#placement.vcpus[wanted]!, nowNs);
  }

  #activate(cpu: Cpu, vcpu: Vcpu, nowNs: number): void {
    const inWakeSlice = cpu.wakeSlice === WAKE_SLICE_TAKEN;
    const resumes = !inWakeSlice && this.#calendar.hasRun(vcpu.index);
    const byWake = inWakeSlice || vcpu.startedByWake;
    // A natural slice that comes before the boost makes it needless: what R15 bounds is time in wake slices.
    const boosted = byWake && vcpu.wake === WAKE_BOOSTED;
    if (inWakeSlice) this.#wakeSlices.begin(cpu, vcpu, nowNs);
    else {
      this.#wakeSlices.shield(vcpu, nowNs);
      this.#calendar.markRun(vcpu.index);
    }
    this.#wakeSlices.arrived(vcpu);
    vcpu.wake = WAKE_NOT_ASKED;
    vcpu.startedByWake = false;
    vcpu.cpu = cpu.index;
    vcpu.chargedToNs = nowNs;
    cpu.occupant = vcpu.index;
    cpu.target = -1;
    cpu.toldEndNs = this.#wakeSlices.plannedEndNs(cpu);
    cpu.toldWhenDrained = inWakeSlice;
    this.stats.activations[vcpu.index]!++;
    const why = resumes ? "resume" : byWake ? "wake" : "slice";
    this.#actions.activate(vcpu.index, cpu.index, why, boosted, cpu.toldEndNs, inWakeSlice, nowNs);
  }

  #tellPlan(cpu: Cpu, nowNs: number): void {
    if (cpu.occupant < 0 || cpu.leaving || cpu.occupant !== this.#placement.wanted(cpu)) return;
    const endNs = this.#wakeSlices.plannedEndNs(cpu);
    const whenDrained = cpu.wakeSlice === WAKE_SLICE_TAKEN || this.#wakeSlices.shelters(cpu, nowNs);
    if (endNs === cpu.toldEndNs && whenDrained === cpu.toldWhenDrained) return;
    cpu.toldEndNs = endNs;
    cpu.toldWhenDrained = whenDrained;
    this.#actions.replan(cpu.occupant, endNs, whenDrained, nowNs);
  }

  #vcpu(index: number): Vcpu {
    const vcpu = this.#placement.vcpus[index];
    if (vcpu !== undefined) return vcpu;
    throw new RangeError(`vCPU ${index} does not exist: there are ${this.#placement.vcpus.length}, counted from 0`);
  }
}
