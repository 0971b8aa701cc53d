import { attachVirtioNet } from "spillway/v86";
import { afterEach, describe, expect, inject, it } from "vitest";
import { GUEST, STATION, TestGuest } from "./guest/test-guest.ts";
import { ETHERTYPE_EXPERIMENTAL, ethernet, macBytes, pattern } from "./wire/packets.ts";

/** Where the card is by default. */
const FUNCTION = "/sys/bus/pci/devices/0000:00:0f.0";

describe.skipIf(inject("ingredients") === null)("the card is pulled out of a machine that runs Linux", () => {
  let guest: TestGuest;
  afterEach(() => guest.destroy());

  it("in mid-traffic: Linux runs on, and the emulator with it", async () => {
    guest = await TestGuest.start();
    const frame = ethernet(STATION.mac, guest.station.guest.mac, ETHERTYPE_EXPERIMENTAL, pattern(200));
    const traffic = setInterval(() => {
      if (guest.wire.waiting < 100) guest.wire.send(frame);
    }, 2);
    try {
      await guest.run(`ping -i 0.1 ${STATION.ip} >/dev/null 2>&1 &`);
      await guest.run("sleep 1");
      const { frames } = guest.card.statistics.queues[0]!;
      expect(frames).toBeGreaterThan(10);
      expect(guest.card.statistics.queues[1]!.frames).toBeGreaterThan(2);
      guest.attached.detach();
      const interrupts = () => guest.run("grep virtio /proc/interrupts");
      const before = await interrupts();
      await guest.run("sleep 1");
      expect(await interrupts()).toBe(before);
      expect(guest.linux.emulator.is_running()).toBe(true);
      expect(guest.faults()).toEqual([]);
    } finally {
      clearInterval(traffic);
    }
  });

  it("once Linux has let go: another takes its place, and works", async () => {
    guest = await TestGuest.start();
    expect(await guest.station.ping(100)).toBe(true);
    await guest.run(`echo 1 >${FUNCTION}/remove`);
    guest.attached.detach();
    const { linux, wire } = guest;
    const attached = attachVirtioNet(linux.emulator, { port: wire, mac: macBytes(GUEST.mac), bar: "memory" });
    wire.onWaiting = () => attached.wakeLoop();
    await guest.run("echo 1 >/sys/bus/pci/rescan");
    await guest.configure();
    expect(await guest.station.ping(100)).toBe(true);
    expect(attached.card.statistics.queues[0]!.frames).toBeGreaterThan(0);
    expect(guest.faults()).toEqual([]);
  });
});
