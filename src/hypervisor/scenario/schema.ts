import { z } from "zod";
import { POLICY_NAMES } from "./defaults.ts";
import type { Limit } from "./limits.ts";
import * as limits from "./limits.ts";

/** The shape of a scenario's JSON. Each refusal carries what is allowed; schema-error.ts makes the sentence of it. */

function bounded(limit: Limit) {
  return z.custom<number>((value) => typeof value === "number" && limit.accepts(value), { error: limit.allowed });
}

function flag() {
  return z.boolean({ error: "true or false" });
}

function oneOf<const T extends readonly string[]>(names: T) {
  return z.enum(names, { error: `one of ${names.join(", ")}` });
}

function matching(pattern: RegExp, allowed: string) {
  return z.custom<string>((value) => typeof value === "string" && pattern.test(value), { error: allowed });
}

/** An object without other keys than these. */
function exactly<T extends z.core.$ZodShape>(shape: T) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? `the keys ${keys}` : `an object with the keys ${keys}`),
  });
}

const text32 = matching(/^[\x20-\x7e]{1,32}$/, "1 to 32 printable ASCII characters");
const path = matching(/^[^\0]{1,4096}$/, "the path of a capture file");
const imagePath = matching(/^[^\0]{1,4096}$/, "the path of a file");
const count = bounded(limits.FRAME_COUNT).nullable().optional();
const lengthBytes = bounded(limits.FRAME_BYTES);
const framesPerS = bounded(limits.FRAMES_PER_S);

const trafficKinds = [
  exactly({ kind: z.literal("capture"), file: path, offsetNs: bounded(limits.TIME_NS).optional() }),
  exactly({ kind: z.literal("constant"), framesPerS, lengthBytes, count }),
  exactly({ kind: z.literal("poisson"), framesPerS, lengthBytes, count }),
  exactly({
    kind: z.literal("on-off"),
    framesPerS,
    lengthBytes,
    onMeanNs: bounded(limits.PERIOD_NS),
    offMeanNs: bounded(limits.PERIOD_NS),
    count,
  }),
  exactly({
    kind: z.literal("burst"),
    burstFrames: bounded(limits.BURST_FRAMES),
    periodNs: bounded(limits.PERIOD_NS),
    lengthBytes,
    count,
  }),
  exactly({
    kind: z.literal("requests"),
    outstanding: bounded(limits.OUTSTANDING),
    thinkNs: bounded(limits.TIME_NS),
    lengthBytes,
    count,
  }),
  exactly({ kind: z.literal("none") }),
] as const;

const traffic = z.preprocess(
  (value) => (typeof value === "string" ? { kind: "capture", file: value } : value),
  z.discriminatedUnion("kind", trafficKinds, {
    error: (issue) =>
      issue.code === "invalid_union"
        ? "one of capture, constant, poisson, on-off, burst, requests, none"
        : "the path of a capture, or an object with a kind",
  }),
);

const guest = exactly({
  name: text32.optional(),
  ring: bounded(limits.RING).optional(),
  app: oneOf(["sink", "echo", "request-response", "bulk"]).optional(),
  load: oneOf(["busy", "idle"]).optional(),
  weight: bounded(limits.WEIGHT).optional(),
  traffic: traffic.optional(),
  coalesce: exactly({ maxUsecs: bounded(limits.COALESCE), maxPackets: bounded(limits.COALESCE) })
    .nullable()
    .optional(),
  sendBytes: bounded(limits.FRAME_BYTES).optional(),
  sendCount: bounded(limits.FRAME_COUNT).nullable().optional(),
});

const interval = bounded(limits.INTERVAL_NS).optional();

const policy = z.preprocess(
  (value) => (typeof value === "string" ? { name: value } : value),
  z.discriminatedUnion(
    "name",
    [
      exactly({ name: z.literal("unmoderated") }),
      exactly({ name: z.literal("fixed"), intervalNs: interval }),
      exactly({ name: z.literal("notf-coal") }),
      exactly({ name: z.literal("cooperative"), latencyIntervalNs: interval, overflowIntervalNs: interval }),
      exactly({
        name: z.literal("cooperative-adaptive"),
        mode: oneOf(["strict", "learned"]).optional(),
        latencyIntervalNs: interval,
        sliceEnd: flag().optional(),
      }),
    ],
    {
      error: (issue) =>
        issue.code === "invalid_union"
          ? `one of ${POLICY_NAMES.join(", ")}`
          : `a policy's name, or an object with one: ${POLICY_NAMES.join(", ")}`,
    },
  ),
);

/** A number of guests stands for that many without any wishes. */
const guests = z.preprocess(
  (value) => (typeof value === "number" && limits.GUESTS.accepts(value) ? Array(value).fill({}) : value),
  z
    .array(guest, { error: `${limits.GUESTS.allowed}, or a list of guests` })
    .refine((list) => limits.GUESTS.accepts(list.length), { error: "a list of 1 to 64 guests" }),
);

const linux = exactly({
  kernel: imagePath,
  initrd: imagePath,
  bios: imagePath,
  vgaBios: imagePath,
  memoryMb: bounded(limits.MEMORY_MB).optional(),
  kernelWords: matching(/^[\x20-\x7e]{0,512}$/, "up to 512 printable ASCII characters").optional(),
  stateFile: imagePath.nullable().optional(),
});

export const scenarioSchema = exactly({
  name: text32.optional(),
  kind: oneOf(["ts", "linux"]).optional(),
  linux: linux.nullable().optional(),
  engine: oneOf(["virtual", "threads"]).optional(),
  seed: bounded(limits.SEED).optional(),
  durationNs: bounded(limits.DURATION_NS).nullable().optional(),
  durationS: bounded(limits.DURATION_S).nullable().optional(),
  speed: bounded(limits.SPEED).optional(),
  pcpus: bounded(limits.PCPUS).optional(),
  linkRateBps: bounded(limits.LINK_RATE_BPS).optional(),
  mtu: bounded(limits.MTU).optional(),
  maxInactiveDelayNs: bounded(limits.MAX_INACTIVE_DELAY_NS).optional(),
  maxGapNs: bounded(limits.MAX_GAP_NS).optional(),
  urgent: exactly({
    filter: oneOf(["off", "marked", "short", "control"]).optional(),
    creditsPerS: bounded(limits.CREDITS_PER_S).optional(),
  }).optional(),
  scheduler: exactly({
    kind: oneOf(["round-robin", "credit"]).optional(),
    sliceNs: bounded(limits.SLICE_NS).optional(),
    wakeSliceNs: bounded(limits.SLICE_NS).optional(),
    boost: flag().optional(),
    boostShareMax: bounded(limits.SHARE).optional(),
  }).optional(),
  costs: exactly({
    wakeLatencyNs: bounded(limits.COST_NS).optional(),
    isrNs: bounded(limits.COST_NS).optional(),
    frameCostNs: bounded(limits.COST_NS).optional(),
    refillBatch: bounded(limits.REFILL_BATCH).optional(),
    switchNs: bounded(limits.COST_NS).optional(),
  }).optional(),
  policies: z
    .array(policy, { error: "a list of policies" })
    .refine((list) => list.length >= 1 && list.length <= 32, { error: "a list of 1 to 32 policies" })
    .optional(),
  guests: guests.optional(),
});

export type ScenarioJson = z.infer<typeof scenarioSchema>;
export type GuestJson = z.infer<typeof guest>;
export type TrafficJson = z.infer<typeof traffic>;
export type LinuxJson = z.infer<typeof linux>;
export type PolicyJson = z.infer<typeof policy>;
