import { UserError } from "../user-error.ts";
import type { CommandContext } from "./command-context.ts";
import { runCommandLine } from "./command-line.ts";
import { Interruption } from "./interruption.ts";

/** The command as a process: streams, signals, exit codes. */

const EXIT_INTERNAL = 1;
const EXIT_USER = 2;

export async function runProcess(args: readonly string[], loadEngine: CommandContext["loadEngine"]): Promise<void> {
  // Whoever reads the output may have seen enough (`| head`): that is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") complain(`standard output: ${error.code ?? error.message}`);
    process.exit(error.code === "EPIPE" ? 0 : EXIT_USER);
  });
  process.stderr.on("error", () => {});

  const interruption = new Interruption();
  interruption.listen();
  try {
    await runCommandLine(args, {
      loadEngine,
      print: (text) => process.stdout.write(text),
      colours: process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
      progressTerminal: process.stderr.isTTY === true ? process.stderr : null,
      signal: interruption.signal,
    });
    process.exitCode = interruption.exitCode ?? 0;
  } catch (error) {
    if (error instanceof UserError) {
      complain(error.message);
      process.exitCode = EXIT_USER;
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = EXIT_INTERNAL;
    }
  }
}

/** One line, whatever is in it: names of files may hold line breaks and terminal sequences. */
function complain(message: string): void {
  const line = message.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  process.stderr.write(`spillway: ${line}\n`);
}
