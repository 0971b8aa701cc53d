import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { comparisonReport, runReport } from "../../../../src/hypervisor/report/result-table.ts";
import { guestResult, runResult, spread } from "./sample-results.ts";

const PLAIN = { colours: false };

/** The cells of the first line that has `label` as its first cell. */
function row(report: string, label: string): string[] {
  for (const line of report.split("\n")) {
    const cells = line.split("│").map((cell) => cell.trim());
    if (cells[1] === label) return cells.slice(2, -1);
  }
  throw new Error(`no row ${label} in\n${report}`);
}

describe("the report of a run", () => {
  const run = runResult({
    host: { interrupts: 1500, switches: 12, cpuNs: 2_345_678 },
    notes: ["the capture is cut off in its last packet"],
    guests: [
      guestResult({
        delivered: 990,
        dropped: 10,
        read: 980,
        unread: 10,
        notifications: { total: 1400, latency: 1300, guard: 60, urgent: 0, wake: 40, config: 0 },
        wakeCount: 100,
        latencyNs: spread(12_345, 140_000),
      }),
      guestResult({ name: "g1" }),
    ],
  });
  const report = runReport(run, "fixed", PLAIN);

  it("begins with policy, engine and duration", () => {
    expect(report.split("\n")[0]).toBe("fixed, virtual engine, 1.00 s");
  });

  it("has a table for each guest and one for the host", () => {
    expect([row(report, "g0"), row(report, "g1"), row(report, "host")]).toEqual([[""], [""], [""]]);
  });

  it("gives counts with their reasons, leaving out those that did not occur", () => {
    expect(row(report, "delivered")).toEqual(["990 (read 980, unread 10)"]);
    expect(row(report, "notifications")).toEqual(["1,400 (latency 1,300, guard 60, wake 40)"]);
    expect(row(report, "wakes")).toEqual(["100 (overflow 100)"]);
  });

  it("gives times in the unit that fits, and a dash without samples", () => {
    expect(row(report, "latency, active")).toEqual(["p50 12.3 µs, p90 140 µs, p99 140 µs, max 140 µs (100 samples)"]);
    expect(row(report, "latency, inactive at arrival")).toEqual(["-"]);
    expect(row(report, "active")).toEqual(["250 ms (25.0 %)"]);
    expect(row(report, "CPU")).toEqual(["2.35 ms"]);
  });

  it("ends with the notes", () => {
    expect(report).toMatch(/\nNote: the capture is cut off in its last packet\n$/);
  });

  it("shows lateness in real time only", () => {
    expect(report).not.toContain("late by");
    const threads = runResult({ engine: "threads", latenessNs: { p50: 5000, p99: 60_000 } });
    expect(row(runReport(threads, "fixed", PLAIN), "throttle deadlines late by, p50 / p99")).toEqual([
      "5.00 µs / 60.0 µs",
    ]);
  });

  it("has a dash for host CPU that nobody could measure", () => {
    const unknown = runResult({ host: { interrupts: 0, switches: 0, cpuNs: null } });
    expect(row(runReport(unknown, "fixed", PLAIN), "CPU")).toEqual(["-"]);
  });

  it("shouts about frames that the guest's checks found wrong", () => {
    const wrong = guestResult({ violations: { lost: 3, duplicated: 0, reordered: 0, corrupted: 1 } });
    expect(runReport(runResult({ guests: [wrong] }), "fixed", PLAIN)).toContain(
      "\nWRONG: fixed, g0: frames 3 lost, 1 corrupted\n",
    );
    expect(report).not.toContain("WRONG");
  });

  it("says that it was cut short", () => {
    expect(runReport(runResult({ interrupted: true }), "fixed", PLAIN)).toContain("\nfixed: cut short after 1.00 s\n");
  });
});

describe("the report of a comparison", () => {
  const runs = [
    runResult({
      host: { interrupts: 5120, switches: 1, cpuNs: 15_000_000 },
      guests: [
        guestResult({ wakeCount: 2900, dropped: 120, latencyNs: spread(70_000, 140_000) }),
        guestResult({ name: "g1", wakeCount: 13, latencyNs: spread(80_000, 90_000) }),
      ],
      notes: ["shared", "own"],
    }),
    runResult({
      policy: "cooperative",
      host: { interrupts: 1204, switches: 1, cpuNs: 9_000_000 },
      guests: [
        guestResult({ wakeCount: 37, latencyInactiveNs: spread(1_000_000, 3_000_000) }),
        guestResult({ name: "g1" }),
      ],
      notes: ["shared"],
    }),
  ];
  const report = comparisonReport(runs, ["fixed", "cooperative"], PLAIN);

  it("has one row for each policy, with sums over its guests and the latencies of the worst of them", () => {
    expect(row(report, "fixed")).toEqual(["5,120", "2,913", "120", "80.0 µs / 140 µs", "-", "15.0 ms"]);
    expect(row(report, "cooperative")).toEqual(["1,204", "37", "0", "-", "1.00 ms / 3.00 ms", "9.00 ms"]);
  });

  it("has one row for each guest of each policy below", () => {
    const detail = report.slice(report.indexOf("Each guest:"));
    expect(row(detail, "fixed")).toEqual(["g0", "1,000", "120", "0", "0", "2,900", "25.0 %", "70.0 µs / 140 µs", "-"]);
    expect(detail.match(/│ cooperative +│ g1 /)).not.toBeNull();
  });

  it("states what the figures show, once", () => {
    expect(report.match(/cooperative woke the host 37 times instead of 2,913/g)).toHaveLength(1);
  });

  it("makes a remark on all runs once, and says whose another one is", () => {
    expect(report).toMatch(/\nNote: shared\nNote \(fixed\): own\n$/);
  });

  it("has colours only where they are wanted, and says the same without", () => {
    const coloured = comparisonReport(runs, ["fixed", "cooperative"], { colours: true });
    expect(report).toBe(stripVTControlCharacters(report));
    expect(coloured).not.toBe(report);
    expect(stripVTControlCharacters(coloured)).toBe(report);
  });
});

describe("a run of Linux guests", () => {
  const linux = {
    interrupts: 1234,
    rxPackets: 999,
    rxBytes: 1,
    rxErrors: 0,
    rxDropped: 0,
    txPackets: 0,
    softnetProcessed: 998,
    softnetDropped: 0,
    softnetSqueezed: 3,
    udpNoPorts: 997,
    udpChecksumErrors: 2,
  };

  it("shows what each guest's own kernel counted, for one run and for several", () => {
    const runs = [runResult({ guests: [guestResult({ linux })] }), runResult({ policy: "cooperative" })];
    for (const text of [runReport(runs[0]!, "fixed", PLAIN), comparisonReport(runs, ["fixed", "cooperative"], PLAIN)]) {
      expect(text).toContain("What each guest's own kernel counted:");
      expect(text).toMatch(/fixed +│ g0 +│ +1,234 │ +999 │ +0 │ +0 │ +998 │ +0 │ +3 │ +997 │ +2 │/);
    }
  });

  it("says nothing of kernels where there are none", () => {
    expect(runReport(runResult(), "fixed", PLAIN)).not.toContain("kernel");
  });
});
