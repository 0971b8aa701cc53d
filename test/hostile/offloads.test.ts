import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import { BUFFERS, type Feature, frameOf, type OffloadHeader, REG, RX, TX } from "../rings/card-machine.ts";
import { GSO, gsoFrame, payloadOf, type Shape } from "../rings/gso-frames.ts";
import {
  gsoHeader,
  NEEDS_CSUM,
  OffloadMachine,
  RECEIVE_BUFFERS,
  RECEIVE_OFFLOADS,
  RINGS,
  RINGS_END,
  RINGS_FROM,
  TRANSMIT_OFFLOADS,
} from "../rings/offload-machine.ts";

const EVERYTHING: readonly Feature[] = [
  ...TRANSMIT_OFFLOADS,
  ...RECEIVE_OFFLOADS,
  "CTRL_VQ",
  "HASH_REPORT",
  "MRG_RXBUF",
];
/** Most frames that the longest frame may be cut into: 65,535 bytes in the pieces that a path of 68 bytes leaves to TCP. */
const MOST_SEGMENTS = 2341;
const TCP4: Shape = { version: 4, protocol: "tcp", payload: payloadOf(3000) };

/** The card takes a good frame after all that, in this life and in the next. */
function stillWorks(machine: OffloadMachine): void {
  machine.port.takesChecksum = false;
  machine.port.takesSegmentation = false;
  for (let life = 0; life < 2; life++) {
    if (life === 1) machine.start();
    const frame = gsoFrame(TCP4);
    expect(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000))).toHaveLength(3);
    expect(machine.arrive({ bytes: frameOf(60) })).toHaveLength(1);
  }
}

/** `work` writes to the rings, and to receive buffers, and nowhere else. */
function inRings(machine: OffloadMachine, work: () => void): void {
  for (const [first, end] of machine.writtenBy(work)) {
    expect((first >= RINGS_FROM && end <= RINGS_END) || first >= RECEIVE_BUFFERS, `${first} … ${end}`).toBe(true);
  }
}

describe.each(RINGS)("case 12 on a %s ring: transmitted chains under every length of header", (ring) => {
  test.each([
    ["one byte less than a header", 19, 0],
    ["exactly the header", 20, 0],
    ["header and less than an Ethernet header", 33, 0],
    ["header and an Ethernet header", 34, 1],
  ])("%s", (_, length, sent) => {
    const machine = new OffloadMachine(EVERYTHING, { ring });
    machine.ram.fill(0, BUFFERS, BUFFERS + 64);
    machine.offerChain(TX, [{ address: BUFFERS, length }]);
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toHaveLength(sent);
    expect(machine.taken(TX)).toEqual([{ id: 0, length: 0 }]);
    stillWorks(machine);
  });

  test("a header in single bytes, before a frame to be cut", () => {
    const machine = new OffloadMachine(EVERYTHING, { ring });
    const frame = gsoFrame(TCP4);
    const sent = machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000), new Array(20).fill(1));
    expect(sent.map(({ length }) => length)).toEqual([1054, 1054, 1054]);
  });

  test("more than the longest frame that there is", () => {
    const machine = new OffloadMachine(EVERYTHING, { ring });
    machine.offerChain(TX, [{ address: BUFFERS, length: 20 + 65598 }]);
    machine.offerChain(TX, [
      { address: BUFFERS, length: 20 + 40000 },
      { address: BUFFERS, length: 40000 },
    ]);
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toEqual([]);
    expect(machine.taken(TX).map(({ length }) => length)).toEqual([0, 0]);
    expect(machine.faults.map(({ code }) => FAULTS[code]!.name)).toEqual(["tx-too-long", "tx-too-long"]);
    stillWorks(machine);
  });
});

describe("case 14: the header is as long as what was negotiated says, and no byte longer", () => {
  test.each([
    [12, []],
    [20, ["CTRL_VQ", "HASH_REPORT"]],
  ] as [number, Feature[]][])("%i bytes", (headerBytes, features) => {
    const machine = new OffloadMachine(features);
    const frame = frameOf(60);
    expect(machine.sendFrame(frame, {})).toEqual([frame]);
    expect(machine.writtenBy(() => machine.arrive({ bytes: frame })).length).toBeGreaterThan(0);
    expect(machine.card.statistics.queues[TX]).toMatchObject({ bytes: 60 });
    // A buffer that holds header and frame to the byte is enough, and one byte less is not.
    for (const [room, delivered] of [
      [headerBytes + 60, 1],
      [headerBytes + 59, 0],
    ] as const) {
      const tight = new OffloadMachine(features, { bufferBytes: room, buffers: 1 });
      expect(tight.arrive({ bytes: frame }).filter(({ bytes }) => bytes.length === 60)).toHaveLength(delivered);
    }
  });
});

describe("case 15: headers that lie", () => {
  const frame = gsoFrame(TCP4);
  const good = gsoHeader(frame, GSO.TCPV4, 1000);

  test.each<[string, OffloadHeader, string]>([
    ["a size of 0", { gsoSize: 0 }, "tx-offload-fields"],
    ["a size of 1, which would make thousands of frames", { gsoSize: 1 }, "tx-offload-fields"],
    ["a type that does not exist", { gsoType: 2 }, "tx-offload"],
    ["all bits of the type", { gsoType: 0xff }, "tx-offload"],
    ["the bit of a tunnel over IPv4 (NTX-10)", { gsoType: GSO.TCPV4 | 0x20 }, "tx-offload"],
    ["both bits of tunnels (NTX-8)", { gsoType: GSO.TCPV4 | 0x60 }, "tx-offload"],
    ["a tunnel around nothing (NTX-10)", { gsoType: 0x20 }, "tx-offload"],
    ["a checksum that begins behind the end", { csumStart: 3054 }, "tx-offload-fields"],
    ["a checksum field across the end", { csumStart: 3037, gsoType: 0 }, "tx-offload-fields"],
    [
      "a checksum field as far away as can be said",
      { csumStart: 65535, csumOffset: 65535, gsoType: 0 },
      "tx-offload-fields",
    ],
    ["no checksum", { flags: 0 }, "tx-offload-fields"],
  ])("%s", (_, lie, fault) => {
    for (const takes of [false, true]) {
      const machine = new OffloadMachine(EVERYTHING);
      machine.port.takesChecksum = takes;
      machine.port.takesSegmentation = takes;
      expect(machine.writtenBy(() => machine.sendFrame(frame.bytes, { ...good, ...lie })).length).toBeGreaterThan(0);
      expect(machine.port.sent).toEqual([]);
      expect(machine.faults.map(({ code }) => FAULTS[code]!.name)).toEqual([fault]);
      stillWorks(machine);
    }
  });

  test("hdr_len of any value changes nothing (NTX-7)", () => {
    const machine = new OffloadMachine(EVERYTHING);
    const expected = machine.sendFrame(frame.bytes, good);
    for (const hdrLen of [0, 1, 53, 55, 3054, 65535]) {
      expect(machine.sendFrame(frame.bytes, { ...good, hdrLen })).toEqual(expected);
    }
  });

  test("packets without a network header, and headers that end early, are not cut", () => {
    const machine = new OffloadMachine(EVERYTHING);
    for (const type of [GSO.TCPV4, GSO.TCPV6, GSO.UDP, GSO.UDP_L4, GSO.TCPV4 | GSO.ECN]) {
      for (let length = 14; length < 54; length++) {
        const { bytes } = gsoFrame(type === GSO.TCPV6 ? { ...TCP4, version: 6 } : TCP4);
        machine.sendFrame(bytes.slice(0, length), { ...good, gsoType: type });
        machine.sendFrame(frameOf(length), { ...good, gsoType: type, csumStart: 0, csumOffset: 0 });
      }
    }
    expect(machine.port.sent).toEqual([]);
    expect(machine.faults).toHaveLength(400);
  });

  test("the frame that can be cut most often ends a poll of any budget, and is cut to its end", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    const long = gsoFrame({ ...TCP4, payload: payloadOf(65495) });
    const header = gsoHeader(long, GSO.TCPV4, 28);
    machine.offerFrame(long.bytes, header);
    machine.offerFrame(long.bytes, header);
    machine.kick(TX);
    machine.poll(1);
    expect(machine.port.sent.length).toBe(Math.ceil(65495 / 28));
    expect(machine.port.sent.length).toBeLessThanOrEqual(MOST_SEGMENTS);
    expect(machine.taken(TX)).toHaveLength(1);
  });

  test("no header and no frame make the card throw, write outside its rings, or make more than it may", () => {
    const byte = fc.nat(255);
    const word = fc.oneof(fc.nat(65535), fc.constantFrom(0, 14, 16, 34, 54, 65535));
    const header = fc.record({
      flags: fc.oneof(byte, fc.constant(NEEDS_CSUM)),
      gsoType: fc.oneof(byte, fc.constantFrom(0, 1, 3, 4, 5, 0x81, 0x84)),
      hdrLen: word,
      gsoSize: word,
      csumStart: word,
      csumOffset: word,
    });
    const shape = fc.record({
      version: fc.constantFrom(4, 6) as fc.Arbitrary<4 | 6>,
      protocol: fc.constantFrom("tcp", "udp") as fc.Arbitrary<"tcp" | "udp">,
      payload: fc.nat(4000).map((length) => payloadOf(length)),
    });
    const changes = fc.array(fc.tuple(fc.nat(100), byte), { maxLength: 4 });
    const step = fc.tuple(shape, changes, header, fc.boolean(), fc.boolean());
    fc.assert(
      fc.property(fc.constantFrom(...RINGS), fc.array(step, { minLength: 1, maxLength: 6 }), (ring, steps) => {
        const machine = new OffloadMachine(EVERYTHING, { ring, bufferBytes: 4096, buffers: 30 });
        for (const [of, changed, lies, honest, takes] of steps) {
          const made = gsoFrame(of);
          for (const [at, value] of changed) if (at < made.bytes.length) made.bytes[at] = value;
          const { csumStart, csumOffset } = made;
          const said = honest ? { ...lies, flags: NEEDS_CSUM, csumStart, csumOffset } : lies;
          machine.port.takesChecksum = takes;
          machine.port.takesSegmentation = takes;
          const before = machine.port.sent.length;
          machine.offerFrame(made.bytes, said);
          inRings(machine, () => {
            machine.kick(TX);
            machine.poll();
          });
          expect(machine.taken(TX)).toHaveLength(1);
          expect(machine.port.sent.length - before).toBeLessThanOrEqual(MOST_SEGMENTS);
          // The same off the wire, where another machine's driver may have had its hand in it.
          inRings(machine, () => machine.arrive({ bytes: made.bytes, ...said }));
          expect(machine.status).toBe(15);
        }
        stillWorks(machine);
      }),
      { numRuns: 150 },
    );
  });
});

describe("case 27: frames with offload headers before DRIVER_OK", () => {
  test("are dropped, and the rings stay as they are", () => {
    const machine = new OffloadMachine(EVERYTHING);
    machine.write(REG.STATUS, 0);
    const frame = gsoFrame(TCP4);
    const arrival = { bytes: frame.bytes, ...gsoHeader(frame, GSO.TCPV4, 1000) };
    machine.port.arrivals.push(arrival, { ...arrival, gsoType: 0 }, { ...arrival, gsoSize: 0 });
    expect(machine.writtenBy(() => machine.poll())).toEqual([]);
    expect(machine.card.statistics.queues[RX]!.dropped).toBe(3);
    machine.start();
    stillWorks(machine);
  });
});
