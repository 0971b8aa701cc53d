import type { GuestSpec, Scenario } from "../scenario/scenario.ts";
import { FrameSink } from "../traffic/frame-sink.ts";
import { makeSource } from "../traffic/make-source.ts";
import { RequestPort } from "../traffic/request-port.ts";
import { areaBytes, StampedFrames } from "../traffic/stamped-frames.ts";
import { TrafficPort } from "../traffic/traffic-port.ts";

/** Until `begin` says when the traffic starts, no frame is due. */
const NOT_BEGUN = Number.POSITIVE_INFINITY;
const ETHERNET_HEADER_BYTES = 14;

/** One guest's wire: the port that its card is plugged into, and where the frames that it sends end. */
export interface Wire {
  readonly port: TrafficPort | RequestPort;
  readonly sink: FrameSink;
}

/** Where frames are staged: part of the guest's own memory, out of the guest's reach. */
export interface Staging {
  readonly bytes: Uint8Array;
  readonly startOffset: number;
  readonly lengthBytes: number;
}

export function stagingBytesFor(scenario: Scenario): number {
  return areaBytes(longestFrameBytes(scenario));
}

/** The longest frame of a scenario's link, in bytes. */
export function longestFrameBytes(scenario: Scenario): number {
  return scenario.mtu + ETHERNET_HEADER_BYTES;
}

/** The guest's Ethernet address: locally administered, with its index in the last two bytes. */
export function macOf(guestIndex: number): readonly number[] {
  return [0x02, 0x53, 0x50, 0x57, guestIndex >>> 8, guestIndex & 0xff];
}

/** What is to be known of a guest's traffic, each with its name. */
export function namedNotes(guestName: string, wire: Wire): readonly string[] {
  return wire.port.notes.map((note) => `${guestName}: ${note}`);
}

/** Throws UserError for traffic that cannot be played or never ends. */
export function makeWire(scenario: Scenario, guest: GuestSpec, guestIndex: number, staging: Staging): Wire {
  const sink = new FrameSink();
  const frames = new StampedFrames({
    ...staging,
    slotBytes: longestFrameBytes(scenario),
    destinationMac: macOf(guestIndex),
    seed: scenario.seed + guestIndex,
  });
  const { traffic } = guest;
  if (traffic.kind === "requests") {
    const { outstanding, thinkNs, lengthBytes, count } = traffic;
    const { durationNs } = scenario;
    const port = new RequestPort({
      frames,
      sink,
      outstanding,
      thinkNs,
      lengthBytes,
      count,
      durationNs,
      startNs: NOT_BEGUN,
    });
    return { sink, port };
  }
  const { speed, seed, linkRateBps, durationNs, maxGapNs } = scenario;
  const source = makeSource(traffic, { speed, seed, linkRateBps, durationNs, maxGapNs, guestIndex });
  const port = new TrafficPort({ source, frames, sink, startNs: NOT_BEGUN, linkRateBps });
  return { sink, port };
}
