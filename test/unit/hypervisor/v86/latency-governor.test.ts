import { beforeEach, describe, expect, it } from "vitest";
import { HostWindow, ITR_LATENCY, type NetCard, THROTTLE_STRIDE } from "../../../../src/device/index.ts";
import { CardStatistics } from "../../../../src/device/net/statistics.ts";
import { Throttle } from "../../../../src/device/throttle/throttle.ts";
import { LatencyGovernor } from "../../../../src/hypervisor/v86/latency-governor.ts";

const PAIRS = 2;
const VECTORS = 6;
const LONGEST_NS = 2_000_000;

let statistics: CardStatistics;
let throttle: Throttle;
let host: HostWindow;
let governor: LatencyGovernor;
let nowNs: number;

beforeEach(() => {
  statistics = new CardStatistics(2 * PAIRS + 1);
  throttle = new Throttle(VECTORS, 1, { notify() {}, wake() {} }, null);
  host = new HostWindow(throttle);
  governor = new LatencyGovernor({ statistics, throttle } as NetCard, host, PAIRS);
  nowNs = 0;
});

const intervalNs = (vector = 0): number => host.read(vector * THROTTLE_STRIDE + ITR_LATENCY, nowNs);

/** An interrupt of `vector`, before which the guest has received and sent so many frames of so many bytes. */
function interrupt(received: number, sent: number, { bytes = 64, vector = 0, pair = 0 } = {}): number {
  const [receive, transmit] = [statistics.queues[2 * pair]!, statistics.queues[2 * pair + 1]!];
  receive.frames += received;
  receive.bytes += received * bytes;
  transmit.frames += sent;
  transmit.bytes += sent * bytes;
  nowNs += 5_000_000;
  throttle.vectors[vector]!.lastNotifyNs = nowNs;
  governor.govern(nowNs);
  return intervalNs();
}

function stream(): void {
  while (interrupt(10, 0) < LONGEST_NS);
}

describe("the latency interval that nobody has said", () => {
  it("is none at first, and none in an exchange of small frames", () => {
    expect(intervalNs()).toBe(0);
    for (let i = 0; i < 10; i++) expect(interrupt(1, 1)).toBe(0);
  });

  it("doubles with each interrupt of a stream, from 125 µs to 2 ms", () => {
    const seen = Array.from({ length: 7 }, () => interrupt(1, 0));
    expect(seen).toEqual([125_000, 250_000, 500_000, 1_000_000, 2_000_000, 2_000_000, 2_000_000]);
  });

  it("is the same for all vectors, whichever has interrupted and whichever pair has the traffic", () => {
    interrupt(1, 0, { vector: 3, pair: 1 });
    interrupt(1, 0, { vector: 5, pair: 0 });
    expect(Array.from({ length: VECTORS }, (_, vector) => intervalNs(vector))).toEqual(
      new Array(VECTORS).fill(250_000),
    );
  });

  it("is a quarter after each exchange, and none after the last", () => {
    stream();
    expect(Array.from({ length: 4 }, () => interrupt(1, 1))).toEqual([500_000, 125_000, 0, 0]);
  });

  it("follows neither a single answer in a stream nor a single unanswered frame in an exchange for long", () => {
    stream();
    expect(interrupt(1, 1)).toBe(500_000);
    interrupt(10, 0);
    expect(interrupt(10, 0)).toBe(LONGEST_NS);
    for (let i = 0; i < 3; i++) interrupt(1, 1);
    expect(interrupt(1, 0)).toBe(125_000);
    expect(interrupt(1, 1)).toBe(0);
  });

  it("takes fewer answers than frames for a stream, which acknowledgements of bulk data are", () => {
    expect(interrupt(2, 1)).toBe(125_000);
    expect(interrupt(20, 10)).toBe(250_000);
  });

  it("takes frames that are long together for a stream, answered one by one or not", () => {
    expect(interrupt(1, 1, { bytes: 2048 })).toBe(0);
    expect(interrupt(1, 1, { bytes: 2049 })).toBe(125_000);
  });

  it("stays through an interrupt for a few sent frames alone, which belong to the next exchange", () => {
    for (let i = 0; i < 4; i++) {
      expect(interrupt(0, 1)).toBe(0);
      expect(interrupt(1, 0)).toBe(0);
    }
  });

  it("takes many sent frames without a received one for a stream", () => {
    expect(interrupt(0, 3)).toBe(0);
    expect(interrupt(0, 1)).toBe(125_000);
  });

  it("is judged once for each interrupt, and not at all without one", () => {
    interrupt(1, 0);
    statistics.queues[0]!.frames += 100;
    for (let i = 0; i < 10; i++) governor.govern(++nowNs);
    expect(intervalNs()).toBe(125_000);
  });

  it("is left alone at a vector for which somebody else has written one", () => {
    interrupt(1, 0);
    host.write(THROTTLE_STRIDE + ITR_LATENCY, 77_000, nowNs);
    interrupt(1, 0);
    stream();
    expect(intervalNs(1)).toBe(77_000);
    expect(intervalNs(2)).toBe(LONGEST_NS);
  });

  it("goes on from a restored state, whose counters are not what has just happened", () => {
    for (let vector = 0; vector < VECTORS; vector++) host.write(vector * THROTTLE_STRIDE + ITR_LATENCY, 500_000, nowNs);
    Object.assign(statistics.queues[0]!, { frames: 1000, bytes: 64_000 });
    Object.assign(statistics.queues[1]!, { frames: 10, bytes: 640 });
    governor.restored(nowNs);
    expect(interrupt(1, 1)).toBe(125_000);
    expect(interrupt(1, 0)).toBe(250_000);
  });
});
