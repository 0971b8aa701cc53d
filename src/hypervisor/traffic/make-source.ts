import type { TrafficSpec } from "../scenario/scenario.ts";
import { UserError } from "../user-error.ts";
import { BurstSource, ConstantSource, OnOffSource, onMeanNsMin, PoissonSource, SilentSource } from "./generators.ts";
import { openCapture } from "./open-capture.ts";
import { LimitedSource, PacedSource, ShortenedGaps } from "./pacing.ts";
import type { PacketSource } from "./packet-source.ts";
import { Random } from "./random.ts";
import { RepeatedSource } from "./repeated-source.ts";

/** Traffic whose packets do not depend on what the guest answers. */
export type OpenLoopTraffic = Exclude<TrafficSpec, { readonly kind: "requests" }>;

export interface SourceOptions {
  /** How much faster a capture is played. Generators state their own rates, which it leaves alone. */
  readonly speed: number;
  readonly seed: number;
  readonly linkRateBps: number;
  /** The end of the run; null = when the traffic ends. */
  readonly durationNs: number | null;
  /** Longest gap inside a capture, before `speed`. */
  readonly maxGapNs: number;
  /** Guests with the same traffic and seed get different random numbers. */
  readonly guestIndex: number;
}

/**
 * The packets of one guest. With a duration, traffic that ends repeats until then, and there is no packet at or after
 * it. Throws UserError for traffic that would never end, and for a capture that cannot be played.
 */
export function makeSource(spec: OpenLoopTraffic, options: SourceOptions): PacketSource {
  const endNs = options.durationNs ?? Number.POSITIVE_INFINITY;
  if (spec.kind === "none") return new SilentSource();
  if (spec.kind === "capture") {
    const open = (): PacketSource => new ShortenedGaps(openCapture(spec.file), options.maxGapNs);
    const source = options.durationNs === null ? open() : new RepeatedSource(open);
    return new LimitedSource(new PacedSource(source, options.speed, spec.offsetNs), Number.POSITIVE_INFINITY, endNs);
  }
  const { count } = spec;
  if (count === null) {
    if (options.durationNs === null) {
      throw new UserError(`traffic ${spec.kind} never ends, and the run has no duration: give durationS or count`);
    }
    return new LimitedSource(generator(spec, options), Number.POSITIVE_INFINITY, endNs);
  }
  const open = (): PacketSource => new LimitedSource(generator(spec, options), count, Number.POSITIVE_INFINITY);
  if (options.durationNs === null) return open();
  return new LimitedSource(new RepeatedSource(open), Number.POSITIVE_INFINITY, endNs);
}

type GeneratedTraffic = Exclude<OpenLoopTraffic, { readonly kind: "none" | "capture" }>;

function generator(spec: GeneratedTraffic, options: SourceOptions): PacketSource {
  const { lengthBytes } = spec;
  switch (spec.kind) {
    case "constant":
      return new ConstantSource(spec.framesPerS, lengthBytes);
    case "poisson":
      return new PoissonSource(spec.framesPerS, lengthBytes, randomOf(options));
    case "on-off": {
      const { framesPerS, onMeanNs, offMeanNs } = spec;
      const smallest = onMeanNsMin(framesPerS);
      if (onMeanNs < smallest) {
        throw new UserError(
          `traffic on-off: onMeanNs is ${onMeanNs}, too short to send a frame in; allowed is at least ${smallest} ` +
            `at ${framesPerS} frames per second`,
        );
      }
      return new OnOffSource(framesPerS, lengthBytes, onMeanNs, offMeanNs, randomOf(options));
    }
    case "burst":
      return new BurstSource(spec.burstFrames, spec.periodNs, lengthBytes, options.linkRateBps);
  }
}

function randomOf(options: SourceOptions): Random {
  return new Random(options.seed, options.guestIndex);
}
