import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ResultDocument } from "../../src/hypervisor/report/result.ts";
import { Workplace } from "./spillway-process.ts";

/** The command with its real engine, in virtual time. */

const TRAFFIC = { kind: "poisson", framesPerS: 100_000, lengthBytes: 60, count: 3000 };
const SCENARIO = JSON.stringify({
  guests: [
    { ring: 64, traffic: TRAFFIC },
    { ring: 64, traffic: TRAFFIC },
  ],
});

let place = new Workplace();
beforeEach(() => {
  place = new Workplace();
  place.write("s.json", SCENARIO);
});
afterEach(() => {
  place.remove();
});

describe("a comparison in virtual time", () => {
  it("gives the same bytes again for the same input, result and events alike", async () => {
    const first = await place.run(["compare", "s.json", "--json", "--events", "a.ndjson"]);
    const second = await place.run(["compare", "s.json", "--json", "--events", "b.ndjson"]);
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    expect(second.stdout).toBe(first.stdout);
    const [a, b] = ["a.ndjson", "b.ndjson"].map((name) => readFileSync(join(place.folder, name), "utf8"));
    expect(a?.length).toBeGreaterThan(10_000);
    expect(b).toBe(a);
  });

  it("prints counts that its events add up to", async () => {
    const { stdout } = await place.run(["compare", "s.json", "--json", "--events", "e.ndjson"]);
    const { runs }: ResultDocument = JSON.parse(stdout);
    const counted: Record<string, number>[] = [];
    for (const line of readFileSync(join(place.folder, "e.ndjson"), "utf8").trimEnd().split("\n")) {
      const { ev } = JSON.parse(line);
      if (ev === "run") counted.push({});
      const run = counted.at(-1) ?? {};
      run[ev] = (run[ev] ?? 0) + 1;
    }
    expect(counted).toHaveLength(3);
    for (const [i, run] of runs.entries()) {
      const sum = (figure: (guest: (typeof run.guests)[number]) => number): number =>
        run.guests.reduce((total, guest) => total + figure(guest), 0);
      const { arrive, deliver, drop = 0, notify = 0, wake = 0, activate = 0, end } = counted[i] ?? {};
      expect({ arrive, deliver, drop, notify, wake, end }).toEqual({
        arrive: sum((guest) => guest.arrived),
        deliver: sum((guest) => guest.delivered),
        drop: sum((guest) => guest.dropped),
        notify: sum((guest) => guest.notifications.total),
        wake: sum((guest) => guest.wakes.total),
        end: 1,
      });
      expect(run.host).toMatchObject({ interrupts: notify + wake, switches: activate });
      for (const guest of run.guests) {
        expect(guest.arrived).toBe(guest.delivered + guest.dropped);
        expect(guest.delivered).toBe(guest.read + guest.unread);
      }
    }
  });

  it("ends with 0 even if frames were dropped, and says how many", async () => {
    const { code, stdout } = await place.run(["compare", "s.json", "--ring", "2", "--json"]);
    const { runs }: ResultDocument = JSON.parse(stdout);
    expect(runs[0]?.guests[0]?.dropped).toBeGreaterThan(0);
    expect(code).toBe(0);
  });
});

describe("the saved scenario of a result", () => {
  it("run again gives the same result", async () => {
    const first = await place.run(["compare", "s.json", "--json", "--seed", "7"]);
    place.write("again.json", JSON.stringify(JSON.parse(first.stdout).scenario));
    const again = await place.run(["compare", "again.json", "--json"]);
    expect(again.stdout).toBe(first.stdout);
  });
});
