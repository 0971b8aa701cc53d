import type { Command } from "commander";
import { RESULT_SCHEMA, type ResultDocument } from "../report/result.ts";
import { runReport } from "../report/result-table.ts";
import type { CommandContext } from "./command-context.ts";
import type { Executed } from "./execute.ts";
import { addScenarioOptions, type ScenarioOptions } from "./scenario-options.ts";

export function addRunCommand(program: Command, context: CommandContext): Command {
  const command = program
    .command("run")
    .description("run a scenario under one policy")
    .argument("[scenario.json]", "the scenario; without one, defaults and options make it")
    .action(async (path: string | undefined, options: ScenarioOptions) => {
      // Checking a scenario takes zod, which takes longer to load than all the rest; a bad option should not wait for it.
      const { execute } = await import("./execute.ts");
      const executed = await execute("run", path, options, context);
      const run = executed.runs[0];
      if (options.json) context.print(documentText(executed));
      else if (run !== undefined) context.print(runReport(run, executed.labels[0] ?? run.policy, context));
    });
  addScenarioOptions(command, "one");
  return command;
}

/** The result document (docs/results.md), as `--json` prints it. */
export function documentText({ scenario, runs }: Executed): string {
  const document: ResultDocument = { schema: RESULT_SCHEMA, scenario, runs };
  return `${JSON.stringify(document, null, 2)}\n`;
}
