/** The result document that `--json` prints (docs/results.md). Times are nanoseconds. */

export const RESULT_SCHEMA = 1;

/** Nearest-rank percentiles: the smallest sample that at least p % of all samples do not exceed. Null without samples. */
export interface Distribution {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** What a Linux guest's own kernel counted during the run. */
export interface LinuxCounts {
  /** Interrupts of its card's line (/proc/interrupts). */
  readonly interrupts: number;
  /** Of its interface (/proc/net/dev). */
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  /** Of all its CPUs (/proc/net/softnet_stat): packets handled, dropped for a full backlog, polls cut off. */
  readonly softnetProcessed: number;
  readonly softnetDropped: number;
  readonly softnetSqueezed: number;
  /** Datagrams for a port that nobody listens on, whose checksum is right, and such whose checksum is wrong (/proc/net/snmp). */
  readonly udpNoPorts: number;
  readonly udpChecksumErrors: number;
}

export interface GuestResult {
  readonly name: string;
  readonly arrived: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly read: number;
  readonly unread: number;
  /** What the guest's own checks found; all 0 in a sound run. */
  readonly violations: {
    readonly lost: number;
    readonly duplicated: number;
    readonly reordered: number;
    readonly corrupted: number;
  };
  /** Frames that the guest sent, and what arrived of them at the wire's other end. */
  readonly transmitted: { readonly frames: number; readonly bytes: number; readonly corrupted: number };
  readonly notifications: {
    readonly total: number;
    readonly latency: number;
    readonly guard: number;
    readonly urgent: number;
    readonly wake: number;
    readonly config: number;
  };
  readonly wakes: {
    readonly total: number;
    readonly overflow: number;
    readonly guard: number;
    readonly urgent: number;
    readonly config: number;
    readonly coalesced: number;
    readonly unboosted: number;
  };
  readonly activations: number;
  readonly activeNs: number;
  readonly notifyNs: Distribution;
  readonly latencyNs: Distribution;
  readonly latencyCutNs: Distribution;
  readonly latencyInactiveNs: Distribution;
  /** With guests of kind linux alone. */
  readonly linux?: LinuxCounts;
}

export interface RunResult {
  readonly policy: string;
  readonly engine: "virtual" | "threads";
  readonly durationNs: number;
  /** True if the run was cut short by a signal. */
  readonly interrupted: boolean;
  readonly stateChangeNs: { readonly p50: number | null; readonly p99: number | null };
  /** How late throttle deadlines were served. */
  readonly latenessNs: { readonly p50: number | null; readonly p99: number | null };
  /** How late frames were taken off the wire, against the capture's own clock. */
  readonly trafficLatenessNs: { readonly p50: number | null; readonly p99: number | null };
  readonly guests: readonly GuestResult[];
  readonly host: { readonly interrupts: number; readonly switches: number; readonly cpuNs: number | null };
  readonly notes: readonly string[];
}

export interface ResultDocument {
  readonly schema: typeof RESULT_SCHEMA;
  readonly scenario: unknown;
  readonly runs: readonly RunResult[];
}
