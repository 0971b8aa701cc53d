import type { FeatureName } from "spillway/device";
import { describe, expect, inject, it } from "vitest";
import { TestGuest } from "./guest/test-guest.ts";

const INDIRECT_DESC = 28;
const EVENT_IDX = 29;
const RING_PACKED = 34;
const MRG_RXBUF = 15;

interface Ring {
  readonly title: string;
  readonly withhold: readonly FeatureName[];
  readonly extra?: readonly FeatureName[];
  /** Bits of those features that the driver takes all the same. */
  readonly taken: readonly number[];
}

const PACKED: readonly FeatureName[] = ["RING_PACKED"];
const RINGS: readonly Ring[] = [
  { title: "a packed ring", withhold: [], extra: PACKED, taken: [INDIRECT_DESC, EVENT_IDX, RING_PACKED] },
  {
    title: "a packed ring without indirect tables",
    withhold: ["RING_INDIRECT_DESC"],
    extra: PACKED,
    taken: [EVENT_IDX, RING_PACKED],
  },
  {
    title: "a packed ring without event index",
    withhold: ["RING_EVENT_IDX"],
    extra: PACKED,
    taken: [INDIRECT_DESC, RING_PACKED],
  },
  { title: "a split ring", withhold: [], taken: [INDIRECT_DESC, EVENT_IDX] },
  {
    title: "a split ring without indirect tables",
    withhold: ["RING_INDIRECT_DESC"],
    taken: [EVENT_IDX],
  },
  {
    title: "a split ring without event index",
    withhold: ["RING_EVENT_IDX"],
    taken: [INDIRECT_DESC],
  },
];

describe.skipIf(inject("ingredients") === null)("an unmodified Linux drives the rings", () => {
  it.each(
    RINGS.map((ring) => [ring.title, ring] as const),
  )("%s: echoes go both ways, many times round, and none is lost", async (_, ring) => {
    const guest = await TestGuest.start({
      card: { withhold: ring.withhold, extra: ring.extra ?? [], queueSizeMax: 256 },
    });
    try {
      const bits = await guest.negotiated();
      expect(bits.filter((bit) => [INDIRECT_DESC, EVENT_IDX, RING_PACKED].includes(bit))).toEqual(ring.taken);
      // Ten rounds of 45 fragments each way go more than once around a ring of 256.
      for (let round = 0; round < 10; round++) expect(await guest.station.ping(65_000)).toBe(true);
      await guest.run("ping -c 3 -s 65000 -i 0.1 192.0.2.2");
      expect(guest.station.echoRequests).toBe(3);
      const [receive, transmit] = guest.card.statistics.queues;
      expect([receive!.dropped, transmit!.dropped]).toEqual([0, 0]);
      expect([receive!.frames, transmit!.frames].every((frames) => frames > 256)).toBe(true);
      expect(guest.faults()).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });

  it("a frame that is longer than a buffer is spread over several, if they may be merged", async () => {
    const guest = await TestGuest.start({ card: { mtu: 65_535 } });
    try {
      expect(await guest.negotiated()).toContain(MRG_RXBUF);
      expect(await guest.net("mtu")).toBe("65535");
      guest.station.mtu = 65_535;
      const before = { ...guest.card.statistics.queues[0]! };
      for (const length of [3000, 9000, 30_000, 65_000, 65_504]) expect(await guest.station.ping(length)).toBe(true);
      const { frames, buffers } = guest.card.statistics.queues[0]!;
      expect(frames - before.frames).toBe(5);
      expect(buffers - before.buffers).toBeGreaterThan(20);
      // Echoes of the guest come in one frame each, too.
      await guest.run("ping -c 1 -s 65000 192.0.2.2");
      expect(guest.wire.fromGuest.filter(({ bytes }) => bytes.length > 65_000)).toHaveLength(3);
      expect(guest.faults()).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });

  it("without mergeable buffers a frame of the MTU fits into one", async () => {
    // Without merging, Linux gives each buffer the 64 KiB that segmentation may need: a long ring takes all its memory.
    const guest = await TestGuest.start({ card: { withhold: ["MRG_RXBUF"], queueSizeMax: 64 } });
    try {
      expect(await guest.negotiated()).not.toContain(MRG_RXBUF);
      for (const length of [0, 1472, 65_000]) expect(await guest.station.ping(length)).toBe(true);
      expect(guest.faults()).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });
});
