import type { FrameRingPair } from "../../network/ring-port.ts";
import type { LinuxCounts } from "../../report/result.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import type { CardCounts, ReaderCounts } from "../guest-result.ts";
import type { ServiceTask } from "../threads/service-loop.ts";
import type { GuestSetup } from "./guest-setup.ts";

/** What the worker of a Linux guest is given. */
export interface LinuxTask extends ServiceTask {
  readonly scenario: Scenario;
  readonly setup: GuestSetup;
  /** State of the booted machine. */
  readonly state: SharedArrayBuffer;
  readonly rings: FrameRingPair;
  /** Where the vCPU's control block begins, in words; the system block is the first. */
  readonly vcpuBlockWord: number;
}

/** What it gives back when it ends. */
export interface LinuxReport {
  /** Why it ended before its time; null if it did not. The rest is then null. */
  readonly error: string | null;
  readonly run: LinuxRun | null;
}

export interface LinuxRun {
  readonly card: CardCounts;
  readonly reader: ReaderCounts;
  readonly counts: LinuxCounts;
  readonly stateChangeNs: Float64Array;
  readonly latenessNs: Float64Array;
  readonly trafficLatenessNs: Float64Array;
  readonly eventsLost: number;
}

/** What the thread with switch and traffic is given. */
export interface WireTask extends ServiceTask {
  readonly scenario: Scenario;
  /** For each guest. */
  readonly cables: readonly { readonly rings: FrameRingPair; readonly vcpuBlockWord: number }[];
}

/** What it gives back when it ends; lists have an entry for each guest. */
export interface WireReport {
  /** Frames for the guest that found no room on their way to its card. */
  readonly dropped: readonly number[];
  readonly transmitted: readonly CardCounts["transmitted"][];
  readonly notes: readonly string[];
  readonly cpuNs: number | null;
  readonly eventsLost: number;
}
