import { byte, integerIn, numberIn, record } from "../saved-value.ts";
import {
  URGENT_CREDITS_MAX,
  URGENT_FILTER_CONTROL,
  URGENT_FILTER_MARKED,
  URGENT_FILTER_OFF,
  URGENT_FILTER_SHORT,
  URGENT_SHORT_BYTES,
} from "../spec/throttle-registers.ts";
import { pastTime, restoredTime, type SavedTime, savedTime } from "./saved-time.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;

/** The part of a frame that a filter looks at. */
export interface FilteredFrame {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly urgent: boolean;
}

/** True if filter `filterId` (URGENT_FILTER_*) matches the frame. */
export function matchesUrgentFilter(filterId: number, frame: FilteredFrame): boolean {
  switch (filterId) {
    case URGENT_FILTER_MARKED:
      return frame.urgent;
    case URGENT_FILTER_SHORT:
      return frame.lengthBytes <= URGENT_SHORT_BYTES;
    case URGENT_FILTER_CONTROL:
      return isControlTraffic(frame);
    default:
      return false;
  }
}

function isControlTraffic(frame: FilteredFrame): boolean {
  const { bytes, offset, lengthBytes } = frame;
  let at = 12;
  if (lengthBytes < at + 2) return false;
  let ethertype = (bytes[offset + at]! << 8) | bytes[offset + at + 1]!;
  if (ethertype === ETHERTYPE_VLAN && lengthBytes >= at + 6) {
    at += 4;
    ethertype = (bytes[offset + at]! << 8) | bytes[offset + at + 1]!;
  }
  if (ethertype === ETHERTYPE_ARP) return true;
  const header = offset + at + 2;
  if (ethertype === ETHERTYPE_IPV4) return lengthBytes >= at + 2 + 20 && bytes[header + 9] === PROTOCOL_ICMP;
  if (ethertype === ETHERTYPE_IPV6) return lengthBytes >= at + 2 + 40 && bytes[header + 6] === PROTOCOL_ICMPV6;
  return false;
}

/**
 * The credits that bound urgent interrupts (R11), after Intel's low-latency interrupt moderation: they grow at a steady
 * rate, saturate at 31, and each bypass costs one.
 */
export class UrgentCredits {
  filterId = URGENT_FILTER_OFF;
  creditsPerS = 0;
  #credits = 0;
  #countedAtNs = 0;

  /** Programs filter and rate; the bucket starts full. */
  program(filterId: number, creditsPerS: number, nowNs: number): void {
    this.filterId = filterId;
    this.creditsPerS = creditsPerS;
    this.#credits = creditsPerS > 0 ? URGENT_CREDITS_MAX : 0;
    this.#countedAtNs = nowNs;
  }

  saveState(nowNs: number): UrgentCreditsState {
    return {
      filterId: this.filterId,
      creditsPerS: this.creditsPerS,
      credits: this.#credits,
      counted: savedTime(this.#countedAtNs, nowNs),
    };
  }

  restoreState(state: UrgentCreditsState, nowNs: number): void {
    this.filterId = state.filterId;
    this.creditsPerS = state.creditsPerS;
    this.#credits = state.credits;
    this.#countedAtNs = restoredTime(state.counted, nowNs, nowNs);
  }

  /** Takes one credit if there is one. */
  take(nowNs: number): boolean {
    const earned = ((nowNs - this.#countedAtNs) * this.creditsPerS) / 1e9;
    this.#credits = Math.min(URGENT_CREDITS_MAX, this.#credits + earned);
    this.#countedAtNs = nowNs;
    if (this.#credits < 1) return false;
    this.#credits -= 1;
    return true;
  }
}

export const checkUrgentCredits = record({
  filterId: byte,
  creditsPerS: integerIn(0, 0xffffff),
  credits: numberIn(0, URGENT_CREDITS_MAX),
  counted: pastTime,
});

export interface UrgentCreditsState {
  readonly filterId: number;
  readonly creditsPerS: number;
  readonly credits: number;
  readonly counted: SavedTime;
}
