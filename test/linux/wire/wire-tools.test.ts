import { describe, expect, it } from "vitest";
import { dissect } from "./dissection.ts";
import { fragmented, Reassembly } from "./fragments.ts";
import {
  addressBytes,
  addressText,
  arp,
  type Ends,
  ETHERTYPE_ARP,
  echo,
  ICMP,
  icmpv6,
  ip,
  pattern,
  UDP,
  udp,
} from "./packets.ts";

const V4: Ends = { fromMac: "02:00:00:00:00:02", toMac: "02:00:00:00:00:01", from: "192.0.2.2", to: "192.0.2.1" };
const V6: Ends = { ...V4, from: "2001:db8::2", to: "2001:db8::1" };

/** The bytes behind the Ethernet header of which a wrong bit is seen as a fault. */
function brokenBytes(frame: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 14; at < frame.length; at++) {
    const broken = frame.slice();
    broken[at]! ^= 0x10;
    if (dissect(broken).faults.length > 0) found.push(at);
  }
  return found;
}

describe("the wire's tools", () => {
  it("frames that they build have no fault", () => {
    for (const length of [0, 1, 2, 3, 100, 1471, 1472]) {
      const frames = [
        ip(V4, ICMP, echo(false, 1, 2, pattern(length))),
        ip(V4, UDP, udp(V4, 1000, 2000, pattern(length))),
        ip(V6, UDP, udp(V6, 1000, 2000, pattern(length))),
        ip(V4, UDP, udp(V4, 1000, 2000, pattern(length)), 7),
        icmpv6(V6, pattern(8 + length)),
      ];
      for (const frame of frames) expect(dissect(frame).faults).toEqual([]);
    }
  });

  it("a wrong bit anywhere in an IPv4 datagram is a fault", () => {
    const frame = ip(V4, UDP, udp(V4, 1000, 2000, pattern(40)));
    expect(brokenBytes(frame)).toEqual(Array.from({ length: frame.length - 14 }, (_, i) => 14 + i));
  });

  it("a wrong bit in what IPv6 and its datagram protect is a fault", () => {
    const frame = ip(V6, UDP, udp(V6, 1000, 2000, pattern(40)));
    const broken = brokenBytes(frame);
    // The version and the length in the header, addresses, and all of the datagram.
    expect(broken).toEqual(
      expect.arrayContaining([14, 19, ...Array.from({ length: frame.length - 22 }, (_, i) => 22 + i)]),
    );
  });

  it("known checksums come out: an echo request of RFC 1071's kind", () => {
    // 0800 + 0001 + 0002 + 4142 = 4945, whose complement is b6ba.
    expect([...echo(false, 1, 2, Uint8Array.of(0x41, 0x42))]).toEqual([8, 0, 0xb6, 0xba, 0, 1, 0, 2, 0x41, 0x42]);
  });

  it("a packet cut into fragments comes together again, and not without one of them", () => {
    const payload = pattern(20_000);
    const frames = fragmented(V4, ICMP, payload, 9, 1500);
    expect(frames).toHaveLength(14);
    const parts = frames.map((frame) => dissect(frame));
    expect(parts.flatMap(({ faults }) => faults)).toEqual([]);
    const whole = new Reassembly();
    expect(parts.map(({ ip: part }) => whole.add(part!)).at(-1)).toEqual(payload);
    const holed = new Reassembly();
    expect(
      parts
        .filter((_, i) => i !== 5)
        .map(({ ip: part }) => holed.add(part!))
        .at(-1),
    ).toBeNull();
  });

  it("addresses are read as written", () => {
    expect(addressText(addressBytes("192.0.2.1"))).toBe("192.0.2.1");
    expect(addressText(addressBytes("2001:db8::ff:1"))).toBe("2001:db8:0:0:0:0:ff:1");
    const frame = dissect(arp(V4, false));
    expect([frame.ethertype, frame.toMac, frame.fromMac]).toEqual([ETHERTYPE_ARP, "ff:ff:ff:ff:ff:ff", V4.fromMac]);
  });
});
