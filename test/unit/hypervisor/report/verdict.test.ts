import { describe, expect, it } from "vitest";
import type { RunResult } from "../../../../src/hypervisor/report/result.ts";
import { verdict } from "../../../../src/hypervisor/report/verdict.ts";
import { guestResult, runResult, spread } from "./sample-results.ts";

interface Figures {
  wakes?: number;
  interrupts?: number;
  drops?: number;
}

function run(policy: string, { wakes = 0, interrupts = 0, drops = 0 }: Figures): RunResult {
  return runResult({
    policy,
    host: { interrupts, switches: 0, cpuNs: 0 },
    guests: [guestResult({ wakeCount: wakes, dropped: drops })],
  });
}

function said(...runs: RunResult[]): string {
  return verdict(
    runs,
    runs.map((one) => one.policy),
  );
}

describe("the verdict", () => {
  it("says what became less, with both figures", () => {
    expect(
      said(
        run("fixed", { wakes: 2913, interrupts: 5120, drops: 120 }),
        run("cooperative-adaptive", { wakes: 37, interrupts: 1204 }),
      ),
    ).toBe(
      "cooperative-adaptive woke the host 37 times instead of 2,913, interrupted it 1,204 times instead of 5,120 " +
        "(wakes included), and dropped nothing (fixed: 120).",
    );
  });

  it("says what became more, and does not call it a gain", () => {
    expect(
      said(run("fixed", { wakes: 1, interrupts: 5 }), run("cooperative", { wakes: 2, interrupts: 9, drops: 1 })),
    ).toBe(
      "cooperative woke the host 2 times, more often than fixed (1), interrupted it 9 times, more often than fixed (5) " +
        "(wakes included), and dropped 1 frame where fixed dropped nothing.",
    );
  });

  it("says what is equal", () => {
    expect(
      said(
        run("fixed", { wakes: 1, interrupts: 5, drops: 3 }),
        run("cooperative", { wakes: 1, interrupts: 5, drops: 3 }),
      ),
    ).toBe(
      "cooperative woke the host 1 time, as often as fixed, interrupted it 5 times, as often as fixed (wakes included), " +
        "and dropped 3 frames, as many as fixed.",
    );
    expect(said(run("fixed", {}), run("cooperative", {}))).toContain("and dropped nothing, nor did fixed.");
  });

  it.each<[ours: number, theirs: number, text: string]>([
    [5, 120, "dropped 5 frames instead of 120."],
    [120, 5, "dropped 120 frames, more than fixed (5)."],
  ])("says %d drops against %d in that order", (ours, theirs, text) => {
    expect(said(run("fixed", { drops: theirs }), run("cooperative", { drops: ours }))).toContain(text);
  });

  it("compares the most capable policy with fixed, in whatever order they ran", () => {
    const runs = ["cooperative-adaptive", "unmoderated", "cooperative", "fixed"].map((name) => run(name, {}));
    expect(said(...runs)).toMatch(/^cooperative-adaptive .* nor did fixed\.$/);
  });

  it("compares the last with the first where those policies are missing", () => {
    expect(said(run("notf-coal", {}), run("unmoderated", {}))).toMatch(/^unmoderated .* nor did notf-coal\.$/);
    expect(said(run("unmoderated", {}), run("fixed", {}))).toMatch(/^fixed .* nor did unmoderated\.$/);
    expect(said(run("notf-coal", {}), run("fixed", {}))).toMatch(/^fixed .* nor did notf-coal\.$/);
  });

  it("tells two runs of one policy apart by their labels", () => {
    const text = verdict([run("cooperative", { wakes: 1 }), run("cooperative", { wakes: 2 })], ["A", "B"]);
    expect(text).toMatch(/^A woke the host 1 time instead of 2, .* nor did B\.$/);
  });

  it("adds the worst guest's p99 latencies where both runs have them", () => {
    const latencies = (policy: string, scale: number): RunResult =>
      runResult({
        policy,
        guests: [
          guestResult({ latencyNs: spread(1, 100_000 * scale), latencyInactiveNs: spread(1, 2_000_000 * scale) }),
          guestResult({ latencyNs: spread(1, 140_000 * scale) }),
        ],
      });
    expect(said(latencies("fixed", 1), latencies("cooperative", 2))).toContain(
      "; the worst guest's p99 latency was 280 µs active (fixed: 140 µs) and 4.00 ms inactive (fixed: 2.00 ms).",
    );
    expect(said(latencies("fixed", 1), run("cooperative", {}))).not.toContain("latency");
  });

  it("compares nothing after an interruption, nor where no frame arrived, nor with one run", () => {
    const cut = { ...run("cooperative", {}), interrupted: true };
    expect(said(run("fixed", {}), cut)).toContain("cannot be compared");
    const idle = (policy: string): RunResult => runResult({ policy, guests: [guestResult({ arrived: 0 })] });
    expect(said(idle("fixed"), idle("cooperative"))).toBe("No frame arrived, hence there is nothing to compare.");
    expect(said(run("fixed", {}))).toBe("There is one run only, hence nothing to compare.");
  });

  it("warns if the two runs did not see as many frames", () => {
    const fewer = runResult({ policy: "cooperative", guests: [guestResult({ arrived: 900 })] });
    expect(said(run("fixed", {}), fewer)).toMatch(/ Note that it saw 900 frames, and fixed 1,000\.$/);
  });
});
