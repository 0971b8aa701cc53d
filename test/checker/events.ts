/**
 * The event file's lines as checked values (DESIGN §11). The checker shares no code with the project, so the vocabulary is
 * typed again here, from the published words alone: a slip in the project's own types cannot hide a slip in its output.
 */

export interface GuestHeader {
  readonly name: string;
  /** Free receive buffers at the start: one number for every queue, or one per queue. */
  readonly free: number | readonly number[];
  readonly ring: number | null;
  readonly active: boolean;
  /** Inactive because it gave the CPU up (§3: idle), or preempted; null where the header says `inactive` and no more. */
  readonly idle: boolean | null;
  /** The physical CPU that it is on when the run starts. */
  readonly cpu: number | null;
}

/** R12: what the guest asked for by ethtool. No event carries it; the result's scenario does. */
export interface Coalescing {
  readonly maxUsecs: number;
  readonly maxPackets: number;
}

export interface Costs {
  readonly wakeLatencyNs: number;
  readonly isrNs: number;
  readonly frameCostNs: number;
  readonly switchNs: number;
}

export interface RunHeader {
  readonly ev: "run";
  readonly policy: string;
  readonly engine: string;
  readonly pcpus: number | null;
  readonly costs: Costs | null;
  readonly guests: readonly GuestHeader[];
  /** The line as it stood: limits (boostShareMax, maxInactiveDelayNs) are looked up by name wherever they are. */
  readonly raw: Readonly<Record<string, unknown>>;
}

interface At {
  readonly t: number;
  readonly guest: string;
}
export type Arrive = At & { readonly ev: "arrive"; readonly id: number; readonly queue: number; readonly len: number };
export type Deliver = At & {
  readonly ev: "deliver";
  readonly id: number;
  readonly queue: number;
  readonly buffers: number;
  readonly free: number;
};
export type Drop = At & { readonly ev: "drop"; readonly id: number; readonly queue: number; readonly why: string };
export type Drain = At & {
  readonly ev: "drain";
  readonly queue: number;
  readonly first: number;
  readonly last: number;
  /** Frames between first and last, both included; null where the file gives the two ends only. */
  readonly count: number | null;
  readonly ids: readonly number[] | null;
};
export type Refill = At & { readonly ev: "refill"; readonly queue: number; readonly n: number };
export type Cause = At & {
  readonly ev: "cause";
  readonly vector: number;
  readonly queue: number;
  readonly kind: "rx" | "tx" | "ctrl" | "config";
};
export type Suppress = At & { readonly ev: "notify-off" | "notify-on"; readonly queue: number };
export type Notify = At & { readonly ev: "notify"; readonly vector: number; readonly why: NotifyWhy };
export type Wake = At & { readonly ev: "wake"; readonly why: WakeWhy };
export type Activate = At & {
  readonly ev: "activate";
  readonly cpu: number | null;
  readonly why: string;
  readonly boosted: boolean;
};
export type Deactivate = At & { readonly ev: "deactivate"; readonly why: string };
export type State = At & { readonly ev: "state"; readonly seq: number; readonly postedAt: number };
export type Throttle = At & {
  readonly ev: "throttle";
  readonly vector: number;
  readonly latencyNs: number | null;
  readonly overflowNs: number | null;
  readonly freeMin: number | null;
  readonly sliceEndNs: number | null;
};
export type End = { readonly ev: "end"; readonly t: number };
export type NotifyWhy = "latency" | "guard" | "urgent" | "wake" | "config";
export type WakeWhy = "overflow" | "guard" | "urgent" | "config";

export type GuestEvent =
  | Arrive
  | Deliver
  | Drop
  | Drain
  | Refill
  | Cause
  | Suppress
  | Notify
  | Wake
  | Activate
  | Deactivate
  | State
  | Throttle;
export type CheckedEvent = RunHeader | End | GuestEvent;
