/** What an embedder says about its card, and what of it goes together. */

import { checkFlags, checkFunction, checkInstance, checkList, checkMethods, checkObject } from "../embedder-parts.ts";
import type { InterruptSink } from "../interrupts.ts";
import type { FramePort } from "../link/frame-port.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import type { CardObserver } from "../observer.ts";
import { shownValue } from "../shown-value.ts";
import { QUEUE_SIZE_MAX } from "../spec/split-ring.ts";
import { ETHERNET_HEADER_BYTES, NET_F_MQ, NET_F_RSS } from "../spec/virtio-net.ts";
import type { FeatureName } from "./feature-table.ts";
import { FeatureNegotiation } from "./features.ts";
import { GSO_STAGING_BYTES, type StagingArea } from "./frame-staging.ts";

export interface NetCardOptions {
  readonly memory: GuestMemory;
  readonly port: FramePort;
  readonly interrupts: InterruptSink;
  /** Six bytes of a unicast address. */
  readonly mac: ArrayLike<number>;
  /** Largest payload of a frame, 68…65535 bytes; default 1500. */
  readonly mtu?: number;
  /** Largest size that the driver may give a queue, a power of two up to 32768; default 1024. */
  readonly queueSizeMax?: number;
  /** Pairs of a receive and a transmit queue, 1…32768; default 1. More than one needs MQ or RSS. */
  readonly pairs?: number;
  /** Features not to offer; what needs them is withheld too. */
  readonly withhold?: readonly FeatureName[];
  /** Features to offer that are not by default: STANDBY. */
  readonly extra?: readonly FeatureName[];
  /** Exactly what to offer, in place of all that the card can do. */
  readonly offer?: readonly FeatureName[];
  readonly observer?: CardObserver;
  /** vCPUs of the guest; default 1. */
  readonly vcpus?: number;
  /** Interrupt vectors; default 1, as MMIO has. PCI shows them as its MSI-X table. */
  readonly vectors?: number;
  /** Where transmitted frames are gathered; by default memory of the card's own. */
  readonly txStaging?: StagingArea;
  /** Speed of the link in Mbit/s, up to 2^31 - 1; unknown if left out. */
  readonly speedMbps?: number;
  /** Unknown if left out. */
  readonly duplex?: "half" | "full";
}

export const MTU_DEFAULT = 1500;
export const QUEUE_SIZE_DEFAULT = 1024;

/** Throws RangeError unless the card is given all that it will call. */
export function checkParts(options: NetCardOptions): void {
  checkObject("options", options, "an object with memory, port, interrupts and mac");
  const { memory, port, interrupts, observer = null, txStaging } = options;
  checkInstance("memory", memory, GuestMemory);
  checkMethods("port", port, "a FramePort", ["receive", "nextArrivalNs", "transmit"]);
  checkFlags("port", port, ["takesChecksum", "takesSegmentation"]);
  checkMethods("interrupts", interrupts, "an InterruptSink", ["notify", "wake"]);
  for (const name of ["withhold", "extra", "offer"] as const) {
    if (options[name] !== undefined) checkList(name, options[name]);
  }
  if (txStaging !== undefined) {
    checkObject("txStaging", txStaging, "a StagingArea");
    checkInstance("txStaging.bytes", txStaging.bytes, Uint8Array);
  }
  if (observer === null) return;
  checkMethods("observer", observer, "a CardObserver", ["arrived", "delivered", "dropped", "cause"]);
  if (observer.fault !== undefined) checkFunction("observer.fault", observer.fault);
}

/**
 * The features that a card with these options offers.
 * @throws RangeError if they were asked for something that cannot be had
 */
export function negotiationFor(options: NetCardOptions): FeatureNegotiation {
  const { pairs = 1, txStaging, withhold, offer } = options;
  const translated = options.memory.translator !== null;
  const unavailable = new Map<FeatureName, string>();
  if (pairs === 1) for (const name of ["MQ", "RSS"] as const) unavailable.set(name, "pairs is 1, it must be 2 or more");
  if (!translated) unavailable.set("ACCESS_PLATFORM", "guest memory has no translator");
  else if (withhold?.includes("ACCESS_PLATFORM") || (offer !== undefined && !offer.includes("ACCESS_PLATFORM"))) {
    throw new RangeError("ACCESS_PLATFORM is not offered, but guest memory has a translator: its driver must know");
  }
  if (txStaging !== undefined && txStaging.lengthBytes < GSO_STAGING_BYTES) {
    for (const name of ["HOST_TSO4", "HOST_TSO6", "HOST_ECN", "HOST_UFO", "HOST_USO"] as const) {
      unavailable.set(name, `txStaging has ${txStaging.lengthBytes} bytes, it must have ${GSO_STAGING_BYTES}`);
    }
  }
  const platform: FeatureName[] = translated && offer === undefined ? ["ACCESS_PLATFORM"] : [];
  const extra = [...platform, ...(options.extra ?? [])];
  const features = new FeatureNegotiation({ withhold, extra, offer, unavailable });
  if (pairs > 1 && !features.isOffered(NET_F_MQ) && !features.isOffered(NET_F_RSS)) {
    throw new RangeError(`pairs is ${pairs}, but neither MQ nor RSS is offered; without them it must be 1`);
  }
  return features;
}

/** Throws RangeError unless `sizeMax` is a queue size, and `port` takes the frames that the card must forward (NCFG-6). */
export function checkPortAndSize(port: FramePort, mtu: number, sizeMax: number): void {
  if (!Number.isInteger(sizeMax) || sizeMax < 1 || sizeMax > QUEUE_SIZE_MAX || (sizeMax & (sizeMax - 1)) !== 0) {
    throw new RangeError(
      `queueSizeMax is ${shownValue(sizeMax)}; it must be a power of two from 1 to ${QUEUE_SIZE_MAX}`,
    );
  }
  const owedBytes = mtu + ETHERNET_HEADER_BYTES;
  if (typeof port.maxFrameBytes !== "number" || !(port.maxFrameBytes >= owedBytes)) {
    throw new RangeError(
      `port.maxFrameBytes is ${shownValue(port.maxFrameBytes)}; with mtu ${mtu} it must be at least ${owedBytes}`,
    );
  }
}
