import type { Costs, GuestSpec, LinuxSpec, PolicySpec, Scenario, SchedulerSpec, TrafficSpec } from "./scenario.ts";

/** What a scenario gets for whatever it leaves out, and why. */

/** Three guests on one CPU: the smallest case in which a guest waits for more than one other. */
export const DEFAULT_GUEST_COUNT = 3;

export const DEFAULT_SCENARIO: Pick<
  Scenario,
  | "kind"
  | "engine"
  | "seed"
  | "durationNs"
  | "speed"
  | "pcpus"
  | "linkRateBps"
  | "mtu"
  | "maxInactiveDelayNs"
  | "maxGapNs"
> = {
  kind: "ts",
  // The same input gives the same bytes of output; threads are for measuring.
  engine: "virtual",
  seed: 1,
  // As long as the traffic lasts: each frame of a capture is then seen once.
  durationNs: null,
  speed: 1,
  // Guests outnumber CPUs, for a guest that is never preempted has nothing to show.
  pcpus: 1,
  // What a virtual NIC usually claims to be.
  linkRateBps: 10e9,
  // Captures taken behind a coalescing card hold frames far longer than 1514 bytes; those must play too.
  mtu: 65535,
  // An idle user does not notice 10 ms; a tenth of a second would be noticed (R16).
  maxInactiveDelayNs: 10e6,
  // A capture of a day with one night in it should not take a night; a minute is longer than any timer here.
  maxGapNs: 60e9,
};

/** Waking a thread takes 60 µs and more: at 10 Gbit/s 900 frames can come meanwhile, and a ring of 1024 is no reserve. */
export const LINK_RATE_OF_THREADS_BPS = 1e9;

/** What Debian's kernel with a small root needs at the least, and some more. */
export const DEFAULT_LINUX: Pick<LinuxSpec, "memoryMb" | "kernelWords" | "stateFile"> = {
  memoryMb: 128,
  kernelWords: "",
  // A file of 50 MB should be asked for.
  stateFile: null,
};

/** A Linux guest in v86 needs milliseconds to be woken, and takes thousands of frames a second, not millions. */
export const LINK_RATE_OF_LINUX_BPS = 1e8;

/** v86 looks up from the guest's instructions about once in a millisecond: a slice is to last for many such looks. */
export const LINUX_SCHEDULER: Pick<SchedulerSpec, "sliceNs" | "wakeSliceNs"> = { sliceNs: 10e6, wakeSliceNs: 5e6 };

/** No filter: urgent frames are for those who ask. The rate then matters only once a filter is set: one in a millisecond. */
export const DEFAULT_URGENT: Scenario["urgent"] = { filter: "off", creditsPerS: 1000 };

export const DEFAULT_SCHEDULER: SchedulerSpec = {
  kind: "round-robin",
  // The base slice of Linux's EEVDF is of this order.
  sliceNs: 3e6,
  // A sixth of a slice, and enough to drain a full ring of 1024 four times at the costs below.
  wakeSliceNs: 500e3,
  // A wake that only queues the guest at the end would come too late for its ring.
  boost: true,
  // A flooded guest may take a quarter of the CPU out of turn, not half (R15).
  boostShareMax: 0.25,
};

export const DEFAULT_COSTS: Costs = {
  // An inter-processor interrupt, the scheduler, the world switch: tens of microseconds on servers.
  wakeLatencyNs: 20_000,
  // An injected interrupt up to the driver's poll: an exit, an entry and the handler.
  isrNs: 1500,
  // Our own driver and sink were measured at 75 ns for a frame of 64 bytes, 256 ns for 1514, check included.
  frameCostNs: 100,
  // Linux's virtio_net refills in batches too; 16 buffers keep the cost of a doorbell small against the frames.
  refillBatch: 16,
  // Registers, address space and the caches' first misses.
  switchNs: 2000,
};

/** 125 µs, 8000 a second: the order of magnitude at which moderated cards are run. */
const LATENCY_INTERVAL_NS = 125_000;

/** All policies with their usual options; `--policy NAME` takes from here what the scenario does not have. */
export const BUILT_IN_POLICIES: readonly PolicySpec[] = [
  { name: "unmoderated" },
  { name: "fixed", intervalNs: LATENCY_INTERVAL_NS },
  { name: "notf-coal" },
  // Shorter than a slice, so that a wake can come before one; in 2 ms a ring of 1024 takes up 500 000 frames a second.
  { name: "cooperative", latencyIntervalNs: LATENCY_INTERVAL_NS, overflowIntervalNs: 2e6 },
  {
    name: "cooperative-adaptive",
    // Strict: the guard covers the worst case, so that loss is excluded rather than unlikely.
    mode: "strict",
    latencyIntervalNs: LATENCY_INTERVAL_NS,
    // Host schedulers rarely know the end of a slice for certain.
    sliceEnd: false,
  },
];

export const POLICY_NAMES: readonly PolicySpec["name"][] = BUILT_IN_POLICIES.map((policy) => policy.name);

/** What `compare` compares if the scenario names nothing: cards as they are run today, the patent, and ours. */
export const DEFAULT_COMPARED: readonly PolicySpec["name"][] = ["fixed", "cooperative", "cooperative-adaptive"];

/** What `run` runs if neither the scenario nor the command line names a policy. */
export const DEFAULT_RUN: PolicySpec["name"] = "cooperative-adaptive";

export const DEFAULT_GUEST: Omit<GuestSpec, "name" | "traffic"> = {
  ring: 1024,
  app: "sink",
  // Always something else to do: the guest for which being off the CPU matters.
  load: "busy",
  // The middle of the credit scheduler's range, as in Xen.
  weight: 256,
  coalesce: null,
  sendBytes: 1514,
  sendCount: null,
};

/** About a second of steady traffic, for a first look without a capture; it ends, so that the run does. */
export const DEFAULT_TRAFFIC = {
  kind: "poisson",
  framesPerS: 20_000,
  lengthBytes: 1514,
  count: 20_000,
} as const satisfies TrafficSpec;
