/** Statistics that the driver asks for: virtio 1.4 §5.1.9.5.11. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { ERR, fromLe, le, OK, STATS_GET, STATS_QUERY } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["MAC", "CTRL_VQ", "DEVICE_STATS"];
// Types, as bits of types_bitmap and as the reply's type.
const RX_BASIC = 0;
const RX_CSUM = 1;
const TX_BASIC = 16;
const CVQ = 32;
const HEADER_BYTES = 8;
const BASIC_BYTES = HEADER_BYTES + 6 * 8;
const CVQ_BYTES = HEADER_BYTES + 2 * 8;
const RX_PACKETS = 1;
const RX_BYTES = 2;

interface Entry {
  readonly type: number;
  readonly queue: number;
  readonly size: number;
  readonly counters: readonly number[];
}

/** One element of virtio_net_ctrl_queue_stats: a queue, and a bitmap of types. */
function request(queue: number, ...types: readonly number[]): number[] {
  return [
    ...le(queue, 2),
    ...le(0, 6),
    ...le(
      types.reduce((bits, type) => bits + 2 ** type, 0),
      8,
    ),
  ];
}

/** The entries of a reply, null for ERR; `room` is what the driver leaves for them. Canaries behind them are no entry. */
function get(dut: DeviceUnderTest, requests: readonly number[], room = 512): Entry[] | null {
  const answer = dut.command(...STATS_GET, requests, room);
  if (answer[0] !== OK) return null;
  const entries: Entry[] = [];
  for (let at = 1; at + HEADER_BYTES <= answer.length && fromLe(answer, at + 6, 2) >= HEADER_BYTES; ) {
    const size = fromLe(answer, at + 6, 2);
    if (at + size > answer.length || size > 1024) break;
    const counters = Array.from({ length: (size - HEADER_BYTES) / 8 }, (_, i) => fromLe(answer, at + 8 + 8 * i, 8));
    entries.push({ type: answer[at]!, queue: fromLe(answer, at + 2, 2), size, counters });
    at += size;
  }
  return entries;
}

function bringUp(dut: DeviceUnderTest, features = FEATURES): DeviceUnderTest {
  dut.bringUp({ features });
  for (let i = 0; i < 10; i++) dut.offerBuffer();
  return dut;
}

conformance("STATS_QUERY answers with the types that the device has", ["NSTAT-1"], (dut) => {
  bringUp(dut);
  const answer = dut.command(...STATS_QUERY, [], 8);
  expect(answer[0]).toBe(OK);
  const types = Array.from({ length: 64 }, (_, type) => type).filter((type) => {
    return (answer[1 + (type >> 3)]! >> (type & 7)) & 1;
  });
  expect(types).toEqual(expect.arrayContaining([RX_BASIC, TX_BASIC, CVQ]));
  const known = [0, 1, 2, 3, 16, 17, 18, 19, 32];
  expect(types.filter((type) => !known.includes(type))).toEqual([]);
});

conformance("A request for what there is not answers ERR", ["NSTAT-2"], (dut) => {
  bringUp(dut);
  const control = dut.controlIndex;
  for (const bad of [
    request(control + 1, RX_BASIC),
    request(0xffff, RX_BASIC),
    request(0, 4),
    request(0, 33),
    request(0, TX_BASIC),
    request(0, RX_BASIC, CVQ),
    request(1, RX_BASIC),
    request(control, RX_BASIC),
    // Its feature, GUEST_CSUM, was not negotiated.
    request(0, RX_CSUM),
    request(0, RX_BASIC).slice(0, 15),
  ]) {
    expect(get(dut, bad)).toBeNull();
  }
  expect(get(dut, request(0, RX_BASIC))).toHaveLength(1);
});

conformance("One bad element of many fails the whole command", ["NSTAT-3"], (dut) => {
  bringUp(dut);
  const good = [request(0, RX_BASIC), request(1, TX_BASIC), request(dut.controlIndex, CVQ)];
  expect(get(dut, good.flat())).toHaveLength(3);
  for (let place = 0; place <= good.length; place++) {
    expect(get(dut, [...good.slice(0, place), request(0, 5), ...good.slice(place)].flat())).toBeNull();
  }
});

conformance("Each reply tells its type, its queue and its size", ["NSTAT-4", "NSTAT-5"], (dut) => {
  bringUp(dut);
  const control = dut.controlIndex;
  const entries = get(dut, [...request(control, CVQ), ...request(1, TX_BASIC), ...request(0, RX_BASIC)])!;
  expect(entries.map(({ type, queue, size }) => [type, queue, size])).toEqual([
    [CVQ, control, CVQ_BYTES],
    [TX_BASIC, 1, BASIC_BYTES],
    [RX_BASIC, 0, BASIC_BYTES],
  ]);
});

conformance("Counters count what happened on their queue", ["NSTAT-5"], (dut) => {
  bringUp(dut);
  dut.receive(patterned(100), patterned(60));
  dut.send(patterned(77));
  const [rx, tx] = get(dut, [...request(0, RX_BASIC), ...request(1, TX_BASIC)])!;
  expect(rx!.counters.slice(RX_PACKETS, RX_BYTES + 1)).toEqual([2, 160]);
  expect(tx!.counters.slice(RX_PACKETS, RX_BYTES + 1)).toEqual([1, 77]);
});

conformance("No more is filled in than the driver has room for", ["NSTAT-6"], (dut) => {
  bringUp(dut);
  const requests = [...request(0, RX_BASIC), ...request(1, TX_BASIC)];
  for (const room of [2 * BASIC_BYTES, 2 * BASIC_BYTES - 1, BASIC_BYTES, BASIC_BYTES - 1, 9, 0]) {
    const out = dut.ram.put([...STATS_GET, ...requests]);
    const answer = dut.ram.alloc(room + 1);
    const chain = dut.ctrl.add([
      { address: out, length: 2 + requests.length },
      { address: answer, length: room + 1, write: true },
    ]);
    dut.ctrl.kick();
    dut.poll();
    expect(dut.ctrl.collectUsed()).toEqual([chain]);
    expect(chain.usedLength).toBe(room + 1);
    // Canaries lie on both sides.
    expect([...dut.ram.bytes(answer - 16, 16), ...dut.ram.bytes(answer + room + 1, 16)]).toEqual(
      new Array(32).fill(0xa5),
    );
    expect(dut.ram.u8[answer]).toBe(OK);
  }
});

conformance("More room than the replies need stays as it is", ["NSTAT-6"], (dut) => {
  bringUp(dut);
  const answer = dut.command(...STATS_GET, request(0, RX_BASIC), BASIC_BYTES + 20);
  expect([...answer.slice(1 + BASIC_BYTES)]).toEqual(new Array(20).fill(0xa5));
});

conformance("A counter that runs over goes on from zero", ["NSTAT-7"], (dut) => {
  bringUp(dut);
  // The largest whole number of a double: all that the device can count to.
  dut.setCounter(0, "frames", 2 ** 53 - 1);
  dut.setCounter(0, "bytes", 2 ** 53 - 100);
  dut.receive(patterned(160));
  const [rx] = get(dut, request(0, RX_BASIC))!;
  expect(rx!.counters.slice(RX_PACKETS, RX_BYTES + 1)).toEqual([0, 60]);
  dut.receive(patterned(160));
  const [again] = get(dut, request(0, RX_BASIC))!;
  expect(again!.counters.slice(RX_PACKETS, RX_BYTES + 1)).toEqual([1, 220]);
});

conformance("A device that was reset goes on counting", ["NSTAT-7"], (dut) => {
  bringUp(dut);
  dut.receive(patterned(100));
  bringUp(dut);
  dut.receive(patterned(100));
  expect(get(dut, request(0, RX_BASIC))![0]!.counters[RX_PACKETS]).toBe(2);
});

conformance("Without DEVICE_STATS both commands answer ERR", ["NSTAT-2"], (dut) => {
  bringUp(dut, ["MAC", "CTRL_VQ"]);
  expect(dut.command(...STATS_QUERY, [], 8)[0]).toBe(ERR);
  expect(get(dut, request(0, RX_BASIC))).toBeNull();
});
