/**
 * The hash of a packet's flow (virtio 1.4 §5.1.9.4.4): Toeplitz over addresses and ports, of the kinds of packets that the
 * driver has enabled.
 *
 * The Toeplitz hash is linear, so the hash of an input is the exclusive or of what each of its bytes gives alone. That is
 * looked up in tables, one per byte position, which are made anew for each key.
 */

import { byte, integerIn, listOf, record } from "../saved-value.ts";
import { HASH_REPORT_NONE, RSS_KEY_BYTES } from "../spec/virtio-net.ts";
import { type FlowFields, NO_IP, NOT_THERE } from "./flow-fields.ts";
import { SUPPORTED_HASH_TYPES } from "./hash-types.ts";

const IPV4_ADDRESS_BYTES = 4;
const IPV6_ADDRESS_BYTES = 16;
const PORTS_BYTES = 4;
// Kinds of packets, in the order of the HASH_REPORT_* codes; each has three: with neither, TCP and UDP.
const KIND_IPV4 = 0;
const KIND_IPV6 = 3;
const KIND_IPV6_EX = 6;
const KINDS = 9;
// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NONE = HASH_REPORT_NONE;
const NO_PACKET = NO_IP;
const ABSENT = NOT_THERE;
/** Two IPv6 addresses and two ports: with 32 bits more, all that a key of 40 bytes serves. */
const INPUT_BYTES_MAX = 2 * IPV6_ADDRESS_BYTES + PORTS_BYTES;

export class FlowHash {
  /** Of the last packet: the hash, an unsigned 32-bit number, and the kind of it, HASH_REPORT_NONE if there is none. */
  value = 0;
  report: number = NONE;
  #types = 0;
  #keyBytes = 0;
  readonly #key = new Uint8Array(RSS_KEY_BYTES);
  // HASH_REPORT_* for each kind of packet.
  readonly #reports = new Uint8Array(KINDS);
  // What byte b gives at position p is at 256 p + b. Made with the first key.
  #tables = new Int32Array(0);

  /** Bit mask of HASH_TYPE_*. */
  get types(): number {
    return this.#types;
  }

  /** Sets the enabled types, and the key, `keyBytes` (up to 40) bytes from `at`; beyond its end a key is all zero. */
  configure(types: number, key: ArrayLike<number>, at: number, keyBytes: number): void {
    this.#types = types;
    this.#chooseReports(types);
    this.#keyBytes = keyBytes;
    this.#key.fill(0);
    for (let i = 0; i < keyBytes; i++) this.#key[i] = key[at + i]!;
    if (this.#tables.length === 0) this.#tables = new Int32Array(INPUT_BYTES_MAX * 256);
    this.#makeTables();
  }

  /** No type is enabled, as after a reset. */
  reset(): void {
    this.#types = 0;
    this.#keyBytes = 0;
    this.#key.fill(0);
    this.value = 0;
    this.report = NONE;
  }

  /** Calculates the hash of the packet whose `fields` lie in `bytes`. */
  calculate(fields: FlowFields, bytes: Uint8Array): void {
    this.value = 0;
    this.report = NONE;
    const { version, transport } = fields;
    if (this.#types === 0 || version === NO_PACKET) return;
    let { sourceAt, destinationAt } = fields;
    let report: number = NONE;
    if (version === 4) report = this.#reports[KIND_IPV4 + transport]!;
    else if (fields.extended) report = this.#reports[KIND_IPV6_EX + transport]!;
    if (report > KIND_IPV6_EX) {
      if (fields.homeAddressAt !== ABSENT) sourceAt = fields.homeAddressAt;
      if (fields.routedToAt !== ABSENT) destinationAt = fields.routedToAt;
    } else if (version !== 4) {
      // No *_EX type that fits is enabled: the packet counts as one without extension headers.
      report = this.#reports[KIND_IPV6 + transport]!;
    }
    if (report === NONE) return;
    this.report = report;
    const addressBytes = version === 4 ? IPV4_ADDRESS_BYTES : IPV6_ADDRESS_BYTES;
    // The first of each three is of the addresses alone.
    this.value = this.#hash(bytes, sourceAt, destinationAt, addressBytes, report % 3 === 1 ? ABSENT : fields.portsAt);
  }

  saveState(): FlowHashState {
    return { types: this.#types, key: [...this.#key.subarray(0, this.#keyBytes)] };
  }

  restoreState({ types, key }: FlowHashState): void {
    this.reset();
    if (types !== 0 || key.length > 0) this.configure(types, key, 0, key.length);
  }

  #hash(bytes: Uint8Array, sourceAt: number, destinationAt: number, addressBytes: number, portsAt: number): number {
    const tables = this.#tables;
    let hash = 0;
    let table = 0;
    for (let i = 0; i < addressBytes; i++, table += 256) hash ^= tables[table + bytes[sourceAt + i]!]!;
    for (let i = 0; i < addressBytes; i++, table += 256) hash ^= tables[table + bytes[destinationAt + i]!]!;
    if (portsAt !== ABSENT) {
      for (let i = 0; i < PORTS_BYTES; i++, table += 256) hash ^= tables[table + bytes[portsAt + i]!]!;
    }
    return hash >>> 0;
  }

  /** The kind of hash for each kind of packet; HASH_TYPE_* is 1 << (HASH_REPORT_* - 1) (§5.1.9.4.6). */
  #chooseReports(types: number): void {
    for (let kind = 0; kind < KINDS; kind++) {
      const addressesOnly = kind - (kind % 3);
      const best = (types >>> kind) & 1 ? kind : addressesOnly;
      this.#reports[kind] = (types >>> best) & 1 ? best + 1 : NONE;
    }
  }

  /** A bit of the input gives the 32 bits of the key that begin at its position. */
  #makeTables(): void {
    const key = this.#key;
    for (let position = 0; position < INPUT_BYTES_MAX; position++) {
      const word = (key[position]! << 24) | (key[position + 1]! << 16) | (key[position + 2]! << 8) | key[position + 3]!;
      const following = key[position + 4]!;
      const table = position * 256;
      for (let bit = 0; bit < 8; bit++) {
        const window = bit === 0 ? word : (word << bit) | (following >>> (8 - bit));
        const low = 0x80 >>> bit;
        // All bytes whose lowest bit this is: what they give without it is in the table already.
        for (let high = 0; high < 256; high += 2 * low) {
          this.#tables[table + high + low] = this.#tables[table + high]! ^ window;
        }
      }
    }
  }
}

export const checkFlowHash = record({ types: integerIn(0, SUPPORTED_HASH_TYPES), key: listOf(byte, 0, RSS_KEY_BYTES) });

/** All that `saveState` keeps: types as a bit mask, and the key's bytes. */
export interface FlowHashState {
  readonly types: number;
  readonly key: readonly number[];
}
