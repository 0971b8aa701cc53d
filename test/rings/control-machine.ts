/** A machine whose driver uses all of the control queue, with several pairs. Numbers are retyped from virtio 1.4 §5.1.9.5. */

import type { FeatureName } from "../../src/device/index.ts";
import { CardMachine, type Feature, type MachineOptions, REG, RUNNING } from "./card-machine.ts";
import { type Descriptor, WRITE } from "./split-driver.ts";

export const OK = 0;
export const ERR = 1;
export const PAIRS = 3;
/** With MQ or RSS the control queue follows all pairs. */
export const CONTROLQ = 2 * PAIRS;

/** All that a command may need, and nothing that changes frames. */
export const CONTROL_FEATURES: readonly Feature[] = [
  "CTRL_GUEST_OFFLOADS",
  "GUEST_CSUM",
  "GUEST_TSO4",
  "GUEST_USO6",
  "MTU",
  "MAC",
  "MRG_RXBUF",
  "STATUS",
  "CTRL_VQ",
  "CTRL_RX",
  "CTRL_VLAN",
  "CTRL_RX_EXTRA",
  "GUEST_ANNOUNCE",
  "MQ",
  "CTRL_MAC_ADDR",
  "RING_INDIRECT_DESC",
  "VERSION_1",
  "RING_RESET",
  "SUSPEND",
  "DEVICE_STATS",
  "VQ_NOTF_COAL",
  "NOTF_COAL",
  "HASH_REPORT",
  "RSS",
];

export const u16 = (value: number): number[] => [value & 255, value >>> 8];
export const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

/** The two tables of MAC_TABLE_SET. */
export function macTables(unicast: readonly number[][], multicast: readonly number[][]): number[] {
  return [...u32(unicast.length), ...unicast.flat(), ...u32(multicast.length), ...multicast.flat()];
}

/** struct virtio_net_rss_config. */
export function rssConfig(
  types: number,
  table: readonly number[],
  unclassified: number,
  txQueues: number,
  key: number[],
) {
  const head = [...u32(types), ...u16(table.length - 1), ...u16(unclassified)];
  return [...head, ...table.flatMap(u16), ...u16(txQueues), key.length, ...key];
}

/** struct virtio_net_hash_config. */
export function hashConfig(types: number, key: readonly number[]): number[] {
  return [...u32(types), 0, 0, 0, 0, 0, 0, 0, 0, key.length, ...key];
}

/** One element of struct virtio_net_ctrl_queue_stats: the types are given as bit numbers. */
export function statsRequest(index: number, ...types: number[]): number[] {
  let low = 0;
  let high = 0;
  for (const type of types) {
    if (type < 32) low |= 1 << type;
    else high |= 1 << (type - 32);
  }
  return [...u16(index), 0, 0, 0, 0, 0, 0, ...u32(low >>> 0), ...u32(high >>> 0)];
}

export interface Reply {
  /** Null if the chain came back unused. */
  readonly ack: number | null;
  readonly result: number[];
}

const COMMAND_AT = 0x30000;
const REPLY_AT = 0x38000;
const RING_ENTRIES = 1024;

export class ControlMachine extends CardMachine {
  readonly #control: number;

  constructor(features: readonly Feature[] = CONTROL_FEATURES, options: MachineOptions = {}) {
    super({ pairs: PAIRS, offer: CONTROL_FEATURES as FeatureName[], ramBytes: 0x60000, ...options });
    this.#control = features.includes("MQ") || features.includes("RSS") ? CONTROLQ : 2;
    this.start(features);
  }

  /** Reset, negotiation, and all queues that there are then. */
  start(features: readonly Feature[] = CONTROL_FEATURES): void {
    this.negotiate(features);
    for (let index = 0; index < this.#control; index++) this.setUpQueue(index, 0x1000 + 0x1000 * index, 16);
    this.setUpQueue(this.#control, 0x10000, RING_ENTRIES);
    this.write(REG.STATUS, RUNNING);
  }

  /** What commands can change, as plain values. */
  get settings(): object {
    const { queues, config } = this.card;
    return { settings: queues.settings.saveState(), config: { ...config.saveState(), generation: 0 } };
  }

  /**
   * Sends a command and gives what comes back; its bytes are cut into pieces of these sizes, the last of which repeats.
   * Checks that nothing was written behind what the card says it has written.
   */
  command(bytes: readonly number[], resultBytes = 0, cuts: readonly number[] = [0x10000]): Reply {
    this.ram.set(bytes, COMMAND_AT);
    this.ram.fill(0xee, REPLY_AT, REPLY_AT + 1 + resultBytes + 16);
    const descriptors: Descriptor[] = [
      ...pieces(COMMAND_AT, bytes.length, cuts, 0),
      ...pieces(REPLY_AT, 1 + resultBytes, cuts, WRITE),
    ];
    const ctrl = this.queues[this.#control]!;
    ctrl.offerChain(0, descriptors);
    ctrl.publish();
    this.kick(this.#control);
    this.poll();
    const [used] = ctrl.takeUsed();
    const reply = [...this.bytes(REPLY_AT, 1 + resultBytes + 16)];
    if (reply.slice(used!.length).some((byte) => byte !== 0xee)) throw new Error("written behind the used length");
    return { ack: used!.length === 0 ? null : reply[0]!, result: reply.slice(1, used!.length) };
  }

  /** Takes a frame off the wire; gives the receive queues that have used a buffer for it. */
  arrive(bytes: Uint8Array): number[] {
    for (let pair = 0; pair < PAIRS; pair++) {
      const queue = this.queues[2 * pair];
      // One buffer at a time.
      if (queue === undefined || 2 * pair >= this.#control || queue.availIdx !== queue.seenIdx) continue;
      queue.setDescriptor(0, { address: 0x40000 + 0x1000 * pair, length: 2048, flags: WRITE });
      queue.offer(0);
      queue.publish();
    }
    this.port.arrivals.push({ bytes });
    this.poll();
    const used: number[] = [];
    for (let index = 0; index < this.#control; index += 2) {
      if (this.queues[index]!.takeUsed().length > 0) used.push(index);
    }
    return used;
  }
}

function pieces(address: number, bytes: number, cuts: readonly number[], flags: number): Descriptor[] {
  const descriptors: Descriptor[] = [];
  for (let at = 0, i = 0; at < bytes; i++) {
    const length = Math.min(bytes - at, cuts[Math.min(i, cuts.length - 1)]!);
    descriptors.push({ address: address + at, length, flags });
    at += length;
  }
  return descriptors;
}
