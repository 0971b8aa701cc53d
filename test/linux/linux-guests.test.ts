import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { ResultDocument, RunResult } from "../../src/hypervisor/report/result.ts";
import { checkEvents } from "../checker/check.ts";
import { Workplace } from "../cli/spillway-process.ts";
import { layGuestFiles } from "./lay-guest-files.ts";

const ingredients = inject("ingredients");

/**
 * The guests may get very little of a busy machine, and nothing here may depend on how much: fewer frames than the ring has
 * buffers, so that none needs to be dropped; a link that is slow enough for the guard to keep watch even if a wake takes
 * half a second; and nobody who minds waiting for so long.
 */
const FRAMES = 500;
const RING = 4096;
const LINK_RATE_BPS = 4e6;
const MAX_INACTIVE_DELAY_NS = 1e9;
const RUN_TIMEOUT_MS = 280_000;

describe.skipIf(ingredients === null)("Linux guests under the host", () => {
  const place = new Workplace();
  let document: ResultDocument;
  let events: string[];

  const play = async (): Promise<void> => {
    const folder = layGuestFiles(ingredients!);
    const guest = (name: string, lengthBytes: number, load = "busy") => ({
      name,
      load,
      ring: RING,
      traffic: { kind: "poisson", framesPerS: 200, lengthBytes, count: FRAMES },
    });
    const scenario = {
      kind: "linux",
      linux: {
        kernel: join(folder, "vmlinuz"),
        initrd: join(folder, "initrd"),
        bios: join(folder, "bios.bin"),
        vgaBios: join(folder, "vgabios.bin"),
        stateFile: join(folder, "booted"),
      },
      linkRateBps: LINK_RATE_BPS,
      maxInactiveDelayNs: MAX_INACTIVE_DELAY_NS,
      scheduler: { sliceNs: 20e6, wakeSliceNs: 10e6 },
      policies: ["fixed", "cooperative-adaptive"],
      guests: [guest("short", 60), guest("long", 1514)],
    };
    place.write("linux.json", JSON.stringify(scenario));
    const { code, stdout, stderr } = await place.run(["compare", "linux.json", "--json", "--events", "events.ndjson"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    document = JSON.parse(stdout) as ResultDocument;
    events = place.read("events.ndjson").split("\n");
  };
  beforeAll(play, RUN_TIMEOUT_MS);
  afterAll(() => place.remove());

  const runs = (): readonly RunResult[] => document.runs;

  it("get all frames of their traffic, by their own driver, and drop none", () => {
    for (const { guests } of runs()) {
      for (const { arrived, delivered, dropped, read, unread, violations } of guests) {
        expect(arrived).toBeGreaterThanOrEqual(FRAMES);
        expect({ delivered, dropped, read, unread }).toEqual({
          delivered: arrived,
          dropped: 0,
          read: arrived,
          unread: 0,
        });
        expect(violations).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
      }
    }
  });

  it("count themselves what the card says: frames, datagrams with sound checksums, interrupts", () => {
    for (const { guests } of runs()) {
      for (const { read, notifications, linux } of guests) {
        expect(linux).toMatchObject({
          rxPackets: read,
          rxErrors: 0,
          rxDropped: 0,
          softnetDropped: 0,
          udpNoPorts: FRAMES,
        });
        // Two that fall into one stretch of the guest's instructions are one to it.
        expect(linux!.interrupts).toBeLessThanOrEqual(notifications.total);
        expect(linux!.interrupts).toBeGreaterThan(0.9 * notifications.total);
      }
    }
  });

  it("share one CPU: each is taken off it and put back, and they never have more than all of its time", () => {
    for (const { guests, durationNs } of runs()) {
      for (const { activations } of guests) expect(activations).toBeGreaterThan(3);
      expect(guests.reduce((sum, { activeNs }) => sum + activeNs, 0)).toBeLessThanOrEqual(durationNs);
    }
  });

  it("are woken far less often by the overflow rules than by a fixed interval", () => {
    const wakes = runs().map(({ guests }) => guests.reduce((sum, guest) => sum + guest.wakes.total, 0));
    expect(wakes[0]).toBeGreaterThan(20);
    expect(wakes[1]).toBeLessThanOrEqual(wakes[0]! / 10);
  });

  it(
    "leave events from which every figure follows",
    async ({ task }) => {
      // Now and then a frame that comes while its guest is being stopped is counted before, and recorded behind it.
      if ((task.result?.retryCount ?? 0) > 0) await play();
      const report = await checkEvents(events, document, { emptyWithinNs: 40e9 });
      expect(report.violations).toEqual([]);
      expect(report.tested["B.drain"]).toBeGreaterThan(10);
    },
    RUN_TIMEOUT_MS,
  );
});
