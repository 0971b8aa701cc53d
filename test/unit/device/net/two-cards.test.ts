import { expect, test } from "vitest";
import { type Frame, type FramePort, LoopbackPort } from "../../../../src/device/index.ts";
import type { Feature } from "../../../rings/card-machine.ts";
import { GSO, gsoFrame, payloadOf, readPacket, reassemble, type Shape } from "../../../rings/gso-frames.ts";
import {
  checksumHeader,
  gsoHeader,
  OffloadMachine,
  RECEIVE_OFFLOADS,
  RINGS,
  TRANSMIT_OFFLOADS,
} from "../../../rings/offload-machine.ts";

/** One end of a cable between two cards, which is two loops: what goes into one comes out at the other end. */
class CableEnd implements FramePort {
  readonly #out: LoopbackPort;
  readonly #in: LoopbackPort;

  constructor(out: LoopbackPort, into: LoopbackPort) {
    this.#out = out;
    this.#in = into;
  }
  get maxFrameBytes(): number {
    return this.#out.maxFrameBytes;
  }
  get takesChecksum(): boolean {
    return this.#out.takesChecksum;
  }
  get takesSegmentation(): boolean {
    return this.#out.takesSegmentation;
  }
  receive(frame: Frame, nowNs: number): boolean {
    return this.#in.receive(frame, nowNs);
  }
  nextArrivalNs(): number {
    return this.#in.nextArrivalNs();
  }
  transmit(frame: Frame, nowNs: number): boolean {
    return this.#out.transmit(frame, nowNs);
  }
}

const FRAMES: readonly [Shape, number][] = [
  [{ version: 4, protocol: "tcp", payload: payloadOf(500) }, GSO.NONE],
  [{ version: 4, protocol: "tcp", payload: payloadOf(40000) }, GSO.TCPV4],
  [{ version: 6, protocol: "tcp", payload: payloadOf(65515), flags: 0x90 }, GSO.TCPV6 | GSO.ECN],
  [{ version: 4, protocol: "udp", payload: payloadOf(30000) }, GSO.UDP_L4],
  [{ version: 6, protocol: "udp", payload: payloadOf(30000) }, GSO.UDP],
];

for (const ring of RINGS) {
  const pairOf = (receives: readonly Feature[]) => {
    const [there, back] = [new LoopbackPort(8), new LoopbackPort(8)];
    const sender = new OffloadMachine(TRANSMIT_OFFLOADS, { ring, port: new CableEnd(there, back) });
    const receiver = new OffloadMachine(receives, { ring, port: new CableEnd(back, there), buffers: 50 });
    return { sender, receiver };
  };

  test(`a cable carries whole frames with their headers from card to card (${ring})`, () => {
    const { sender, receiver } = pairOf(RECEIVE_OFFLOADS);
    for (const [shape, gsoType] of FRAMES) {
      const frame = gsoFrame(shape);
      const header = gsoType === GSO.NONE ? checksumHeader(frame) : gsoHeader(frame, gsoType, 1400);
      sender.sendFrame(frame.bytes, header);
      const [received, ...rest] = receiver.arrive();
      expect(rest).toEqual([]);
      const { numBuffers, hash, ...whole } = received!;
      expect(whole).toEqual({ ...header, bytes: frame.bytes });
    }
    expect(sender.card.statistics.queues[1]).toMatchObject({ frames: 5, gsoFramesWhole: 4, segments: 0 });
  });

  test(`a driver at its other end that takes nothing gets finished frames (${ring})`, () => {
    const { sender, receiver } = pairOf([]);
    for (const [shape, gsoType] of FRAMES) {
      const frame = gsoFrame(shape);
      sender.sendFrame(frame.bytes, gsoType === GSO.NONE ? checksumHeader(frame) : gsoHeader(frame, gsoType, 1400));
      const packets = receiver.arrive().map(({ bytes }) => readPacket(bytes));
      const payload = gsoType === GSO.UDP ? reassemble(packets).slice(8) : packets.flatMap((packet) => packet.payload);
      expect(payload).toEqual([...shape.payload]);
    }
  });
}
