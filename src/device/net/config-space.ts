/**
 * The device-specific configuration space (virtio 1.4 §5.1.4): read-only to the driver, readable from reset on (CFG-1),
 * at any byte offset and width. A field whose feature is not offered reads 0.
 */

import {
  CONFIG_BYTES,
  CONFIG_MAC,
  CONFIG_MAX_VIRTQUEUE_PAIRS,
  CONFIG_MTU,
  CONFIG_STATUS,
  MTU_MAX,
  MTU_MIN,
  NET_F_MAC,
  NET_F_MTU,
  NET_F_STATUS,
  NET_S_LINK_UP,
} from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";

const MAC_BYTES = 6;

export class ConfigSpace {
  readonly #bytes = new Uint8Array(CONFIG_BYTES);
  readonly #hasStatus: boolean;
  #linkUp = true;
  #generation = 0;

  /** @throws RangeError if `mac` is not 6 bytes of a unicast address, or `mtu` not within 68…65535 (NCFG-2) */
  constructor(features: FeatureNegotiation, mac: ArrayLike<number>, mtu: number, pairs: number) {
    checkMac(mac);
    if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) {
      throw new RangeError(`mtu is ${mtu}; it must be an integer from ${MTU_MIN} to ${MTU_MAX}`);
    }
    if (features.isOffered(NET_F_MAC)) this.#bytes.set(mac, CONFIG_MAC);
    if (features.isOffered(NET_F_MTU)) this.#storeU16(CONFIG_MTU, mtu);
    this.#storeU16(CONFIG_MAX_VIRTQUEUE_PAIRS, pairs);
    this.#hasStatus = features.isOffered(NET_F_STATUS);
    if (this.#hasStatus) this.#storeU16(CONFIG_STATUS, NET_S_LINK_UP);
  }

  /** Changes with every change of a field, so that a driver sees that it has read halves of two states (MMIO-6). */
  get generation(): number {
    return this.#generation;
  }

  get linkUp(): boolean {
    return this.#linkUp;
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
    if (!this.#hasStatus) return false;
    this.#storeU16(CONFIG_STATUS, up ? NET_S_LINK_UP : 0);
    this.#generation = (this.#generation + 1) >>> 0;
    return true;
  }

  #storeU16(offset: number, value: number): void {
    this.#bytes[offset] = value;
    this.#bytes[offset + 1] = value >>> 8;
  }
}

function checkMac(mac: ArrayLike<number>): void {
  const bytes = Array.from(mac);
  if (bytes.length !== MAC_BYTES || !bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) {
    throw new RangeError(`mac is [${bytes.join(", ")}]; it must be ${MAC_BYTES} bytes`);
  }
  if ((bytes[0]! & 1) !== 0)
    throw new RangeError(`mac begins with ${bytes[0]}: a group address cannot be a card's own`);
}
