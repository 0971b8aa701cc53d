import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { STATION, TestGuest } from "./guest/test-guest.ts";
import { ETHERTYPE_EXPERIMENTAL, ethernet, pattern } from "./wire/packets.ts";

const REBINDS = 20;

describe.skipIf(inject("ingredients") === null)("the driver is unbound and bound again", () => {
  let guest: TestGuest;

  beforeAll(async () => {
    guest = await TestGuest.start();
  });
  afterAll(() => guest.destroy());

  it(`${REBINDS} times while frames come in, and each time the card works as at first`, async () => {
    const flood = ethernet(STATION.mac, guest.station.guest.mac, ETHERTYPE_EXPERIMENTAL, pattern(200));
    let sent = 0;
    const traffic = setInterval(() => {
      for (let i = 0; i < 10 && guest.wire.waiting < 100; i++) {
        guest.wire.send(flood);
        sent++;
      }
    }, 1);
    try {
      const device = (await guest.run("ls /sys/bus/virtio/drivers/virtio_net | grep virtio")).trim();
      const driver = "/sys/bus/virtio/drivers/virtio_net";
      const { resets } = guest.card.statistics;
      const features = await guest.negotiated();
      for (let round = 1; round <= REBINDS; round++) {
        await guest.run(`echo ${device} >${driver}/unbind && echo ${device} >${driver}/bind`);
        await guest.configure();
        expect(await guest.station.ping(1000)).toBe(true);
      }
      expect(await guest.negotiated()).toEqual(features);
      expect(guest.card.statistics.resets - resets).toBeGreaterThanOrEqual(REBINDS);
      expect(sent).toBeGreaterThan(1000);
    } finally {
      clearInterval(traffic);
    }
    expect(guest.faults()).toEqual([]);
  });
});
