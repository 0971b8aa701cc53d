import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { type Feature, frameOf, type OffloadHeader, REG, TX } from "../../../rings/card-machine.ts";
import { GSO, gsoFrame, payloadOf, readPacket, reassemble, type Shape, TCP_FLAG } from "../../../rings/gso-frames.ts";
import {
  checksumHeader,
  gsoHeader,
  NEEDS_CSUM,
  OffloadMachine,
  RINGS,
  TRANSMIT_OFFLOADS,
} from "../../../rings/offload-machine.ts";

const NO_OFFLOAD = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
const tcp = (version: 4 | 6, length: number, flags: number = TCP_FLAG.ACK): Shape => {
  return { version, protocol: "tcp", payload: payloadOf(length), flags };
};
const udp = (version: 4 | 6, length: number): Shape => ({ version, protocol: "udp", payload: payloadOf(length) });

function faultNames(machine: OffloadMachine): string[] {
  return machine.faults.map(({ code }) => FAULTS[code]!.name);
}

/** Each offload alone: what the driver accepts, and a frame that needs it. */
const OFFLOADS: readonly [Feature, readonly Feature[], Shape, number][] = [
  ["CSUM", ["CSUM"], tcp(4, 1000), GSO.NONE],
  ["HOST_TSO4", ["CSUM", "HOST_TSO4"], tcp(4, 20000), GSO.TCPV4],
  ["HOST_TSO6", ["CSUM", "HOST_TSO6"], tcp(6, 20000), GSO.TCPV6],
  ["HOST_ECN", ["CSUM", "HOST_TSO4", "HOST_ECN"], tcp(4, 20000, 0x90), GSO.TCPV4 | GSO.ECN],
  ["HOST_UFO", ["CSUM", "HOST_UFO"], udp(6, 20000), GSO.UDP],
  ["HOST_USO", ["CSUM", "HOST_USO"], udp(4, 20000), GSO.UDP_L4],
];

const headerOf = (shape: Shape, gsoType: number): OffloadHeader => {
  const frame = gsoFrame(shape);
  return gsoType === GSO.NONE ? checksumHeader(frame) : gsoHeader(frame, gsoType, 1400);
};

/** The payload that a receiver of these frames gets; checks all of their checksums. */
function payloadReceived(frames: readonly Uint8Array[]): number[] {
  const packets = frames.map(readPacket);
  return packets[0]?.fragment ? reassemble(packets).slice(8) : packets.flatMap((packet) => packet.payload);
}

describe.each(RINGS)("on a %s ring", (ring) => {
  test.each(OFFLOADS)("%s alone is finished for a port that takes nothing", (_, features, shape, gsoType) => {
    const machine = new OffloadMachine(features, { ring });
    const { bytes } = gsoFrame(shape);
    const sent = machine.sendFrame(bytes, headerOf(shape, gsoType));
    expect(payloadReceived(sent)).toEqual([...shape.payload]);
    expect(machine.port.sentHeaders.every((header) => Object.values(header).every((value) => value === 0))).toBe(true);
    expect(sent).toHaveLength(
      gsoType === GSO.NONE ? 1 : Math.ceil((shape.payload.length + (gsoType === GSO.UDP ? 8 : 0)) / 1400),
    );
    expect(sent.every(({ length }) => length <= 1514)).toBe(true);
    expect(machine.faults).toEqual([]);
    expect(machine.card.statistics.queues[TX]).toMatchObject({
      frames: sent.length,
      bytes: sent.reduce((sum, { length }) => sum + length, 0),
      buffers: 1,
      dropped: 0,
    });
  });

  test.each(OFFLOADS)("%s alone is passed on to a port that takes it", (_, features, shape, gsoType) => {
    const machine = new OffloadMachine(features, { ring });
    machine.port.takesChecksum = true;
    machine.port.takesSegmentation = true;
    const { bytes, headerBytes } = gsoFrame(shape);
    // How long the headers are is read from them, whatever the driver says (NTX-7).
    const sent = machine.sendFrame(bytes, { ...headerOf(shape, gsoType), hdrLen: 7 });
    expect(sent).toEqual([bytes]);
    const hdrLen = gsoType === GSO.NONE ? 0 : headerBytes;
    expect(machine.port.sentHeaders).toEqual([{ ...headerOf(shape, gsoType), hdrLen }]);
  });

  test.each(
    OFFLOADS,
  )("%s that was not negotiated is a fault, and its chain comes back", (name, features, shape, gsoType) => {
    const machine = new OffloadMachine(
      features.filter((feature) => feature !== name),
      { ring },
    );
    expect(machine.sendFrame(gsoFrame(shape).bytes, headerOf(shape, gsoType))).toEqual([]);
    // A frame longer than the link takes is not even copied if nothing may be cut.
    expect(["tx-offload", "tx-too-long"]).toContain(faultNames(machine)[0]);
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 0, dropped: 1 });
    expect(machine.sendFrame(frameOf(60), {})).toEqual([frameOf(60)]);
  });

  test("all together, in one burst with plain frames between, come out in order", () => {
    const machine = new OffloadMachine([...TRANSMIT_OFFLOADS, "CTRL_VQ", "MTU", "MRG_RXBUF", "RING_EVENT_IDX"], {
      ring,
    });
    for (const [, , shape, gsoType] of OFFLOADS) {
      machine.offerFrame(gsoFrame(shape).bytes, headerOf(shape, gsoType));
      machine.offerFrame(frameOf(60), {});
    }
    machine.kick(TX);
    machine.poll(1000);
    expect(machine.taken(TX)).toHaveLength(2 * OFFLOADS.length);
    let at = 0;
    for (const [, , shape] of OFFLOADS) {
      const end = machine.port.sent.findIndex((frame, i) => i >= at && frame.length === 60);
      expect(payloadReceived(machine.port.sent.slice(at, end))).toEqual([...shape.payload]);
      expect(machine.port.sent[end]).toEqual(frameOf(60));
      at = end + 1;
    }
    expect(at).toBe(machine.port.sent.length);
    expect(machine.port.sentHeaders.every((header) => header.flags === 0)).toBe(true);
  });

  test("a frame in many pieces is put together before it is cut", () => {
    const machine = new OffloadMachine(TRANSMIT_OFFLOADS, { ring });
    const shape = tcp(6, 64000);
    const frame = gsoFrame(shape);
    const sent = machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV6, 1440), [12, 14, 33, 27, 4096, 4096, 1]);
    expect(sent).toHaveLength(45);
    expect(payloadReceived(sent)).toEqual([...shape.payload]);
  });

  test("the longest packets that there are can be cut, with HASH_REPORT's long header too", () => {
    for (const features of [
      ["CSUM", "HOST_TSO6", "HOST_TSO4"],
      ["CSUM", "HOST_TSO6", "HOST_TSO4", "CTRL_VQ", "HASH_REPORT"],
    ] as Feature[][]) {
      const extra = features.includes("HASH_REPORT") ? (["HASH_REPORT"] as const) : [];
      const machine = new OffloadMachine(features, { ring, extra });
      const tags = [
        [0x88a8, 1],
        [0x8100, 2],
      ] as const;
      const shape: Shape = { ...tcp(6, 65515), tags };
      const frame = gsoFrame(shape);
      expect(frame.bytes.length).toBe(65597);
      expect(payloadReceived(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV6, 1440)))).toEqual([
        ...shape.payload,
      ]);
      // One byte more does not fit.
      machine.sendFrame(new Uint8Array(65598), gsoHeader(frame, GSO.TCPV6, 1440));
      expect(faultNames(machine)).toEqual(["tx-too-long"]);
    }
  });
});

describe("a checksum", () => {
  test("alone is passed on with its place, if the port finishes it, and nothing else is", () => {
    const machine = new OffloadMachine(["CSUM"]);
    machine.port.takesChecksum = true;
    const frame = gsoFrame(udp(4, 100));
    const noise = { gsoSize: 99, hdrLen: 99, flags: 0xff };
    expect(machine.sendFrame(frame.bytes, { ...checksumHeader(frame), ...noise })).toEqual([frame.bytes]);
    expect(machine.port.sentHeaders).toEqual([checksumHeader(frame)]);
  });

  test("is finished wherever the header says, whatever the protocol", () => {
    const machine = new OffloadMachine(["CSUM"]);
    const bytes = frameOf(60);
    bytes.fill(0, 14);
    bytes.set([1, 2, 3, 4, 5, 6], 50);
    const sent = machine.sendFrame(bytes, { flags: NEEDS_CSUM, csumStart: 40, csumOffset: 4 });
    // 0102 + 0304 + 0506 = 090c, and its complement.
    expect([...sent[0]!.slice(40, 60)]).toEqual([0, 0, 0, 0, 0xf6, 0xf3, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0]);
  });

  test("that was not asked for is not looked at (NTX-2, NTX-12)", () => {
    const machine = new OffloadMachine(["CSUM"]);
    expect(machine.sendFrame(frameOf(60), { csumStart: 65535, csumOffset: 65535 })).toEqual([frameOf(60)]);
    expect(machine.port.sentHeaders).toEqual([NO_OFFLOAD]);
  });

  test("leaves nothing behind for the next frame", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    machine.port.takesChecksum = true;
    machine.port.takesSegmentation = true;
    const frame = gsoFrame(tcp(4, 3000));
    machine.offerFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000));
    machine.offerFrame(frameOf(60), {});
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sentHeaders[1]).toEqual(NO_OFFLOAD);
  });
});

describe("segmentation", () => {
  test("is left to a port that takes it, but for frames that are longer than it takes", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    machine.port.takesSegmentation = true;
    machine.port.maxFrameBytes = 9000;
    const short = gsoFrame(tcp(4, 8000));
    expect(machine.sendFrame(short.bytes, gsoHeader(short, GSO.TCPV4, 1400))).toEqual([short.bytes]);
    const long = gsoFrame(tcp(4, 9000));
    expect(machine.sendFrame(long.bytes, gsoHeader(long, GSO.TCPV4, 1400))).toHaveLength(7);
  });

  test("makes no segment longer than the MTU, or the port, allows", () => {
    const limits: readonly [Feature[], number, number][] = [
      [["CSUM", "HOST_TSO4", "MTU"], 65597, 1460 + 4],
      [["CSUM", "HOST_TSO4"], 1514, 1460],
    ];
    for (const [features, maxFrameBytes, longest] of limits) {
      const machine = new OffloadMachine(features, {});
      machine.port.maxFrameBytes = maxFrameBytes;
      machine.start();
      const frame = gsoFrame(tcp(4, 4000));
      expect(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, longest))).toHaveLength(3);
      expect(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, longest + 1))).toEqual([]);
      expect(faultNames(machine)).toEqual(["tx-too-long"]);
    }
  });

  test("of a type that says ECN and nothing else is none (NCFG-6)", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4", "HOST_ECN"]);
    expect(machine.sendFrame(frameOf(60), { gsoType: GSO.ECN })).toEqual([frameOf(60)]);
    expect(machine.port.sentHeaders).toEqual([NO_OFFLOAD]);
  });

  test.each([
    ["a size of 0", { gsoSize: 0 }],
    ["no partial checksum", { flags: 0 }],
    ["a checksum field behind the end", { csumOffset: 65535 }],
    ["a checksum that begins behind the end", { csumStart: 65535 }],
    ["a checksum elsewhere", { csumStart: 14 }],
    ["the size of a single byte", { gsoSize: 1 }],
    ["the type of another protocol", { gsoType: GSO.UDP_L4 }],
    ["the type of another version", { gsoType: GSO.TCPV6 }],
  ])("with %s is a fault of its fields, and the chain comes back", (_, wrong) => {
    for (const takes of [false, true]) {
      const machine = new OffloadMachine(TRANSMIT_OFFLOADS);
      machine.port.takesChecksum = takes;
      machine.port.takesSegmentation = takes;
      const frame = gsoFrame(tcp(4, 5000));
      expect(machine.sendFrame(frame.bytes, { ...gsoHeader(frame, GSO.TCPV4, 1400), ...wrong })).toEqual([]);
      expect(faultNames(machine)).toEqual(["tx-offload-fields"]);
      expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 0, dropped: 1, checksumNeeded: 0 });
    }
  });

  test("of what is no packet at all is a fault of the fields", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4", "HOST_USO"]);
    const header = { flags: NEEDS_CSUM, gsoType: GSO.TCPV4, gsoSize: 100, csumStart: 14, csumOffset: 16 };
    for (const length of [34, 60, 1514]) machine.sendFrame(frameOf(length), header);
    expect(faultNames(machine)).toEqual(["tx-offload-fields", "tx-offload-fields", "tx-offload-fields"]);
  });

  test("counts each segment that the port refuses as dropped", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    machine.port.accepts = false;
    const frame = gsoFrame(tcp(4, 4000));
    expect(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000))).toEqual([]);
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 0, bytes: 0, dropped: 4 });
  });

  test("without a link is not begun", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    machine.card.setLinkUp(false, machine.nowNs);
    const frame = gsoFrame(tcp(4, 4000));
    machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000));
    expect(machine.card.statistics.queues[TX]).toMatchObject({ frames: 0, dropped: 1, segments: 0 });
  });

  test("counts against the budget of a poll as all that it makes", () => {
    for (const pieces of [[], [100]]) {
      const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
      machine.poll();
      const frame = gsoFrame(tcp(4, 10000));
      for (let i = 0; i < 3; i++) machine.offerFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000), pieces);
      machine.kick(TX);
      expect(machine.poll(15)).toBe(20);
      expect(machine.taken(TX)).toHaveLength(2);
      expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs);
      expect(machine.poll(15)).toBe(10);
      expect(machine.port.sent).toHaveLength(30);
      expect(machine.card.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("goes on in the same staging area if the port makes memory grow", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"], { stagingBytes: 65664 });
    const shape = tcp(4, 5000);
    const frame = gsoFrame(shape);
    const transmit = machine.port.transmit.bind(machine.port);
    machine.port.transmit = (sent) => {
      const taken = transmit(sent);
      const old = machine.memory.u8;
      const grown = new Uint8Array(old.length + 65536);
      grown.set(old);
      machine.memory.rebind(grown.buffer);
      // A buffer that was left behind is detached.
      old.fill(0xee);
      return taken;
    };
    machine.offerFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000));
    machine.kick(TX);
    machine.poll();
    expect(payloadReceived(machine.port.sent)).toEqual([...shape.payload]);
  });

  test("ends where the port resets the card, or suspends it", () => {
    for (const status of [0, 31]) {
      for (const pieces of [[], [100]]) {
        const machine = new OffloadMachine(["CSUM", "HOST_TSO4", "SUSPEND"]);
        machine.port.onTransmit = () => {
          if (machine.port.sent.length === 2) machine.write(REG.STATUS, status);
        };
        const frame = gsoFrame(tcp(4, 10000));
        machine.offerFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000), pieces);
        machine.kick(TX);
        machine.poll();
        expect(machine.port.sent).toHaveLength(3);
        machine.port.onTransmit = null;
        machine.start();
        expect(machine.sendFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000))).toHaveLength(10);
      }
    }
  });

  test("of a frame that a port has thrown at leaves the card able to send", () => {
    const machine = new OffloadMachine(["CSUM", "HOST_TSO4"]);
    const frame = gsoFrame(tcp(4, 10000));
    machine.port.onTransmit = () => {
      if (machine.port.sent.length === 2) throw new Error("the wire is on fire");
    };
    machine.offerFrame(frame.bytes, gsoHeader(frame, GSO.TCPV4, 1000));
    machine.kick(TX);
    expect(() => machine.poll()).toThrow("on fire");
    machine.port.onTransmit = null;
    machine.port.sent.length = 0;
    machine.offerFrame(frameOf(60), {});
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toEqual([frameOf(60)]);
    expect(machine.port.sentHeaders.at(-1)).toEqual(NO_OFFLOAD);
    expect(machine.taken(TX)).toHaveLength(2);
  });
});
