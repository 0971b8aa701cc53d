import { describe, expect, test } from "vitest";
import { type Feature, frameOf } from "../../../rings/card-machine.ts";
import { hashConfig } from "../../../rings/control-machine.ts";
import { GSO, gsoFrame, payloadOf } from "../../../rings/gso-frames.ts";
import {
  checksumHeader,
  DATA_VALID,
  gsoHeader,
  OffloadMachine,
  RECEIVE_OFFLOADS,
  RINGS,
} from "../../../rings/offload-machine.ts";
import { packet, TCP, UDP } from "../../../rings/packets.ts";

// §5.1.9.4.4 and §5.1.9.4.6, retyped.
const TYPES = { IPv4: 1, TCPv4: 2, IPv6: 8, TCPv6: 16 };
const ALL_TYPES = 0x1ff;
const REPORT = { NONE: 0, IPv4: 1, TCPv4: 2, UDPv4: 3, IPv6: 4, TCPv6: 5 };
// The key and two of the packets by which Microsoft has RSS implementations verified.
const KEY = [
  ...[0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b],
  ...[0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac],
  ...[0x01, 0xfa],
];
const FROM4 = { address: "66.9.149.187", port: 2794 };
const TO4 = { address: "161.142.100.80", port: 1766 };
const FROM6 = { address: "3ffe:2501:200:1fff::7", port: 2794 };
const TO6 = { address: "3ffe:2501:200:3::1", port: 1766 };
const HASH = { ADDRESSES4: 0x323e8fc2, TCP4: 0x51ccc178, TCP6: 0x40207d3d };
const FEATURES: readonly Feature[] = ["CTRL_VQ", "HASH_REPORT"];

function machineWith(features: readonly Feature[], types: number, options: object): OffloadMachine {
  const machine = new OffloadMachine([...FEATURES, ...features], options);
  expect(machine.command([4, 2, ...hashConfig(types, KEY)])).toBe(0);
  return machine;
}

describe.each(RINGS)("on a %s ring", (ring) => {
  test.each([
    true,
    false,
  ])("the header has 20 bytes, and the hash of each packet with its kind (§5.1.9.4.6; observed: %s)", (observed) => {
    const machine = machineWith([], ALL_TYPES, { ring, observed, buffers: 30, bufferBytes: 2048 });
    const kinds = [
      [packet(TCP, FROM4, TO4), { value: HASH.TCP4, report: REPORT.TCPv4 }],
      [packet(UDP, FROM4, TO4), { value: HASH.TCP4, report: REPORT.UDPv4 }],
      [packet(TCP, FROM6, TO6), { value: HASH.TCP6, report: REPORT.TCPv6 }],
      [
        Uint8Array.from({ length: 60 }, (_, i) => (i === 12 ? 0x08 : i === 13 ? 0x06 : 2)),
        { value: 0, report: REPORT.NONE },
      ],
    ] as const;
    // Often enough that buffers are taken ahead.
    for (let turn = 0; turn < 4; turn++) {
      const arrivals = Array.from({ length: 20 }, (_, i) => kinds[i % 4]!);
      const frames = machine.arrive(...arrivals.map(([bytes]) => ({ bytes })));
      expect(frames.map(({ hash }) => hash)).toEqual(arrivals.map(([, hash]) => hash));
      expect(frames.map(({ bytes }) => bytes)).toEqual(arrivals.map(([bytes]) => bytes));
      expect(frames.every(({ flags, gsoType, numBuffers }) => flags === 0 && gsoType === 0 && numBuffers === 1)).toBe(
        true,
      );
    }
  });

  test("types that are not enabled are not reported", () => {
    const machine = machineWith([], TYPES.IPv4, { ring });
    const [frame] = machine.arrive({ bytes: packet(TCP, FROM4, TO4) });
    expect(frame!.hash).toEqual({ value: HASH.ADDRESSES4, report: REPORT.IPv4 });
    expect(machine.command([4, 2, ...hashConfig(0, [])])).toBe(0);
    expect(machine.arrive({ bytes: packet(TCP, FROM4, TO4) })[0]!.hash).toEqual({ value: 0, report: REPORT.NONE });
  });

  test("merged buffers have the header in the first alone, even if it alone fills it", () => {
    const machine = machineWith(["MRG_RXBUF"], ALL_TYPES, { ring, bufferBytes: 20, buffers: 80 });
    const bytes = packet(TCP, FROM4, TO4);
    const [frame] = machine.arrive({ bytes });
    expect(frame).toMatchObject({ bytes, numBuffers: 1 + Math.ceil(bytes.length / 20) });
    expect(frame!.hash).toEqual({ value: HASH.TCP4, report: REPORT.TCPv4 });
  });

  test("a buffer that holds 12 bytes, but not 20, is too small", () => {
    const machine = machineWith(["MRG_RXBUF"], ALL_TYPES, { ring, bufferBytes: 19, buffers: 80 });
    expect(machine.arrive({ bytes: frameOf(60) })).toHaveLength(1);
    expect(machine.card.statistics.queues[0]).toMatchObject({ frames: 0, dropped: 1, buffers: 1 });
  });

  test("frames that are passed on, finished or cut have the hash of their flow", () => {
    const frame = gsoFrame({
      version: 4,
      protocol: "tcp",
      source: FROM4.address,
      destination: TO4.address,
      payload: payloadOf(4000),
    });
    const arrival = { bytes: frame.bytes, ...gsoHeader(frame, GSO.TCPV4, 1400) };
    const taking = machineWith(RECEIVE_OFFLOADS, TYPES.IPv4, { ring });
    const expected = { value: HASH.ADDRESSES4, report: REPORT.IPv4 };
    expect(taking.arrive(arrival)[0]).toMatchObject({ hash: expected, flags: 1, gsoType: GSO.TCPV4, csumOffset: 16 });
    expect(taking.arrive({ bytes: frame.bytes, flags: DATA_VALID })[0]).toMatchObject({
      hash: expected,
      flags: DATA_VALID,
    });
    const cutting = machineWith([], TYPES.IPv4, { ring });
    expect(cutting.arrive(arrival).map(({ hash }) => hash)).toEqual([expected, expected, expected]);
    expect(cutting.arrive({ bytes: frame.bytes, ...checksumHeader(frame) })[0]).toMatchObject({
      hash: expected,
      flags: 0,
    });
  });

  test("fragments have the hash of their addresses, for only the first could have another", () => {
    const frame = gsoFrame({
      version: 4,
      protocol: "udp",
      source: FROM4.address,
      destination: TO4.address,
      payload: payloadOf(4000),
    });
    const machine = machineWith([], ALL_TYPES, { ring });
    const hashes = machine.arrive({ bytes: frame.bytes, ...gsoHeader(frame, GSO.UDP, 1480) }).map(({ hash }) => hash);
    expect(hashes).toEqual(new Array(3).fill({ value: HASH.ADDRESSES4, report: REPORT.IPv4 }));
  });

  test("frames that are sent have the long header, too", () => {
    const machine = machineWith(["CSUM"], ALL_TYPES, { ring });
    for (let i = 0; i < 3; i++) expect(machine.sendFrame(frameOf(60, i), {})).toEqual([frameOf(60, i)]);
    const frame = gsoFrame({ version: 6, protocol: "udp", payload: payloadOf(100) });
    machine.port.takesChecksum = true;
    expect(machine.sendFrame(frame.bytes, checksumHeader(frame), [19])).toEqual([frame.bytes]);
    expect(machine.port.sentHeaders.at(-1)).toEqual(checksumHeader(frame));
  });

  test("a restored card goes on with the long header", () => {
    const machine = machineWith([], ALL_TYPES, { ring });
    const state = JSON.parse(JSON.stringify(machine.card.saveState(machine.nowNs)));
    // Another life, with the short one.
    machine.write(0x070, 0);
    machine.card.restoreState(state, machine.nowNs);
    const [frame] = machine.arrive({ bytes: packet(TCP, FROM4, TO4) });
    expect(frame!.hash).toEqual({ value: HASH.TCP4, report: REPORT.TCPv4 });
    expect(machine.sendFrame(frameOf(60), {})).toEqual([frameOf(60)]);
  });
});

test("without HASH_REPORT the header has 12 bytes, though the hash steers", () => {
  const machine = new OffloadMachine(["CTRL_VQ", "RSS"], { pairs: 2 });
  expect(machine.headerBytes).toBe(12);
  expect(machine.arrive({ bytes: frameOf(60) })[0]).toMatchObject({ bytes: frameOf(60), hash: null });
});
