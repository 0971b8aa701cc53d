import type { FeatureName } from "spillway/device";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { GUEST, STATION, TestGuest } from "./guest/test-guest.ts";
import { pseudoHeaderSum } from "./wire/checksum.ts";
import { addressBytes, concat, type Ends, ip, pattern, UDP, udp } from "./wire/packets.ts";
import { NO_OFFLOAD, type SentFrame } from "./wire/test-wire.ts";

const ingredients = inject("ingredients");

const V4: Ends = { fromMac: STATION.mac, toMac: GUEST.mac, from: STATION.ip, to: GUEST.ip };
const V6: Ends = { ...V4, from: "2001:db8:0:0:0:0:0:2", to: "2001:db8:0:0:0:0:0:1" };

const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_UDP = 3;
const GSO_UDP_L4 = 5;
const PORT = 9000;
/** Of UDP's checksum in its header, and of headers in a frame. */
const CSUM_OFFSET = 6;
const ETHERNET_BYTES = 14;
const WRONG = 0x1234;

/** A datagram whose checksum field holds the sum of the pseudo-header, as a sender leaves it to its card. */
function unfinished(ends: Ends, payload: Uint8Array): { bytes: Uint8Array; csumStart: number } {
  const sum = pseudoHeaderSum(addressBytes(ends.from), addressBytes(ends.to), UDP, 8 + payload.length);
  const csumStart = ETHERNET_BYTES + (ends === V6 ? 40 : 20);
  return { bytes: ip(ends, UDP, udp(ends, 1000, PORT, payload, sum)), csumStart };
}

const DRIVERS: readonly (readonly [string, readonly FeatureName[]])[] = [
  ["that takes all that it knows", []],
  [
    "that takes checksums, but no packets to be segmented",
    ["GUEST_TSO4", "GUEST_TSO6", "GUEST_UFO", "GUEST_USO4", "GUEST_USO6"],
  ],
  ["that takes only finished frames", ["GUEST_CSUM"]],
];

describe.skipIf(ingredients === null).each(DRIVERS)("frames with offloads, for a driver %s", (_, withhold) => {
  let guest: TestGuest;
  const takesChecksums = !withhold.includes("GUEST_CSUM");

  beforeAll(async () => {
    guest = await TestGuest.start({ card: { withhold } });
    await guest.run("ip -6 addr add 2001:db8::1/64 dev eth0; ip -6 route add 2001:db8::2 dev eth0");
    await guest.run("until ip -6 addr show dev eth0 | grep 2001:db8 | grep -qv tentative; do sleep 0.1; done");
  });
  afterEach(() => expect(guest.faults()).toEqual([]));
  afterAll(() => guest.destroy());

  /** Lengths of the datagrams that a program in the guest gets, and whether their bytes are `payload`, in order. */
  async function datagrams(count: number, payload: Uint8Array, frames: readonly SentFrame[]): Promise<number[]> {
    await guest.run(
      `rm -f /tmp/ready /tmp/got; udp-sink ${PORT} ${count} /tmp/got >/tmp/lengths 2>/tmp/ready & ` +
        "until grep -q listening /tmp/ready; do sleep 0.1; done",
    );
    for (const { bytes, header } of frames) guest.wire.send(bytes, header);
    const output = await guest.run(`wait $!; cat /tmp/lengths; sha256sum </tmp/got`);
    const lines = output.split("\n");
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(payload));
    expect(lines.pop()).toBe(`${Buffer.from(digest).toString("hex")}  -`);
    return lines.map(Number);
  }

  async function checksumErrors(): Promise<number> {
    const output = await guest.run("grep ^Udp: /proc/net/snmp; grep Udp6InCsumErrors /proc/net/snmp6");
    const [names, values, v6] = output.split("\n").map((line) => line.split(/\s+/));
    return Number(values![names!.indexOf("InCsumErrors")]) + Number(v6![1]);
  }

  it.each([
    ["IPv4", V4],
    ["IPv6", V6],
  ])("a checksum that the sender left to be finished arrives as right: %s", async (_, ends) => {
    const [receive] = guest.card.statistics.queues;
    const before = receive!.checksumNeeded;
    const lengths = [1, 2, 999, 1400];
    const payloads = lengths.map((length) => pattern(length, length));
    const frames = payloads.map((payload) => {
      const { bytes, csumStart } = unfinished(ends, payload);
      return { bytes, header: { ...NO_OFFLOAD, flags: NEEDS_CSUM, csumStart, csumOffset: CSUM_OFFSET } };
    });
    expect(await datagrams(4, concat(...payloads), frames)).toEqual(lengths);
    expect(receive!.checksumNeeded - before).toBe(takesChecksums ? 4 : 0);
  });

  it("a wrong checksum is found out by the guest, unless the wire says that it has verified it", async () => {
    const errors = await checksumErrors();
    const wrong = [V4, V6].map((ends) => ip(ends, UDP, udp(ends, 1000, PORT, pattern(100), WRONG)));
    const right = ip(V4, UDP, udp(V4, 1000, PORT, pattern(50)));
    // Only the last of three is right.
    const frames = [...wrong, right].map((bytes) => ({ bytes, header: NO_OFFLOAD }));
    expect(await datagrams(1, pattern(50), frames)).toEqual([50]);
    expect(await checksumErrors()).toBe(errors + 2);
    if (!takesChecksums) return;
    const valid = { ...NO_OFFLOAD, flags: DATA_VALID };
    expect(await datagrams(1, pattern(100), [{ bytes: wrong[0]!, header: valid }])).toEqual([100]);
    expect(await checksumErrors()).toBe(errors + 2);
  });

  it("a datagram that is to be sent in fragments arrives whole", async () => {
    const payload = pattern(20_000);
    const { bytes, csumStart } = unfinished(V4, payload);
    const header = {
      flags: NEEDS_CSUM,
      gsoType: GSO_UDP,
      gsoSize: 1480,
      hdrLen: 42,
      csumStart,
      csumOffset: CSUM_OFFSET,
    };
    const [receive] = guest.card.statistics.queues;
    const before = receive!.frames;
    expect(await datagrams(1, payload, [{ bytes, header }])).toEqual([20_000]);
    // In one frame, or in 14 fragments of 1480 bytes.
    expect(receive!.frames - before).toBe(withhold.length === 0 ? 1 : 14);
  });

  it.each([
    ["IPv4", V4],
    ["IPv6", V6],
  ])("a packet of many datagrams arrives as these: %s", async (_, ends) => {
    const payload = pattern(10_300);
    const { bytes, csumStart } = unfinished(ends, payload);
    const hdrLen = csumStart + 8;
    const header = {
      flags: NEEDS_CSUM,
      gsoType: GSO_UDP_L4,
      gsoSize: 1000,
      hdrLen,
      csumStart,
      csumOffset: CSUM_OFFSET,
    };
    const expected = [...new Array<number>(10).fill(1000), 300];
    expect(await datagrams(11, payload, [{ bytes, header }])).toEqual(expected);
  });
});
