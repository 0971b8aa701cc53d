import type { FeatureName } from "spillway/device";
import { describe, expect, inject, it } from "vitest";
import { TestGuest } from "./guest/test-guest.ts";
import { pattern } from "./wire/packets.ts";

const FLOWS = 32;

const STEERING: readonly (readonly [string, readonly FeatureName[]])[] = [
  ["the driver's RSS table", []],
  ["where the driver has sent a flow's packets from", ["RSS"]],
];

describe.skipIf(inject("ingredients") === null)("an unmodified Linux with two queue pairs", () => {
  it.each(STEERING)("receives on both, and sends on both, steered by %s", async (_, withhold) => {
    const guest = await TestGuest.start({ machine: { acpi: true }, card: { msix: true, pairs: 2, withhold } });
    try {
      await guest.run("ethtool -L eth0 combined 2");
      expect((await guest.run("ethtool -l eth0")).match(/^Combined:\t+\d+$/gm)).toEqual([
        "Combined:\t2",
        "Combined:\t2",
      ]);

      // The guest sends on many flows. Its kernel spreads them by their hash.
      const seen = new Set<number>();
      guest.wire.forget();
      const from = Number(await guest.run(`seq 100 >/tmp/data; udp-send 192.0.2.2 1000-${999 + FLOWS} /tmp/data`));
      for (const { bytes } of guest.wire.fromGuest) seen.add((bytes[36]! << 8) | bytes[37]!);
      expect([...seen].filter((port) => port >= 1000 && port < 1000 + FLOWS)).toHaveLength(FLOWS);
      const sent = [await guest.counter("tx_queue_0_packets"), await guest.counter("tx_queue_1_packets")];
      expect(Math.min(...sent)).toBeGreaterThan(0);

      // Answers to those flows, and flows of which the card has heard nothing.
      for (let flow = 0; flow < FLOWS; flow++) guest.station.sendUdp(1000 + flow, from, pattern(200, flow));
      expect(await guest.station.ping(56)).toBe(true);
      const received = [await guest.counter("rx_queue_0_packets"), await guest.counter("rx_queue_1_packets")];
      expect(Math.min(...received)).toBeGreaterThan(0);
      const [first, , second] = guest.card.statistics.queues;
      expect(received).toEqual([first!.frames, second!.frames]);

      // Both pairs have their own interrupts, and one pair works as before.
      const interrupts = await guest.run("grep -E 'put\\.' /proc/interrupts");
      const counts = interrupts.split("\n").map((line) => Number(line.trim().split(/ +/)[1]));
      expect(counts).toHaveLength(4);
      expect(Math.min(...counts)).toBeGreaterThan(0);
      await guest.run("ethtool -L eth0 combined 1");
      const before = await guest.counter("rx_queue_0_packets");
      for (let flow = 0; flow < FLOWS; flow++) guest.station.sendUdp(1000 + flow, from, pattern(200, flow));
      expect(await guest.station.ping(56)).toBe(true);
      expect((await guest.counter("rx_queue_0_packets")) - before).toBe(FLOWS + 1);
      expect(guest.faults()).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });
});
