import { GUEST_ACTIVE } from "../../device/spec/throttle-registers.ts";
import type { PolicySpec } from "../scenario/scenario.ts";
import type { Observation, ThrottleProgram } from "./observation.ts";

/** Bytes that the shortest Ethernet frame occupies on the wire: preamble 8, frame 60, FCS 4, gap 12 (IEEE 802.3 §4.4.2). */
const WIRE_BYTES_MIN = 84;
/** `learned` reserves for this multiple of the highest rate that it has seen. */
const RATE_MARGIN = 2;
/** The patent's interval is a promise only if the registers can hold it: 32 bits of ns. */
const INTERVAL_MAX_NS = 0xffffffff;

/**
 * The governor: which intervals to program for a guest, from what is observed of it. A pure function; `program` is
 * filled, so that a state change allocates nothing.
 *
 * The formulas are ours: the patent's readable text has none (docs/throttling.md).
 */
export function programFor(policy: PolicySpec, observation: Observation, program: ThrottleProgram): void {
  program.freeMin = 0;
  program.sliceEndNs = Number.POSITIVE_INFINITY;
  switch (policy.name) {
    case "unmoderated":
      program.latencyNs = 0;
      program.overflowNs = 0;
      break;
    case "fixed":
      program.latencyNs = policy.intervalNs;
      program.overflowNs = policy.intervalNs;
      break;
    case "notf-coal":
      // The card moderates by the guest's own settings (R12), which it keeps to whether or not the guest runs.
      program.latencyNs = 0;
      program.overflowNs = observation.guestCoalesceNs;
      break;
    case "cooperative":
      program.latencyNs = policy.latencyIntervalNs;
      program.overflowNs = policy.overflowIntervalNs;
      break;
    case "cooperative-adaptive":
      adapt(policy.mode, policy.latencyIntervalNs, policy.sliceEnd, observation, program);
      break;
  }
  // R16: no guest is left alone with a frame for longer than the scenario allows.
  program.overflowNs = Math.min(program.overflowNs, observation.maxInactiveDelayNs, INTERVAL_MAX_NS);
}

function adapt(
  mode: "strict" | "learned",
  latencyIntervalNs: number,
  sliceEnd: boolean,
  observation: Observation,
  program: ThrottleProgram,
): void {
  const active = (observation.state & GUEST_ACTIVE) !== 0;
  const linkFramesPerS = observation.linkRateBps / (8 * WIRE_BYTES_MIN);
  const framesPerS =
    mode === "strict" ? linkFramesPerS : Math.min(linkFramesPerS, RATE_MARGIN * observation.peakFramesPerS);
  program.latencyNs = latencyIntervalNs;
  program.freeMin = reserve(framesPerS, active, observation);
  program.overflowNs = observation.maxInactiveDelayNs;
  if (active) {
    if (sliceEnd) program.sliceEndNs = observation.sliceEndNs - observation.firstRefillNs;
    return;
  }
  // With foresight a timer is of no use if the natural slice comes first: the guard alone keeps watch until then.
  const naturalInNs = observation.nextActivationNs - observation.nowNs;
  if (mode === "strict" || framesPerS === 0 || naturalInNs <= observation.maxInactiveDelayNs) return;
  // The patent's critical event, as a time: when the free buffers, less the reserve, are used up at the learned rate.
  const usableBuffers = Math.max(0, observation.free - program.freeMin);
  program.overflowNs = Math.min(program.overflowNs, Math.round((usableBuffers / framesPerS) * 1e9));
}

/** RX_FREE_MIN (R5): the most buffers that can be used up from the interrupt to the first refill, and one frame on top. */
function reserve(framesPerS: number, active: boolean, observation: Observation): number {
  const exposedNs = observation.firstRefillNs + (active ? 0 : observation.wakeLatencyNs);
  const buffers = Math.ceil((framesPerS * exposedNs) / 1e9) + observation.buffersPerFrameMax;
  if (buffers < observation.ring) return buffers;
  // No ring is large enough to promise anything. An inactive guest is woken at its first frame, which nothing can better;
  // for one that runs, to interrupt at every frame would only slow it down.
  return active ? observation.ring / 2 : observation.ring;
}
