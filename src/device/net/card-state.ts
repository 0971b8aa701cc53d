/**
 * A card between two polls as plain values, fit for JSON, so that an emulator can save and restore it with its machine.
 * Guest memory, the port and the transport's registers are not in it: memory is the emulator's, transports save their own.
 */

import { flag, integerIn, orNull } from "../saved-value.ts";
import { INTERRUPT_CONFIG_CHANGE, INTERRUPT_USED_BUFFER } from "../spec/virtio.ts";
import { checkThrottleState, type ThrottleState } from "../throttle/throttle-state.ts";
import type { ConfigState } from "./config-space.ts";
import type { FeatureState } from "./features.ts";
import type { InterruptRoutingState } from "./interrupt-routing.ts";
import type { HeldChanges } from "./link-changes.ts";
import type { QueueBankState } from "./queue-bank.ts";
import type { StatisticsState } from "./statistics.ts";

export const CARD_STATE_FORMAT = "spillway-card";
/** Grows with every change that an older card cannot read. */
export const CARD_STATE_VERSION = 1;

/** What has to be the same in the card that goes on. */
export interface CardShape {
  readonly pairs: number;
  readonly queueSizeMax: number;
  readonly vectors: number;
  readonly vcpus: number;
}

export interface CardState extends HeldChanges {
  readonly format: typeof CARD_STATE_FORMAT;
  readonly version: typeof CARD_STATE_VERSION;
  readonly shape: CardShape;
  readonly features: FeatureState;
  readonly config: ConfigState;
  /** The device status register. */
  readonly status: number;
  readonly interruptStatus: number;
  readonly routing: InterruptRoutingState;
  readonly queues: QueueBankState;
  readonly throttle: ThrottleState;
  readonly statistics: StatisticsState;
}

/**
 * Throws a RangeError that says what differs, unless `state` is one of a card of this shape. The parts of a card look at
 * their own states, but the throttle's is looked at here: it holds what the host has programmed, which must outlast a refusal.
 */
export function checkCardState(state: CardState, shape: CardShape): void {
  if (typeof state !== "object" || state === null || state.format !== CARD_STATE_FORMAT) {
    throw new RangeError(`saved state: format is ${String(state?.format)}, it must be ${CARD_STATE_FORMAT}`);
  }
  if (state.version !== CARD_STATE_VERSION) {
    throw new RangeError(`saved state: version is ${state.version}, this card reads ${CARD_STATE_VERSION}`);
  }
  for (const name of ["pairs", "queueSizeMax", "vectors", "vcpus"] as const) {
    if (state.shape?.[name] !== shape[name]) {
      throw new RangeError(`saved state: ${name} is ${state.shape?.[name]}, but this card has ${shape[name]}`);
    }
  }
  integerIn(0, INTERRUPT_USED_BUFFER | INTERRUPT_CONFIG_CHANGE)("interruptStatus", state.interruptStatus);
  orNull(flag)("heldLinkUp", state.heldLinkUp);
  flag("heldAnnouncement", state.heldAnnouncement);
  checkThrottleState(state.throttle, shape.vectors, shape.vcpus);
}
