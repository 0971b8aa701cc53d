/**
 * Which received frames the driver wants (virtio 1.4 §5.1.9.5.1 … §5.1.9.5.3). A frame that it does not want is no loss.
 *
 * By destination: its kind is let through as a whole (a driver without CTRL_RX has asked for no filter, so all are), or by
 * address: the card's own, broadcast, and the driver's table. What was suppressed stays out. Then by VLAN, tagged frames
 * only. In promiscuous mode everything passes, whatever else is set (NRXF-2, NRXF-3).
 */

import type { Frame } from "../link/frame-port.ts";
import { integerIn, listOf, record, word32 } from "../saved-value.ts";
import { ETHERNET_HEADER_BYTES, NET_F_CTRL_RX, NET_F_CTRL_VLAN, VLAN_TAG_BYTES } from "../spec/virtio-net.ts";
import {
  CTRL_RX_ALLMULTI,
  CTRL_RX_ALLUNI,
  CTRL_RX_NOBCAST,
  CTRL_RX_NOMULTI,
  CTRL_RX_NOUNI,
  CTRL_RX_PROMISC,
} from "../spec/virtio-net-control.ts";
import type { FeatureNegotiation } from "./features.ts";
import { checkMacTable, MAC_BYTES, MacTable, type MacTableState } from "./mac-table.ts";

const ETHERTYPE_VLAN = 0x8100;
const VLAN_IDS = 4096;
const MODES = CTRL_RX_NOBCAST + 1;
const HEADER_BYTES = ETHERNET_HEADER_BYTES;
const TAGGED_HEADER_BYTES = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
const ALL_ONES_HIGH = 0xffff;
const ALL_ONES_LOW = 0xffffffff;

export class ReceiveFilter {
  /** The driver's tables of addresses. */
  readonly unicast = new MacTable();
  readonly multicast = new MacTable();
  readonly #features: FeatureNegotiation;
  readonly #mac: Uint8Array;
  // Indexed by CTRL_RX_*: 1 if on.
  readonly #modes = new Uint8Array(MODES);
  readonly #vlans = new Uint32Array(VLAN_IDS / 32);
  // What follows from all that: kinds that pass as a whole, and whether anything is filtered at all.
  #passesAll = true;
  #filtersVlans = false;
  #passesUnicast = true;
  #passesMulticast = true;

  /** `mac` is the card's own address, as it stands. */
  constructor(features: FeatureNegotiation, mac: Uint8Array) {
    this.#features = features;
    this.#mac = mac;
  }

  /** True if the driver wants every frame. */
  get passesAll(): boolean {
    return this.#passesAll;
  }

  /** True if the driver wants the frame. */
  accepts(frame: Frame): boolean {
    return this.#passesAll || this.#examine(frame);
  }

  #examine(frame: Frame): boolean {
    const { bytes, offset: at, lengthBytes } = frame;
    if (lengthBytes < HEADER_BYTES) return false;
    const high = (bytes[at]! << 8) | bytes[at + 1]!;
    const low = ((bytes[at + 2]! << 24) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!) >>> 0;
    return this.#wantsDestination(high, low) && (!this.#filtersVlans || this.#wantsVlan(bytes, at, lengthBytes));
  }

  /** `high` and `low` are the upper 16 and the lower 32 bits of the address. */
  #wantsDestination(high: number, low: number): boolean {
    const modes = this.#modes;
    if (high === ALL_ONES_HIGH && low === ALL_ONES_LOW) return modes[CTRL_RX_NOBCAST] === 0;
    if ((high & 0x100) !== 0) {
      return modes[CTRL_RX_NOMULTI] === 0 && (this.#passesMulticast || this.multicast.has(high, low));
    }
    if (modes[CTRL_RX_NOUNI] !== 0) return false;
    return this.#passesUnicast || this.#isOwn(high, low) || this.unicast.has(high, low);
  }

  #isOwn(high: number, low: number): boolean {
    const mac = this.#mac;
    if (high !== ((mac[0]! << 8) | mac[1]!)) return false;
    return low === ((mac[2]! << 24) | (mac[3]! << 16) | (mac[4]! << 8) | mac[5]!) >>> 0;
  }

  /** NVLAN-2, NVLAN-3. */
  #wantsVlan(bytes: Uint8Array, at: number, lengthBytes: number): boolean {
    if (((bytes[at + 2 * MAC_BYTES]! << 8) | bytes[at + 2 * MAC_BYTES + 1]!) !== ETHERTYPE_VLAN) return true;
    if (lengthBytes < TAGGED_HEADER_BYTES) return false;
    const id = ((bytes[at + HEADER_BYTES]! & 0xf) << 8) | bytes[at + HEADER_BYTES + 1]!;
    return (this.#vlans[id >>> 5]! & (1 << (id & 31))) !== 0;
  }

  // --- commands ------------------------------------------------------------------------------------------------------

  /** Switches one of the modes CTRL_RX_*. */
  setMode(mode: number, on: boolean): void {
    this.#modes[mode] = on ? 1 : 0;
    this.update();
  }

  /** Lets a VLAN through, or no more; false if there is no such id. */
  setVlan(id: number, wanted: boolean): boolean {
    if (id >= VLAN_IDS) return false;
    if (wanted) this.#vlans[id >>> 5]! |= 1 << (id & 31);
    else this.#vlans[id >>> 5]! &= ~(1 << (id & 31));
    return true;
  }

  /** To be called after features were negotiated, or a table has changed. */
  update(): void {
    const byAddress = this.#features.has(NET_F_CTRL_RX);
    const modes = this.#modes;
    this.#passesUnicast = !byAddress || modes[CTRL_RX_ALLUNI] !== 0 || this.unicast.overflowed;
    this.#passesMulticast = !byAddress || modes[CTRL_RX_ALLMULTI] !== 0 || this.multicast.overflowed;
    this.#filtersVlans = this.#features.has(NET_F_CTRL_VLAN);
    const suppresses = (modes[CTRL_RX_NOUNI]! | modes[CTRL_RX_NOMULTI]! | modes[CTRL_RX_NOBCAST]!) !== 0;
    const passesKinds = this.#passesUnicast && this.#passesMulticast && !suppresses;
    this.#passesAll = modes[CTRL_RX_PROMISC] !== 0 || (passesKinds && !this.#filtersVlans);
  }

  // --- the life of the device ----------------------------------------------------------------------------------------

  /** NMAC-1, and §5.1.9.5.3: no modes, and empty tables. */
  reset(): void {
    this.#modes.fill(0);
    this.#vlans.fill(0);
    this.unicast.clear();
    this.multicast.clear();
    this.update();
  }

  saveState(): ReceiveFilterState {
    return {
      modes: [...this.#modes],
      vlans: [...this.#vlans],
      unicast: this.unicast.saveState(),
      multicast: this.multicast.saveState(),
    };
  }

  /** To be called when the features are as they were. */
  restoreState(state: ReceiveFilterState): void {
    checkState("queues.settings.filter", state);
    this.#modes.set(state.modes);
    this.#vlans.set(state.vlans);
    this.unicast.restoreState(state.unicast);
    this.multicast.restoreState(state.multicast);
    this.update();
  }
}

const checkState = record({
  modes: listOf(integerIn(0, 1), MODES),
  vlans: listOf(word32, VLAN_IDS / 32),
  unicast: checkMacTable,
  multicast: checkMacTable,
});

/** All that `saveState` keeps. */
export interface ReceiveFilterState {
  /** 0 or 1 for each CTRL_RX_*. */
  readonly modes: readonly number[];
  /** A bit for each VLAN id, in words of 32. */
  readonly vlans: readonly number[];
  readonly unicast: MacTableState;
  readonly multicast: MacTableState;
}
