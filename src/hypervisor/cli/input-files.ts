import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileErrorReason } from "../file-error.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { shown } from "../scenario/schema-error.ts";
import { openCapture } from "../traffic/open-capture.ts";
import { UserError } from "../user-error.ts";

/** What a command reads: the scenario's file, and the captures that it names. */

/** A scenario is written by hand; whatever is larger than this is another kind of file. */
const SCENARIO_BYTES_MAX = 1 << 20;

export interface ScenarioFile {
  /** Its path as the user gave it; null if there is no file. */
  readonly source: string | null;
  readonly folder: string;
  readonly json: unknown;
}

/** Without a path: the empty scenario, which is all defaults. */
export function readScenarioFile(path: string | undefined): ScenarioFile {
  if (path === undefined) return { source: null, folder: ".", json: {} };
  return { source: path, folder: dirname(path), json: parseJson(path, readText(path)) };
}

function readText(path: string): string {
  const bytes = Buffer.allocUnsafe(SCENARIO_BYTES_MAX + 1);
  let length = 0;
  withScenario(path, (descriptor) => {
    for (let got = -1; got !== 0 && length < bytes.length; length += got) {
      got = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
  });
  if (length > SCENARIO_BYTES_MAX) {
    throw new UserError(
      `scenario ${shown(path)}: more than ${SCENARIO_BYTES_MAX} bytes; allowed is a JSON file below that`,
    );
  }
  try {
    // `fatal`, so that a binary file is refused rather than read as replacement characters; a byte order mark is skipped.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch {
    throw new UserError(`scenario ${shown(path)}: not UTF-8 text; allowed is a JSON file`);
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const at = /at position (\d+)/.exec(reason);
    const before = text.slice(0, at === null ? 0 : Number(at[1]));
    const line = before.split("\n").length;
    const column = before.length - before.lastIndexOf("\n");
    const where = at === null ? "" : ` (line ${line}, column ${column})`;
    throw new UserError(
      `scenario ${shown(path)}: not JSON: ${reason.replace(/ \(line \d+ column \d+\)$/, "")}${where}`,
    );
  }
}

/** Opens every capture once, so that one that cannot be played is refused before anything is written. */
export function checkCaptures(scenario: Scenario): void {
  for (const file of captureFiles(scenario)) {
    // Opening a pipe would wait for whoever writes to it; and it could not be read once for each guest and policy.
    if (isPipe(file)) {
      throw new UserError(`capture ${shown(file)}: it is a pipe; allowed is a regular file`);
    }
    openCapture(file).close();
  }
}

/** Refuses an output that would replace what the run reads. */
export function checkNoInputIsReplaced(
  output: string,
  option: string,
  source: string | null,
  scenario: Scenario,
): void {
  const target = realPath(output);
  if (target === null) return;
  for (const input of [...(source === null ? [] : [source]), ...captureFiles(scenario)]) {
    if (realPath(input) === target) {
      throw new UserError(`${option}: ${shown(output)} is read by this run; allowed is another file`);
    }
  }
}

function captureFiles(scenario: Scenario): Set<string> {
  return new Set(scenario.guests.flatMap(({ traffic }) => (traffic.kind === "capture" ? [traffic.file] : [])));
}

function isPipe(path: string): boolean {
  try {
    return statSync(path).isFIFO();
  } catch {
    // Why it cannot be looked at is said by whoever opens it.
    return false;
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function withScenario(path: string, action: (descriptor: number) => void): void {
  try {
    const descriptor = openSync(path, "r");
    try {
      action(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const reason = fileErrorReason(error);
    if (reason === null) throw error;
    throw new UserError(`scenario ${shown(path)}: cannot be read: ${reason}`);
  }
}
