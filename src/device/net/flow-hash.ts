/**
 * The hash of a packet's flow (virtio 1.4 §5.1.9.4.4): Toeplitz over addresses and ports, of the kinds of packets that the
 * driver has enabled.
 *
 * The Toeplitz hash is linear, so the hash of an input is the exclusive or of what each of its bytes gives alone. That is
 * looked up in tables, one per byte position, which are made anew for each key.
 */

import {
  HASH_REPORT_IPV4,
  HASH_REPORT_IPV6,
  HASH_REPORT_IPV6_EX,
  HASH_REPORT_NONE,
  HASH_TYPE_IP_EX,
  HASH_TYPE_IPV4,
  HASH_TYPE_IPV6,
  HASH_TYPE_TCP_EX,
  HASH_TYPE_TCPV4,
  HASH_TYPE_TCPV6,
  HASH_TYPE_UDP_EX,
  HASH_TYPE_UDPV4,
  HASH_TYPE_UDPV6,
  RSS_KEY_BYTES,
} from "../spec/virtio-net.ts";
import { type FlowFields, NO_TRANSPORT, NOT_THERE, TRANSPORT_TCP, TRANSPORT_UDP } from "./flow-fields.ts";

const IPV4_ADDRESS_BYTES = 4;
const IPV6_ADDRESS_BYTES = 16;
const PORTS_BYTES = 4;
/** Two IPv6 addresses and two ports: with 32 bits more, all that a key of 40 bytes serves. */
const INPUT_BYTES_MAX = 2 * IPV6_ADDRESS_BYTES + PORTS_BYTES;

export class FlowHash {
  /** Of the last packet: the hash, an unsigned 32-bit number, and the kind of it, HASH_REPORT_NONE if there is none. */
  value = 0;
  report = HASH_REPORT_NONE;
  #types = 0;
  #keyBytes = 0;
  readonly #key = new Uint8Array(RSS_KEY_BYTES);
  // What byte b gives at position p is at 256 p + b. Made with the first key.
  #tables = new Int32Array(0);

  /** Bit mask of HASH_TYPE_*. */
  get types(): number {
    return this.#types;
  }

  /** Sets the enabled types, and the key, `keyBytes` (up to 40) bytes from `at`; beyond its end a key is all zero. */
  configure(types: number, key: ArrayLike<number>, at: number, keyBytes: number): void {
    this.#types = types;
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
    this.report = HASH_REPORT_NONE;
  }

  /** Calculates the hash of the packet whose `fields` lie in `bytes`. */
  calculate(fields: FlowFields, bytes: Uint8Array): void {
    this.value = 0;
    this.report = HASH_REPORT_NONE;
    if (this.#types === 0) return;
    if (fields.version === 4) this.#hashIpv4(fields, bytes);
    else if (fields.version === 6 && !(fields.extended && this.#hashExtended(fields, bytes))) {
      this.#hashIpv6(fields, bytes);
    }
  }

  saveState(): FlowHashState {
    return { types: this.#types, key: [...this.#key.subarray(0, this.#keyBytes)] };
  }

  restoreState({ types, key }: FlowHashState): void {
    this.reset();
    if (types !== 0 || key.length > 0) this.configure(types, key, 0, key.length);
  }

  #hashIpv4(fields: FlowFields, bytes: Uint8Array): void {
    const { sourceAt, destinationAt, portsAt } = fields;
    const report = this.#choose(fields.transport, HASH_TYPE_TCPV4, HASH_TYPE_UDPV4, HASH_TYPE_IPV4, HASH_REPORT_IPV4);
    if (report === HASH_REPORT_NONE) return;
    const ports = report === HASH_REPORT_IPV4 ? NOT_THERE : portsAt;
    this.#hash(bytes, sourceAt, destinationAt, IPV4_ADDRESS_BYTES, ports, report);
  }

  #hashIpv6(fields: FlowFields, bytes: Uint8Array): void {
    const { sourceAt, destinationAt, portsAt } = fields;
    const report = this.#choose(fields.transport, HASH_TYPE_TCPV6, HASH_TYPE_UDPV6, HASH_TYPE_IPV6, HASH_REPORT_IPV6);
    if (report === HASH_REPORT_NONE) return;
    const ports = report === HASH_REPORT_IPV6 ? NOT_THERE : portsAt;
    this.#hash(bytes, sourceAt, destinationAt, IPV6_ADDRESS_BYTES, ports, report);
  }

  /** False if no *_EX type that fits is enabled: then the packet counts as one without extension headers. */
  #hashExtended(fields: FlowFields, bytes: Uint8Array): boolean {
    const { transport, homeAddressAt, routedToAt, portsAt } = fields;
    const report = this.#choose(transport, HASH_TYPE_TCP_EX, HASH_TYPE_UDP_EX, HASH_TYPE_IP_EX, HASH_REPORT_IPV6_EX);
    if (report === HASH_REPORT_NONE) return false;
    const source = homeAddressAt === NOT_THERE ? fields.sourceAt : homeAddressAt;
    const destination = routedToAt === NOT_THERE ? fields.destinationAt : routedToAt;
    const ports = report === HASH_REPORT_IPV6_EX ? NOT_THERE : portsAt;
    this.#hash(bytes, source, destination, IPV6_ADDRESS_BYTES, ports, report);
    return true;
  }

  /** HASH_REPORT_* of the first enabled type that the packet has; those of TCP and UDP follow that of IP. */
  #choose(transport: number, tcp: number, udp: number, ip: number, ipReport: number): number {
    if (transport !== NO_TRANSPORT) {
      if (transport === TRANSPORT_TCP && (this.#types & tcp) !== 0) return ipReport + 1;
      if (transport === TRANSPORT_UDP && (this.#types & udp) !== 0) return ipReport + 2;
    }
    return (this.#types & ip) !== 0 ? ipReport : HASH_REPORT_NONE;
  }

  #hash(
    bytes: Uint8Array,
    source: number,
    destination: number,
    addressBytes: number,
    portsAt: number,
    report: number,
  ): void {
    const tables = this.#tables;
    let hash = 0;
    let table = 0;
    for (let i = 0; i < addressBytes; i++, table += 256) hash ^= tables[table + bytes[source + i]!]!;
    for (let i = 0; i < addressBytes; i++, table += 256) hash ^= tables[table + bytes[destination + i]!]!;
    if (portsAt !== NOT_THERE) {
      for (let i = 0; i < PORTS_BYTES; i++, table += 256) hash ^= tables[table + bytes[portsAt + i]!]!;
    }
    this.value = hash >>> 0;
    this.report = report;
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

/** All that `saveState` keeps: types as a bit mask, and the key's bytes. */
export interface FlowHashState {
  readonly types: number;
  readonly key: readonly number[];
}
