import { describe, expect, it } from "vitest";
import { parseScenario, type ScenarioOverrides } from "../../../../src/hypervisor/scenario/parse.ts";
import type { Scenario } from "../../../../src/hypervisor/scenario/scenario.ts";
import { UserError } from "../../../../src/hypervisor/user-error.ts";

const CONTEXT = { source: "scenarios/s.json", folder: "scenarios", command: "compare" } as const;

function parse(json: unknown, overrides: ScenarioOverrides = {}, command: "run" | "compare" = "compare"): Scenario {
  return parseScenario(json, overrides, { ...CONTEXT, command });
}

function refusal(json: unknown, overrides: ScenarioOverrides = {}, command: "run" | "compare" = "compare"): string {
  try {
    parse(json, overrides, command);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return "accepted";
}

describe("the empty scenario", () => {
  it("is three busy sinks on one CPU, with every default of docs/scenarios.md", () => {
    const guest = {
      ring: 1024,
      app: "sink",
      load: "busy",
      weight: 256,
      coalesce: null,
      sendBytes: 1514,
      sendCount: null,
      traffic: { kind: "poisson", framesPerS: 20000, lengthBytes: 1514, count: 20000 },
    };
    expect(parse({})).toEqual({
      name: "s",
      kind: "ts",
      linux: null,
      engine: "virtual",
      seed: 1,
      durationNs: null,
      speed: 1,
      pcpus: 1,
      linkRateBps: 10_000_000_000,
      mtu: 65535,
      maxInactiveDelayNs: 10_000_000,
      maxGapNs: 60_000_000_000,
      urgent: { filter: "off", creditsPerS: 1000 },
      scheduler: { kind: "round-robin", sliceNs: 3_000_000, wakeSliceNs: 500_000, boost: true, boostShareMax: 0.25 },
      costs: { wakeLatencyNs: 20_000, isrNs: 1500, frameCostNs: 100, refillBatch: 16, switchNs: 2000 },
      policies: [
        { name: "fixed", intervalNs: 125_000 },
        { name: "cooperative", latencyIntervalNs: 125_000, overflowIntervalNs: 2_000_000 },
        { name: "cooperative-adaptive", mode: "strict", latencyIntervalNs: 125_000, sliceEnd: false },
      ],
      guests: ["g0", "g1", "g2"].map((name) => ({ name, ...guest })),
    });
  });

  it("is called after its file, or after the command line if there is none", () => {
    expect(parse({}).name).toBe("s");
    expect(parseScenario({}, {}, { source: null, folder: ".", command: "compare" }).name).toBe("command line");
  });
});

describe("a complete scenario", () => {
  it("is a scenario file that says the same", () => {
    const requests = { kind: "requests", outstanding: 2, thinkNs: 5, lengthBytes: 60 };
    const json = {
      durationS: 2,
      policies: ["fixed", { name: "cooperative-adaptive", mode: "learned" }, "notf-coal"],
      guests: [{ traffic: "a.pcap" }, { app: "echo", traffic: requests, coalesce: { maxUsecs: 1, maxPackets: 2 } }, {}],
    };
    const once = parse(json, { ring: 64, speed: 3 });
    expect(parseScenario(JSON.parse(JSON.stringify(once)), {}, { ...CONTEXT, folder: "." })).toEqual(once);
  });
});

describe("guests", () => {
  it("given as a number are that many default guests", () => {
    expect(parse({ guests: 5 }).guests.map((guest) => guest.name)).toEqual(["g0", "g1", "g2", "g3", "g4"]);
  });

  it("given as a list keep what they say and get the rest by default", () => {
    const { guests } = parse({
      guests: [
        { name: "db", ring: 256 },
        { load: "idle", app: "echo" },
      ],
    });
    expect(guests).toMatchObject([
      { name: "db", ring: 256, load: "busy" },
      { name: "g1", ring: 1024, load: "idle", app: "echo" },
    ]);
  });

  it("take a capture's path as their traffic, relative to the scenario's folder", () => {
    const { guests } = parse({ guests: [{ traffic: "../captures/a.pcap" }, { traffic: "/abs/b.pcap" }] });
    expect(guests.map((guest) => guest.traffic)).toEqual([
      { kind: "capture", file: "captures/a.pcap", offsetNs: 0 },
      { kind: "capture", file: "/abs/b.pcap", offsetNs: 0 },
    ]);
  });

  it("may not share a name, not even with one that another guest gets by default", () => {
    expect(refusal({ guests: [{}, { name: "g0" }] })).toBe(
      'scenario "scenarios/s.json": guests[0] and guests[1] are both called "g0"; allowed are names that differ',
    );
  });
});

describe("the command line", () => {
  it("goes before the scenario", () => {
    const json = { seed: 1, speed: 2, pcpus: 1, engine: "virtual", durationS: 1, guests: [{ ring: 64 }, { ring: 32 }] };
    const scenario = parse(json, { seed: 9, speed: 4, pcpus: 2, engine: "threads", durationNs: 5, ring: 16 });
    expect(scenario).toMatchObject({ seed: 9, speed: 4, pcpus: 2, engine: "threads", durationNs: 5 });
    expect(scenario.guests.map((guest) => guest.ring)).toEqual([16, 16]);
  });

  it("replaces the traffic of every guest by its captures in turn, as paths of the caller's folder", () => {
    const json = { guests: [{ traffic: "x.pcap" }, { traffic: { kind: "none" } }, {}] };
    const files = parse(json, { traces: ["a.pcap", "b.csv"] }).guests.map((guest) => guest.traffic);
    expect(files).toEqual(["a.pcap", "b.csv", "a.pcap"].map((file) => ({ kind: "capture", file, offsetNs: 0 })));
  });

  it("may set the number of guests where the scenario gives a number or nothing, but not where it lists them", () => {
    expect(parse({ guests: 2 }, { guests: 4 }).guests).toHaveLength(4);
    expect(parse({}, { guests: 1 }).guests).toHaveLength(1);
    expect(refusal({ guests: [{}, {}] }, { guests: 4 })).toBe(
      "--guests 4 contradicts the scenario, which lists 2 guests one by one; allowed is one or the other",
    );
  });

  it("may not name more captures than there are guests, for one would go unused", () => {
    expect(refusal({ guests: 1 }, { traces: ["a", "b"] })).toBe(
      "--trace: got 2 files for 1 guest; allowed is at most one for each guest",
    );
  });
});

describe("defaults that depend on what was given", () => {
  it("shorten the wake slice to a short slice", () => {
    expect(parse({ scheduler: { sliceNs: 100_000 } }).scheduler.wakeSliceNs).toBe(100_000);
  });

  it("keep the refill batch to half of the smallest ring", () => {
    expect(parse({ guests: [{ ring: 1024 }, { ring: 8 }] }).costs.refillBatch).toBe(4);
    expect(parse({}, { ring: 2 }).costs.refillBatch).toBe(1);
  });

  it("keep cooperative's overflow interval to maxInactiveDelayNs, whether it is listed or asked for", () => {
    const listed = parse({ maxInactiveDelayNs: 500_000, policies: ["fixed", "cooperative"] });
    expect(listed.policies[1]).toMatchObject({ overflowIntervalNs: 500_000 });
    const asked = parse({ maxInactiveDelayNs: 500_000 }, { policies: ["cooperative"] }, "run");
    expect(asked.policies).toMatchObject([{ overflowIntervalNs: 500_000 }]);
  });

  it("keep what is sent to the longest frame of a small MTU", () => {
    const [guest] = parse({ mtu: 576 }).guests;
    expect(guest).toMatchObject({ sendBytes: 590, traffic: { lengthBytes: 590 } });
  });
});

describe("durations", () => {
  it("may be given in seconds, rounded to whole nanoseconds, and never to none", () => {
    expect(parse({ durationS: 0.1 }).durationNs).toBe(100_000_000);
    expect(parse({ durationS: 1e-12 }).durationNs).toBe(1);
    expect(parse({ durationS: null }).durationNs).toBeNull();
  });

  it("may be left out only if the traffic ends by itself", () => {
    const endless = { kind: "constant", framesPerS: 10, lengthBytes: 60 };
    expect(refusal({ guests: [{}, { traffic: endless }] })).toBe(
      'scenario "scenarios/s.json": guests[1].traffic has no count and the run no duration, so it would never end; give one of them',
    );
    expect(parse({ durationS: 1, guests: [{ traffic: endless }] }).guests[0]?.traffic).toEqual({
      ...endless,
      count: null,
    });
    expect(refusal({ guests: [{ traffic: { kind: "none" } }] })).toContain("no guest has traffic");
    expect(refusal({ guests: [{ traffic: { kind: "none" }, app: "bulk", sendCount: 7 }] })).toBe("accepted");
  });
});

describe("policies", () => {
  it("may be names or objects with some of their options", () => {
    const { policies } = parse({ policies: ["fixed", { name: "fixed", intervalNs: 7 }, "notf-coal"] });
    expect(policies).toEqual([
      { name: "fixed", intervalNs: 125_000 },
      { name: "fixed", intervalNs: 7 },
      { name: "notf-coal" },
    ]);
  });

  it("that --policy names come with the scenario's options if it has them, else as built in", () => {
    const json = { policies: [{ name: "fixed", intervalNs: 7 }, "cooperative"] };
    expect(parse(json, { policies: ["fixed"] }, "run").policies).toEqual([{ name: "fixed", intervalNs: 7 }]);
    expect(parse(json, { policies: ["unmoderated"] }, "run").policies).toEqual([{ name: "unmoderated" }]);
  });

  it("of run are one: the only one listed, or cooperative-adaptive if none is", () => {
    expect(parse({ policies: ["unmoderated"] }, {}, "run").policies).toEqual([{ name: "unmoderated" }]);
    expect(parse({}, {}, "run").policies.map((policy) => policy.name)).toEqual(["cooperative-adaptive"]);
    expect(refusal({ policies: ["fixed", "cooperative"] }, {}, "run")).toBe(
      "run takes one policy, but the scenario lists 2: fixed(125 µs), cooperative(125 µs, 2000 µs); " +
        "choose with --policy NAME, or use compare",
    );
  });

  it("of compare are two or more that differ", () => {
    expect(refusal({ policies: ["fixed"] })).toContain("compare takes two policies or more");
    expect(refusal({ policies: ["fixed", "fixed"] })).toContain("got fixed(125 µs) twice");
  });
});

describe("numbers", () => {
  const cases: [field: string, json: (value: unknown) => unknown, good: number[], bad: unknown[]][] = [
    ["ring", (ring) => ({ guests: [{ ring }] }), [16, 1024, 32768], [0, 1, 3, 1000, 65536, -2, 2.5, "64", null]],
    ["guests", (guests) => ({ guests }), [1, 64], [0, 65, 1.5, -1, "3", null, {}]],
    ["pcpus", (pcpus) => ({ pcpus }), [1, 64], [0, 65, 1.5, "1"]],
    ["speed", (speed) => ({ speed }), [1e-9, 1, 1e6], [0, -1, 1e6 + 1, Number.POSITIVE_INFINITY]],
    ["seed", (seed) => ({ seed }), [0, 4294967295], [-1, 4294967296, 0.5]],
    ["mtu", (mtu) => ({ mtu }), [68, 65535], [67, 65536, 1500.5]],
    ["linkRateBps", (linkRateBps) => ({ linkRateBps }), [1e6, 1e12], [999_999, 1e12 + 1, Number.NaN]],
    ["maxInactiveDelayNs", (maxInactiveDelayNs) => ({ maxInactiveDelayNs }), [0, 1e9], [1e9 + 1, -1]],
    ["durationNs", (durationNs) => ({ durationNs }), [1, 1e15], [0, 0.5, 1e16]],
    ["boostShareMax", (boostShareMax) => ({ scheduler: { boostShareMax } }), [0, 0.5, 1], [-0.1, 1.1]],
    ["wakeSliceNs", (wakeSliceNs) => ({ scheduler: { wakeSliceNs } }), [1000, 3e6], [999, 3e6 + 1]],
    ["weight", (weight) => ({ guests: [{ weight }] }), [0.1, 256], [0, -1, 1e7]],
    ["refillBatch", (refillBatch) => ({ costs: { refillBatch } }), [1, 1024], [0, 1025, 1.5]],
    ["isrNs", (isrNs) => ({ costs: { isrNs } }), [0, 1e9], [-1, 1e9 + 1]],
    ["creditsPerS", (creditsPerS) => ({ urgent: { creditsPerS } }), [0, 16777215], [16777216]],
    [
      "intervalNs",
      (intervalNs) => ({ policies: ["unmoderated", { name: "fixed", intervalNs }] }),
      [0, 4294967295],
      [-1, 4294967296, 0.5, Number.POSITIVE_INFINITY, "125000"],
    ],
  ];

  it.each(cases)("%s takes its whole range and nothing beyond", (field, json, good, bad) => {
    for (const value of good) expect(refusal(json(value)), `${field} ${value}`).toBe("accepted");
    for (const value of bad) expect(refusal(json(value)), `${field} ${value}`).toMatch(/; allowed is /);
  });
});

describe("a refusal", () => {
  it.each<[what: string, json: unknown, message: string]>([
    [
      "names the path",
      { guests: [{}, { ring: 1000 }] },
      "guests[1].ring: got 1000; allowed is a power of two from 2 to 32768",
    ],
    [
      "says Infinity for what JSON would call null",
      JSON.parse(`{"speed": 1e999}`),
      "speed: got Infinity; allowed is a number above 0, at most 1000000",
    ],
    [
      "says that a key is missing",
      { guests: [{ traffic: { kind: "poisson", framesPerS: 5 } }] },
      "guests[0].traffic.lengthBytes: got nothing; allowed is a whole number from 36 to 65549 (bytes)",
    ],
    [
      "complains of a missing key before an unknown one",
      { guests: [{ coalesce: { usecs: 3 } }] },
      "guests[0].coalesce.maxUsecs: got nothing; allowed is a whole number from 0 to 4294967295",
    ],
    [
      "names an unknown key",
      { urgent: { rate: 3 } },
      'urgent: unknown key "rate"; allowed are the keys filter, creditsPerS',
    ],
    [
      "names an unknown key called like a property of all objects",
      JSON.parse('{"urgent": {"__proto__": 1}}'),
      'urgent: unknown key "__proto__"; allowed are the keys filter, creditsPerS',
    ],
    [
      "shows a wrong choice",
      { policies: ["fixd"] },
      'policies[0].name: got "fixd"; allowed is one of unmoderated, fixed, notf-coal, cooperative, cooperative-adaptive',
    ],
    [
      "refuses one policy's option at another",
      { policies: [{ name: "unmoderated", intervalNs: 1 }] },
      'policies[0]: unknown key "intervalNs"; allowed are the keys name',
    ],
    [
      "shows a wrong kind of traffic",
      { guests: [{ traffic: { kind: "udp" } }] },
      'guests[0].traffic.kind: got "udp"; allowed is one of capture, constant, poisson, on-off, burst, requests, none',
    ],
    [
      "shows traffic that is neither path nor object",
      { guests: [{ traffic: 7 }] },
      "guests[0].traffic: got 7; allowed is the path of a capture, or an object with a kind",
    ],
    [
      "cuts long values short",
      { name: "x".repeat(100) },
      `name: got "${"x".repeat(59)}…; allowed is 1 to 32 printable ASCII characters`,
    ],
  ])("%s", (_what, json, message) => {
    expect(refusal(json)).toBe(`scenario "scenarios/s.json": ${message}`);
  });

  it.each([null, 7, "x", [], true])("of %j as a whole document says what a scenario is", (json) => {
    expect(refusal(json)).toMatch(/^scenario "scenarios\/s\.json": got .*; allowed is an object with the keys name, /);
  });
});

describe("values that contradict each other", () => {
  it.each<[json: unknown, message: string]>([
    [{ durationNs: 1, durationS: 1 }, "got both durationNs and durationS; allowed is one of them"],
    [
      { scheduler: { sliceNs: 1000, wakeSliceNs: 2000 } },
      "scheduler.wakeSliceNs: got 2000; allowed is at most scheduler.sliceNs, 1000",
    ],
    [
      { costs: { refillBatch: 64 }, guests: [{ ring: 32 }] },
      "costs.refillBatch: got 64; allowed is at most the ring of guests[0], 32, or it would never be refilled",
    ],
    [{ mtu: 1500, guests: [{ sendBytes: 1515 }] }, "guests[0].sendBytes: got 1515; allowed is at most mtu + 14, 1514"],
    [
      { maxInactiveDelayNs: 10, policies: ["fixed", { name: "cooperative", overflowIntervalNs: 11 }] },
      "policy cooperative: got overflowIntervalNs 11; allowed is at most maxInactiveDelayNs, 10",
    ],
    [
      {
        linkRateBps: 1e9,
        guests: [{ traffic: { kind: "burst", burstFrames: 100, periodNs: 1000, lengthBytes: 1250 } }],
      },
      "guests[0].traffic.periodNs: got 1000; allowed is at least 1000000, what the burst takes at linkRateBps",
    ],
    [
      { guests: [{ traffic: { kind: "requests", outstanding: 1, thinkNs: 0, lengthBytes: 60 } }] },
      "guests[0]: traffic requests waits for answers, which app sink does not give; allowed is echo or request-response",
    ],
  ])("%j are refused", (json, message) => {
    expect(refusal(json)).toBe(`scenario "scenarios/s.json": ${message}`);
  });
});

describe("a scenario of Linux guests", () => {
  const linux = { kernel: "vmlinuz", initrd: "sub/initrd", bios: "/bios.bin", vgaBios: "vgabios.bin" };
  const files = {
    kernel: "scenarios/vmlinuz",
    initrd: "scenarios/sub/initrd",
    bios: "/bios.bin",
    vgaBios: "scenarios/vgabios.bin",
  };

  it("runs in real time, with slices as long as an emulated machine needs them, its files relative to the scenario", () => {
    expect(parse({ kind: "linux", linux })).toMatchObject({
      kind: "linux",
      engine: "threads",
      linkRateBps: 100_000_000,
      scheduler: { sliceNs: 10_000_000, wakeSliceNs: 5_000_000 },
      linux: { ...files, memoryMb: 128, kernelWords: "", stateFile: null },
    });
    const { linux: told } = parse({
      kind: "linux",
      linux: { ...linux, memoryMb: 256, kernelWords: "quiet", stateFile: "booted" },
    });
    expect(told).toEqual({ ...files, memoryMb: 256, kernelWords: "quiet", stateFile: "scenarios/booted" });
  });

  it("read back from a result gives the same scenario", () => {
    const scenario = parse({ kind: "linux", linux });
    expect(parseScenario(scenario, {}, { ...CONTEXT, folder: "." })).toEqual(scenario);
    expect(parseScenario(parse({}), {}, { ...CONTEXT, folder: "." })).toEqual(parse({}));
  });

  it.each([
    [{ kind: "linux" }, "kind linux needs a key linux, which names kernel, initrd, bios and vgaBios"],
    [{ linux }, "got a key linux, but kind is ts; allowed is linux with kind linux"],
    [{ kind: "bsd" }, 'kind: got "bsd"; allowed is one of ts, linux'],
    [{ kind: "linux", linux, engine: "virtual" }, "engine: got virtual; allowed is threads with kind linux"],
    [{ kind: "linux", linux, guests: [{ app: "echo" }] }, "guests[0].app: got echo; allowed is sink with kind linux"],
    [{ kind: "linux", linux, guests: [{ ring: 8192 }] }, "guests[0].ring: got 8192; allowed is at most 4096"],
    [{ kind: "linux", linux: { ...linux, kernel: 5 } }, "linux.kernel: got 5; allowed is the path of a file"],
    [{ kind: "linux", linux: { ...linux, memoryMb: 8 } }, "linux.memoryMb: got 8; allowed is a whole number from 64"],
  ])("is refused what it cannot be: %j", (json, message) => {
    expect(refusal(json)).toContain(message);
  });
});
