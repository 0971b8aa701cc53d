import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { GUEST, STATION, TestGuest } from "./guest/test-guest.ts";
import { ETHERTYPE_EXPERIMENTAL, ethernet, pattern } from "./wire/packets.ts";

const PAYLOAD = pattern(100);

/** A frame to `mac` that no protocol of the guest answers. */
function frameTo(mac: string, vlan?: number): Uint8Array {
  return ethernet(STATION.mac, mac, ETHERTYPE_EXPERIMENTAL, PAYLOAD, vlan);
}

const OTHER_MAC = "02:00:00:00:00:77";
const ALL_NODES = "33:33:00:00:00:01";
const OTHER_GROUP = "33:33:ff:00:00:99";

describe.skipIf(inject("ingredients") === null)("the receive filter that an unmodified Linux sets", () => {
  let guest: TestGuest;

  beforeAll(async () => {
    guest = await TestGuest.start();
  });
  afterEach(() => expect(guest.faults()).toEqual([]));
  afterAll(() => guest.destroy());

  /** One frame of each kind: whether it reached the guest, and whether the card had filtered it out. */
  async function passes(mac: string, vlan?: number): Promise<boolean> {
    const { filtered } = guest.card.statistics;
    const received = await guest.arrivals([frameTo(mac, vlan)]);
    expect(guest.card.statistics.filtered - filtered).toBe(1 - received);
    return received === 1;
  }

  it("keeps out what is for another station, until the interface is promiscuous", async () => {
    expect([await passes(GUEST.mac), await passes("ff:ff:ff:ff:ff:ff"), await passes(OTHER_MAC)]).toEqual([
      true,
      true,
      false,
    ]);
    await guest.run("ip link set eth0 promisc on");
    expect(await passes(OTHER_MAC)).toBe(true);
    await guest.run("ip link set eth0 promisc off");
    expect(await passes(OTHER_MAC)).toBe(false);
  });

  it("lets in the groups of which the guest is a member, and no others", async () => {
    expect([await passes(ALL_NODES), await passes(OTHER_GROUP)]).toEqual([true, false]);
    // The address makes the host a member of its solicited-node group (RFC 4291 §2.7.1).
    await guest.run("ip -6 addr add fe80::99/64 dev eth0");
    expect([await passes(ALL_NODES), await passes(OTHER_GROUP)]).toEqual([true, true]);
    await guest.run("ip -6 addr del fe80::99/64 dev eth0");
    expect([await passes(ALL_NODES), await passes(OTHER_GROUP)]).toEqual([true, false]);
  });

  it("lets in every group while all of them are wanted", async () => {
    await guest.run("ifconfig eth0 allmulti");
    expect([await passes(OTHER_GROUP), await passes(OTHER_MAC)]).toEqual([true, false]);
    await guest.run("ifconfig eth0 -allmulti");
    expect(await passes(OTHER_GROUP)).toBe(false);
  });

  it("lets in a second unicast address of the guest without promiscuous mode", async () => {
    await guest.run("ip link add mv0 link eth0 address 02:00:00:00:00:77 type macvlan && ip link set mv0 up");
    expect([await passes(OTHER_MAC), await passes("02:00:00:00:00:78")]).toEqual([true, false]);
    await guest.run("ip link del mv0");
    expect(await passes(OTHER_MAC)).toBe(false);
  });

  it("lets in the VLANs that the guest has, and no others", async () => {
    expect([await passes(GUEST.mac, 7), await passes(GUEST.mac, 8)]).toEqual([false, false]);
    await guest.run("vconfig add eth0 7 && ip link set eth0.7 up");
    expect([await passes(GUEST.mac, 7), await passes(GUEST.mac, 8), await passes(GUEST.mac)]).toEqual([
      true,
      false,
      true,
    ]);
    await guest.run("vconfig rem eth0.7");
    expect([await passes(GUEST.mac, 7), await passes(GUEST.mac)]).toEqual([false, true]);
  });

  it("follows the guest to a new MAC address", async () => {
    const newMac = "02:00:00:00:00:55";
    await guest.setMac(newMac);
    expect([await passes(newMac), await passes(GUEST.mac)]).toEqual([true, false]);
    await guest.setMac(GUEST.mac);
    expect([await passes(newMac), await passes(GUEST.mac)]).toEqual([false, true]);
  });
});
