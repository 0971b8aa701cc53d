import type { SchedulerSpec } from "../../../../src/hypervisor/scenario/scenario.ts";
import type { SchedulerActions, SwitchCosts, VcpuSpec } from "../../../../src/hypervisor/scheduler/actions.ts";
import { Scheduler } from "../../../../src/hypervisor/scheduler/scheduler.ts";

export const SPEC: SchedulerSpec = {
  kind: "round-robin",
  sliceNs: 1000,
  wakeSliceNs: 200,
  boost: true,
  boostShareMax: 1,
};
export const COSTS: SwitchCosts = { wakeLatencyNs: 50, switchNs: 10 };

export interface Setup {
  readonly spec?: Partial<SchedulerSpec>;
  readonly costs?: SwitchCosts | null;
  readonly pcpus?: number;
  readonly vcpus?: number | readonly VcpuSpec[];
  /** ns from being asked to park to parking; null = it parks at once, inside the call. */
  readonly parkDelayNs?: (() => number) | null;
  readonly startNs?: number;
  /** These go idle from inside their first activation. */
  readonly idleAtStart?: readonly number[];
}

/** From an activation to the vCPU's parking; whether it was a wake slice to its end, or became natural at `absorbedNs`. */
export interface Span {
  readonly vcpu: number;
  readonly cpu: number;
  readonly why: string;
  readonly boosted: boolean;
  readonly fromNs: number;
  toNs: number;
  readonly inWakeSlice: boolean;
  absorbedNs: number;
}

export interface NaturalSlice {
  readonly vcpu: number;
  readonly fromNs: number;
  readonly toNs: number;
}

/**
 * A stand-in for the virtual engine: time jumps from deadline to deadline, vCPUs do nothing by themselves. It checks on
 * every action that no CPU carries two vCPUs and no vCPU is on two CPUs.
 */
export class VirtualHost implements SchedulerActions {
  readonly scheduler: Scheduler;
  readonly log: string[] = [];
  readonly spans: Span[] = [];
  readonly natural: NaturalSlice[] = [];
  /** Called inside `park`, before and after the vCPU has parked, and inside `activate`: what a card or a guest may do there. */
  onLeaving: (vcpu: number, nowNs: number) => void = () => {};
  onParked: (vcpu: number, nowNs: number) => void = () => {};
  onActivated: (vcpu: number, nowNs: number) => void = () => {};
  /** Whether the next vCPU that is asked to park says that it is idle. */
  idleWhenAsked: (vcpu: number) => boolean = () => false;
  nowNs = 0;
  readonly #parkDelayNs: (() => number) | null;
  readonly #cpus: (Span | null)[];
  readonly #leaving: { vcpu: number; atNs: number }[] = [];
  readonly #ownedSince = new Map<number, number>();

  constructor(setup: Setup = {}) {
    const pcpus = setup.pcpus ?? 1;
    const vcpus = setup.vcpus ?? 2;
    this.#parkDelayNs = setup.parkDelayNs ?? null;
    this.#cpus = new Array<Span | null>(pcpus).fill(null);
    this.scheduler = new Scheduler(
      { ...SPEC, ...setup.spec },
      setup.costs === undefined ? COSTS : setup.costs,
      pcpus,
      typeof vcpus === "number" ? Array.from({ length: vcpus }, () => ({ weight: 1 })) : vcpus,
      this,
    );
    this.nowNs = setup.startNs ?? 0;
    this.onActivated = (vcpu) => {
      if (setup.idleAtStart?.includes(vcpu)) this.idle(vcpu);
    };
    this.scheduler.start(this.nowNs);
    this.onActivated = () => {};
    this.#watchOwners();
  }

  /** Advances to `untilNs`, that instant included. */
  run(untilNs: number): this {
    for (;;) {
      const parkNs = Math.min(...this.#leaving.map((one) => one.atNs));
      const dueNs = Math.min(parkNs, this.scheduler.nextDeadlineNs());
      if (dueNs > untilNs) break;
      if (dueNs < this.nowNs) throw new Error(`deadline ${dueNs} lies before now, ${this.nowNs}`);
      this.nowNs = dueNs;
      const index = this.#leaving.findIndex((one) => one.atNs === dueNs);
      if (index >= 0) {
        const [one] = this.#leaving.splice(index, 1);
        this.#leave(one!.vcpu, this.idleWhenAsked(one!.vcpu));
      } else this.scheduler.expire(dueNs);
      if (this.scheduler.nextDeadlineNs() <= dueNs) throw new Error(`expire(${dueNs}) left a deadline that is due`);
      this.#watchOwners();
    }
    this.nowNs = untilNs;
    return this;
  }

  wake(vcpu: number): this {
    this.scheduler.wake(vcpu, this.nowNs);
    this.#watchOwners();
    return this;
  }

  /** The vCPU leaves by itself; not if it was asked to already and its answer is on the way. */
  drained(vcpu: number): this {
    if (this.scheduler.isActive(vcpu) && !this.isLeaving(vcpu)) this.#leave(vcpu, false);
    return this;
  }

  idle(vcpu: number): this {
    if (this.scheduler.isActive(vcpu) && !this.isLeaving(vcpu)) this.#leave(vcpu, true);
    return this;
  }

  isLeaving(vcpu: number): boolean {
    return this.#leaving.some((one) => one.vcpu === vcpu);
  }

  activeOn(cpu: number): number {
    return this.#cpus[cpu]?.vcpu ?? -1;
  }

  /** Log lines since the last call. */
  news(): string[] {
    return this.log.splice(0);
  }

  /** One line per CPU, one character per `stepNs`: the active vCPU as a letter, capital in a wake slice, dot = nobody. */
  timeline(stepNs: number): string[] {
    return this.#cpus.map((_, cpu) => {
      let line = "";
      for (let atNs = 0; atNs < this.nowNs; atNs += stepNs) {
        const span = this.spans.findLast((one) => one.cpu === cpu && one.fromNs <= atNs && atNs < one.toNs);
        if (span === undefined) line += ".";
        else line += String.fromCharCode((span.inWakeSlice && atNs < span.absorbedNs ? 65 : 97) + span.vcpu);
      }
      return line;
    });
  }

  activate(
    vcpu: number,
    cpu: number,
    why: string,
    boosted: boolean,
    sliceEndNs: number,
    whenDrained: boolean,
    nowNs: number,
  ): void {
    const there = this.#cpus[cpu];
    if (there) throw new Error(`${nowNs}: vCPU ${vcpu} activated on CPU ${cpu}, where vCPU ${there.vcpu} is`);
    if (this.#cpus.some((span) => span?.vcpu === vcpu)) throw new Error(`${nowNs}: vCPU ${vcpu} activated twice`);
    if (sliceEndNs <= nowNs)
      throw new Error(`${nowNs}: vCPU ${vcpu} activated for a slice that ended at ${sliceEndNs}`);
    if (!this.scheduler.isActive(vcpu)) throw new Error(`${nowNs}: vCPU ${vcpu} is not active yet`);
    const span: Span = {
      vcpu,
      cpu,
      why,
      boosted,
      fromNs: nowNs,
      toNs: Number.POSITIVE_INFINITY,
      inWakeSlice: whenDrained,
      absorbedNs: Number.POSITIVE_INFINITY,
    };
    this.#cpus[cpu] = span;
    this.spans.push(span);
    this.log.push(
      `${nowNs} cpu${cpu} +${vcpu} ${why}${boosted ? " boosted" : ""}${whenDrained ? " drain" : ""} to ${sliceEndNs}`,
    );
    this.onActivated(vcpu, nowNs);
  }

  park(vcpu: number, why: string, nowNs: number): void {
    if (this.isLeaving(vcpu)) throw new Error(`${nowNs}: vCPU ${vcpu} is asked twice to park`);
    const cpu = this.#cpus.findIndex((span) => span?.vcpu === vcpu);
    this.log.push(`${nowNs} cpu${cpu} -${vcpu} ${why}`);
    this.onLeaving(vcpu, nowNs);
    if (this.#parkDelayNs !== null) this.#leaving.push({ vcpu, atNs: nowNs + this.#parkDelayNs() });
    else this.#leave(vcpu, this.idleWhenAsked(vcpu), nowNs);
  }

  replan(vcpu: number, sliceEndNs: number, whenDrained: boolean, nowNs: number): void {
    const span = this.#cpus.find((one) => one?.vcpu === vcpu);
    if (!span) throw new Error(`${nowNs}: replan of vCPU ${vcpu}, which is not active`);
    this.log.push(`${nowNs} cpu${span.cpu} =${vcpu}${whenDrained ? " drain" : ""} to ${sliceEndNs}`);
  }

  #leave(vcpu: number, idle: boolean, nowNs = this.nowNs): void {
    const cpu = this.#cpus.findIndex((span) => span?.vcpu === vcpu);
    const span = this.#cpus[cpu];
    if (!span) throw new Error(`${nowNs}: vCPU ${vcpu} is asked to park, but is not active`);
    span.toNs = nowNs;
    this.#cpus[cpu] = null;
    this.scheduler.parked(vcpu, idle, nowNs);
    this.onParked(vcpu, nowNs);
    this.#watchOwners();
  }

  /** A natural slice is seen from its first owner's taking it to the next one's; a renewed slice is one. */
  #watchOwners(): void {
    const owners = this.#cpus.map((_, cpu) => this.scheduler.naturalOwner(cpu)).filter((owner) => owner >= 0);
    for (const span of this.#cpus) {
      if (span?.inWakeSlice && owners.includes(span.vcpu)) span.absorbedNs = Math.min(span.absorbedNs, this.nowNs);
    }
    for (const [vcpu, fromNs] of this.#ownedSince) {
      if (owners.includes(vcpu)) continue;
      this.natural.push({ vcpu, fromNs, toNs: this.nowNs });
      this.#ownedSince.delete(vcpu);
    }
    for (const vcpu of owners) if (!this.#ownedSince.has(vcpu)) this.#ownedSince.set(vcpu, this.nowNs);
  }
}
