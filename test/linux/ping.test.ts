import { describe, expect, inject, it } from "vitest";
import { TestGuest } from "./guest/test-guest.ts";

/** Longer than even a busy machine's guest takes for an answer. */
const LATENCY_NS = 4e9;

describe.skipIf(inject("ingredients") === null)("an echo request to an idle guest", () => {
  it("is answered at once if no interrupt came within the latency interval, and else when that is over", async () => {
    const guest = await TestGuest.start({ card: { latencyIntervalNs: LATENCY_NS } });
    try {
      const { attached, card, station } = guest;
      const [vector] = card.throttle.vectors;
      const sinceInterruptNs = (): number => attached.nowNs() - vector!.lastNotifyNs;
      await expect.poll(sinceInterruptNs, { interval: 20, timeout: 60_000 }).toBeGreaterThan(LATENCY_NS);
      expect(await station.ping(56)).toBe(true);
      const answeredNs = sinceInterruptNs();
      expect(answeredNs).toBeLessThan(LATENCY_NS);

      const firstNs = vector!.lastNotifyNs;
      expect(await station.ping(56)).toBe(true);
      expect(vector!.lastNotifyNs - firstNs).toBeGreaterThanOrEqual(LATENCY_NS);
      expect(guest.faults()).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });
});
