/**
 * The device-specific configuration space (virtio 1.4 §5.1.4): read-only to the driver, readable from reset on (CFG-1),
 * at any byte offset and width. A field whose feature is not offered reads 0.
 */

import { checkObject } from "../embedder-parts.ts";
import { byte, flag, listOf, record, word16, word32 } from "../saved-value.ts";
import { shownValue } from "../shown-value.ts";
import {
  CONFIG_BYTES,
  CONFIG_DUPLEX,
  CONFIG_MAC,
  CONFIG_MAX_VIRTQUEUE_PAIRS,
  CONFIG_MTU,
  CONFIG_RSS_MAX_INDIRECTION_TABLE_LENGTH,
  CONFIG_RSS_MAX_KEY_SIZE,
  CONFIG_SPEED,
  CONFIG_STATUS,
  CONFIG_SUPPORTED_HASH_TYPES,
  DUPLEX_UNKNOWN,
  MTU_MAX,
  MTU_MIN,
  NET_F_HASH_REPORT,
  NET_F_MAC,
  NET_F_MQ,
  NET_F_MTU,
  NET_F_RSS,
  NET_F_SPEED_DUPLEX,
  NET_F_STATUS,
  NET_S_ANNOUNCE,
  NET_S_LINK_UP,
  PAIRS_MAX,
  RSS_KEY_BYTES,
  RSS_TABLE_ENTRIES,
  SPEED_UNKNOWN,
} from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";
import { SUPPORTED_HASH_TYPES } from "./hash-types.ts";

const MAC_BYTES = 6;
const SPEED_MAX = 0x7fffffff;

/** What the fields say. */
export interface ConfigFields {
  /** Six bytes of a unicast address. */
  readonly mac: ArrayLike<number>;
  readonly mtu: number;
  readonly pairs: number;
  /** Speed of the link in Mbit/s, up to 2^31 - 1; unknown if left out. */
  readonly speedMbps?: number | undefined;
  /** Unknown if left out. */
  readonly duplex?: "half" | "full" | undefined;
}

export class ConfigSpace {
  /** The card's address, which the driver may have changed. */
  readonly mac = new Uint8Array(MAC_BYTES);
  readonly #bytes = new Uint8Array(CONFIG_BYTES);
  readonly #hasMac: boolean;
  readonly #hasStatus: boolean;
  readonly #firstMac: Uint8Array;
  #linkUp = true;
  #announcing = false;
  #generation = 0;

  /**
   * @throws RangeError if `mac` is not 6 bytes of a unicast address, `mtu` not within 68…65535 (NCFG-2), `pairs` not within
   * 1…0x8000 (NCFG-1), or speed or duplex are none
   */
  constructor(features: FeatureNegotiation, fields: ConfigFields) {
    const { mac, mtu, pairs, speedMbps = SPEED_UNKNOWN } = fields;
    checkFields(fields);
    this.#firstMac = Uint8Array.from(mac);
    this.mac.set(mac);
    this.#hasMac = features.isOffered(NET_F_MAC);
    this.#hasStatus = features.isOffered(NET_F_STATUS);
    const rss = features.isOffered(NET_F_RSS);
    if (this.#hasMac) this.#bytes.set(mac, CONFIG_MAC);
    if (features.isOffered(NET_F_MTU)) this.#storeU16(CONFIG_MTU, mtu);
    if (features.isOffered(NET_F_MQ) || rss) this.#storeU16(CONFIG_MAX_VIRTQUEUE_PAIRS, pairs);
    if (features.isOffered(NET_F_SPEED_DUPLEX)) {
      this.#storeU32(CONFIG_SPEED, speedMbps);
      // §5.1.4 gives 1 for full duplex, §5.1.4.1 gives 0; drivers have always taken 1.
      this.#bytes[CONFIG_DUPLEX] = fields.duplex === undefined ? DUPLEX_UNKNOWN : fields.duplex === "full" ? 1 : 0;
    }
    if (rss || features.isOffered(NET_F_HASH_REPORT)) {
      this.#bytes[CONFIG_RSS_MAX_KEY_SIZE] = RSS_KEY_BYTES;
      this.#storeU32(CONFIG_SUPPORTED_HASH_TYPES, SUPPORTED_HASH_TYPES);
    }
    if (rss) this.#storeU16(CONFIG_RSS_MAX_INDIRECTION_TABLE_LENGTH, RSS_TABLE_ENTRIES);
    this.#storeStatus();
  }

  /** Changes with every change of a field, so that a driver sees that it has read halves of two states (MMIO-6). */
  get generation(): number {
    return this.#generation;
  }

  get linkUp(): boolean {
    return this.#linkUp;
  }

  /** True while the driver owes gratuitous packets (§5.1.9.5.4). */
  get announcing(): boolean {
    return this.#announcing;
  }

  /** Little-endian value of `widthBytes` bytes at `offset`; bytes beyond the end read 0. */
  read(offset: number, widthBytes: number): number {
    let value = 0;
    for (let byte = widthBytes - 1; byte >= 0; byte--) value = value * 256 + (this.#bytes[offset + byte] ?? 0);
    return value;
  }

  /** Returns true if the driver can see the change. */
  setLinkUp(up: boolean): boolean {
    if (up === this.#linkUp) return false;
    this.#linkUp = up;
    return this.#showStatus();
  }

  /** Asks the driver for gratuitous packets, or takes the request back. Returns true if the driver can see a change. */
  setAnnouncing(announcing: boolean): boolean {
    if (announcing === this.#announcing) return false;
    this.#announcing = announcing;
    return this.#showStatus();
  }

  /** The driver gives the card another address, six bytes from `at` (CTRL_MAC_ADDR_SET). */
  setMac(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < MAC_BYTES; i++) this.mac[i] = bytes[at + i]!;
    if (!this.#hasMac) return;
    this.#bytes.set(this.mac, CONFIG_MAC);
    this.#generation = (this.#generation + 1) >>> 0;
  }

  /** The device was reset: the address is the embedder's again, and nothing is to be announced. The link stays. */
  reset(): void {
    if (this.mac.some((byte, i) => byte !== this.#firstMac[i])) this.setMac(this.#firstMac, 0);
    this.setAnnouncing(false);
  }

  saveState(): ConfigState {
    return {
      mac: [...this.mac],
      linkUp: this.#linkUp,
      announcing: this.#announcing,
      generation: this.#generation,
      mtu: this.#bytes[CONFIG_MTU]! | (this.#bytes[CONFIG_MTU + 1]! << 8),
    };
  }

  /** @throws RangeError if the state is of a card with another MTU, which a driver may rely on (NCFG-4) */
  restoreState(state: ConfigState): void {
    checkState("config", state);
    if ((state.mac[0]! & 1) !== 0)
      throw new RangeError("saved state: config.mac is a group's address, not a card's own");
    const { mtu } = this.saveState();
    if (state.mtu !== mtu) throw new RangeError(`saved state has mtu ${state.mtu}, but this card ${mtu}`);
    this.mac.set(state.mac);
    if (this.#hasMac) this.#bytes.set(this.mac, CONFIG_MAC);
    this.#linkUp = state.linkUp;
    this.#announcing = state.announcing;
    this.#storeStatus();
    this.#generation = state.generation;
  }

  #showStatus(): boolean {
    if (!this.#hasStatus) return false;
    this.#storeStatus();
    this.#generation = (this.#generation + 1) >>> 0;
    return true;
  }

  #storeStatus(): void {
    if (!this.#hasStatus) return;
    this.#storeU16(CONFIG_STATUS, (this.#linkUp ? NET_S_LINK_UP : 0) | (this.#announcing ? NET_S_ANNOUNCE : 0));
  }

  #storeU16(offset: number, value: number): void {
    this.#bytes[offset] = value;
    this.#bytes[offset + 1] = value >>> 8;
  }

  #storeU32(offset: number, value: number): void {
    this.#storeU16(offset, value);
    this.#storeU16(offset + 2, value >>> 16);
  }
}

export interface ConfigState {
  readonly mac: readonly number[];
  readonly linkUp: boolean;
  readonly announcing: boolean;
  readonly generation: number;
  readonly mtu: number;
}

const checkState = record({
  mac: listOf(byte, MAC_BYTES),
  linkUp: flag,
  announcing: flag,
  generation: word32,
  mtu: word16,
});

function checkFields({ mac, mtu, pairs, speedMbps = SPEED_UNKNOWN, duplex }: ConfigFields): void {
  checkMac(mac);
  if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) {
    throw new RangeError(`mtu is ${shownValue(mtu)}; it must be an integer from ${MTU_MIN} to ${MTU_MAX}`);
  }
  if (!Number.isInteger(pairs) || pairs < 1 || pairs > PAIRS_MAX) {
    throw new RangeError(`pairs is ${shownValue(pairs)}; it must be an integer from 1 to ${PAIRS_MAX}`);
  }
  if (speedMbps !== SPEED_UNKNOWN && !(Number.isInteger(speedMbps) && speedMbps >= 0 && speedMbps <= SPEED_MAX)) {
    throw new RangeError(`speedMbps is ${shownValue(speedMbps)}; it must be an integer from 0 to ${SPEED_MAX}`);
  }
  if (duplex !== undefined && duplex !== "half" && duplex !== "full") {
    throw new RangeError(`duplex is ${shownValue(duplex)}; it must be "half" or "full"`);
  }
}

function checkMac(mac: ArrayLike<number>): void {
  checkObject("mac", mac, `${MAC_BYTES} bytes`);
  const bytes = Array.from(mac);
  if (bytes.length !== MAC_BYTES || !bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) {
    throw new RangeError(`mac is [${bytes.join(", ")}]; it must be ${MAC_BYTES} bytes`);
  }
  if ((bytes[0]! & 1) !== 0)
    throw new RangeError(`mac begins with ${bytes[0]}: a group address cannot be a card's own`);
}
