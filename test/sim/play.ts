import { resolve } from "node:path";
import { runVirtual } from "../../src/hypervisor/engine/virtual/run-virtual.ts";
import { EventFile } from "../../src/hypervisor/events/event-file.ts";
import { guestStarts, runHeader } from "../../src/hypervisor/events/run-header.ts";
import type { RunResult } from "../../src/hypervisor/report/result.ts";
import { parseScenario } from "../../src/hypervisor/scenario/parse.ts";
import type { Scenario } from "../../src/hypervisor/scenario/scenario.ts";
import { type CheckReport, checkEvents } from "../checker/check.ts";

export const CAPTURES = ["chrome", "quic-33", "reddit", "skype", "tumblr", "zoom2"] as const;

export function capture(name: (typeof CAPTURES)[number]): string {
  return resolve(import.meta.dirname, `../../captures/${name}.csv`);
}

export function scenarioOf(json: object): Scenario {
  return parseScenario(json, {}, { source: "test", folder: ".", command: "compare" });
}

export interface Played {
  readonly scenario: Scenario;
  readonly runs: readonly RunResult[];
  /** The whole event file. */
  readonly events: string;
}

/** Runs every policy of the scenario in virtual time, as the command does. */
export async function play(json: object, withEvents = true): Promise<Played> {
  const scenario = scenarioOf(json);
  const chunks: string[] = [];
  const file = withEvents ? new EventFile((text) => chunks.push(text)) : null;
  const runs: RunResult[] = [];
  for (const policy of scenario.policies) {
    file?.beginRun(runHeader(scenario, policy, guestStarts(scenario, policy)));
    const hooks = { events: file, progress: () => {}, signal: new AbortController().signal };
    const result = await runVirtual(scenario, policy, hooks);
    file?.endRun(result.durationNs);
    runs.push(result);
  }
  file?.flush();
  return { scenario, runs, events: chunks.join("") };
}

/** Has the independent checker recompute the figures and hold the rules against every event. */
export function check({ scenario, runs, events }: Played): Promise<CheckReport> {
  return checkEvents(events.split("\n"), { schema: 1, scenario, runs });
}

export function sum(run: RunResult, figure: (guest: RunResult["guests"][number]) => number): number {
  return run.guests.reduce((total, guest) => total + figure(guest), 0);
}
