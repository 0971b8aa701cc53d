/**
 * The event vocabulary (docs/events.md): what happened, as numbers, so that a record costs no allocation.
 * Every producer calls `EventLog.record`; the formatter alone knows the NDJSON field names.
 */

export const EV_ARRIVE = 1; //      a = id, b = queue, c = length in bytes
export const EV_DELIVER = 2; //     a = id, b = queue, c = buffers, d = free buffers left
export const EV_DROP = 3; //        a = id, b = queue, c = index into DROP_REASONS
export const EV_DRAIN = 4; //       a = first id, b = queue, c = last id, d = count
export const EV_REFILL = 5; //      b = queue, c = buffers
export const EV_CAUSE = 6; //       a = vector, b = queue (-1 none), c = index into CAUSE_KINDS
export const EV_NOTIFY_OFF = 7; //  b = queue
export const EV_NOTIFY_ON = 8; //   b = queue
export const EV_NOTIFY = 9; //      a = vector, c = index into NOTIFY_REASONS
export const EV_WAKE = 10; //       c = index into WAKE_REASONS
export const EV_ACTIVATE = 11; //   a = physical CPU, c = index into ACTIVATE_REASONS, d = boosted
export const EV_DEACTIVATE = 12; // c = index into DEACTIVATE_REASONS
export const EV_STATE = 13; //      a = seq, d = postedAt ns
export const EV_THROTTLE = 14; //   a = vector, b = latency ns, c = overflow ns, d = free min; e = slice end ns or -1

export const DROP_REASONS = ["no-buffer", "too-long", "fault", "not-ready", "suspended", "queue-full"] as const;
export const CAUSE_KINDS = ["rx", "tx", "ctrl", "config"] as const;
export const NOTIFY_REASONS = ["latency", "guard", "urgent", "wake", "config"] as const;
export const WAKE_REASONS = ["overflow", "guard", "urgent", "config"] as const;
export const ACTIVATE_REASONS = ["slice", "wake", "resume"] as const;
export const DEACTIVATE_REASONS = ["slice-end", "preempted", "idle"] as const;

export type ActivateReason = (typeof ACTIVATE_REASONS)[number];
export type DeactivateReason = (typeof DEACTIVATE_REASONS)[number];

export interface EventLog {
  /** `tNs` is relative to the run's start; `guest` is the guest's index in the run's header. */
  record(tNs: number, kind: number, guest: number, a: number, b: number, c: number, d: number, e: number): void;
}
