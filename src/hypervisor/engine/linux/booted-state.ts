/** Linux boots once: its state is kept for the other guests and policies of this process, and in a file if the scenario names one. */

import { existsSync } from "node:fs";
import type { LinuxSpec } from "../../scenario/scenario.ts";
import { ReportingThread } from "../threads/reporting-thread.ts";
import { machineKey, readLinuxFile, writeLinuxFile } from "./linux-files.ts";

/** A state file begins with the key of the machine, and a newline. */
const KEY_CHARACTERS = 64;

const booted = new Map<string, Promise<SharedArrayBuffer>>();

/**
 * State of a machine without a network card, whose first process waits for commands. Throws UserError if v86 is missing,
 * or a file cannot be read or written.
 */
export async function bootedState(spec: LinuxSpec): Promise<SharedArrayBuffer> {
  const key = machineKey(spec);
  const known = booted.get(key) ?? readOrBoot(spec, key);
  booted.set(key, known);
  try {
    return await known;
  } catch (error) {
    booted.delete(key);
    throw error;
  }
}

async function readOrBoot(spec: LinuxSpec, key: string): Promise<SharedArrayBuffer> {
  const { stateFile } = spec;
  if (stateFile !== null && existsSync(stateFile)) {
    const file = readLinuxFile("stateFile", stateFile);
    // A file of another machine is written anew.
    if (file.toString("latin1", 0, KEY_CHARACTERS) === key) return shared(file.subarray(KEY_CHARACTERS + 1));
  }
  const thread = new ReportingThread<ArrayBuffer>("boot", new URL("./boot-worker.js", import.meta.url), spec);
  try {
    const state = shared(new Uint8Array(await thread.report()));
    if (stateFile !== null) {
      writeLinuxFile("stateFile", stateFile, Buffer.concat([Buffer.from(`${key}\n`), new Uint8Array(state)]));
    }
    return state;
  } finally {
    await thread.terminate();
  }
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
