import { HostWindow, ITR_LATENCY } from "spillway/device";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { STATION, TestGuest } from "./guest/test-guest.ts";
import { ETHERTYPE_EXPERIMENTAL, ethernet, pattern } from "./wire/packets.ts";

/** Longer than any test takes. */
const NEVER_USECS = 1_000_000_000;

describe.skipIf(inject("ingredients") === null)("what an unmodified Linux asks of interrupt coalescing", () => {
  let guest: TestGuest;

  beforeAll(async () => {
    // The host asks for nothing: what is measured is the guest's own setting.
    guest = await TestGuest.start({ card: { latencyIntervalNs: 0 } });
    // Nor does the guest send by itself.
    await guest.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
  });
  afterEach(() => expect(guest.faults()).toEqual([]));
  afterAll(() => guest.destroy());

  const frame = ethernet(STATION.mac, "02:00:00:00:00:01", ETHERTYPE_EXPERIMENTAL, pattern(100));

  /** Sends frames one by one, each when the card has delivered the one before. */
  async function trickle(frames: number): Promise<void> {
    const [receive] = guest.card.statistics.queues;
    for (let i = 0; i < frames; i++) {
      const delivered = receive!.frames;
      guest.wire.send(frame);
      await expect.poll(() => receive!.frames, { interval: 1, timeout: 60_000 }).toBe(delivered + 1);
    }
  }

  function set(settings: string): Promise<string> {
    return guest.run(`ethtool -C eth0 ${settings}`);
  }

  it("ethtool -C sets it, and ethtool -c shows it", async () => {
    await set("rx-usecs 40 rx-frames 8 tx-usecs 60 tx-frames 16");
    const shown = await guest.run("ethtool -c eth0");
    for (const line of ["rx-usecs: 40", "rx-frames: 8", "tx-usecs: 60", "tx-frames: 16"]) expect(shown).toContain(line);
  });

  it("received frames raise an interrupt when there are as many as asked for, and not before", async () => {
    await set(`rx-usecs ${NEVER_USECS} rx-frames 8 tx-usecs 0 tx-frames 1`);
    const before = await guest.interrupts();
    const packets = Number(await guest.net("statistics/rx_packets"));
    await trickle(7);
    expect([await guest.interrupts(), Number(await guest.net("statistics/rx_packets"))]).toEqual([before, packets]);
    await trickle(1);
    await expect.poll(() => guest.interrupts()).toBe(before + 1);
    expect(Number(await guest.net("statistics/rx_packets"))).toBe(packets + 8);
    for (let eights = 2; eights <= 5; eights++) {
      await trickle(8);
      // The guest has to take them before the next ones come, or one interrupt is for both.
      await expect.poll(() => guest.net("statistics/rx_packets").then(Number)).toBe(packets + 8 * eights);
      expect(await guest.interrupts()).toBe(before + eights);
    }
  });

  it("a received frame waits as long as asked for, and no longer than that takes", async () => {
    const waitsMs: number[] = [];
    for (const usecs of [0, 400_000]) {
      await set(`rx-usecs ${usecs} rx-frames 1000 tx-usecs 0 tx-frames 1`);
      const start = performance.now();
      expect(await guest.station.ping(56)).toBe(true);
      waitsMs.push(performance.now() - start);
    }
    expect(waitsMs[1]).toBeGreaterThanOrEqual(400);
    expect(waitsMs[0]).toBeLessThan(400);
  });

  it("sent frames raise an interrupt when there are as many as asked for, and not before", async () => {
    const [, transmit] = guest.card.statistics.queues;
    const measured: number[] = [];
    for (const frames of [1, 16]) {
      // The generator ends when the card has given its last frame back.
      await set(`rx-usecs 0 rx-frames 1 tx-usecs 2000000 tx-frames ${frames}`);
      const before = { interrupts: await guest.interrupts(), frames: transmit!.frames };
      await guest.run(`flood 64 60 20000000 ${STATION.mac}`);
      expect(transmit!.frames - before.frames).toBe(64);
      measured.push((await guest.interrupts()) - before.interrupts);
    }
    const [alone, gathered] = measured as [number, number];
    expect(gathered).toBeLessThanOrEqual(4);
    // On a machine so busy that frames gather before the card sees them, each batch still has its own.
    expect(alone).toBeGreaterThanOrEqual(4 * gathered);
  });

  it("the host's interval holds back what the guest does not", async () => {
    await set("rx-usecs 0 rx-frames 1 tx-usecs 0 tx-frames 1");
    const host = new HostWindow(guest.card.throttle);
    host.write(ITR_LATENCY, 300_000_000, guest.attached.nowNs());
    try {
      expect(await guest.station.ping(56)).toBe(true);
      const start = performance.now();
      expect(await guest.station.ping(56)).toBe(true);
      expect(await guest.station.ping(56)).toBe(true);
      // Of three echoes the last one's request came inside the interval that the one before had begun.
      expect(performance.now() - start).toBeGreaterThanOrEqual(300);
    } finally {
      host.write(ITR_LATENCY, 0, guest.attached.nowNs());
    }
  });
});
