/**
 * Which receive queue a frame goes to, and its hash (virtio 1.4 §5.1.9.5.5 … §5.1.9.5.7). There are two modes, and the
 * driver's last command decides:
 * - automatic: a flow comes in on the pair on which the driver last sent a packet of it, or else on any that is enabled.
 *   One pair is enabled until VQ_PAIRS_SET says otherwise.
 * - RSS: the packet's hash chooses from the driver's indirection table.
 */

import type { Frame } from "../link/frame-port.ts";
import { flag, integerIn, listOf, record } from "../saved-value.ts";
import { HASH_REPORT_NONE, RSS_KEY_BYTES, RSS_TABLE_ENTRIES } from "../spec/virtio-net.ts";
import { FlowFields, NO_IP, NOT_THERE } from "./flow-fields.ts";
import { checkFlowHash, FlowHash, type FlowHashState } from "./flow-hash.ts";
import { SUPPORTED_HASH_TYPES } from "./hash-types.ts";

/** Flows whose last transmit queue is remembered, a power of two; a new one displaces an old one. */
const FLOWS = 1024;
// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const NO_HASH = HASH_REPORT_NONE;
const NO_PACKET = NO_IP;
const ABSENT = NOT_THERE;

/** Parameters of RSS_CONFIG; the card's buffers, which are copied. */
export interface RssParameters {
  /** HASH_TYPE_* bits. */
  hashTypes: number;
  /** Entries in use, a power of two. */
  tableEntries: number;
  /** Pairs, indexed by hash. */
  readonly table: Uint16Array;
  /** Pair for packets without a hash. */
  unclassifiedPair: number;
  /** Transmit queues that the driver is going to use; the card serves all that are enabled, so it must just have them. */
  transmitPairs: number;
}

export class Steering {
  readonly #pairs: number;
  readonly #receivesOn: (pair: number) => boolean;
  readonly #fields = new FlowFields();
  readonly #hash = new FlowHash();
  #rss = false;
  // Pairs in use by the automatic mode.
  #enabledPairs = 1;
  readonly #table = new Uint16Array(RSS_TABLE_ENTRIES);
  #tableMask = 0;
  #unclassifiedPair = 0;
  // Flows sent: the whole number of the flow, and its pair + 1. Indexed by the number's low bits.
  readonly #flows = new Int32Array(FLOWS);
  readonly #flowPairs = new Uint16Array(FLOWS);

  /** `receivesOn` tells whether the receive queue of a pair lives. */
  constructor(pairs: number, receivesOn: (pair: number) => boolean) {
    this.#pairs = pairs;
    this.#receivesOn = receivesOn;
  }

  /** The pair that all frames go to, none of them hashed; -1 if each is looked at. */
  get onlyPair(): number {
    if (this.#hash.types !== 0) return -1;
    if (this.#rss) return this.#unclassifiedPair;
    return this.#enabledPairs === 1 ? 0 : -1;
  }

  // --- frames --------------------------------------------------------------------------------------------------------

  /**
   * The pair that a received frame goes to; sets the frame's `hashValue` and `hashReport`. The queue of that pair may be
   * in reset: then the frame is to be dropped (NMQ-4, NRSS-2).
   */
  queueFor(frame: Frame): number {
    frame.hashValue = 0;
    frame.hashReport = NO_HASH;
    if (this.#hash.types === 0) {
      if (this.#rss) return this.#unclassifiedPair;
      if (this.#enabledPairs === 1) return 0;
    }
    const fields = this.#fields;
    fields.read(frame);
    const hash = this.#hash;
    hash.calculate(fields, frame.bytes);
    frame.hashValue = hash.value;
    frame.hashReport = hash.report;
    if (!this.#rss) return this.#automaticPair(frame.bytes);
    // NRSS-1.
    return hash.report === NO_HASH ? this.#unclassifiedPair : this.#table[hash.value & this.#tableMask]!;
  }

  /** The driver has sent a frame on the transmit queue of `pair`: what comes back of its flow is to arrive there. */
  noteTransmit(frame: Frame, pair: number): void {
    if (this.#rss || this.#enabledPairs === 1) return;
    this.#fields.read(frame);
    if (this.#fields.version === NO_PACKET) return;
    const flow = flowNumber(this.#fields, frame.bytes);
    const at = flow & (FLOWS - 1);
    this.#flows[at] = flow;
    this.#flowPairs[at] = pair + 1;
  }

  #automaticPair(bytes: Uint8Array): number {
    const pairs = this.#enabledPairs;
    if (pairs === 1) return 0;
    let pair = 0;
    if (this.#fields.version !== NO_PACKET) {
      const flow = flowNumber(this.#fields, bytes);
      const at = flow & (FLOWS - 1);
      pair = this.#flows[at] === flow ? this.#flowPairs[at]! - 1 : -1;
      // NMQ-2: a pair that was in use once may not be now.
      if (pair < 0 || pair >= pairs) pair = (flow >>> 0) % pairs;
    }
    if (this.#receivesOn(pair)) return pair;
    // NMQ-3.
    for (let other = 0; other < pairs; other++) if (this.#receivesOn(other)) return other;
    return pair;
  }

  // --- commands ------------------------------------------------------------------------------------------------------

  /** VQ_PAIRS_SET: automatic steering over the first `pairs`; false, and nothing changes, unless there are so many. */
  setPairs(pairs: number): boolean {
    if (pairs < 1 || pairs > this.#pairs) return false;
    this.#rss = false;
    this.#enabledPairs = pairs;
    return true;
  }

  /**
   * RSS_CONFIG, with a key of `keyBytes` bytes from `keyAt`. False, and nothing changes, if a value is not allowed: hash
   * types that the card has not, a table with queues that are not enabled, pairs or a key beyond the limits.
   */
  setRss(parameters: RssParameters, key: ArrayLike<number>, keyAt: number, keyBytes: number): boolean {
    const { hashTypes, tableEntries, table, unclassifiedPair, transmitPairs } = parameters;
    if (!isHashAllowed(hashTypes, keyBytes)) return false;
    if (tableEntries < 1 || tableEntries > RSS_TABLE_ENTRIES || (tableEntries & (tableEntries - 1)) !== 0) return false;
    if (unclassifiedPair >= this.#pairs || transmitPairs < 1 || transmitPairs > this.#pairs) return false;
    for (let i = 0; i < tableEntries; i++) {
      if (table[i]! >= this.#pairs || !this.#receivesOn(table[i]!)) return false;
    }
    this.#rss = true;
    this.#unclassifiedPair = unclassifiedPair;
    this.#tableMask = tableEntries - 1;
    for (let i = 0; i < tableEntries; i++) this.#table[i] = table[i]!;
    this.#hash.configure(hashTypes, key, keyAt, keyBytes);
    return true;
  }

  /** HASH_CONFIG: which hash is reported; steering is automatic from here on. False as with `setRss`. */
  setHash(hashTypes: number, key: ArrayLike<number>, keyAt: number, keyBytes: number): boolean {
    if (!isHashAllowed(hashTypes, keyBytes)) return false;
    this.#rss = false;
    this.#hash.configure(hashTypes, key, keyAt, keyBytes);
    return true;
  }

  // --- the life of the device ----------------------------------------------------------------------------------------

  /** NMQ-1: one pair, and no hash. */
  reset(): void {
    this.#rss = false;
    this.#enabledPairs = 1;
    this.#tableMask = 0;
    this.#unclassifiedPair = 0;
    this.#table.fill(0);
    this.#flowPairs.fill(0);
    this.#flows.fill(0);
    this.#hash.reset();
  }

  saveState(): SteeringState {
    const flows: SavedFlow[] = [];
    for (let at = 0; at < FLOWS; at++) {
      if (this.#flowPairs[at] !== 0) flows.push({ flow: this.#flows[at]!, pair: this.#flowPairs[at]! - 1 });
    }
    return {
      rss: this.#rss,
      enabledPairs: this.#enabledPairs,
      table: [...this.#table.subarray(0, this.#tableMask + 1)],
      unclassifiedPair: this.#unclassifiedPair,
      hash: this.#hash.saveState(),
      flows,
    };
  }

  /** @throws RangeError if the state is none of a card with these pairs */
  restoreState(state: SteeringState): void {
    const pair = integerIn(0, this.#pairs - 1);
    record({
      rss: flag,
      enabledPairs: integerIn(1, this.#pairs),
      table: listOf(pair, 1, RSS_TABLE_ENTRIES),
      unclassifiedPair: pair,
      hash: checkFlowHash,
      flows: listOf(record({ flow: integerIn(-(2 ** 31), 2 ** 31 - 1), pair }), 0, FLOWS),
    })("queues.settings.steering", state);
    if ((state.table.length & (state.table.length - 1)) !== 0) {
      throw new RangeError(`saved state: steering has a table of ${state.table.length}, it must be a power of two`);
    }
    this.reset();
    this.#rss = state.rss;
    this.#enabledPairs = state.enabledPairs;
    this.#table.set(state.table);
    this.#tableMask = state.table.length - 1;
    this.#unclassifiedPair = state.unclassifiedPair;
    this.#hash.restoreState(state.hash);
    for (const { flow, pair: lastPair } of state.flows) {
      this.#flows[flow & (FLOWS - 1)] = flow;
      this.#flowPairs[flow & (FLOWS - 1)] = lastPair + 1;
    }
  }
}

/** All that `saveState` keeps. */
export interface SteeringState {
  readonly rss: boolean;
  readonly enabledPairs: number;
  /** The indirection table as far as it is used. */
  readonly table: readonly number[];
  readonly unclassifiedPair: number;
  readonly hash: FlowHashState;
  readonly flows: readonly SavedFlow[];
}

interface SavedFlow {
  /** Number of the flow, and the pair on which it was last sent. */
  readonly flow: number;
  readonly pair: number;
}

/** A hash needs a key, and both must be within what the configuration space says. */
function isHashAllowed(hashTypes: number, keyBytes: number): boolean {
  return (hashTypes & ~SUPPORTED_HASH_TYPES) === 0 && keyBytes <= RSS_KEY_BYTES && (hashTypes === 0 || keyBytes > 0);
}

/** A number of the flow that is the same for both of its directions. */
function flowNumber(fields: FlowFields, bytes: Uint8Array): number {
  const { portsAt } = fields;
  const addressBytes = fields.version === 4 ? 4 : 16;
  const sourcePort = portsAt === ABSENT ? 0 : (bytes[portsAt]! << 8) | bytes[portsAt + 1]!;
  const destinationPort = portsAt === ABSENT ? 0 : (bytes[portsAt + 2]! << 8) | bytes[portsAt + 3]!;
  const source = endNumber(bytes, fields.sourceAt, addressBytes, sourcePort);
  const destination = endNumber(bytes, fields.destinationAt, addressBytes, destinationPort);
  return mixed(source + destination + fields.transport);
}

/** Mixes address and port of one end into 32 bits. */
function endNumber(bytes: Uint8Array, at: number, addressBytes: number, port: number): number {
  let number = port;
  for (let i = 0; i < addressBytes; i += 4) {
    const word = (bytes[at + i]! << 24) | (bytes[at + i + 1]! << 16) | (bytes[at + i + 2]! << 8) | bytes[at + i + 3]!;
    number = mixed(number ^ word);
  }
  return number;
}

/** Spreads every bit of a 32-bit number over all of them (the finalizer of MurmurHash3). */
function mixed(number: number): number {
  let bits = number | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
