import { ArrivalRateEstimator, WakeLatencyEstimator } from "../governor/estimators.ts";
import { programFor } from "../governor/governor.ts";
import { coalescingUnder } from "../governor/guest-coalescing.ts";
import type { Observation, ThrottleProgram } from "../governor/observation.ts";
import type { GuestSpec, PolicySpec, Scenario } from "../scenario/scenario.ts";

/** Receive buffers of the project's own driver hold this much of a frame and its header. */
const RECEIVE_BUFFER_BYTES = 1536;
const HEADER_BYTES = 12;
const ETHERNET_HEADER_BYTES = 14;

/** Observes one guest for its governor, and asks it for the throttle's program at each change of state. */
export class GuestGovernor {
  /** Filled by `decide`; the same object every time. */
  readonly program: ThrottleProgram = { latencyNs: 0, overflowNs: 0, freeMin: 0, sliceEndNs: Number.POSITIVE_INFINITY };
  readonly wakeLatency: WakeLatencyEstimator;
  readonly #rate = new ArrivalRateEstimator();
  readonly #policy: PolicySpec;
  readonly #observation: { -readonly [K in keyof Observation]: Observation[K] };

  /** `wakeLatencyNs` and `firstRefillNs` are what to reckon with until something was measured. */
  constructor(policy: PolicySpec, scenario: Scenario, guest: GuestSpec, wakeLatencyNs: number, firstRefillNs: number) {
    this.#policy = policy;
    this.wakeLatency = new WakeLatencyEstimator(wakeLatencyNs);
    this.#observation = {
      state: 0,
      nowNs: 0,
      ring: guest.ring,
      free: guest.ring,
      peakFramesPerS: 0,
      wakeLatencyNs,
      firstRefillNs,
      nextActivationNs: Number.POSITIVE_INFINITY,
      sliceEndNs: Number.POSITIVE_INFINITY,
      linkRateBps: scenario.linkRateBps,
      buffersPerFrameMax: Math.ceil((scenario.mtu + ETHERNET_HEADER_BYTES + HEADER_BYTES) / RECEIVE_BUFFER_BYTES),
      maxInactiveDelayNs: scenario.maxInactiveDelayNs,
      guestCoalesceNs: (coalescingUnder(policy, guest)?.maxUsecs ?? 0) * 1000,
    };
  }

  /**
   * The program for `state`, which begins at `nowNs`. `arrived` and `free` are the card's frame counter and its free
   * receive buffers; `nextActivationNs` and `sliceEndNs` the scheduler's plan.
   */
  decide(
    state: number,
    nowNs: number,
    arrived: number,
    free: number,
    nextActivationNs: number,
    sliceEndNs: number,
  ): ThrottleProgram {
    this.#rate.look(arrived, nowNs);
    const observation = this.#observation;
    observation.state = state;
    observation.nowNs = nowNs;
    observation.free = free;
    observation.peakFramesPerS = this.#rate.peakFramesPerS;
    observation.wakeLatencyNs = this.wakeLatency.estimateNs;
    observation.nextActivationNs = nextActivationNs;
    observation.sliceEndNs = sliceEndNs;
    programFor(this.#policy, observation, this.program);
    return this.program;
  }
}
