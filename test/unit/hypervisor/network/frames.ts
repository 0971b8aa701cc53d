import { Frame, type FramePort } from "../../../../src/device/link/frame-port.ts";

/** A station's Ethernet address: locally administered, with the number in its last bytes. */
export function stationMac(station: number): number[] {
  return [0x02, 0, 0, (station >>> 16) & 0xff, (station >>> 8) & 0xff, station & 0xff];
}

export const BROADCAST: readonly number[] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/** A frame of `lengthBytes`, its bytes behind the addresses made from `id`; it does not begin at its array's begin. */
export function frameBetween(to: readonly number[], from: readonly number[], id: number, lengthBytes = 60): Frame {
  const bytes = new Uint8Array(12 + lengthBytes);
  bytes.set([...to, ...from].slice(0, lengthBytes), 12);
  for (let i = 12; i < lengthBytes; i++) bytes[12 + i] = id + 7 * i;
  const frame = new Frame(bytes);
  frame.offset = 12;
  frame.lengthBytes = lengthBytes;
  frame.id = id;
  return frame;
}

/** All that a frame carries, as plain values. */
export interface Received {
  readonly id: number;
  readonly content: number[];
  readonly offloads: readonly (number | boolean)[];
}

export function contentOf(frame: Frame): Received {
  const { id, bytes, offset, lengthBytes, flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, urgent } = frame;
  return {
    id,
    content: [...bytes.slice(offset, offset + lengthBytes)],
    offloads: [flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, urgent],
  };
}

/** Takes frames from a port, at most `max`. */
export function drain(port: FramePort, max = Number.POSITIVE_INFINITY, nowNs = 0): Received[] {
  const frame = new Frame(new Uint8Array(0));
  const received: Received[] = [];
  while (received.length < max && port.receive(frame, nowNs)) received.push(contentOf(frame));
  return received;
}
