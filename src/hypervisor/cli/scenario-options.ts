import { type Command, Option } from "commander";
import { POLICY_NAMES } from "../scenario/defaults.ts";
import { defined } from "../scenario/defined.ts";
import { DURATION_S, GUESTS, PCPUS, RING, SEED, SPEED } from "../scenario/limits.ts";
import type { ScenarioOverrides } from "../scenario/parse.ts";
import type { EngineKind } from "../scenario/scenario.ts";
import { choiceValue, choiceValues, numberValue, pathValue, pathValues } from "./option-values.ts";

/** The options that `run` and `compare` share, and what they mean for the scenario. */

/** As commander hands them over; an option that was not given is not there. */
export interface ScenarioOptions {
  readonly trace?: readonly string[];
  readonly speed?: number;
  readonly guests?: number;
  readonly pcpus?: number;
  readonly ring?: number;
  readonly engine?: EngineKind;
  readonly policy?: string | readonly string[];
  readonly duration?: number;
  readonly seed?: number;
  readonly json?: boolean;
  readonly events?: string;
}

export function addScenarioOptions(command: Command, policies: "one" | "several"): void {
  const policy =
    policies === "one"
      ? new Option("--policy <name>", `the policy to run: ${POLICY_NAMES.join(", ")}`).argParser(
          choiceValue("--policy", POLICY_NAMES),
        )
      : new Option("--policy <name>", `a policy to compare, given once for each: ${POLICY_NAMES.join(", ")}`).argParser(
          choiceValues("--policy", POLICY_NAMES),
        );
  const options = [
    new Option(
      "--trace <file>",
      "capture that the guests receive (pcap, pcapng, csv); the i-th of several goes to guest i",
    ).argParser(pathValues("--trace")),
    new Option("--speed <x>", "play captures x times as fast").argParser(numberValue("--speed", SPEED)),
    new Option("--guests <n>", "number of guests").argParser(numberValue("--guests", GUESTS)),
    new Option("--pcpus <n>", "physical CPUs that they share").argParser(numberValue("--pcpus", PCPUS)),
    new Option("--ring <n>", "entries of every guest's rings").argParser(numberValue("--ring", RING)),
    new Option("--engine <kind>", "virtual time, or worker threads in real time").argParser(
      choiceValue("--engine", ["virtual", "threads"]),
    ),
    policy,
    new Option("--duration <s>", "seconds to run, in the run's own time").argParser(
      numberValue("--duration", DURATION_S),
    ),
    new Option("--seed <n>", "seed of everything random").argParser(numberValue("--seed", SEED)),
    new Option("--json", "print the result as JSON (docs/results.md)"),
    new Option("--events <file>", "write every event as NDJSON (docs/events.md)").argParser(pathValue("--events")),
  ];
  for (const option of options) command.addOption(option);
}

export function overridesFrom(options: ScenarioOptions): ScenarioOverrides {
  const { speed, guests, pcpus, ring, engine, seed } = options;
  return defined({
    speed,
    guests,
    pcpus,
    ring,
    engine,
    seed,
    traces: options.trace,
    policies: typeof options.policy === "string" ? [options.policy] : options.policy,
    durationNs: options.duration === undefined ? undefined : Math.max(1, Math.round(options.duration * 1e9)),
  });
}
