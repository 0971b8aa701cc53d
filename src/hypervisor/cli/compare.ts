import type { Command } from "commander";
import { comparisonReport } from "../report/result-table.ts";
import type { CommandContext } from "./command-context.ts";
import { documentText } from "./run.ts";
import { addScenarioOptions, type ScenarioOptions } from "./scenario-options.ts";

export function addCompareCommand(program: Command, context: CommandContext): Command {
  const command = program
    .command("compare")
    .description("run a scenario under several policies, on the same packets and the same schedule")
    .argument("[scenario.json]", "the scenario; without one, defaults and options make it")
    .action(async (path: string | undefined, options: ScenarioOptions) => {
      // Checking a scenario takes zod, which takes longer to load than all the rest; a bad option should not wait for it.
      const { execute } = await import("./execute.ts");
      const executed = await execute("compare", path, options, context);
      if (options.json) context.print(documentText(executed));
      else if (executed.runs.length > 0) context.print(comparisonReport(executed.runs, executed.labels, context));
    });
  addScenarioOptions(command, "several");
  return command;
}
