import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { GUEST, TestGuest } from "./guest/test-guest.ts";
import { addressBytes, ETHERTYPE_ARP } from "./wire/packets.ts";

describe.skipIf(inject("ingredients") === null)("the link that an unmodified Linux sees", () => {
  let guest: TestGuest;

  beforeAll(async () => {
    guest = await TestGuest.start({ card: { mtu: 9000, speedMbps: 10_000, duplex: "full" } });
  });
  afterEach(() => expect(guest.faults()).toEqual([]));
  afterAll(() => guest.destroy());

  it("has the speed and the duplex that the card was given", async () => {
    const settings = await guest.run("ethtool eth0");
    expect(settings).toContain("Speed: 10000Mb/s");
    expect(settings).toContain("Duplex: Full");
    expect(settings).toContain("Link detected: yes");
  });

  it("has the MTU that the card was given, and carries packets of that size whole", async () => {
    expect(await guest.net("mtu")).toBe("9000");
    guest.station.mtu = 9000;
    guest.wire.forget();
    expect(await guest.station.ping(9000 - 28)).toBe(true);
    expect(guest.wire.fromGuest.filter(({ bytes }) => bytes.length === 9014)).toHaveLength(1);
    await guest.run("ip link set eth0 mtu 1280");
    guest.station.mtu = 1280;
    expect(await guest.station.ping(9000)).toBe(true);
    await guest.run("ip link set eth0 mtu 9000");
    expect((await guest.linux.run("ip link set eth0 mtu 9001")).exitCode).not.toBe(0);
    guest.linux.kernelLog.expect(/eth0: mtu greater than device maximum/);
  });

  it("goes down and up with the cable", async () => {
    expect(await guest.net("carrier")).toBe("1");
    guest.card.setLinkUp(false, guest.attached.nowNs());
    await expect.poll(() => guest.net("carrier")).toBe("0");
    // Linux takes up to a second to tell its own parts.
    await expect.poll(() => guest.net("operstate"), { timeout: 10_000 }).toBe("down");
    guest.wire.send(new Uint8Array(60));
    await expect.poll(() => guest.wire.waiting).toBe(0);
    guest.card.setLinkUp(true, guest.attached.nowNs());
    await expect.poll(() => guest.net("operstate")).toBe("up");
    expect(await guest.station.ping(100)).toBe(true);
    expect(guest.card.statistics.queues[0]!.dropped).toBe(1);
  });

  it("is announced with gratuitous ARP when the network is to learn where the card is", async () => {
    const announced = guest.station.next("a gratuitous ARP", ({ ethertype, payload, fromMac }) => {
      const [from, to] = [payload.subarray(14, 18), payload.subarray(24, 28)];
      const own = Buffer.compare(from, addressBytes(GUEST.ip)) === 0 && Buffer.compare(from, to) === 0;
      return ethertype === ETHERTYPE_ARP && own && fromMac === GUEST.mac;
    });
    guest.card.announce(guest.attached.nowNs());
    await announced;
    // The driver has acknowledged.
    const { commandsDone } = guest.card.statistics.queues[2]!;
    expect(commandsDone).toBeGreaterThan(0);
  });
});
