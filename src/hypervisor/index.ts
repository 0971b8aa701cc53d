/** Public face of the host: `spillway/hypervisor`. */

export type { RunHooks, RunScenario } from "./engine/run.ts";
export { runThreads } from "./engine/threads/run-threads.ts";
export { runVirtual } from "./engine/virtual/run-virtual.ts";
export type { ActivateReason, DeactivateReason, EventLog } from "./events/event.ts";
export { EventFile } from "./events/event-file.ts";
export { guestStarts, type RunHeader, runHeader } from "./events/run-header.ts";
export { ArrivalRateEstimator, WakeLatencyEstimator } from "./governor/estimators.ts";
export { programFor } from "./governor/governor.ts";
export type { Observation, ThrottleProgram } from "./governor/observation.ts";
export { allocateSharedRam, copyWithinOf, type SharedRam } from "./machine/shared-ram.ts";
export { LearningSwitch, type LearningSwitchOptions } from "./network/learning-switch.ts";
export {
  createFrameRings,
  type Doorbell,
  type FrameRingPair,
  RingPort,
  type RingPortOptions,
} from "./network/ring-port.ts";
export type { SwitchPort, SwitchPortCounters, SwitchPortOptions } from "./network/switch-port.ts";
export { distribution, SampleLog } from "./report/percentiles.ts";
export type { Distribution, GuestResult, ResultDocument, RunResult } from "./report/result.ts";
export { parseScenario } from "./scenario/parse.ts";
export type { GuestSpec, PolicySpec, Scenario, TrafficSpec } from "./scenario/scenario.ts";
export type { SchedulerActions, SchedulerStats } from "./scheduler/actions.ts";
export { Scheduler } from "./scheduler/scheduler.ts";
export { FrameSink } from "./traffic/frame-sink.ts";
export { openCapture } from "./traffic/open-capture.ts";
export type { PacketSource } from "./traffic/packet-source.ts";
export { StampedFrames } from "./traffic/stamped-frames.ts";
export { TrafficPort } from "./traffic/traffic-port.ts";
export { UserError } from "./user-error.ts";
