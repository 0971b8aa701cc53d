/** The files that a scenario of kind "linux" names, and the emulator: looked at before a thread fails for want of them. */

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileErrorReason } from "../../file-error.ts";
import type { LinuxSpec } from "../../scenario/scenario.ts";
import { UserError } from "../../user-error.ts";

/** Bytes of a file; `key` is what the scenario calls it. Throws UserError if it cannot be read. */
export function readLinuxFile(key: string, path: string): Buffer {
  return attempt(key, "read", path, () => readFileSync(path));
}

/** Writes a file, whole or not at all. Throws UserError if it cannot be written. */
export function writeLinuxFile(key: string, path: string, bytes: Uint8Array): void {
  attempt(key, "write", path, () => {
    writeFileSync(`${path}.partial`, bytes);
    renameSync(`${path}.partial`, path);
  });
}

/** A hash of all that a booted machine is made of. Throws UserError if v86 is missing, or a file cannot be read. */
export function machineKey(spec: LinuxSpec): string {
  const hash = createHash("sha256").update(JSON.stringify([v86Version(), spec.memoryMb, spec.kernelWords]));
  for (const key of ["kernel", "initrd", "bios", "vgaBios"] as const) hash.update(readLinuxFile(key, spec[key]));
  return hash.digest("hex");
}

function v86Version(): string {
  try {
    return (createRequire(import.meta.url)("v86/package.json") as { version: string }).version;
  } catch {
    throw new UserError("guests of kind linux need the package v86, which is not installed: npm install v86");
  }
}

function attempt<T>(key: string, what: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const reason = fileErrorReason(error);
    if (reason === null) throw error;
    throw new UserError(`linux.${key}: cannot ${what} ${JSON.stringify(path)}: ${reason}`);
  }
}
