/**
 * Changes of the link, and requests to announce it: shown to the driver at once, or held back while it has suspended the
 * card, for then nothing in the configuration space moves (SUSPEND-3, SUSPEND-4).
 */

import { NET_F_GUEST_ANNOUNCE } from "../spec/virtio-net.ts";
import type { Throttle } from "../throttle/throttle.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { DeviceStatus } from "./device-status.ts";
import type { FeatureNegotiation } from "./features.ts";

/** What they concern; all of it belongs to the card. */
export interface LinkChangesParts {
  readonly features: FeatureNegotiation;
  readonly config: ConfigSpace;
  readonly status: DeviceStatus;
  readonly throttle: Throttle;
  /** Told of the link before the driver is. */
  readonly paths: { setLinkUp(up: boolean): void };
}

/** What waits for the driver to resume the card. */
export interface HeldChanges {
  /** Null if the link has not changed since. */
  readonly heldLinkUp: boolean | null;
  readonly heldAnnouncement: boolean;
}

export class LinkChanges {
  readonly #parts: LinkChangesParts;
  #heldLinkUp: boolean | null = null;
  #heldAnnouncement = false;

  constructor(parts: LinkChangesParts) {
    this.#parts = parts;
  }

  /** The cable was plugged in or pulled out. */
  setLinkUp(up: boolean, nowNs: number): void {
    const { config, status, throttle, paths } = this.#parts;
    if (status.suspended) {
      this.#heldLinkUp = up;
      return;
    }
    paths.setLinkUp(up);
    if (config.setLinkUp(up) && status.driverReady) throttle.configChanged(nowNs);
  }

  /** Asks the driver for gratuitous packets (§5.1.9.5.4). */
  announce(nowNs: number): void {
    const { features, config, status, throttle } = this.#parts;
    if (!features.has(NET_F_GUEST_ANNOUNCE)) return;
    if (status.suspended) {
      this.#heldAnnouncement = true;
      return;
    }
    if (config.setAnnouncing(true) && status.driverReady) throttle.configChanged(nowNs);
  }

  /** The driver has resumed the card (SUSPEND-5). */
  resume(nowNs: number): void {
    this.#showLink(nowNs);
    if (this.#heldAnnouncement) this.announce(nowNs);
    this.#heldAnnouncement = false;
  }

  /** The device was reset: the link stays what it is, but nobody is left to announce it to. */
  reset(nowNs: number): void {
    this.#heldAnnouncement = false;
    this.#showLink(nowNs);
  }

  #showLink(nowNs: number): void {
    const up = this.#heldLinkUp;
    this.#heldLinkUp = null;
    if (up !== null) this.setLinkUp(up, nowNs);
  }

  saveState(): HeldChanges {
    return { heldLinkUp: this.#heldLinkUp, heldAnnouncement: this.#heldAnnouncement };
  }

  /**
   * To be called once status and configuration are restored.
   * @throws RangeError if changes wait though the card is not suspended
   */
  restoreState({ heldLinkUp, heldAnnouncement }: HeldChanges): void {
    const { config, status, paths } = this.#parts;
    if (!status.suspended && (heldLinkUp !== null || heldAnnouncement)) {
      throw new RangeError(`saved state: changes wait for a resume, but status ${status.value} is not suspended`);
    }
    this.#heldLinkUp = heldLinkUp;
    this.#heldAnnouncement = heldAnnouncement;
    paths.setLinkUp(config.linkUp);
  }
}
