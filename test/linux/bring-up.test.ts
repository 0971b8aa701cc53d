import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { knownToDriver } from "./guest/driver-features.ts";
import { TestGuest } from "./guest/test-guest.ts";

const ingredients = inject("ingredients");

/** Up to the largest that IPv4 carries, around the MTU, and the smallest. */
const PING_LENGTHS = [0, 1, 17, 18, 64, 1471, 1472, 1473, 2952, 9000, 32_768, 65_000];

const WAYS = [
  { title: "registers in I/O space, INTx", bar: "io", msix: false },
  { title: "registers in memory, INTx", bar: "memory", msix: false },
  { title: "registers in I/O space, MSI-X", bar: "io", msix: true },
  { title: "registers in memory, MSI-X", bar: "memory", msix: true },
] as const;

describe.skipIf(ingredients === null).each(WAYS.map((way) => [way.title, way] as const))(
  "an unmodified Linux brings the card up: %s",
  (_, { bar, msix }) => {
    let guest: TestGuest;

    beforeAll(async () => {
      guest = await TestGuest.start({ machine: { acpi: msix }, card: { bar, msix, pairs: 2 } });
    });
    afterAll(() => guest.destroy());

    it("its driver is bound, and has accepted exactly what it knows of what is offered", async () => {
      expect(await guest.run("ethtool -i eth0")).toContain("driver: virtio_net");
      const known = knownToDriver(ingredients!.release);
      const { features } = guest.card;
      expect(await guest.negotiated()).toEqual(known.filter((bit) => features.isOffered(bit)));
    });

    it("echoes pass both ways, whatever their length", async () => {
      for (const length of PING_LENGTHS) expect([length, await guest.station.ping(length)]).toEqual([length, true]);
      for (const length of PING_LENGTHS) {
        expect(await guest.run(`ping -c 1 -s ${length} 192.0.2.2`)).toContain(" 0% packet loss");
      }
      expect(guest.station.echoRequests).toBe(PING_LENGTHS.length);
    });

    it(msix ? "each queue has a vector, and its interrupts come there" : "interrupts come by one line", async () => {
      const lines = (await guest.run("grep virtio /proc/interrupts")).split("\n");
      const counts = new Map(lines.map((line) => [line.split(" ").at(-1)!, Number(line.trim().split(/ +/)[1])]));
      if (msix) {
        const vectors = ["config", "input.0", "output.0", "input.1", "output.1"].map((name) => `virtio0-${name}`);
        expect([...counts.keys()]).toEqual(vectors);
        expect(counts.get("virtio0-input.0")).toBeGreaterThan(0);
        expect(counts.get("virtio0-output.0")).toBeGreaterThan(0);
      } else expect([...counts].map(([name, count]) => [name, count > 0])).toEqual([["virtio0", true]]);
    });

    it("ethtool shows rings, channels and counters that are right", async () => {
      const rings = await guest.run("ethtool -g eth0");
      expect(rings.match(/^(RX|TX):\t+1024$/gm)).toHaveLength(4);
      const channels = await guest.run("ethtool -l eth0");
      expect(channels.match(/^Combined:\t+\d+$/gm)).toEqual(["Combined:\t2", "Combined:\t1"]);
      const [receive, transmit] = guest.card.statistics.queues;
      expect(await guest.counter("rx_queue_0_packets")).toBe(receive!.frames);
      expect(await guest.counter("tx_queue_0_packets")).toBe(transmit!.frames);
    });

    it("nothing was lost, and neither side has found a fault of the other", () => {
      expect(guest.card.statistics.queues.map(({ dropped }) => dropped)).toEqual([0, 0, 0, 0, 0]);
      expect(guest.faults()).toEqual([]);
    });
  },
);
