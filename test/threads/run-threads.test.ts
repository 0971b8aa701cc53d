import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ResultDocument, RunResult } from "../../src/hypervisor/report/result.ts";
import { checkEvents } from "../checker/check.ts";

const MAIN = resolve(import.meta.dirname, "../../dist/hypervisor/cli/main.js");
const folder = mkdtempSync(join(tmpdir(), "spillway-threads-"));

afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly result: ResultDocument;
  readonly events: string;
}

/** Runs the command with threads, as a user would: another process, so that its worker entries are the compiled ones. */
async function run(name: string, scenario: object): Promise<Ran> {
  const path = join(folder, `${name}.json`);
  const events = join(folder, `${name}.ndjson`);
  writeFileSync(path, JSON.stringify({ engine: "threads", ...scenario }));
  const args = [MAIN, "run", path, "--json", "--events", events];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 28 });
  return { result: JSON.parse(stdout) as ResultDocument, events: readFileSync(events, "utf8") };
}

const SOUND = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };

describe("guests in worker threads, three on one CPU", () => {
  let ran: Ran;
  let only: RunResult;
  beforeAll(async () => {
    const traffic = { kind: "poisson", framesPerS: 2_000, lengthBytes: 300, count: 2_000 };
    const guests = [0, 1, 2].map((i) => ({ name: `g${i}`, ring: 4096, traffic }));
    ran = await run("three", { guests, policies: ["cooperative-adaptive"] });
    only = ran.result.runs[0]!;
  }, 60_000);

  it("read every frame that the cards delivered, once, in order and whole", () => {
    for (const guest of only.guests) {
      expect(guest).toMatchObject({
        arrived: 2_000,
        delivered: 2_000,
        dropped: 0,
        read: 2_000,
        unread: 0,
        violations: SOUND,
      });
    }
  });

  it("take turns on the CPU: their active times do not overlap, and each has its share", () => {
    let active = "g0";
    for (const line of ran.events.split("\n")) {
      if (line === "") continue;
      const event = JSON.parse(line) as { ev: string; guest?: string };
      if (event.ev === "activate") {
        expect(active, "the CPU is free when a guest is put on it").toBe("");
        active = event.guest!;
      } else if (event.ev === "deactivate") {
        expect(event.guest).toBe(active);
        active = "";
      }
    }
    for (const guest of only.guests) expect(guest.activeNs / only.durationNs).toBeGreaterThan(0.1);
  });

  it("leave events from which an independent reader counts the same frames, and finds every frame's way", async () => {
    const report = await checkEvents(ran.events.split("\n"), ran.result, { emptyWithinNs: 5e9 });
    const conservation = report.violations.filter(({ rule }) => rule.startsWith("B"));
    expect(conservation).toEqual([]);
  });

  it("put numbers to what only threads have: change of state, lateness, host CPU", () => {
    expect(only.stateChangeNs.p50).toBeGreaterThan(0);
    expect(only.trafficLatenessNs.p50).toBeGreaterThanOrEqual(0);
    expect(only.host.cpuNs).toBeGreaterThan(0);
  });
});

describe("other guests in threads", () => {
  it("idle guests leave the run queue and are woken for each of their frames", async () => {
    const traffic = { kind: "constant", framesPerS: 200, lengthBytes: 100, count: 100 };
    const { result } = await run("idle", {
      guests: [0, 1].map((i) => ({ name: `i${i}`, load: "idle", traffic })),
      policies: ["cooperative-adaptive"],
    });
    for (const guest of result.runs[0]!.guests) {
      expect(guest).toMatchObject({ read: 100, unread: 0, violations: SOUND });
      expect(guest.activations).toBeGreaterThan(20);
    }
  });

  it("echo, answers and bulk sends arrive whole at the wire's other end", async () => {
    const { result } = await run("senders", {
      guests: [
        {
          name: "echo",
          app: "echo",
          ring: 4096,
          traffic: { kind: "constant", framesPerS: 2_000, lengthBytes: 700, count: 500 },
        },
        {
          name: "answers",
          app: "request-response",
          traffic: { kind: "requests", outstanding: 2, thinkNs: 1e6, lengthBytes: 90, count: 100 },
        },
        { name: "bulk", app: "bulk", sendCount: 2_000, traffic: { kind: "none" } },
      ],
      policies: ["cooperative"],
    });
    const [echo, answers, bulk] = result.runs[0]!.guests;
    expect(echo!.transmitted).toMatchObject({ frames: 500, corrupted: 0 });
    expect(answers!.transmitted).toMatchObject({ frames: answers!.read, corrupted: 0 });
    expect(bulk!.transmitted).toMatchObject({ frames: 2_000, corrupted: 0 });
  });

  it("the guest's own coalescing is granted by the card", async () => {
    const { result } = await run("coalesce", {
      guests: [
        {
          name: "g",
          coalesce: { maxUsecs: 200, maxPackets: 32 },
          traffic: { kind: "constant", framesPerS: 5_000, lengthBytes: 64, count: 1_000 },
        },
      ],
      policies: ["notf-coal"],
    });
    expect(result.runs[0]!.guests[0]).toMatchObject({ read: 1_000, violations: SOUND });
  });
});
