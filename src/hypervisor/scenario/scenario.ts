/** A scenario: all that both engines need to run, complete and checked. `parse.ts` makes one from JSON and options. */

/** `ts`: guests that run the project's own driver. `linux`: each is a Linux kernel in v86, with its own driver. */
export type GuestKind = "ts" | "linux";
export type EngineKind = "virtual" | "threads";
export type SchedulerKind = "round-robin" | "credit";
export type ApplicationKind = "sink" | "echo" | "request-response" | "bulk";

export type TrafficSpec =
  | { readonly kind: "capture"; readonly file: string; readonly offsetNs: number }
  | {
      readonly kind: "constant";
      readonly framesPerS: number;
      readonly lengthBytes: number;
      readonly count: number | null;
    }
  | {
      readonly kind: "poisson";
      readonly framesPerS: number;
      readonly lengthBytes: number;
      readonly count: number | null;
    }
  /** Pareto-distributed on and off times (shape 1.5), constant rate while on. */
  | {
      readonly kind: "on-off";
      readonly framesPerS: number;
      readonly lengthBytes: number;
      readonly onMeanNs: number;
      readonly offMeanNs: number;
      readonly count: number | null;
    }
  /** `burstFrames` frames back to back at link rate, every `periodNs`. */
  | {
      readonly kind: "burst";
      readonly burstFrames: number;
      readonly periodNs: number;
      readonly lengthBytes: number;
      readonly count: number | null;
    }
  /** Closed loop: keeps `outstanding` requests in flight, the next one `thinkNs` after a response. */
  | {
      readonly kind: "requests";
      readonly outstanding: number;
      readonly thinkNs: number;
      readonly lengthBytes: number;
      readonly count: number | null;
    }
  | { readonly kind: "none" };

export interface GuestSpec {
  readonly name: string;
  /** Entries of its receive and transmit rings, a power of two. */
  readonly ring: number;
  readonly app: ApplicationKind;
  /** `busy`: always has other work, hence preempted; `idle`: gives the CPU up when it has no frame to handle. */
  readonly load: "busy" | "idle";
  /** Share under the credit scheduler. */
  readonly weight: number;
  readonly traffic: TrafficSpec;
  /** ethtool -C: what the guest asks of the card through VIRTIO_NET_F_NOTF_COAL; null = it does not ask. */
  readonly coalesce: { readonly maxUsecs: number; readonly maxPackets: number } | null;
  /** Bytes of what `request-response` and `bulk` send. */
  readonly sendBytes: number;
  /** Frames that `bulk` sends, null = as long as the run lasts. */
  readonly sendCount: number | null;
}

export type PolicySpec =
  | { readonly name: "unmoderated" }
  | { readonly name: "fixed"; readonly intervalNs: number }
  | { readonly name: "notf-coal" }
  | { readonly name: "cooperative"; readonly latencyIntervalNs: number; readonly overflowIntervalNs: number }
  | {
      readonly name: "cooperative-adaptive";
      readonly mode: "strict" | "learned";
      readonly latencyIntervalNs: number;
      /** Program SLICE_END too, so that the card notifies before a planned deactivation (R7). */
      readonly sliceEnd: boolean;
    };

/** What things cost in virtual time, ns. The threads engine measures instead. */
export interface Costs {
  /** From a wake to the woken guest's first instruction, the switch included. */
  readonly wakeLatencyNs: number;
  readonly isrNs: number;
  readonly frameCostNs: number;
  /** Buffers that the driver gives back at a time. */
  readonly refillBatch: number;
  /** From the last instruction of one guest to the first of the next. */
  readonly switchNs: number;
}

export interface SchedulerSpec {
  readonly kind: SchedulerKind;
  readonly sliceNs: number;
  /** Longest time that a boosted guest may run before the natural order goes on. */
  readonly wakeSliceNs: number;
  readonly boost: boolean;
  /** Largest share of any 100 ms that one guest may spend in wake slices (R15). */
  readonly boostShareMax: number;
}

/** What Linux guests are made of. Paths as they can be opened. */
export interface LinuxSpec {
  readonly kernel: string;
  /** Its first process must do as docs/scenarios.md says. */
  readonly initrd: string;
  readonly bios: string;
  readonly vgaBios: string;
  readonly memoryMb: number;
  /** Added to the kernel's command line. */
  readonly kernelWords: string;
  /** Where the booted machine is kept, for later runs to begin with; null = nowhere. */
  readonly stateFile: string | null;
}

export interface Scenario {
  readonly name: string;
  readonly kind: GuestKind;
  /** Null unless `kind` is linux. */
  readonly linux: LinuxSpec | null;
  readonly engine: EngineKind;
  readonly seed: number;
  /** Null: until the traffic has ended and every ring is drained. Otherwise finite traffic repeats until then. */
  readonly durationNs: number | null;
  readonly speed: number;
  readonly pcpus: number;
  readonly linkRateBps: number;
  readonly mtu: number;
  readonly maxInactiveDelayNs: number;
  /** Idle time inside a capture that is longer than this is shortened to it, and said so. */
  readonly maxGapNs: number;
  readonly urgent: { readonly filter: "off" | "marked" | "short" | "control"; readonly creditsPerS: number };
  readonly scheduler: SchedulerSpec;
  readonly costs: Costs;
  readonly policies: readonly PolicySpec[];
  readonly guests: readonly GuestSpec[];
}
