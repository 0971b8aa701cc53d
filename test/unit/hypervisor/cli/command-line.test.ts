import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CommandContext } from "../../../../src/hypervisor/cli/command-context.ts";
import { runCommandLine } from "../../../../src/hypervisor/cli/command-line.ts";
import type { RunHooks, RunScenario } from "../../../../src/hypervisor/engine/run.ts";
import { EV_WAKE } from "../../../../src/hypervisor/events/event.ts";
import type { EngineKind, PolicySpec, Scenario } from "../../../../src/hypervisor/scenario/scenario.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";
import { runResult } from "../report/sample-results.ts";

const CAPTURE = "time_ns,length_bytes\n0,60\n";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface Ran {
  readonly kind: EngineKind;
  readonly scenario: Scenario;
  readonly policy: PolicySpec;
}

/** Runs a command line on an engine that only writes down what it is asked for. */
async function command(
  args: readonly string[],
  engine: (hooks: RunHooks, ran: readonly Ran[]) => void = () => {},
  overrides: Partial<CommandContext> = {},
): Promise<{ out: string; ran: readonly Ran[] }> {
  let out = "";
  const ran: Ran[] = [];
  const load = async (kind: EngineKind): Promise<RunScenario> => {
    return async (scenario, policy, hooks) => {
      ran.push({ kind, scenario, policy });
      engine(hooks, ran);
      return runResult({ policy: policy.name, engine: kind, durationNs: 1000, interrupted: hooks.signal.aborted });
    };
  };
  await runCommandLine(args, {
    loadEngine: load,
    print: (text) => {
      out += text;
    },
    colours: false,
    progressTerminal: null,
    signal: new AbortController().signal,
    ...overrides,
  });
  return { out, ran };
}

describe("spillway run", () => {
  it("hands the scenario, with the options over it, to the engine of that kind", async () => {
    const path = join(folder, "s.json");
    writeFileSync(path, JSON.stringify({ guests: 2, policies: ["fixed", "unmoderated"] }));
    const options = ["--ring", "64", "--pcpus", "2", "--seed", "5", "--duration", "1.5", "--speed", "1e2"];
    const { ran } = await command(["run", path, "--policy", "unmoderated", "--engine", "threads", ...options]);
    expect(ran).toHaveLength(1);
    expect(ran[0]?.kind).toBe("threads");
    expect(ran[0]?.policy).toEqual({ name: "unmoderated" });
    expect(ran[0]?.scenario).toMatchObject({ pcpus: 2, seed: 5, durationNs: 1_500_000_000, speed: 100 });
    expect(ran[0]?.scenario.guests.map((guest) => guest.ring)).toEqual([64, 64]);
  });

  it("plays captures named on the command line", async () => {
    const [a, b] = [join(folder, "a.pcap"), join(folder, "b.csv")];
    for (const file of [a, b]) writeFileSync(file, CAPTURE);
    const { ran } = await command(["run", "--guests", "3", "--trace", a, "--trace", b]);
    expect(ran[0]?.scenario.guests.map(({ traffic }) => "file" in traffic && traffic.file)).toEqual([a, b, a]);
  });

  it("prints tables, or with --json the result document alone", async () => {
    expect((await command(["run"])).out).toMatch(/^cooperative-adaptive, virtual engine, 1\.00 µs\n/);
    const { out, ran } = await command(["run", "--json"]);
    expect(JSON.parse(out)).toEqual({
      schema: 1,
      scenario: ran[0]?.scenario,
      runs: [runResult({ policy: "cooperative-adaptive", durationNs: 1000 })],
    });
  });
});

describe("spillway compare", () => {
  it("runs all policies of the scenario on one and the same scenario, in order", async () => {
    const { out, ran } = await command(["compare"]);
    expect(ran.map(({ policy }) => policy.name)).toEqual(["fixed", "cooperative", "cooperative-adaptive"]);
    expect(new Set(ran.map(({ scenario }) => scenario)).size).toBe(1);
    expect(out).toContain("cooperative-adaptive woke the host 0 times, as often as fixed");
  });

  it("runs the policies named, each once", async () => {
    const { ran } = await command(["compare", "--policy", "notf-coal", "--policy", "fixed"]);
    expect(ran.map(({ policy }) => policy.name)).toEqual(["notf-coal", "fixed"]);
  });

  it("stops after the run in which it is interrupted, and prints what it has", async () => {
    const controller = new AbortController();
    const { out, ran } = await command(["compare", "--json"], () => controller.abort(), { signal: controller.signal });
    expect(ran).toHaveLength(1);
    expect(JSON.parse(out).runs).toHaveLength(1);
    expect(JSON.parse(out).runs[0].interrupted).toBe(true);
  });

  it("tells two policies of one name apart by their options", async () => {
    const path = join(folder, "s.json");
    writeFileSync(path, JSON.stringify({ policies: [{ name: "fixed", intervalNs: 1000 }, "fixed", "unmoderated"] }));
    const { out } = await command(["compare", path]);
    expect(out).toContain("fixed(1 µs)");
    expect(out).toContain("fixed(125 µs)");
    expect(out).not.toContain("unmoderated(");
  });

  it("shows the progress of each run on the terminal, and leaves it clear", async () => {
    const written: string[] = [];
    const terminal = { columns: 80, write: (text: string) => written.push(text) };
    await command(["compare"], (hooks) => hooks.progress(0.5), { progressTerminal: terminal });
    expect(written.join("")).toContain("2/3 cooperative 50 %");
    expect(written.at(-1)).toBe("\r\u001b[K");
  });
});

describe("--events", () => {
  it("holds every run of a comparison, from header to end", async () => {
    const path = join(folder, "events.ndjson");
    await command(["compare", "--guests", "1", "--events", path], (hooks) =>
      hooks.events?.record(7, EV_WAKE, 0, 0, 0, 0, 0, 0),
    );
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line));
    expect(events.map(({ ev }) => ev)).toEqual(["run", "wake", "end", "run", "wake", "end", "run", "wake", "end"]);
    expect(events[2]).toEqual({ ev: "end", t: 1000 });
  });

  it("costs a run without it nothing: the engine gets no log", async () => {
    const logs: unknown[] = [];
    await command(["run"], (hooks) => logs.push(hooks.events));
    expect(logs).toEqual([null]);
  });

  it("leaves no file behind if the run fails", async () => {
    const path = join(folder, "events.ndjson");
    const failing = command(["run", "--events", path], () => {
      throw new UserError("capture x: cut off");
    });
    await expect(failing).rejects.toThrow("capture x: cut off");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is kept when the run is interrupted", async () => {
    const path = join(folder, "events.ndjson");
    const controller = new AbortController();
    await command(["run", "--events", path], () => controller.abort(), { signal: controller.signal });
    expect(readFileSync(path, "utf8")).toMatch(/\n\{"ev":"end","t":1000\}\n$/);
  });

  it("refuses to replace the capture or the scenario that is being read", async () => {
    const capture = join(folder, "a.pcap");
    const scenario = join(folder, "s.json");
    writeFileSync(capture, CAPTURE);
    writeFileSync(scenario, "{}");
    for (const name of ["a.pcap", "s.json"]) {
      // The same file by another spelling of its path.
      const args = ["run", scenario, "--trace", capture, "--events", `${folder}/./${name}`];
      await expect(command(args)).rejects.toThrow(/ is read by this run; allowed is another file/);
    }
    expect(readFileSync(capture, "utf8")).toBe(CAPTURE);
  });
});

describe("help", () => {
  it("is printed as output and ends the command", async () => {
    const { out, ran } = await command(["run", "--help"]);
    expect(out).toMatch(/^Usage: spillway run \[options\] \[scenario\.json\]\n/);
    expect(ran).toEqual([]);
  });

  it("offers exactly what works: none of the outputs that do not exist yet", async () => {
    const { out } = await command(["compare", "--help"]);
    const options = [...out.matchAll(/^ +(?:-\w, )?(--[a-z]+)/gm)].map((match) => match[1]);
    expect(options).toEqual([
      "--trace",
      "--speed",
      "--guests",
      "--pcpus",
      "--ring",
      "--engine",
      "--policy",
      "--duration",
      "--seed",
      "--json",
      "--events",
      "--help",
    ]);
  });

  it("has the package's version", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    expect((await command(["--version"])).out).toBe(`${version}\n`);
  });
});
