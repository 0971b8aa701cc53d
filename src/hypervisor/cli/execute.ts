import { EventFile } from "../events/event-file.ts";
import { guestStarts, runHeader } from "../events/run-header.ts";
import type { RunResult } from "../report/result.ts";
import { parseScenario } from "../scenario/parse.ts";
import { policyLabels } from "../scenario/policies.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { CommandContext } from "./command-context.ts";
import { checkCaptures, checkNoInputIsReplaced, readScenarioFile } from "./input-files.ts";
import { OutputFile } from "./output-file.ts";
import { ProgressLine } from "./progress-line.ts";
import { overridesFrom, type ScenarioOptions } from "./scenario-options.ts";

export interface Executed {
  readonly scenario: Scenario;
  /** One for each of the scenario's policies, in that order; fewer if the command was interrupted. */
  readonly runs: readonly RunResult[];
  readonly labels: readonly string[];
}

/** Reads and checks everything, then runs each policy of the scenario in turn. Writes nothing before all is checked. */
export async function execute(
  command: "run" | "compare",
  path: string | undefined,
  options: ScenarioOptions,
  context: CommandContext,
): Promise<Executed> {
  const { json, source, folder } = readScenarioFile(path);
  const scenario = parseScenario(json, overridesFrom(options), { source, folder, command });
  checkCaptures(scenario);
  if (options.events !== undefined) checkNoInputIsReplaced(options.events, "--events", source, scenario);
  const output = options.events === undefined ? null : new OutputFile(options.events, "--events");
  try {
    const executed = await runAll(scenario, output, context);
    output?.commit();
    return executed;
  } catch (error) {
    output?.discard();
    throw error;
  }
}

async function runAll(scenario: Scenario, output: OutputFile | null, context: CommandContext): Promise<Executed> {
  const runScenario = await context.loadEngine(scenario.engine);
  const events = output === null ? null : new EventFile((text) => output.write(text));
  const progress = new ProgressLine(context.progressTerminal);
  const labels = policyLabels(scenario.policies);
  const runs: RunResult[] = [];
  try {
    for (const [i, policy] of scenario.policies.entries()) {
      if (context.signal.aborted) break;
      const label = scenario.policies.length === 1 ? policy.name : `${i + 1}/${scenario.policies.length} ${labels[i]}`;
      progress.show(label, null);
      events?.beginRun(runHeader(scenario, policy, guestStarts(scenario, policy)));
      const result = await runScenario(scenario, policy, {
        events,
        progress: (share) => progress.show(label, share),
        signal: context.signal,
      });
      events?.endRun(result.durationNs);
      runs.push(result);
    }
    events?.flush();
  } finally {
    progress.clear();
  }
  return { scenario, runs, labels };
}
