import { describe, expect, test } from "vitest";
import { type Feature, frameOf, type OffloadHeader, REG, RX } from "../../../rings/card-machine.ts";
import { GSO, gsoFrame, payloadOf, readPacket, reassemble, type Shape, TCP_FLAG } from "../../../rings/gso-frames.ts";
import {
  checksumHeader,
  DATA_VALID,
  gsoHeader,
  NEEDS_CSUM,
  OffloadMachine,
  RECEIVE_OFFLOADS,
  type ReceivedFrame,
  RINGS,
} from "../../../rings/offload-machine.ts";

const NO_OFFLOAD = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
const NO_BUFFER = 0;
const TOO_LONG = 1;
const FAULT = 2;
const NOT_READY = 3;

const tcp = (version: 4 | 6, length: number, flags: number = TCP_FLAG.ACK): Shape => {
  return { version, protocol: "tcp", payload: payloadOf(length), flags };
};
const udp = (version: 4 | 6, length: number): Shape => ({ version, protocol: "udp", payload: payloadOf(length) });

/** Each offload: what the driver accepts, and a frame that it then takes as it is. */
const OFFLOADS: readonly [Feature, readonly Feature[], Shape, number][] = [
  ["GUEST_CSUM", ["GUEST_CSUM"], tcp(4, 1000), GSO.NONE],
  ["GUEST_TSO4", ["GUEST_CSUM", "GUEST_TSO4"], tcp(4, 20000), GSO.TCPV4],
  ["GUEST_TSO6", ["GUEST_CSUM", "GUEST_TSO6"], tcp(6, 20000), GSO.TCPV6],
  ["GUEST_ECN", ["GUEST_CSUM", "GUEST_TSO6", "GUEST_ECN"], tcp(6, 20000, 0x90), GSO.TCPV6 | GSO.ECN],
  ["GUEST_UFO", ["GUEST_CSUM", "GUEST_UFO"], udp(6, 20000), GSO.UDP],
  ["GUEST_USO4", ["GUEST_CSUM", "GUEST_USO4"], udp(4, 20000), GSO.UDP_L4],
  ["GUEST_USO6", ["GUEST_CSUM", "GUEST_USO6"], udp(6, 20000), GSO.UDP_L4],
];
const BITS: Partial<Record<Feature, number>> = {
  GUEST_CSUM: 1,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  GUEST_UFO: 10,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
};

const headerOf = (shape: Shape, gsoType: number): Required<OffloadHeader> => {
  const frame = gsoFrame(shape);
  return gsoType === GSO.NONE ? checksumHeader(frame) : gsoHeader(frame, gsoType, 1400);
};
const headerIn = ({ flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset }: ReceivedFrame) => {
  return { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset };
};

/** The payload of finished frames; checks all of their checksums. */
function payloadReceived(frames: readonly ReceivedFrame[]): number[] {
  const packets = frames.map(({ bytes }) => readPacket(bytes));
  return packets[0]?.fragment ? reassemble(packets).slice(8) : packets.flatMap((packet) => packet.payload);
}

/** GUEST_OFFLOADS_SET with exactly these features. */
function setOffloads(machine: OffloadMachine, features: readonly Feature[]): number {
  const bytes = new Array<number>(8).fill(0);
  for (const name of features) bytes[BITS[name]! >>> 3]! |= 1 << (BITS[name]! & 7);
  return machine.command([5, 0, ...bytes]);
}

const CARDS = RINGS.flatMap((ring) =>
  [true, false].map((observed) => ({ ring, observed, name: observed ? "an observed card" : "a card" })),
);

// A card that nobody observes takes buffers ahead.
describe.each(CARDS)("on a $ring ring of $name", ({ ring, observed }) => {
  for (const mergeable of [true, false]) {
    const merged: readonly Feature[] = mergeable ? ["MRG_RXBUF"] : [];
    const buffers = mergeable ? { bufferBytes: 1536, buffers: 60 } : { buffers: 20 };
    const name = mergeable ? "merged" : "large";

    test.each(
      OFFLOADS,
    )(`a frame for a driver with %s comes as it was sent, into ${name} buffers`, (_, features, shape, gsoType) => {
      const machine = new OffloadMachine([...features, ...merged], { ring, observed, ...buffers });
      const { bytes } = gsoFrame(shape);
      const [frame, ...rest] = machine.arrive({ bytes, ...headerOf(shape, gsoType), hdrLen: 1 });
      expect(rest).toEqual([]);
      expect(frame!.bytes).toEqual(bytes);
      // What the port says of the headers' length is no more to be relied on than what a driver says (NRX-31).
      expect(headerIn(frame!)).toEqual(headerOf(shape, gsoType));
      expect(frame!.numBuffers).toBe(mergeable ? Math.ceil((12 + bytes.length) / 1536) : 1);
      expect(machine.card.statistics.queues[RX]).toMatchObject({
        frames: 1,
        bytes: bytes.length,
        checksumNeeded: 1,
        gsoFrames: gsoType === GSO.NONE ? 0 : 1,
        gsoBytes: gsoType === GSO.NONE ? 0 : bytes.length,
      });
    });

    test.each(
      OFFLOADS,
    )(`a frame for a driver without %s is finished first, into ${name} buffers`, (missing, _, shape, gsoType) => {
      // The driver takes everything else that can be had then.
      const needs: readonly Feature[] = missing === "GUEST_TSO6" || missing === "GUEST_TSO4" ? ["GUEST_ECN"] : [];
      const left =
        missing === "GUEST_CSUM"
          ? []
          : RECEIVE_OFFLOADS.filter((feature) => feature !== missing && !needs.includes(feature));
      const machine = new OffloadMachine([...left, ...merged], { ring, observed, ...buffers });
      const { bytes } = gsoFrame(shape);
      const frames = machine.arrive({ bytes: bytes.slice(), ...headerOf(shape, gsoType) });
      expect(payloadReceived(frames)).toEqual([...shape.payload]);
      // The card vouches for the checksums that it has made; a fragment has none.
      const flags = missing === "GUEST_CSUM" || gsoType === GSO.UDP ? 0 : DATA_VALID;
      for (const frame of frames) expect(headerIn(frame)).toEqual({ ...NO_OFFLOAD, flags });
      const { length } = frames;
      expect(length).toBe(
        gsoType === GSO.NONE ? 1 : Math.ceil((shape.payload.length + (gsoType === GSO.UDP ? 8 : 0)) / 1400),
      );
      expect(machine.card.statistics.queues[RX]).toMatchObject({
        frames: length,
        dropped: 0,
        checksumNeeded: 0,
        gsoFrames: 0,
      });
      expect(machine.card.framesArrived).toBe(length);
    });
  }

  test("all together pass, in one burst with plain frames between", () => {
    const machine = new OffloadMachine([...RECEIVE_OFFLOADS, "MRG_RXBUF", "MTU"], {
      ring,
      observed,
      bufferBytes: 2048,
      buffers: 120,
    });
    const arrivals = OFFLOADS.flatMap(([, , shape, gsoType]) => [
      { bytes: gsoFrame(shape).bytes, ...headerOf(shape, gsoType) },
      { bytes: frameOf(60) },
    ]);
    const frames = machine.arrive(...arrivals);
    expect(frames.map(({ bytes }) => bytes)).toEqual(arrivals.map(({ bytes }) => bytes));
    for (const [i, [, , shape, gsoType]] of OFFLOADS.entries()) {
      expect(headerIn(frames[2 * i]!)).toEqual(headerOf(shape, gsoType));
      expect(headerIn(frames[2 * i + 1]!)).toEqual(NO_OFFLOAD);
    }
  });

  test("frames with partial or validated checksums keep to their burst", () => {
    const machine = new OffloadMachine(["GUEST_CSUM"], { ring, observed, buffers: 40, bufferBytes: 2048 });
    const frame = gsoFrame(tcp(4, 100));
    const { bytes } = frame;
    const kinds = [
      { bytes, ...checksumHeader(frame) },
      { bytes: frameOf(60), flags: DATA_VALID },
      { bytes: frameOf(61) },
    ];
    for (let turn = 0; turn < 3; turn++) {
      const arrivals = Array.from({ length: 30 }, (_, i) => kinds[i % 3]!);
      const frames = machine.arrive(...arrivals);
      expect(frames.map(headerIn)).toEqual(arrivals.map(({ bytes: _, ...header }) => ({ ...NO_OFFLOAD, ...header })));
      expect(frames.map((received) => received.bytes)).toEqual(arrivals.map((arrival) => arrival.bytes));
    }
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 90, checksumNeeded: 30, checksumValid: 30 });
  });
});

describe("a checksum that the port has validated", () => {
  test("is passed on to a driver with GUEST_CSUM, and said of nothing else (NRX-32, NRX-33)", () => {
    const machine = new OffloadMachine(["GUEST_CSUM"]);
    const arrivals = [
      { bytes: frameOf(60), flags: DATA_VALID, csumStart: 9, csumOffset: 9, hdrLen: 9, gsoSize: 9 },
      { bytes: frameOf(60) },
    ];
    expect(machine.arrive(...arrivals).map(headerIn)).toEqual([{ ...NO_OFFLOAD, flags: DATA_VALID }, NO_OFFLOAD]);
  });

  test("is not spoken of without GUEST_CSUM (NRX-5)", () => {
    const machine = new OffloadMachine([]);
    expect(machine.arrive({ bytes: frameOf(60), flags: DATA_VALID }).map(headerIn)).toEqual([NO_OFFLOAD]);
  });

  test("is not said together with a partial one, nor with flags that the card does not know (NRX-30)", () => {
    const machine = new OffloadMachine(["GUEST_CSUM"]);
    const frame = gsoFrame(udp(6, 100));
    const [received] = machine.arrive({ bytes: frame.bytes, ...checksumHeader(frame), flags: 0xff });
    expect(received!.flags).toBe(NEEDS_CSUM);
  });
});

test.each(CARDS)("of a finished frame no other field is looked at ($ring ring, $name)", ({ ring, observed }) => {
  const junk = { gsoSize: 99, hdrLen: 99, csumStart: 99, csumOffset: 99 };
  for (const features of [[], ["CTRL_VQ", "HASH_REPORT"]] as Feature[][]) {
    const machine = new OffloadMachine(features, { ring, observed, buffers: 40, bufferBytes: 2048 });
    for (let turn = 0; turn < 2; turn++) {
      const frames = machine.arrive(...Array.from({ length: 20 }, () => ({ bytes: frameOf(60), ...junk })));
      expect(frames.map(headerIn)).toEqual(new Array(20).fill(NO_OFFLOAD));
    }
  }
});

describe("the frame that the port gave", () => {
  test("is not written to, whatever the card has to do", () => {
    for (const features of [[], ["GUEST_CSUM"]] as Feature[][]) {
      for (const options of [{}, { txStaging: { bytes: new Uint8Array(2048), offset: 0, lengthBytes: 2048 } }]) {
        const machine = new OffloadMachine(features, { buffers: 20, ...options });
        for (const [, , shape, gsoType] of OFFLOADS) {
          const { bytes } = gsoFrame(shape);
          const before = bytes.slice();
          expect(
            payloadReceived(
              machine.arrive({ bytes, ...headerOf(shape, gsoType) }).map((frame) => {
                return frame.flags === NEEDS_CSUM ? { ...frame, bytes: completed(frame) } : frame;
              }),
            ),
          ).toEqual([...shape.payload]);
          expect(bytes).toEqual(before);
        }
      }
    }
  });

  /** What a driver does with a partial checksum: the complement of the sum from csum_start on. */
  function completed({ bytes, csumStart, csumOffset }: ReceivedFrame): Uint8Array {
    const copy = bytes.slice();
    let sum = 0;
    for (let i = csumStart; i < copy.length; i += 2) sum += copy[i]! * 256 + (copy[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    copy[csumStart + csumOffset] = (0xffff - sum) >>> 8;
    copy[csumStart + csumOffset + 1] = (0xffff - sum) & 0xff;
    return copy;
  }
});

describe("offloads that the driver switches off and on (§5.1.9.5.8)", () => {
  const shape = tcp(4, 5000);
  const arrival = { bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4) };
  const FEATURES: readonly Feature[] = [...RECEIVE_OFFLOADS, "CTRL_VQ", "CTRL_GUEST_OFFLOADS"];

  test("hold from the next frame on", () => {
    const machine = new OffloadMachine(FEATURES);
    expect(machine.arrive(arrival).map(headerIn)).toEqual([headerOf(shape, GSO.TCPV4)]);
    expect(setOffloads(machine, ["GUEST_CSUM"])).toBe(0);
    const cut = machine.arrive(arrival);
    expect(cut.map(({ flags }) => flags)).toEqual([DATA_VALID, DATA_VALID, DATA_VALID, DATA_VALID]);
    expect(payloadReceived(cut)).toEqual([...shape.payload]);
    expect(setOffloads(machine, [])).toBe(0);
    expect(machine.arrive(arrival).map(headerIn)).toEqual(new Array(4).fill(NO_OFFLOAD));
    expect(setOffloads(machine, ["GUEST_CSUM", "GUEST_TSO4"])).toBe(0);
    expect(machine.arrive(arrival)).toHaveLength(1);
  });

  test("are nothing without a checksum that may be partial", () => {
    const machine = new OffloadMachine(FEATURES);
    setOffloads(machine, ["GUEST_TSO4"]);
    expect(machine.arrive(arrival)).toHaveLength(4);
  });

  test("are as they were in a restored card", () => {
    const machine = new OffloadMachine(FEATURES);
    setOffloads(machine, ["GUEST_CSUM"]);
    machine.arrive(arrival);
    const state = JSON.parse(JSON.stringify(machine.card.saveState(machine.nowNs)));
    setOffloads(machine, ["GUEST_CSUM", "GUEST_TSO4"]);
    machine.card.restoreState(state, machine.nowNs);
    const { queues } = machine.card;
    expect(queues.settings.guestOffloads).toMatchObject({ csum: true, tso4: false });
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 4 });
  });
});

describe("a frame to be cut", () => {
  test("that no buffer of a driver without merging holds is cut for it", () => {
    const shape = tcp(6, 5000);
    const arrival = { bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV6) };
    for (const ring of RINGS) {
      const machine = new OffloadMachine(RECEIVE_OFFLOADS, { ring, bufferBytes: 2048, buffers: 10 });
      const frames = machine.arrive({ bytes: frameOf(60) }, arrival, { bytes: frameOf(61) });
      expect(frames.map(({ bytes }) => bytes.length).slice(1, -1)).toEqual([1474, 1474, 1474, 874]);
      expect(payloadReceived(frames.slice(1, -1))).toEqual([...shape.payload]);
      expect(machine.faults).toEqual([]);
      expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 6, dropped: 0 });
    }
  });

  test("that no buffer is left for is dropped once", () => {
    const shape = tcp(4, 5000);
    for (const merged of [[], ["MRG_RXBUF"]] as Feature[][]) {
      const machine = new OffloadMachine([...RECEIVE_OFFLOADS, ...merged], {
        bufferBytes: 2048,
        buffers: merged.length * 2,
      });
      expect(machine.arrive({ bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4) })).toEqual([]);
      expect(machine.drops).toEqual([{ id: 1, why: NO_BUFFER }]);
    }
  });

  test("may be longer than the MTU, but its segments may not (NCFG-5)", () => {
    const shape = tcp(4, 5000);
    const arrival = { bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4), gsoSize: 1461 };
    const taking = new OffloadMachine([...RECEIVE_OFFLOADS, "MTU"]);
    expect(taking.arrive(arrival)).toHaveLength(1);
    const refusing = new OffloadMachine(["MTU"]);
    expect(refusing.arrive(arrival).map(({ bytes }) => bytes.length)).toEqual([54 + 5000 - 3 * 1461]);
    expect(refusing.drops.map(({ why }) => why)).toEqual([TOO_LONG, TOO_LONG, TOO_LONG]);
  });

  test("counts against the budget of a poll as all that it makes", () => {
    const machine = new OffloadMachine([], { bufferBytes: 2048, buffers: 100 });
    machine.poll();
    const shape = tcp(4, 13900);
    const arrival = { bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4) };
    machine.port.arrivals.push(arrival, arrival, arrival);
    expect(machine.poll(15)).toBe(20);
    expect(machine.port.arrivals).toHaveLength(1);
    expect(machine.poll(15)).toBe(10);
  });

  test("is dropped once if the driver is not there, or filters it, before anything is done for it", () => {
    const shape = tcp(4, 5000);
    const arrival = { bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4) };
    const machine = new OffloadMachine(["CTRL_VQ", "CTRL_RX"]);
    machine.card.setLinkUp(false, machine.nowNs);
    machine.arrive(arrival);
    expect(machine.drops).toEqual([{ id: 1, why: NOT_READY }]);
    machine.card.setLinkUp(true, machine.nowNs);
    // Promiscuous is off, and the frame is for somebody else.
    expect(machine.command([0, 0, 0])).toBe(0);
    const other = arrival.bytes.slice();
    other[5] = 9;
    machine.arrive({ ...arrival, bytes: other });
    expect(machine.card.statistics.filtered).toBe(1);
  });

  test.each([
    ["asks for no checksum (NRX-27)", { flags: 0 }],
    ["has no size (NRX-28)", { gsoSize: 0 }],
    ["has a checksum elsewhere (NRX-20)", { csumStart: 0 }],
    ["is of another type", { gsoType: GSO.UDP }],
    ["is of an unknown type", { gsoType: 9 }],
    ["asks for single bytes", { gsoSize: 1 }],
  ])("that %s is dropped, for the port has not kept its promise", (_, wrong) => {
    const shape = tcp(4, 5000);
    for (const features of [[], RECEIVE_OFFLOADS]) {
      const machine = new OffloadMachine(features);
      expect(machine.arrive({ bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4), ...wrong })).toEqual([]);
      expect(machine.drops).toEqual([{ id: 1, why: FAULT }]);
    }
  });

  test("of a port that gives more than there can be is dropped as too long", () => {
    const machine = new OffloadMachine([]);
    const frame = gsoFrame(tcp(6, 65516));
    const bytes = new Uint8Array(65598);
    bytes.set(frame.bytes);
    machine.arrive({ bytes, ...gsoHeader(frame, GSO.TCPV6, 1400) }, { bytes, ...checksumHeader(frame) });
    expect(machine.drops.map(({ why }) => why)).toEqual([TOO_LONG, TOO_LONG]);
  });

  test("ends with its drops where the driver resets the card in its midst", () => {
    const machine = new OffloadMachine([], { bufferBytes: 2048, buffers: 2 });
    // The second segment finds the ring empty, which wakes the driver.
    machine.onNotify = () => machine.write(REG.STATUS, 0);
    const shape = tcp(4, 7000);
    machine.arrive({ bytes: gsoFrame(shape).bytes, ...headerOf(shape, GSO.TCPV4) });
    const { frames, dropped } = machine.card.statistics.queues[RX]!;
    expect(frames + dropped).toBe(5);
    machine.onNotify = null;
    machine.start();
    expect(machine.arrive({ bytes: frameOf(60) })).toHaveLength(1);
  });
});
