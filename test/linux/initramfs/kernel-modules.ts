/** Which module files a module needs, in the order in which they must be loaded. */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface KernelModule {
  readonly name: string;
  readonly file: string;
}

/** @throws Error if a module that another one needs has no file */
export function modulesInOrder(folder: string, wanted: readonly string[]): KernelModule[] {
  const files = new Map<string, string>();
  for (const path of readdirSync(join(folder, "kernel"), { recursive: true, encoding: "utf8" })) {
    if (path.endsWith(".ko")) files.set(nameOf(basename(path, ".ko")), join(folder, "kernel", path));
  }
  const builtIn = new Set(readFileSync(join(folder, "modules.builtin"), "utf8").split("\n").map(fileName));
  const order = new Map<string, KernelModule>();
  const add = (name: string): void => {
    if (order.has(name) || builtIn.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`kernel module ${name} is not below ${folder}`);
    for (const needed of needsOf(file)) add(needed);
    order.set(name, { name, file });
  };
  for (const name of wanted) add(nameOf(name));
  return [...order.values()];
}

/** A module's own list of what it needs, in its section .modinfo. */
function needsOf(file: string): string[] {
  const [, list = ""] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, "latin1")) ?? [];
  return list.split(",").filter(Boolean).map(nameOf);
}

const nameOf = (name: string): string => name.replaceAll("-", "_");
const fileName = (path: string): string => nameOf(basename(path, ".ko"));
