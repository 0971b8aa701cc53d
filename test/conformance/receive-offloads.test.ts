/** What a driver takes besides finished frames, and what it must never get: virtio 1.4 §5.1.9.4, §5.1.9.5.8. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { ERR, fromLe, GUEST_OFFLOADS_SET, OK } from "./harness/control-numbers.ts";
import type { WireFrame } from "./harness/device-host.d.mts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { CARD_MAC, patterned } from "./harness/frames.ts";
import { FEATURE_BIT, type Feature } from "./harness/numbers.ts";

const HEADER = 12;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const TCPV4 = 1;
const UDP = 3;
const TCPV6 = 4;
const UDP_L4 = 5;
const ECN = 0x80;
const FIRST_PAYLOAD = 2600;
const MSS = 1000;

const BASE: readonly Feature[] = ["MAC", "MRG_RXBUF", "CTRL_VQ", "GUEST_CSUM", "CTRL_GUEST_OFFLOADS"];

interface Kind {
  readonly name: string;
  readonly feature: Feature;
  readonly gsoType: number;
  readonly v6: boolean;
  readonly tcp: boolean;
}
const KINDS: readonly Kind[] = [
  { name: "TCP over IPv4", feature: "GUEST_TSO4", gsoType: TCPV4, v6: false, tcp: true },
  { name: "TCP over IPv6", feature: "GUEST_TSO6", gsoType: TCPV6, v6: true, tcp: true },
  { name: "fragments of UDP over IPv4", feature: "GUEST_UFO", gsoType: UDP, v6: false, tcp: false },
  { name: "UDP over IPv4", feature: "GUEST_USO4", gsoType: UDP_L4, v6: false, tcp: false },
  { name: "UDP over IPv6", feature: "GUEST_USO6", gsoType: UDP_L4, v6: true, tcp: false },
];

/** Ones' complement sum of big-endian words. */
function sum(bytes: readonly number[], start = 0): number {
  let total = start;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}

const SOURCE = [192, 0, 2, 1];
const DESTINATION = [192, 0, 2, 2];
const SOURCE6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const DESTINATION6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/** A packet that is left to be segmented, its checksum field with the pseudo header's sum, as a port may give it. */
function unfinished({ gsoType, v6, tcp }: Kind, payload = FIRST_PAYLOAD, ecn = false): WireFrame {
  const data = Array.from({ length: payload }, (_, i) => (i * 31 + 5) & 0xff);
  const transportBytes = (tcp ? 20 : 8) + payload;
  const protocol = tcp ? 6 : 17;
  const addresses = v6 ? [...SOURCE6, ...DESTINATION6] : [...SOURCE, ...DESTINATION];
  const pseudo = sum([...addresses, 0, protocol, transportBytes >> 8, transportBytes & 0xff]);
  const field = [pseudo >> 8, pseudo & 0xff];
  const transport = tcp
    ? [0x30, 0x39, 0, 80, 0, 0, 0x10, 0, 0, 0, 0, 1, 0x50, ecn ? 0x98 : 0x18, 0x10, 0, ...field, 0, 0]
    : [0x30, 0x39, 0, 53, transportBytes >> 8, transportBytes & 0xff, ...field];
  const total = 20 + transportBytes;
  const ip = v6
    ? [0x60, 0, 0, 0, transportBytes >> 8, transportBytes & 0xff, protocol, 64, ...SOURCE6, ...DESTINATION6]
    : [0x45, 0, total >> 8, total & 0xff, 0x12, 0x34, 0, 0, 64, protocol, 0, 0, ...SOURCE, ...DESTINATION];
  if (!v6) ip.splice(10, 2, (~sum(ip) >> 8) & 0xff, ~sum(ip) & 0xff);
  const bytes = Uint8Array.from([
    ...CARD_MAC,
    2,
    0,
    0,
    0,
    0,
    2,
    ...(v6 ? [0x86, 0xdd] : [8, 0]),
    ...ip,
    ...transport,
    ...data,
  ]);
  const csumStart = 14 + ip.length;
  const hdrLen = csumStart + (tcp ? 20 : 8);
  return {
    bytes,
    flags: NEEDS_CSUM,
    gsoType: gsoType | (ecn ? ECN : 0),
    gsoSize: MSS,
    hdrLen,
    csumStart,
    csumOffset: tcp ? 16 : 6,
  };
}

interface Received {
  readonly flags: number;
  readonly gsoType: number;
  readonly hdrLen: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  readonly bytes: readonly number[];
}

/** Frames that the driver has got, put together again from merged buffers. */
function received(dut: DeviceUnderTest): Received[] {
  const used = dut.rx.collectUsed();
  const frames: Received[] = [];
  for (let i = 0; i < used.length; ) {
    const first = [...dut.written(used[i]!)];
    const count = fromLe(first, 10, 2);
    const all = used.slice(i, i + count).flatMap((chain) => [...dut.written(chain)]);
    i += count;
    frames.push({
      flags: all[0]!,
      gsoType: all[1]!,
      hdrLen: fromLe(all, 2, 2),
      gsoSize: fromLe(all, 4, 2),
      csumStart: fromLe(all, 6, 2),
      csumOffset: fromLe(all, 8, 2),
      bytes: all.slice(HEADER),
    });
  }
  return frames;
}

function bringUp(dut: DeviceUnderTest, features: readonly Feature[]): DeviceUnderTest {
  dut.bringUp({ features, size: 32 });
  for (let i = 0; i < 16; i++) dut.offerBuffer(1600);
  return dut;
}

/** True if pseudo header, transport header and data sum up as those of a finished packet. */
function isChecksummed({ bytes }: Received, { v6, tcp }: Kind): boolean {
  const at = 14 + (v6 ? 40 : 20);
  const length = bytes.length - at;
  const addresses = bytes.slice(14 + (v6 ? 8 : 12), at);
  return sum([...addresses, 0, tcp ? 6 : 17, length >> 8, length & 0xff, ...bytes.slice(at)]) === 0xffff;
}

/** GUEST_OFFLOADS_SET with a bit for each of `offloads`; returns the ack. */
function switchOn(dut: DeviceUnderTest, ...offloads: readonly Feature[]): number {
  const mask = new Uint8Array(8);
  for (const name of offloads) mask[FEATURE_BIT[name] >> 3]! |= 1 << (FEATURE_BIT[name] & 7);
  return dut.command(...GUEST_OFFLOADS_SET, mask)[0]!;
}

const fragment = (kind: Kind): boolean => kind.gsoType === UDP;
const idOf: Partial<Record<Feature, string>> = {
  GUEST_TSO4: "NRX-7",
  GUEST_UFO: "NRX-8",
  GUEST_TSO6: "NRX-9",
  GUEST_USO4: "NRX-10",
  GUEST_USO6: "NRX-10",
};

for (const kind of KINDS) {
  const needs = [...BASE, kind.feature];
  const others = KINDS.filter(({ feature }) => feature !== kind.feature).map(({ feature }) => feature);
  // With the other kind of USO negotiated, that type is allowed.
  const without = [
    ...BASE,
    ...others.filter((feature) => !(kind.gsoType === UDP_L4 && feature.startsWith("GUEST_USO"))),
  ];

  conformance(
    `A driver without ${kind.feature} gets ${kind.name} in finished segments`,
    [idOf[kind.feature]!],
    (dut) => {
      bringUp(dut, without);
      const whole = unfinished(kind);
      dut.receive(whole);
      const frames = received(dut);
      expect(frames.length).toBe(3);
      for (const frame of frames) {
        expect([frame.flags & NEEDS_CSUM, frame.gsoType]).toEqual([0, 0]);
        if (!fragment(kind)) expect(isChecksummed(frame, kind)).toBe(true);
      }
      const payloadAt = 14 + (kind.v6 ? 40 : 20) + (fragment(kind) ? 0 : kind.tcp ? 20 : 8);
      const joined = frames.flatMap(({ bytes }) => bytes.slice(payloadAt));
      expect(joined.slice(fragment(kind) ? 8 : 0)).toEqual([...whole.bytes.slice(-FIRST_PAYLOAD)]);
    },
  );

  conformance(
    `A driver with ${kind.feature} gets ${kind.name} whole, to be checksummed and segmented by its size`,
    ["NRX-27", "NRX-28", "NRX-31"],
    (dut) => {
      bringUp(dut, needs);
      const whole = unfinished(kind);
      dut.receive({ ...whole, hdrLen: 0 });
      const [frame, ...rest] = received(dut);
      expect(rest).toEqual([]);
      expect(frame!.gsoType).toBe(kind.gsoType);
      expect(frame!.flags & NEEDS_CSUM).toBe(NEEDS_CSUM);
      expect(frame!.gsoSize).toBe(MSS);
      expect(frame!.hdrLen).toBeGreaterThanOrEqual(whole.hdrLen!);
      expect(frame!.bytes).toEqual([...whole.bytes]);
    },
  );

  conformance(
    `What a driver has to checksum of ${kind.name} can be finished as its header says`,
    ["NRX-18", "NRX-19", "NRX-20"],
    (dut) => {
      bringUp(dut, needs);
      dut.receive(unfinished(kind));
      const [frame] = received(dut);
      const { csumStart, csumOffset, bytes } = frame!;
      const rest = bytes.slice(csumStart);
      const addresses = bytes.slice(14 + (kind.v6 ? 8 : 12), csumStart);
      const pseudo = sum([...addresses, 0, kind.tcp ? 6 : 17, rest.length >> 8, rest.length & 0xff]);
      expect(fromBe(rest, csumOffset)).toBe(pseudo);
      const finished = ~sum(rest) & 0xffff;
      rest.splice(csumOffset, 2, finished >> 8, finished & 0xff);
      expect(sum(rest, pseudo)).toBe(0xffff);
    },
  );

  conformance(
    `${kind.name} is segmented once the driver has switched ${kind.feature} off`,
    [idOf[kind.feature]!],
    (dut) => {
      bringUp(dut, needs);
      expect(switchOn(dut, "GUEST_CSUM")).toBe(OK);
      dut.receive(unfinished(kind));
      expect(received(dut).map(({ gsoType }) => gsoType)).toEqual([0, 0, 0]);
      expect(switchOn(dut, "GUEST_CSUM", kind.feature)).toBe(OK);
      for (let i = 0; i < 4; i++) dut.offerBuffer(1600);
      dut.receive(unfinished(kind));
      expect(received(dut).map(({ gsoType }) => gsoType)).toEqual([kind.gsoType]);
      // An offload whose feature was not negotiated cannot be switched on.
      expect(switchOn(dut, "GUEST_CSUM", kind.feature, "GUEST_ECN")).toBe(ERR);
    },
  );
}

function fromBe(bytes: readonly number[], at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

conformance("A driver that takes checksums but no segments never gets a type other than NONE", ["NRX-26"], (dut) => {
  bringUp(dut, BASE);
  for (const kind of KINDS) {
    dut.receive(unfinished(kind));
    const frames = received(dut);
    expect(frames.map(({ gsoType }) => gsoType)).toEqual([0, 0, 0]);
    for (let i = 0; i < 6; i++) dut.offerBuffer(1600);
  }
});

const TSO = KINDS[0]!;

conformance(
  "A driver without GUEST_ECN gets segments of a packet with congestion marks, finished",
  ["NRX-13"],
  (dut) => {
    bringUp(dut, [...BASE, "GUEST_TSO4"]);
    dut.receive(unfinished(TSO, FIRST_PAYLOAD, true));
    const frames = received(dut);
    expect(frames.map(({ gsoType }) => gsoType)).toEqual([0, 0, 0]);
    // RFC 3168: CWR (0x80) on the first segment alone.
    expect(frames.map(({ bytes }) => bytes[14 + 20 + 13]! & 0x80)).toEqual([0x80, 0, 0]);
  },
);

conformance("A driver with GUEST_ECN gets such a packet whole, and is told by the ECN bit", ["NRX-14"], (dut) => {
  bringUp(dut, [...BASE, "GUEST_TSO4", "GUEST_ECN"]);
  dut.receive(unfinished(TSO, FIRST_PAYLOAD, true));
  expect(received(dut).map(({ gsoType }) => gsoType)).toEqual([TCPV4 | ECN]);
});

conformance("DATA_VALID is passed on from a port that has verified, and set for nothing else", ["NRX-33"], (dut) => {
  bringUp(dut, BASE);
  dut.receive({ bytes: patterned(80), flags: DATA_VALID }, { bytes: patterned(80) });
  expect(received(dut).map(({ flags }) => flags)).toEqual([DATA_VALID, 0]);
});

conformance(
  "A driver without GUEST_CSUM gets checksums finished and flags of 0, whatever the port says",
  ["NRX-5", "NRX-6"],
  (dut) => {
    bringUp(dut, ["MAC", "MRG_RXBUF"]);
    for (const kind of KINDS.filter((one) => !fragment(one))) {
      const { gsoType: _, gsoSize: __, ...partial } = unfinished(kind, 400);
      dut.receive(partial);
      const [frame] = received(dut);
      expect(frame!.flags).toBe(0);
      expect(isChecksummed(frame!, kind)).toBe(true);
    }
  },
);

// VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 and _IPV6 (§5.1.9): beside the inner packet's type.
conformance(
  "A tunnelled packet that is still to be segmented does not come to the driver so",
  ["NRX-21", "NRX-25"],
  (dut) => {
    bringUp(dut, [...BASE, "GUEST_TSO4", "GUEST_TSO6", "GUEST_USO4", "GUEST_USO6"]);
    for (const tunnel of [0x20, 0x40]) {
      const whole = unfinished(TSO);
      // Flag 8: the outer checksum is left to be done too.
      for (const flags of [NEEDS_CSUM, NEEDS_CSUM | 8]) dut.receive({ ...whole, flags, gsoType: TCPV4 | tunnel });
    }
    expect(received(dut)).toEqual([]);
    expect(dut.statistics().queues[0]!.dropped).toBe(4);
    // It was the tunnel that kept them away: the same packet without one comes whole.
    dut.receive(unfinished(TSO));
    expect(received(dut).map(({ gsoType }) => gsoType)).toEqual([TCPV4]);
  },
);

conformance("The header has 12 bytes: where outer_nh_offset would follow, the frame begins", ["NRX-16"], (dut) => {
  bringUp(dut, BASE);
  const frame = patterned(100);
  dut.receive(frame);
  const [first] = received(dut);
  expect(first!.bytes).toEqual([...frame]);
});
