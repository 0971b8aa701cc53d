import { readFileSync } from "node:fs";
import { Command, type CommanderError } from "commander";
import { countOf } from "../report/quantity.ts";
import { shown } from "../scenario/schema-error.ts";
import { UserError } from "../user-error.ts";
import type { CommandContext } from "./command-context.ts";
import { addCompareCommand } from "./compare.ts";
import { addRegistersCommand } from "./registers.ts";
import { addRunCommand } from "./run.ts";

/**
 * Runs one command line (without `node` and the script). Resolves when the command is done, or its help is printed.
 * Throws UserError, one line, for whatever the user can mend, syntax included.
 */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<void> {
  const program = new Command("spillway");
  program
    .description("A virtio-net card whose interrupts cooperate with the host's scheduler.")
    .version(packageVersion())
    .helpCommand(false)
    .showSuggestionAfterError(false)
    // What commander has to say about errors comes back as an exception, and is said in our words.
    .configureOutput({ writeOut: context.print, writeErr: () => {}, outputError: () => {} });
  throwInOurWords(program, program);
  const commands = [
    addRunCommand(program, context),
    addCompareCommand(program, context),
    addRegistersCommand(program, context),
  ];
  for (const command of commands) throwInOurWords(command, program);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof HelpShown)) throw error;
  }
}

class HelpShown extends Error {}

function throwInOurWords(command: Command, program: Command): void {
  command.exitOverride((error) => {
    throw translated(error, command, program);
  });
}

function translated(error: CommanderError, command: Command, program: Command): Error {
  const commands = program.commands.map((known) => known.name()).join(", ");
  const prefix = command === program ? "" : `${command.name()}: `;
  // What commander quotes, such as the option's name.
  const quoted = /'(.*)'/s.exec(error.message)?.[1] ?? "";
  switch (error.code) {
    case "commander.helpDisplayed":
    case "commander.version":
      return new HelpShown();
    case "commander.help":
      return new UserError(`no command given; allowed are ${commands}, and --help`);
    case "commander.unknownCommand":
      return new UserError(`unknown command ${shown(quoted)}; allowed are ${commands}`);
    case "commander.unknownOption":
      return new UserError(
        `${prefix}unknown option ${shown(quoted)}; allowed are ${optionNames(command)}` +
          (command === program ? `, and a command: ${commands}` : ""),
      );
    case "commander.optionMissingArgument":
      return new UserError(`${prefix}${quoted} is missing its value`);
    case "commander.excessArguments": {
      const allowed = command.registeredArguments.length === 0 ? "none" : "one scenario file";
      return new UserError(`${prefix}got ${countOf(command.args.length, "argument")}; allowed is ${allowed}`);
    }
    default:
      return new UserError(prefix + error.message.replace(/^error: /, ""));
  }
}

function optionNames(command: Command): string {
  return [...command.options.map((option) => option.long ?? option.short), "--help"].join(", ");
}

function packageVersion(): string {
  // The same distance from `src` and from `dist`.
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const version: unknown = JSON.parse(text).version;
  return String(version);
}
