import { LearningSwitch } from "spillway/hypervisor";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { CardGuest } from "./guest/card-guest.ts";

const ADDRESSES = [
  { mac: "02:00:00:00:00:01", ip: "192.0.2.1" },
  { mac: "02:00:00:00:00:02", ip: "192.0.2.2" },
] as const;
const MIB = 64;
const NO_TROUBLES = { inErrors: 0, checksumErrors: 0, lost: 0 };

describe.skipIf(inject("ingredients") === null)("two Linux guests on a switch", () => {
  const guests: CardGuest[] = [];
  const network = new LearningSwitch({
    ports: ADDRESSES.map((_, index) => ({ onFrame: () => guests[index]?.attached.wakeLoop() })),
  });

  beforeAll(async () => {
    for (const [index, address] of ADDRESSES.entries()) {
      guests.push(await CardGuest.startAt(network.ports[index]!, address));
    }
  });
  afterAll(() => Promise.all(guests.map((guest) => guest.destroy())));

  it(`carry ${MIB} MiB over TCP, unchanged, with nothing lost on the way`, async () => {
    const [server, client] = guests as [CardGuest, CardGuest];
    expect(await client.run("ping -c 1 192.0.2.1")).toContain(" 0% packet loss");
    await server.listen(5000);
    const sha256 = await client.makeData();
    // Before its driver was there, a guest may have missed what the other one announced.
    const droppedOf = (guest: CardGuest) => guest.card.statistics.queues.map(({ dropped }) => dropped);
    const before = guests.map(droppedOf);
    await client.run(`tcp-send 192.0.2.1 5000 /tmp/data ${MIB}`, 600_000);
    expect(await server.received(5000)).toEqual({ bytes: MIB << 20, sha256 });
    for (const [index, guest] of guests.entries()) {
      const { tooShort, queueFull, tooLong, unfinished } = network.ports[index]!.counters;
      expect([tooShort, queueFull, tooLong, unfinished]).toEqual([0, 0, 0, 0]);
      expect(droppedOf(guest)).toEqual(before[index]);
      expect(guest.faults()).toEqual([]);
      expect(await guest.tcpTroubles()).toEqual(NO_TROUBLES);
    }
  }, 600_000);
});
