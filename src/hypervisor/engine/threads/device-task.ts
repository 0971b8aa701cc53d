import type { SharedRam } from "../../machine/shared-ram.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import type { CardCounts } from "../guest-result.ts";
import type { ServiceTask } from "./service-loop.ts";

/** What the device thread is given; sent as workerData. */
export interface DeviceTask extends ServiceTask {
  readonly scenario: Scenario;
  readonly guests: readonly DeviceGuestTask[];
}

export interface DeviceGuestTask {
  readonly ram: SharedRam;
  /** Where the vCPU's control block begins, in words. */
  readonly vcpuBlockWord: number;
}

/** What it gives back when it ends; its only message but the first, "ready". */
export interface DeviceReport {
  readonly cards: readonly CardCounts[];
  readonly stateChangeNs: Float64Array;
  readonly latenessNs: Float64Array;
  readonly trafficLatenessNs: Float64Array;
  readonly notes: readonly string[];
  readonly cpuNs: number | null;
  readonly eventsLost: number;
}
