import { coalescingUnder } from "../governor/guest-coalescing.ts";
import type { Costs, PolicySpec, Scenario } from "../scenario/scenario.ts";

/** The line that begins a run in the event file: what a reader must know to judge the events after it. */

/** One guest as the run finds it, before its first event. */
export interface GuestStart {
  readonly name: string;
  readonly ring: number;
  /** The physical CPU that it starts on, or null. */
  readonly cpu: number | null;
  /** Interrupt vectors of its card. */
  readonly vectors: number;
  /** Receive buffers that the card has at the start. */
  readonly free: number;
  readonly state: "active" | "inactive";
  /** What it asks of its card by NOTF_COAL, null = nothing. */
  readonly coalesce: { readonly maxUsecs: number; readonly maxPackets: number } | null;
}

export interface RunHeader {
  readonly ev: "run";
  readonly policy: string;
  readonly engine: string;
  readonly seed: number;
  /** The capture that all guests play, a list if they play several (null = a guest without one), null if none does. */
  readonly capture: string | null | readonly (string | null)[];
  readonly speed: number;
  readonly scheduler: string;
  readonly pcpus: number;
  readonly sliceNs: number;
  readonly wakeSliceNs: number;
  readonly boostShareMax: number;
  readonly maxInactiveDelayNs: number;
  readonly costs: Costs;
  readonly linkRate: number;
  readonly guests: readonly GuestStart[];
}

/**
 * Where both engines begin: the first guests hold the CPUs, in order, the others wait; every driver has filled its ring;
 * the card is on MMIO and has one vector.
 */
export function guestStarts(scenario: Scenario, policy: PolicySpec): GuestStart[] {
  return scenario.guests.map((guest, i) => {
    const placed = i < scenario.pcpus;
    return {
      name: guest.name,
      ring: guest.ring,
      cpu: placed ? i : null,
      vectors: 1,
      free: guest.ring,
      state: placed ? "active" : "inactive",
      coalesce: coalescingUnder(policy, guest),
    };
  });
}

export function runHeader(scenario: Scenario, policy: PolicySpec, guests: readonly GuestStart[]): RunHeader {
  return {
    ev: "run",
    policy: policy.name,
    engine: scenario.engine,
    seed: scenario.seed,
    capture: captures(scenario),
    speed: scenario.speed,
    scheduler: scenario.scheduler.kind,
    pcpus: scenario.pcpus,
    sliceNs: scenario.scheduler.sliceNs,
    wakeSliceNs: scenario.scheduler.wakeSliceNs,
    boostShareMax: scenario.scheduler.boostShareMax,
    maxInactiveDelayNs: scenario.maxInactiveDelayNs,
    costs: scenario.costs,
    linkRate: scenario.linkRateBps,
    guests,
  };
}

function captures(scenario: Scenario): RunHeader["capture"] {
  const files = scenario.guests.map(({ traffic }) => (traffic.kind === "capture" ? traffic.file : null));
  const first = files[0] ?? null;
  return files.every((file) => file === first) ? first : files;
}
