import { basename, isAbsolute, join } from "node:path";
import { UserError } from "../user-error.ts";
import { checkScenario } from "./cross-checks.ts";
import {
  DEFAULT_COSTS,
  DEFAULT_GUEST,
  DEFAULT_GUEST_COUNT,
  DEFAULT_LINUX,
  DEFAULT_SCENARIO,
  DEFAULT_SCHEDULER,
  DEFAULT_TRAFFIC,
  DEFAULT_URGENT,
  LINK_RATE_OF_LINUX_BPS,
  LINK_RATE_OF_THREADS_BPS,
  LINUX_SCHEDULER,
} from "./defaults.ts";
import { defined } from "./defined.ts";
import { completePolicies, selectPolicies } from "./policies.ts";
import type { Costs, EngineKind, GuestSpec, LinuxSpec, Scenario, SchedulerSpec, TrafficSpec } from "./scenario.ts";
import { type GuestJson, type LinuxJson, type ScenarioJson, scenarioSchema, type TrafficJson } from "./schema.ts";
import { schemaErrorLine, shown } from "./schema-error.ts";

/** What the command line says over the scenario; absent = it says nothing. Ranges are checked where options are read. */
export interface ScenarioOverrides {
  /** Capture files, as paths that can be opened; guest i plays number i mod n. */
  readonly traces?: readonly string[];
  readonly speed?: number;
  readonly guests?: number;
  readonly pcpus?: number;
  readonly ring?: number;
  readonly engine?: EngineKind;
  readonly policies?: readonly string[];
  readonly durationNs?: number;
  readonly seed?: number;
}

export interface ScenarioContext {
  /** What messages call the scenario: the path of its file; null if there is none. */
  readonly source: string | null;
  /** Capture paths in the JSON are relative to this folder. */
  readonly folder: string;
  /** `run` takes one policy, `compare` several. */
  readonly command: "run" | "compare";
}

/**
 * A complete scenario from JSON (any value that JSON.parse can give) and the command line. Its `policies` are exactly
 * those that the command is to run. Throws UserError, one line, for whatever it cannot take.
 */
export function parseScenario(json: unknown, overrides: ScenarioOverrides, context: ScenarioContext): Scenario {
  const parsed = scenarioSchema.safeParse(json, { reportInput: true });
  const source = context.source === null ? "" : `scenario ${shown(context.source)}: `;
  if (!parsed.success) throw new UserError(source + schemaErrorLine(parsed.error));
  const given = parsed.data;

  const listsGuests = typeof json === "object" && json !== null && Array.isArray(Reflect.get(json, "guests"));
  if (overrides.guests !== undefined && listsGuests) {
    throw new UserError(
      `--guests ${overrides.guests} contradicts the scenario, which lists ` +
        `${given.guests?.length} guests one by one; allowed is one or the other`,
    );
  }
  const guestsJson = guestList(given, overrides);
  const traces = overrides.traces ?? [];
  if (traces.length > guestsJson.length) {
    throw new UserError(
      `--trace: got ${traces.length} files for ${guestsJson.length} guest${guestsJson.length === 1 ? "" : "s"}; ` +
        "allowed is at most one for each guest",
    );
  }

  const maxInactiveDelayNs = given.maxInactiveDelayNs ?? DEFAULT_SCENARIO.maxInactiveDelayNs;
  const mtu = given.mtu ?? DEFAULT_SCENARIO.mtu;
  const guests = guestsJson.map((guest, i) => completeGuest(guest, i, mtu, overrides, context.folder));
  const smallestRing = Math.min(...guests.map((guest) => guest.ring));
  const speed = overrides.speed ?? given.speed;
  const pcpus = overrides.pcpus ?? given.pcpus;
  const linux = completeLinux(given, context.folder, source);
  // Linux runs in real time alone; a scenario that asks for another engine is refused below.
  const engine = overrides.engine ?? given.engine ?? (linux === null ? undefined : "threads");
  const linkRateOfThreads = linux === null ? LINK_RATE_OF_THREADS_BPS : LINK_RATE_OF_LINUX_BPS;
  const linkRateBps = given.linkRateBps ?? (engine === "threads" ? linkRateOfThreads : undefined);
  const seed = overrides.seed ?? given.seed;
  const complete = completePolicies(given.policies, maxInactiveDelayNs);
  const scenario: Scenario = {
    ...DEFAULT_SCENARIO,
    name: given.name ?? nameFrom(context.source),
    ...defined({ kind: given.kind, engine, seed, speed, pcpus, linkRateBps, maxGapNs: given.maxGapNs }),
    linux,
    durationNs: overrides.durationNs ?? durationNs(given, source),
    mtu,
    maxInactiveDelayNs,
    urgent: { ...DEFAULT_URGENT, ...defined(given.urgent ?? {}) },
    scheduler: completeScheduler(given.scheduler, linux !== null),
    costs: completeCosts(given.costs, smallestRing),
    policies: selectPolicies(complete, overrides.policies, context.command, maxInactiveDelayNs),
    guests,
  };
  checkScenario(scenario, source);
  return scenario;
}

function guestList(given: ScenarioJson, overrides: ScenarioOverrides): readonly GuestJson[] {
  if (overrides.guests !== undefined) return Array.from({ length: overrides.guests }, () => ({}));
  return given.guests ?? Array.from({ length: DEFAULT_GUEST_COUNT }, () => ({}));
}

function completeGuest(
  given: GuestJson,
  index: number,
  mtu: number,
  overrides: ScenarioOverrides,
  folder: string,
): GuestSpec {
  const traces = overrides.traces ?? [];
  const trace = traces[index % traces.length];
  return {
    ...DEFAULT_GUEST,
    // The longest frame of a small MTU may be shorter than the default.
    sendBytes: Math.min(DEFAULT_GUEST.sendBytes, mtu + 14),
    name: `g${index}`,
    ...defined({ ...given, ring: overrides.ring ?? given.ring }),
    traffic:
      trace === undefined ? completeTraffic(given.traffic, mtu, folder) : { kind: "capture", file: trace, offsetNs: 0 },
  };
}

function completeTraffic(given: TrafficJson | undefined, mtu: number, folder: string): TrafficSpec {
  if (given === undefined) {
    return { ...DEFAULT_TRAFFIC, lengthBytes: Math.min(DEFAULT_TRAFFIC.lengthBytes, mtu + 14) };
  }
  switch (given.kind) {
    case "none":
      return given;
    case "capture":
      // Not made absolute: the result names its captures, and must not depend on where the project lies.
      return {
        kind: "capture",
        file: isAbsolute(given.file) ? given.file : join(folder, given.file),
        offsetNs: given.offsetNs ?? 0,
      };
    default:
      return { ...given, count: given.count ?? null };
  }
}

function completeLinux(given: ScenarioJson, folder: string, source: string): LinuxSpec | null {
  const { kind = "ts" } = given;
  const linux: LinuxJson | null = given.linux ?? null;
  if ((kind === "linux") !== (linux !== null)) {
    throw new UserError(
      kind === "linux"
        ? `${source}kind linux needs a key linux, which names kernel, initrd, bios and vgaBios`
        : `${source}got a key linux, but kind is ts; allowed is linux with kind linux`,
    );
  }
  if (linux === null) return null;
  const at = (file: string): string => (isAbsolute(file) ? file : join(folder, file));
  const { kernel, initrd, bios, vgaBios, stateFile = DEFAULT_LINUX.stateFile } = linux;
  return {
    ...DEFAULT_LINUX,
    ...defined(linux),
    kernel: at(kernel),
    initrd: at(initrd),
    bios: at(bios),
    vgaBios: at(vgaBios),
    stateFile: stateFile === null ? null : at(stateFile),
  };
}

function completeScheduler(given: ScenarioJson["scheduler"], linux: boolean): SchedulerSpec {
  const defaults = linux ? { ...DEFAULT_SCHEDULER, ...LINUX_SCHEDULER } : DEFAULT_SCHEDULER;
  const sliceNs = given?.sliceNs ?? defaults.sliceNs;
  // A short slice shortens the default wake slice with it; one that was asked for is checked instead.
  const wakeSliceNs = Math.min(defaults.wakeSliceNs, sliceNs);
  return { ...defaults, wakeSliceNs, ...defined(given ?? {}) };
}

function completeCosts(given: ScenarioJson["costs"], smallestRing: number): Costs {
  // Half a ring at most, so that a driver never waits with an empty ring for its batch to fill.
  const refillBatch = Math.min(DEFAULT_COSTS.refillBatch, smallestRing / 2);
  return { ...DEFAULT_COSTS, refillBatch, ...defined(given ?? {}) };
}

function durationNs(given: ScenarioJson, source: string): number | null {
  if (given.durationNs !== undefined && given.durationS !== undefined) {
    throw new UserError(`${source}got both durationNs and durationS; allowed is one of them`);
  }
  if (given.durationS !== undefined && given.durationS !== null) {
    return Math.max(1, Math.round(given.durationS * 1e9));
  }
  return given.durationNs ?? null;
}

function nameFrom(source: string | null): string {
  return source === null ? "command line" : basename(source).replace(/\.json$/, "");
}
