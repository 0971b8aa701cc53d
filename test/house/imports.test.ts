import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = resolve(import.meta.dirname, "../../src");

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

/** Every import and re-export of every source file; relative ones as paths below src. */
const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(SRC, file), "utf8");
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean, dynamic: boolean): void => {
    const to = specifier.startsWith(".") ? relative(SRC, resolve(dirname(join(SRC, file)), specifier)) : specifier;
    found.push({ from: file, to, typeOnly, dynamic });
  };
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+"([^"]+)"/gm))
    add(match[2]!, match[1] !== undefined, false);
  for (const match of text.matchAll(/^import\s+"([^"]+)"/gm)) add(match[1]!, false, false);
  for (const match of text.matchAll(/\bimport\("([^"]+)"\)/g)) add(match[1]!, false, true);
  return found;
});

function broken(rule: (entry: Import) => boolean): string[] {
  return imports.filter((entry) => !rule(entry)).map((entry) => `${entry.from} imports ${entry.to}`);
}

const inside = (path: string, room: string): boolean => path.startsWith(`${room}/`);

describe("the house's import rule", () => {
  it("is checked on real imports", () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it("device/spec imports nothing", () => {
    expect(broken((entry) => !inside(entry.from, "device/spec"))).toEqual([]);
  });

  it("device imports only itself: no package, no Node module, no other room", () => {
    expect(broken((entry) => !inside(entry.from, "device") || inside(entry.to, "device"))).toEqual([]);
  });

  it("guest imports only itself, device/spec and Node, so that driver and device stay independent", () => {
    expect(
      broken(
        (entry) =>
          !inside(entry.from, "guest") ||
          inside(entry.to, "guest") ||
          inside(entry.to, "device/spec") ||
          entry.to.startsWith("node:"),
      ),
    ).toEqual([]);
  });

  it("within guest only the vCPU worker's files know of Node", () => {
    const workerFiles = ["guest/vcpu-worker.ts", "guest/worker-clock.ts"];
    expect(
      broken(
        (entry) => !inside(entry.from, "guest") || !entry.to.startsWith("node:") || workerFiles.includes(entry.from),
      ),
    ).toEqual([]);
  });

  it("hypervisor/v86 imports only device and itself, so that it runs wherever v86 does", () => {
    const home = "hypervisor/v86";
    expect(
      broken((entry) => !inside(entry.from, home) || inside(entry.to, home) || inside(entry.to, "device")),
    ).toEqual([]);
  });

  it("hypervisor imports guests as types or at run time, never statically", () => {
    expect(
      broken(
        (entry) => !inside(entry.from, "hypervisor") || !inside(entry.to, "guest") || entry.typeOnly || entry.dynamic,
      ),
    ).toEqual([]);
  });

  it("nothing imports the hypervisor but the hypervisor", () => {
    expect(broken((entry) => inside(entry.from, "hypervisor") || !inside(entry.to, "hypervisor"))).toEqual([]);
  });
});

describe("the house's other rules", () => {
  it("no file or folder has a name that says nothing", () => {
    expect(files.filter((file) => /(^|\/)(utils?|common|helpers?|misc|manager)[./-]/i.test(file))).toEqual([]);
  });

  it("no file is longer than one sitting", () => {
    const long = files.filter((file) => readFileSync(join(SRC, file), "utf8").split("\n").length > 430);
    expect(long).toEqual([]);
  });

  it("the card owns no clock, no timer and no console, nor does what puts it into v86", () => {
    const clocks = /\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|\bperformance\b|\bDate\b|\bconsole\b|\bprocess\./;
    const guilty = files
      .filter((file) => inside(file, "device") || inside(file, "hypervisor/v86"))
      .filter((file) => clocks.test(readFileSync(join(SRC, file), "utf8")));
    expect(guilty).toEqual([]);
  });
});
