import type { ApplicationOptions } from "../../guest/applications/make-application.ts";
import type { DriverOptions } from "../../guest/driver-options.ts";
import type { GuestSpec, Scenario } from "../scenario/scenario.ts";
import { WIRE_MAC } from "../traffic/stamped-frames.ts";
import { longestFrameBytes } from "./wire.ts";

/** What a scenario means for one guest's card, driver and application: the same in both engines. */

const RECEIVE_BUFFER_BYTES = 1536;
const HEADERS_BYTES = 12 + 14;
const LONGEST_HEADERS_BYTES = 20 + 14;
const ETHERNET_HEADER_BYTES = 14;
const MTU_USUAL = 1500;

/** The scenario's MTU, or what a small ring can take as one frame: a driver refuses a device whose frames do not fit. */
export function cardMtu(scenario: Scenario, guest: GuestSpec): number {
  return Math.min(scenario.mtu, guest.ring * RECEIVE_BUFFER_BYTES - HEADERS_BYTES);
}

/** The MTU of what the guest sends: transmit buffers are made for it, so it is no larger than it need be. */
function sendMtu(scenario: Scenario, guest: GuestSpec): number {
  if (guest.app === "echo") return cardMtu(scenario, guest);
  return Math.min(scenario.mtu, Math.max(MTU_USUAL, guest.sendBytes - ETHERNET_HEADER_BYTES));
}

export function driverOptions(
  scenario: Scenario,
  guest: GuestSpec,
): Pick<DriverOptions, "ring" | "mtu" | "refillBatch"> {
  return { ring: guest.ring, mtu: sendMtu(scenario, guest), refillBatch: scenario.costs.refillBatch };
}

export function applicationOptions(guest: GuestSpec, guestIndex: number): Partial<ApplicationOptions> {
  return {
    kind: guest.app,
    sendBytes: guest.sendBytes,
    sendCount: guest.sendCount,
    flow: guestIndex,
    peerMac: WIRE_MAC,
  };
}

/** Bytes of the area in which a card gathers what the guest sends. */
export function sendStagingBytes(scenario: Scenario): number {
  return longestFrameBytes(scenario) + LONGEST_HEADERS_BYTES;
}

/** Traffic has ended for this long before a run is over: whatever can still happen has happened by then. */
export const SETTLE_NS = 100e6;
