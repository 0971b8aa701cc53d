/**
 * The card's state in v86's own saved states. v86 saves what its devices give, in an array with a place for each device
 * that it knows; ours is that of its own virtio-net, which a machine with our card does not have. The tag tells the two
 * apart.
 */

import type { CardState, PciTransportState } from "../../device/index.ts";
import { VIRTIO_BAR } from "../../device/transport/pci-layout.ts";
import type { AttachedParts } from "./attached-card.ts";

const TAG = "spillway-v86";
const VERSION = 1;
/** The place of v86's virtio-net in its states. */
export const STATE_INDEX = 83;

/** What v86 takes for its virtio-net: whoever keeps a state, and has to hear of a reset of the machine. */
export class StateSlot {
  readonly get_state: () => unknown[];
  readonly reset: () => void;

  constructor(getState: () => unknown[], reset: () => void) {
    this.get_state = getState;
    this.reset = reset;
  }

  /** Nothing yet: memory is restored after the devices, and the card's rings lie in it. */
  set_state(): void {}
}

interface SavedCard {
  /** Where the guest's driver has found the card. */
  readonly slot: number;
  readonly bar: string;
  readonly card: CardState;
  readonly transport: PciTransportState;
  readonly due: readonly number[];
}

/** What v86 is to keep: it takes arrays of plain values. */
export function saveCard(parts: AttachedParts, nowNs: number): unknown[] {
  const { card, transport, pins } = parts;
  const saved: SavedCard = {
    ...placeOf(parts),
    card: card.saveState(nowNs),
    transport: transport.saveState(),
    due: pins.saveState(),
  };
  return [TAG, VERSION, JSON.stringify(saved)];
}

/**
 * What `saveCard` gave, or null for a state that was saved without our card.
 * @throws RangeError if it is of another version
 */
export function savedCardIn(state: unknown): SavedCard | null {
  if (!Array.isArray(state) || state[0] !== TAG) return null;
  if (state[1] !== VERSION) {
    throw new RangeError(`saved state: got ${TAG} version ${String(state[1])}, this spillway reads version ${VERSION}`);
  }
  return JSON.parse(String(state[2])) as SavedCard;
}

/** @throws RangeError if the state is of another kind of card, or of one in another place */
export function restoreCard(saved: SavedCard, parts: AttachedParts, nowNs: number): void {
  const { slot, bar } = placeOf(parts);
  if (saved.slot !== slot || saved.bar !== bar) {
    throw new RangeError(
      `saved state: the card was in slot ${saved.slot} with its registers in ${saved.bar} space, ` +
        `this one is in slot ${slot} with them in ${bar} space; attach it as it was`,
    );
  }
  parts.card.restoreState(saved.card, nowNs);
  parts.transport.restoreState(saved.transport, nowNs);
  parts.pins.restoreState(saved.due);
}

function placeOf({ slot, transport }: AttachedParts): { slot: number; bar: string } {
  return { slot: slot.pciId >> 3, bar: transport.bar(VIRTIO_BAR)!.kind };
}
