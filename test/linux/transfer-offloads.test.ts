import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { CardGuest } from "./guest/card-guest.ts";
import { Cable } from "./wire/cable.ts";

const SENDER = { mac: "02:00:00:00:00:01", ip: "192.0.2.1" };
const RECEIVER = { mac: "02:00:00:00:00:02", ip: "192.0.2.2" };
const RECEIVER_V6 = "2001:db8:0:0:0:0:0:2";

const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_ECN = 0x80;
/** Packets of which one meets congestion. */
const MARK_EVERY = 100;

const WIRES = [
  ["that takes finished frames only", { takesChecksum: false, takesSegmentation: false }],
  ["that takes checksums and segments to be done", { takesChecksum: true, takesSegmentation: true }],
] as const;

describe.skipIf(inject("ingredients") === null).each(WIRES)("TCP between two Linux guests on a wire %s", (_, wire) => {
  const cable = new Cable(wire);
  let sender: CardGuest;
  let receiver: CardGuest;
  let sha256: string;
  /** Frames of the sender by kind of segmentation, those longer than the MTU among others, since the last count. */
  const kinds = new Map<number, number>();
  let longest = 0;

  beforeAll(async () => {
    sender = await CardGuest.startAt(cable.ends[0], SENDER);
    receiver = await CardGuest.startAt(cable.ends[1], RECEIVER);
    cable.ends[0].onWaiting = () => sender.attached.wakeLoop();
    cable.ends[1].onWaiting = () => receiver.attached.wakeLoop();
    for (const [index, guest] of [sender, receiver].entries()) {
      await guest.run(`ip -6 addr add 2001:db8::${index + 1}/64 dev eth0`);
      await guest.run("until ip -6 addr show dev eth0 | grep 2001:db8 | grep -qv tentative; do sleep 0.1; done");
    }
    cable.inspect = ({ bytes, header }, from) => {
      if (from === 0) {
        kinds.set(header.gsoType, (kinds.get(header.gsoType) ?? 0) + 1);
        longest = Math.max(longest, bytes.length);
      }
      return true;
    };
    sha256 = await sender.makeData();
  });
  afterAll(() => Promise.all([sender.destroy(), receiver.destroy()]));

  /** Waits until the sender's card has sent `frames` more, and forgets what was counted before. */
  async function afterFrames(frames: number): Promise<void> {
    const [, transmit] = sender.card.statistics.queues;
    const target = transmit!.frames + frames;
    await expect.poll(() => transmit!.frames, { interval: 5, timeout: 120_000 }).toBeGreaterThan(target);
  }

  /** What `ethtool -k` says can be switched. */
  async function switches(guest: CardGuest): Promise<string[]> {
    const features = await guest.run("ethtool -k eth0");
    return [...features.matchAll(/^\t?([a-z0-9-]+): (?:on|off)$/gm)].map((match) => match[1]!);
  }

  /** Streams over both versions of IP while `meanwhile` runs; all that arrives must be what was sent. */
  async function streaming(meanwhile: () => Promise<void>): Promise<void> {
    await receiver.listen(5000);
    await receiver.listen(5001);
    await sender.run(`tcp-send ${RECEIVER.ip} 5000 /tmp/data 100000 >/dev/null 2>&1 & v4=$!`);
    await sender.run(`tcp-send ${RECEIVER_V6} 5001 /tmp/data 100000 >/dev/null 2>&1 & v6=$!`);
    await afterFrames(500);
    await meanwhile();
    await sender.run("kill $v4 $v6; wait");
    for (const port of [5000, 5001]) {
      const { bytes, sha256: arrived } = await receiver.received(port);
      expect(bytes).toBeGreaterThan(1 << 20);
      expect(arrived).toBe(sha256);
    }
    expect(cable.faults).toEqual([]);
    for (const guest of [sender, receiver]) {
      expect(await guest.tcpTroubles()).toMatchObject({ inErrors: 0, checksumErrors: 0 });
      expect(guest.faults()).toEqual([]);
    }
  }

  it("goes on, unchanged, while every offload that this kernel knows is switched off and on again", async () => {
    await streaming(async () => {
      for (const guest of [sender, receiver]) {
        const names = await switches(guest);
        expect(names).toEqual(expect.arrayContaining(["tx-checksum-ip-generic", "tx-tcp-segmentation", "rx-gro-hw"]));
        for (const name of names) {
          const { exitCode } = await guest.linux.run(`ethtool -K eth0 ${name} off`);
          await afterFrames(50);
          await guest.linux.run(`ethtool -K eth0 ${name} on`);
          await afterFrames(50);
          expect([name, exitCode]).toEqual([name, 0]);
        }
      }
    });
  });

  it("goes in long packets while segmentation is on, and in short frames while it is off", async () => {
    await streaming(async () => {
      const [, transmit] = sender.card.statistics.queues;
      const { gsoFrames } = transmit!;
      kinds.clear();
      longest = 0;
      await afterFrames(200);
      expect(transmit!.gsoFrames).toBeGreaterThan(gsoFrames);
      if (wire.takesSegmentation) {
        expect([...kinds.keys()]).toEqual(expect.arrayContaining([GSO_TCPV4, GSO_TCPV6]));
        expect(longest).toBeGreaterThan(1514);
      } else {
        expect([...kinds.keys()]).toEqual([0]);
        expect(longest).toBe(1514);
      }
      await sender.run("ethtool -K eth0 tso off gso off");
      await afterFrames(200);
      const off = transmit!.gsoFrames;
      kinds.clear();
      longest = 0;
      await afterFrames(200);
      expect([transmit!.gsoFrames, [...kinds.keys()], longest]).toEqual([off, [0], 1514]);
      await sender.run("ethtool -K eth0 tso on gso on");
    });
  });

  it("leaves checksums to the card while that is on, and makes them itself while it is off", async () => {
    await streaming(async () => {
      const [, transmit] = sender.card.statistics.queues;
      const { checksumNeeded, frames } = transmit!;
      await afterFrames(100);
      expect(transmit!.checksumNeeded - checksumNeeded).toBeGreaterThan((transmit!.frames - frames) / 100);
      await sender.run("ethtool -K eth0 tx off");
      await afterFrames(200);
      const off = transmit!.checksumNeeded;
      await afterFrames(200);
      expect(transmit!.checksumNeeded).toBe(off);
      await sender.run("ethtool -K eth0 tx on tso on");
    });
  });

  it("reports congestion once, in the first segment of a packet", async () => {
    for (const guest of [sender, receiver]) await guest.run("echo 1 >/proc/sys/net/ipv4/tcp_ecn");
    let marked = 0;
    let reduced = 0;
    let bytesOverV4 = 0;
    // Frames next to each other that both say so: a packet whose parts were cut wrongly.
    let repeated = 0;
    let before = false;
    const count = cable.inspect;
    // A router marks some packets as having met congestion, and its checksum stays right: ECT(0) becomes CE.
    cable.inspect = (frame, from) => {
      const { bytes, header } = frame;
      const isV4 = bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 6;
      if (from === 0 && isV4) {
        const cwr = (bytes[47]! & 0x80) !== 0;
        bytesOverV4 += bytes.length;
        if (cwr) reduced++;
        if (cwr && before) repeated++;
        before = cwr;
        if (cwr && header.gsoType !== 0) expect(header.gsoType).toBe(GSO_TCPV4 | GSO_ECN);
        if ((bytes[15]! & 3) === 2 && ++marked % MARK_EVERY === 0) {
          bytes[15]! |= 3;
          const sum = ((bytes[24]! << 8) | bytes[25]!) - 1;
          bytes[24] = sum >> 8;
          bytes[25] = sum & 0xff;
        }
      }
      return count(frame, from);
    };
    const enough = { interval: 5, timeout: 240_000 };
    await streaming(async () => {
      await expect.poll(() => marked > 10 * MARK_EVERY && bytesOverV4 > 3 << 20, enough).toBe(true);
    });
    cable.inspect = count;
    expect(reduced).toBeGreaterThan(0);
    expect(repeated).toBe(0);
  });
});
