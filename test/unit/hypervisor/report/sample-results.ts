import type { Distribution, GuestResult, RunResult } from "../../../../src/hypervisor/report/result.ts";

/** Results for the tests of reports: empty but for what a test says. */

export function spread(p50: number, p99: number): Distribution {
  return { count: 100, p50, p90: p99, p99, max: p99 };
}

const EMPTY: Distribution = { count: 0, p50: null, p90: null, p99: null, max: null };

export function guestResult(parts: Partial<GuestResult> & { wakeCount?: number } = {}): GuestResult {
  const { wakeCount = 0, ...rest } = parts;
  return {
    name: "g0",
    arrived: 1000,
    delivered: 1000,
    dropped: 0,
    read: 1000,
    unread: 0,
    violations: { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 },
    transmitted: { frames: 0, bytes: 0, corrupted: 0 },
    notifications: { total: 0, latency: 0, guard: 0, urgent: 0, wake: 0, config: 0 },
    wakes: { total: wakeCount, overflow: wakeCount, guard: 0, urgent: 0, config: 0, coalesced: 0, unboosted: 0 },
    activations: 1,
    activeNs: 250_000_000,
    notifyNs: EMPTY,
    latencyNs: EMPTY,
    latencyCutNs: EMPTY,
    latencyInactiveNs: EMPTY,
    ...rest,
  };
}

export function runResult(parts: Partial<RunResult> = {}): RunResult {
  return {
    policy: "fixed",
    engine: "virtual",
    durationNs: 1_000_000_000,
    interrupted: false,
    stateChangeNs: { p50: null, p99: null },
    latenessNs: { p50: null, p99: null },
    trafficLatenessNs: { p50: null, p99: null },
    guests: [guestResult()],
    host: { interrupts: 0, switches: 0, cpuNs: 0 },
    notes: [],
    ...parts,
  };
}
