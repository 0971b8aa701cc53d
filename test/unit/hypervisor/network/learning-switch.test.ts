import { describe, expect, it } from "vitest";
import { Frame, type FramePort } from "../../../../src/device/link/frame-port.ts";
import { LoopbackPort } from "../../../../src/device/link/loopback.ts";
import { LearningSwitch, type LearningSwitchOptions } from "../../../../src/hypervisor/network/learning-switch.ts";
import { BROADCAST, contentOf, drain, frameBetween, type Received, stationMac } from "./frames.ts";

const MULTICAST = [0x01, 0x00, 0x5e, 0, 0, 1];
const [A, B, C, X] = [stationMac(1), stationMac(2), stationMac(3), stationMac(99)] as const;

function makeSwitch(ports = 3, options: Partial<LearningSwitchOptions> = {}): LearningSwitch {
  return new LearningSwitch({ ports: Array.from({ length: ports }, () => ({})), ...options });
}

/** Ids of the frames that wait at each port. */
function waiting({ ports }: LearningSwitch): number[][] {
  return ports.map((port) => drain(port).map(({ id }) => id));
}

describe("a learning switch", () => {
  it("sends a frame for a station that nobody knows to all ports but its own", () => {
    const network = makeSwitch();
    expect(network.ports[1]!.transmit(frameBetween(A, B, 7), 0)).toBe(true);
    expect(waiting(network)).toEqual([[7], [], [7]]);
    expect(network.ports[1]!.counters).toMatchObject({ received: 1, flooded: 1 });
  });

  it("sends a frame for a station that was heard to its port alone", () => {
    const network = makeSwitch();
    network.ports[0]!.transmit(frameBetween(X, A, 1), 0);
    waiting(network);
    network.ports[2]!.transmit(frameBetween(A, C, 2), 0);
    expect(waiting(network)).toEqual([[2], [], []]);
    expect(network.ports[2]!.counters.flooded).toBe(0);
  });

  it.each([
    ["broadcast", BROADCAST],
    ["multicast", MULTICAST],
  ])("sends %s to all ports but its own, however much it has learned", (_, group) => {
    const network = makeSwitch();
    for (const [i, port] of network.ports.entries()) port.transmit(frameBetween(X, stationMac(i), i), 0);
    waiting(network);
    network.ports[0]!.transmit(frameBetween(group, A, 9), 0);
    expect(waiting(network)).toEqual([[], [9], [9]]);
  });

  it("keeps a frame between two stations of one port off all others", () => {
    const network = makeSwitch();
    network.ports[0]!.transmit(frameBetween(X, A, 1), 0);
    waiting(network);
    expect(network.ports[0]!.transmit(frameBetween(A, B, 2), 0)).toBe(true);
    expect(waiting(network)).toEqual([[], [], []]);
    expect(network.ports[0]!.counters.local).toBe(1);
  });

  it("follows a station that moves to another port", () => {
    const network = makeSwitch();
    network.ports[0]!.transmit(frameBetween(X, A, 1), 0);
    network.ports[1]!.transmit(frameBetween(X, A, 2), 0);
    waiting(network);
    network.ports[2]!.transmit(frameBetween(A, C, 3), 0);
    expect(waiting(network)).toEqual([[], [3], []]);
    expect(network.addresses).toMatchObject({ size: 2, learned: 2, moved: 1 });
  });

  it("forgets a station that was silent for the ageing time, and no sooner", () => {
    const network = makeSwitch(3, { ageingNs: 1000 });
    network.ports[0]!.transmit(frameBetween(X, A, 1), 0);
    network.ports[0]!.transmit(frameBetween(X, A, 2), 500);
    waiting(network);
    network.ports[2]!.transmit(frameBetween(A, C, 3), 1499);
    expect(waiting(network)).toEqual([[3], [], []]);
    network.ports[2]!.transmit(frameBetween(A, C, 4), 1500);
    expect(waiting(network)).toEqual([[4], [4], []]);
    expect(network.addresses.aged).toBe(1);
  });

  it("carries offload headers, ids and the urgent mark through untouched", () => {
    const network = makeSwitch(2);
    const frame = frameBetween(B, A, 3, 4000);
    Object.assign(frame, { flags: 1, gsoType: 1, gsoSize: 1448, hdrLen: 66, csumStart: 34, csumOffset: 16 });
    frame.urgent = true;
    network.ports[0]!.transmit(frame, 0);
    expect(drain(network.ports[1]!)).toEqual([contentOf(frame)]);
  });

  it("takes unfinished frames only if every port takes them", () => {
    expect(makeSwitch(2).ports[0]).toMatchObject({ takesChecksum: true, takesSegmentation: true });
    const network = new LearningSwitch({ ports: [{}, { takesSegmentation: false }, { takesChecksum: false }] });
    expect(network.ports[0]).toMatchObject({ takesChecksum: false, takesSegmentation: false });
  });

  it("drops a frame that is still to be finished where nobody would finish it", () => {
    const network = new LearningSwitch({ ports: [{}, { takesChecksum: false }, { takesSegmentation: false }] });
    const unsummed = frameBetween(X, A, 1);
    unsummed.flags = 1;
    const uncut = frameBetween(X, A, 2);
    uncut.gsoType = 1;
    network.ports[0]!.transmit(unsummed, 0);
    network.ports[0]!.transmit(uncut, 0);
    expect(waiting(network)).toEqual([[], [2], [1]]);
    expect(network.ports.map(({ counters }) => counters.unfinished)).toEqual([0, 1, 1]);
  });

  it("drops what is longer than a port takes there, and nowhere else", () => {
    const network = new LearningSwitch({ ports: [{}, { maxFrameBytes: 1514 }, { maxFrameBytes: 9014 }] });
    expect(network.ports[0]!.transmit(frameBetween(X, A, 1, 1515), 0)).toBe(true);
    expect(waiting(network)).toEqual([[], [], [1]]);
    expect(network.ports[1]!.counters).toMatchObject({ tooLong: 1, queued: 0 });
  });

  it("drops runts and frames that a group claims to have sent, learns nothing from them, and says so", () => {
    const network = makeSwitch();
    expect(network.ports[0]!.transmit(frameBetween(B, A, 1, 13), 0)).toBe(false);
    expect(network.ports[0]!.transmit(frameBetween(B, MULTICAST, 2), 0)).toBe(false);
    expect(waiting(network)).toEqual([[], [], []]);
    expect(network.ports[0]!.counters).toMatchObject({ received: 0, tooShort: 1, groupSource: 1 });
    expect(network.addresses.size).toBe(0);
  });

  it("drops for a port whose queue is full, and for no other; a frame that nobody got is a dropped one", () => {
    const network = new LearningSwitch({
      ports: [{}, { maxFrameBytes: 60, queueBytes: 256 }, { queueBytes: 1 << 18 }],
    });
    const sent = [1, 2, 3, 4].map((id) => network.ports[0]!.transmit(frameBetween(X, A, id), 0));
    expect(sent).toEqual([true, true, true, true]);
    expect(network.ports[1]!.counters).toMatchObject({ queued: 2, queueFull: 2 });
    expect(waiting(network)).toEqual([[], [1, 2], [1, 2, 3, 4]]);
    network.ports[1]!.transmit(frameBetween(X, B, 5), 0);
    const toB = [6, 7, 8].map((id) => network.ports[0]!.transmit(frameBetween(B, A, id), 0));
    expect(toB).toEqual([true, true, false]);
  });

  it("tells whoever is plugged in when a frame waits and none did before", () => {
    const heard: number[] = [];
    const network = new LearningSwitch({ ports: [{}, { onFrame: () => heard.push(drain(network.ports[1]!).length) }] });
    network.ports[0]!.transmit(frameBetween(B, A, 1), 0);
    network.ports[0]!.transmit(frameBetween(B, A, 2), 0);
    expect(heard).toEqual([1, 1]);
    const quiet: string[] = [];
    const asleep = new LearningSwitch({ ports: [{}, { onFrame: () => quiet.push("rung") }] });
    for (let id = 0; id < 5; id++) asleep.ports[0]!.transmit(frameBetween(B, A, id), 0);
    expect(quiet).toEqual(["rung"]);
  });

  it("says when something is due: since ever if a frame waits, never otherwise", () => {
    const network = makeSwitch(2);
    expect(network.ports[1]!.nextArrivalNs()).toBe(Number.POSITIVE_INFINITY);
    network.ports[0]!.transmit(frameBetween(B, A, 1), 5);
    expect(network.ports[1]!.nextArrivalNs()).toBe(0);
  });

  it.each([
    [{ ports: [] }, /ports: got 0, allowed are 1 to 1024/],
    [{ ports: [{}], addressesPerPort: 0 }, /addressesPerPort: got 0, allowed is a whole number from 1/],
    [{ ports: [{}], ageingNs: Number.NaN }, /ageingNs: got NaN, allowed is a number above 0/],
    [{ ports: [{ queueBytes: 1000 }] }, /capacity of a frame ring is 1000 bytes; it must be a power of two/],
    [{ ports: [{ queueBytes: 65536 }] }, /for frames of 65597 it must be at least/],
  ])("refuses options that make no sense: %j", (options, message) => {
    expect(() => new LearningSwitch(options)).toThrow(message);
  });
});

describe("a port with a peer", () => {
  /** A wire's end that takes two frames, and has some to give. */
  function makePeer(options: { takesSegmentation?: boolean } = {}) {
    const queue = new LoopbackPort(16);
    const taken: Received[] = [];
    const peer: FramePort = {
      maxFrameBytes: 1514,
      takesChecksum: true,
      takesSegmentation: options.takesSegmentation ?? true,
      receive: (frame, nowNs) => queue.receive(frame, nowNs),
      nextArrivalNs: () => queue.nextArrivalNs(),
      transmit: (frame) => taken.length < 2 && taken.push(contentOf(frame)) > 0,
    };
    return { peer, queue, taken };
  }

  it("sends frames for it through the peer at once, and counts those that it does not take", () => {
    const { peer, taken } = makePeer();
    const network = new LearningSwitch({ ports: [{}, { peer }] });
    const sent = [1, 2, 3].map((id) => network.ports[0]!.transmit(frameBetween(B, A, id), 0));
    expect(sent).toEqual([true, true, false]);
    expect(taken.map(({ id }) => id)).toEqual([1, 2]);
    expect(network.ports[1]!.counters).toMatchObject({ queued: 2, queueFull: 1 });
    expect(network.ports[0]!.transmit(frameBetween(B, A, 4, 1515), 0)).toBe(false);
    expect(network.ports[1]!.counters.tooLong).toBe(1);
  });

  it("fetches the peer's frames when it is polled, no more than it is told to", () => {
    const { peer, queue } = makePeer();
    const network = new LearningSwitch({ ports: [{}, { peer }] });
    expect(network.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    for (let id = 1; id <= 3; id++) queue.transmit(frameBetween(A, B, id), 70 + id);
    expect(network.nextDeadlineNs()).toBe(71);
    expect(network.poll(100, 2)).toBe(2);
    expect(waiting(network)).toEqual([[1, 2], []]);
    expect(network.poll(100, 2)).toBe(1);
    expect(waiting(network)).toEqual([[3], []]);
  });

  it("takes what the peer takes, unless it is said otherwise", () => {
    const { peer } = makePeer({ takesSegmentation: false });
    expect(new LearningSwitch({ ports: [{}, { peer }] }).ports[0]).toMatchObject({
      takesChecksum: true,
      takesSegmentation: false,
    });
    const told = new LearningSwitch({ ports: [{}, { peer, takesSegmentation: true, takesChecksum: false }] });
    expect(told.ports[0]).toMatchObject({ takesChecksum: false, takesSegmentation: true });
  });
});

describe("a guest that floods the switch with invented addresses", () => {
  it("displaces its own port's stations only: nobody else's frames are flooded for it", () => {
    const network = makeSwitch(3, { addressesPerPort: 8 });
    network.ports[0]!.transmit(frameBetween(X, A, 1), 0);
    network.ports[1]!.transmit(frameBetween(X, B, 2), 0);
    for (let id = 0; id < 10_000; id++) network.ports[2]!.transmit(frameBetween(A, stationMac(1000 + id), id), 0);
    expect(network.addresses.size).toBe(2 + 8);
    expect(network.addresses.displaced).toBe(10_000 - 8);
    waiting(network);
    network.ports[0]!.transmit(frameBetween(B, A, 3), 0);
    expect(waiting(network)).toEqual([[], [3], []]);
    // The last eight that it invented are known, the others no more.
    network.ports[0]!.transmit(frameBetween(stationMac(10_999), A, 4), 0);
    network.ports[0]!.transmit(frameBetween(stationMac(10_991), A, 5), 0);
    expect(waiting(network)).toEqual([[], [5], [4, 5]]);
  });

  it("fills its victims' queues at most, and every frame that is lost by it is counted", () => {
    const network = new LearningSwitch({ ports: [{}, { queueBytes: 1 << 18 }] });
    let sent = 0;
    for (let id = 0; id < 10_000; id++) if (network.ports[0]!.transmit(frameBetween(B, A, id), 0)) sent++;
    const { queued, queueFull } = network.ports[1]!.counters;
    expect(queued).toBe(sent);
    expect(queued + queueFull).toBe(10_000);
    expect(drain(network.ports[1]!)).toHaveLength(queued);
  });
});

describe("a frame that is spread over a lent array", () => {
  it("arrives as it was, however often lengths and places change", () => {
    const network = makeSwitch(2);
    const bytes = new Uint8Array(8192);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31;
    const frame = new Frame(bytes);
    for (const [offset, lengthBytes] of [
      [12, 60],
      [12, 61],
      [40, 60],
      [12, 60],
      [12, 4000],
      [100, 4000],
      [12, 61],
    ] as const) {
      bytes.set([...B, ...A], offset);
      frame.offset = offset;
      frame.lengthBytes = lengthBytes;
      network.ports[0]!.transmit(frame, 0);
      expect(drain(network.ports[1]!)[0]!.content).toEqual([...bytes.slice(offset, offset + lengthBytes)]);
    }
  });
});
