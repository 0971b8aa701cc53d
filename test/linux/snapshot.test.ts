import { describe, expect, inject, it } from "vitest";
import { CardGuest } from "./guest/card-guest.ts";
import { Cable } from "./wire/cable.ts";

const SERVER = { mac: "02:00:00:00:00:01", ip: "192.0.2.1" };
const CLIENT = { mac: "02:00:00:00:00:02", ip: "192.0.2.2" };
const MIB = 8;

const WAYS = [
  ["INTx, packed rings", { machine: {}, card: { extra: ["RING_PACKED"] } }],
  ["MSI-X, split rings", { machine: { acpi: true }, card: { msix: true } }],
] as const;

describe.skipIf(inject("ingredients") === null)("a Linux guest saved in the middle of a TCP transfer", () => {
  it.each(WAYS)(
    "goes on in another machine, and the transfer ends with the right SHA-256: %s",
    async (_, options) => {
      const cable = new Cable();
      const first = await CardGuest.startAt(cable.ends[0], SERVER, options);
      cable.ends[0].onWaiting = () => first.attached.wakeLoop();
      const client = await CardGuest.startAt(cable.ends[1], CLIENT);
      cable.ends[1].onWaiting = () => client.attached.wakeLoop();
      let second: CardGuest | null = null;
      try {
        const sha256 = await client.makeData();
        await first.listen(5000);
        const sent = client.run(`tcp-send ${SERVER.ip} 5000 /tmp/data ${MIB}`, 600_000);

        const [receive] = first.card.statistics.queues;
        await expect.poll(() => receive!.bytes, { interval: 1, timeout: 120_000 }).toBeGreaterThan(MIB << 18);
        const state = await first.linux.emulator.save_state();
        expect(receive!.bytes).toBeLessThan(MIB << 20);
        await first.destroy();

        second = await CardGuest.restoreAt(cable.ends[0], SERVER, state, options);
        const { attached } = second;
        cable.ends[0].onWaiting = () => attached.wakeLoop();
        await sent;
        expect(await second.received(5000)).toEqual({ bytes: MIB << 20, sha256 });
        expect(await second.tcpTroubles()).toMatchObject({ inErrors: 0, checksumErrors: 0 });
        expect([...second.faults(), ...client.faults(), ...cable.faults]).toEqual([]);
      } finally {
        await client.destroy();
        await second?.destroy();
      }
    },
    600_000,
  );
});
