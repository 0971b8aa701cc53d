import { describe, expect, it } from "vitest";
import { EV_ARRIVE, EV_WAKE } from "../../../../src/hypervisor/events/event.ts";
import { EventFile } from "../../../../src/hypervisor/events/event-file.ts";
import { guestStarts, runHeader } from "../../../../src/hypervisor/events/run-header.ts";
import { parseScenario } from "../../../../src/hypervisor/scenario/parse.ts";
import type { PolicySpec, Scenario } from "../../../../src/hypervisor/scenario/scenario.ts";

const FIXED: PolicySpec = { name: "fixed", intervalNs: 125_000 };

function scenarioOf(json: object): Scenario {
  return parseScenario(json, {}, { source: null, folder: ".", command: "compare" });
}

const SCENARIO = scenarioOf({
  guests: [
    { ring: 64, traffic: "a.pcap" },
    { ring: 32, traffic: "a.pcap" },
  ],
});
const HEADER = runHeader(SCENARIO, FIXED, guestStarts(SCENARIO, FIXED));

describe("the run header", () => {
  it("has the fields of docs/events.md in their order", () => {
    expect(JSON.stringify(HEADER)).toBe(
      '{"ev":"run","policy":"fixed","engine":"virtual","seed":1,"capture":"a.pcap","speed":1,' +
        '"scheduler":"round-robin","pcpus":1,"sliceNs":3000000,"wakeSliceNs":500000,"boostShareMax":0.25,' +
        '"maxInactiveDelayNs":10000000,' +
        '"costs":{"wakeLatencyNs":20000,"isrNs":1500,"frameCostNs":100,"refillBatch":16,"switchNs":2000},' +
        '"linkRate":10000000000,"guests":[' +
        '{"name":"g0","ring":64,"cpu":0,"vectors":1,"free":64,"state":"active","coalesce":null},' +
        '{"name":"g1","ring":32,"cpu":null,"vectors":1,"free":32,"state":"inactive","coalesce":null}]}',
    );
  });

  it.each<[what: string, traffics: unknown[], capture: unknown]>([
    ["null without captures", [{ kind: "none" }, undefined], null],
    ["a list if the guests' captures differ", ["a.pcap", { kind: "none" }], ["a.pcap", null]],
  ])("has as its capture %s", (_what, traffics, capture) => {
    const scenario = scenarioOf({ durationS: 1, guests: traffics.map((traffic) => ({ traffic })) });
    expect(runHeader(scenario, FIXED, []).capture).toEqual(capture);
  });
});

describe("an event file", () => {
  it("holds several runs, each from its header to its end", () => {
    let text = "";
    const file = new EventFile((chunk) => {
      text += chunk;
    });
    for (const endNs of [100, 200]) {
      file.beginRun(HEADER);
      file.record(5, EV_WAKE, 1, 0, 0, 1, 0, 0);
      file.endRun(endNs);
    }
    file.flush();
    const run = (endNs: number): string[] => [
      JSON.stringify(HEADER),
      '{"t":5,"guest":"g1","ev":"wake","why":"guard"}',
      `{"ev":"end","t":${endNs}}`,
    ];
    expect(text).toBe(`${[...run(100), ...run(200)].join("\n")}\n`);
  });

  it("never ends before its last event", () => {
    let text = "";
    const file = new EventFile((chunk) => {
      text += chunk;
    });
    file.beginRun(HEADER);
    file.record(500, EV_WAKE, 0, 0, 0, 0, 0, 0);
    file.endRun(100);
    file.flush();
    expect(text).toContain('{"ev":"end","t":500}');
  });

  it("writes whole lines in pieces of about 64 KiB, and the rest on flush", () => {
    const chunks: string[] = [];
    const file = new EventFile((chunk) => chunks.push(chunk));
    file.beginRun(HEADER);
    for (let i = 0; i < 3000; i++) file.record(i, EV_ARRIVE, 0, i, 0, 60, 0, 0);
    const early = chunks.length;
    file.endRun(3000);
    file.flush();
    file.flush();
    expect(early).toBe(3);
    expect(chunks).toHaveLength(4);
    for (const chunk of chunks) expect(chunk.endsWith("}\n")).toBe(true);
    for (const chunk of chunks.slice(0, 3)) {
      expect(chunk.length).toBeGreaterThanOrEqual(65_536);
      expect(chunk.length).toBeLessThan(65_536 + 200);
    }
    expect(chunks.join("").split("\n")).toHaveLength(1 + 3000 + 1 + 1);
  });

  it("refuses events outside of a run, whose guests nobody could name", () => {
    const file = new EventFile(() => {});
    expect(() => file.record(1, EV_WAKE, 0, 0, 0, 0, 0, 0)).toThrow("before its run's header");
    file.beginRun(HEADER);
    file.endRun(1);
    expect(() => file.record(1, EV_WAKE, 0, 0, 0, 0, 0, 0)).toThrow("before its run's header");
  });
});
