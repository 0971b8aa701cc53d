/** What the driver has set through the control queue, and what a reset takes back. */

import type { Throttle } from "../throttle/throttle.ts";
import { Coalescing, type CoalescingState } from "./coalescing.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { FeatureNegotiation } from "./features.ts";
import { GuestOffloads, type GuestOffloadsState } from "./guest-offloads.ts";
import type { QueueNumbering } from "./queue-numbering.ts";
import { ReceiveFilter, type ReceiveFilterState } from "./receive-filter.ts";
import { Steering, type SteeringState } from "./steering.ts";

export class DriverSettings {
  readonly coalescing: Coalescing;
  readonly filter: ReceiveFilter;
  readonly steering: Steering;
  readonly guestOffloads: GuestOffloads;

  /** `isLive` tells whether the queue of a slot lives. */
  constructor(
    features: FeatureNegotiation,
    config: ConfigSpace,
    throttle: Throttle,
    numbering: QueueNumbering,
    isLive: (slot: number) => boolean,
  ) {
    this.coalescing = new Coalescing(throttle, numbering, isLive);
    this.filter = new ReceiveFilter(features, config.mac);
    this.steering = new Steering(numbering.pairs, (pair) => isLive(2 * pair));
    this.guestOffloads = new GuestOffloads(features);
  }

  /** Features were negotiated, and hold from here on. */
  begin(): void {
    this.filter.update();
    this.guestOffloads.begin();
  }

  reset(): void {
    this.coalescing.reset();
    this.filter.reset();
    this.steering.reset();
    this.guestOffloads.reset();
  }

  saveState(): DriverSettingsState {
    return {
      coalescing: this.coalescing.saveState(),
      filter: this.filter.saveState(),
      steering: this.steering.saveState(),
      guestOffloads: this.guestOffloads.saveState(),
    };
  }

  /** To be called after `begin`, and before queues are attached to the throttle. */
  restoreState(state: DriverSettingsState): void {
    this.coalescing.restoreState(state.coalescing);
    this.filter.restoreState(state.filter);
    this.steering.restoreState(state.steering);
    this.guestOffloads.restoreState(state.guestOffloads);
  }
}

export interface DriverSettingsState {
  readonly coalescing: CoalescingState;
  readonly filter: ReceiveFilterState;
  readonly steering: SteeringState;
  readonly guestOffloads: GuestOffloadsState;
}
