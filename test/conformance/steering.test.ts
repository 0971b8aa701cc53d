/** Several queues: automatic steering, RSS, queues in reset; announcements. Virtio 1.4 §5.1.9.5.4 to §5.1.9.5.7. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { ANNOUNCE_ACK, ERR, fromLe, le, MQ_RSS_CONFIG, MQ_VQ_PAIRS_SET, OK } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { CARD_MAC } from "./harness/frames.ts";
import { CONFIG, type Feature } from "./harness/numbers.ts";

const PAIRS = 4;
const MQ: readonly Feature[] = ["MAC", "CTRL_VQ", "MQ", "RING_RESET"];
const RSS: readonly Feature[] = ["MAC", "CTRL_VQ", "RSS", "RING_RESET"];
const CARD = { card: { pairs: PAIRS } };
// §5.1.9.4.4: hash types.
const HASH_IPV4 = 1;
const HASH_UDPV4 = 4;

/** The key that the Toeplitz hash is usually verified with, from Microsoft's documents of RSS. */
const KEY = [
  0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
  0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
  0x01, 0xfa,
];

function bringUp(dut: DeviceUnderTest, features: readonly Feature[]): DeviceUnderTest {
  dut.bringUp({ features, pairs: PAIRS });
  for (let pair = 0; pair < PAIRS; pair++) fill(dut, pair);
  return dut;
}

function fill(dut: DeviceUnderTest, pair: number): void {
  for (let i = 0; i < 12; i++) dut.offerBuffer(2048, dut.queues[2 * pair]);
}

/** A UDP datagram over IPv4. */
function datagram(from: number, to: number, source: readonly number[], destination: readonly number[]): Uint8Array {
  const ip = [0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, ...source, ...destination];
  const udp = [from >> 8, from & 0xff, to >> 8, to & 0xff, 0, 12, 0, 0, 1, 2, 3, 4];
  return Uint8Array.from([...CARD_MAC, 2, 0, 0, 0, 0, 9, 8, 0, ...ip, ...udp, ...new Uint8Array(14)]);
}

const flow = (port: number): Uint8Array => datagram(port, 80, [10, 0, 0, 9], [10, 0, 0, 1]);
const ARP = Uint8Array.from([...CARD_MAC, 2, 0, 0, 0, 0, 9, 8, 6, ...new Uint8Array(46)]);

/** Pair whose receive queue has got the frame, -1 if none. */
function pairFor(dut: DeviceUnderTest, frame: Uint8Array): number {
  dut.receive(frame);
  const counts = Array.from({ length: PAIRS }, (_, pair) => dut.queues[2 * pair]!.collectUsed().length);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1);
  const pair = counts.indexOf(1);
  if (pair >= 0) dut.offerBuffer(2048, dut.queues[2 * pair]);
  return pair;
}

const pairsSet = (dut: DeviceUnderTest, pairs: number): number => dut.command(...MQ_VQ_PAIRS_SET, le(pairs, 2))[0]!;

/** struct virtio_net_rss_config; queues are named by pair. */
function rssConfig(types: number, table: readonly number[], unclassified: number): number[] {
  const queues = table.flatMap((pair) => le(pair, 2));
  return [...le(types, 4), ...le(table.length - 1, 2), ...le(unclassified, 2), ...queues, ...le(PAIRS, 2), 40, ...KEY];
}

/** The Toeplitz hash: for each bit of the input that is set, the 32 bits of the key that begin there. */
function toeplitz(input: readonly number[]): number {
  const bit = (at: number): bigint => BigInt((KEY[at >> 3]! >> (7 - (at & 7))) & 1);
  let hash = 0n;
  for (let at = 0; at < input.length * 8; at++) {
    if (((input[at >> 3]! >> (7 - (at & 7))) & 1) === 0) continue;
    let window = 0n;
    for (let i = 0; i < 32; i++) window = (window << 1n) | bit(at + i);
    hash ^= window;
  }
  return Number(hash);
}

conformance("Before the driver asks for more pairs, everything comes to the first", ["NMQ-1"], CARD, (dut) => {
  bringUp(dut, MQ);
  for (let port = 1000; port < 1040; port++) expect(pairFor(dut, flow(port))).toBe(0);
});

conformance("After a reset everything comes to the first pair again", ["NMQ-1"], CARD, (dut) => {
  bringUp(dut, MQ);
  expect(pairsSet(dut, PAIRS)).toBe(OK);
  expect(new Set(Array.from({ length: 40 }, (_, i) => pairFor(dut, flow(1000 + i)))).size).toBeGreaterThan(1);
  bringUp(dut, MQ);
  for (let port = 1000; port < 1040; port++) expect(pairFor(dut, flow(port))).toBe(0);
});

conformance("No frame comes to a pair that is not in use any more", ["NMQ-2"], CARD, (dut) => {
  bringUp(dut, MQ);
  expect(pairsSet(dut, PAIRS)).toBe(OK);
  // Flows that were taught to the last pairs by what was sent there.
  for (let port = 1000; port < 1008; port++) {
    dut.send(datagram(80, port, [10, 0, 0, 1], [10, 0, 0, 9]), [], dut.queues[2 * 3 + 1]);
    expect(pairFor(dut, flow(port))).toBe(3);
  }
  expect(pairsSet(dut, 2)).toBe(OK);
  for (let port = 1000; port < 1060; port++) expect([0, 1]).toContain(pairFor(dut, flow(port)));
});

conformance("A number of pairs that there is not is refused, and the one before stays", ["NMQ-2"], CARD, (dut) => {
  bringUp(dut, MQ);
  expect(pairsSet(dut, 2)).toBe(OK);
  for (const pairs of [0, PAIRS + 1, 0x8000, 0xffff]) expect(pairsSet(dut, pairs)).toBe(ERR);
  for (let port = 1000; port < 1040; port++) expect([0, 1]).toContain(pairFor(dut, flow(port)));
});

conformance("A flow whose queue is in reset comes to another", ["NMQ-3"], CARD, (dut) => {
  bringUp(dut, MQ);
  expect(pairsSet(dut, PAIRS)).toBe(OK);
  const pair = pairFor(dut, flow(1000));
  dut.transport.resetQueue(2 * pair);
  for (let i = 0; i < 4; i++) {
    const other = pairFor(dut, flow(1000));
    expect(other).not.toBe(pair);
    expect(other).toBeGreaterThanOrEqual(0);
  }
});

conformance("With all receive queues in reset, frames are dropped and counted", ["NMQ-4"], CARD, (dut) => {
  bringUp(dut, MQ);
  expect(pairsSet(dut, PAIRS)).toBe(OK);
  for (let pair = 0; pair < PAIRS; pair++) dut.transport.resetQueue(2 * pair);
  const dropped = (): number => dut.statistics().queues.reduce((sum, queue) => sum + queue.dropped, 0);
  const before = dropped();
  for (let port = 1000; port < 1010; port++) expect(pairFor(dut, flow(port))).toBe(-1);
  expect(dropped() - before).toBe(10);
  dut.setUpQueue(0);
  fill(dut, 0);
  expect(pairFor(dut, flow(1000))).toBe(0);
});

conformance("RSS chooses the queue by the masked hash of the flow", ["NRSS-1"], CARD, (dut) => {
  bringUp(dut, RSS);
  const table = [3, 1, 0, 2, 1, 1, 3, 0];
  expect(dut.command(...MQ_RSS_CONFIG, rssConfig(HASH_UDPV4, table, 2))[0]).toBe(OK);
  for (let port = 1000; port < 1040; port++) {
    const input = [10, 0, 0, 9, 10, 0, 0, 1, port >> 8, port & 0xff, 0, 80];
    expect(pairFor(dut, flow(port))).toBe(table[toeplitz(input) & 7]);
  }
});

conformance("RSS sends what has no hash to the queue for the unclassified", ["NRSS-1"], CARD, (dut) => {
  bringUp(dut, RSS);
  expect(dut.command(...MQ_RSS_CONFIG, rssConfig(HASH_IPV4, [0, 1, 3, 0], 2))[0]).toBe(OK);
  for (let i = 0; i < 4; i++) expect(pairFor(dut, ARP)).toBe(2);
  expect(dut.command(...MQ_RSS_CONFIG, rssConfig(0, [0, 1, 3, 0], 1))[0]).toBe(OK);
  expect(pairFor(dut, flow(1000))).toBe(1);
});

conformance("RSS drops what belongs to a queue in reset", ["NRSS-2"], CARD, (dut) => {
  bringUp(dut, RSS);
  expect(dut.command(...MQ_RSS_CONFIG, rssConfig(HASH_UDPV4, [1, 1, 1, 1], 0))[0]).toBe(OK);
  expect(pairFor(dut, flow(1000))).toBe(1);
  dut.transport.resetQueue(2);
  expect(pairFor(dut, flow(1000))).toBe(-1);
  expect(pairFor(dut, ARP)).toBe(0);
});

conformance("The announce bit is clear once the driver's answer is used", ["NANN-1"], (dut) => {
  dut.bringUp({ features: ["MAC", "STATUS", "CTRL_VQ", "GUEST_ANNOUNCE"] });
  const status = (): number => dut.transport.config(...CONFIG.status);
  dut.announce();
  expect(status() & 2).toBe(2);
  expect(fromLe(dut.command(...ANNOUNCE_ACK, []), 0, 1)).toBe(OK);
  expect(status()).toBe(1);
});
