/**
 * A learning switch (IEEE 802.1Q §8.6, one VLAN): frames go to the port where their station was heard, or everywhere if
 * nobody knows where that is. It has no clock and no loop of its own. A frame goes into the queues of those that are to
 * have it at the call that sends it, and each fetches it when it likes: whoever does not loses its own frames only.
 */

import { Frame } from "../../device/link/frame-port.ts";
import { AddressTable, NO_PORT } from "./address-table.ts";
import { FrameViews } from "./frame-views.ts";
import { ownerTakesChecksum, ownerTakesSegmentation, SwitchPort, type SwitchPortOptions } from "./switch-port.ts";

export interface LearningSwitchOptions {
  readonly ports: readonly SwitchPortOptions[];
  /** Stations known for each port; default 256. */
  readonly addressesPerPort?: number;
  /** How long a silent station is remembered; default 300 s (IEEE 802.1Q §8.8.3). */
  readonly ageingNs?: number;
}

const ADDRESSES_DEFAULT = 256;
const ADDRESSES_MAX = 65536;
const AGEING_DEFAULT_NS = 300e9;
const PORTS_MAX = 1024;
const ETHERNET_HEADER_BYTES = 14;

export class LearningSwitch {
  readonly ports: readonly SwitchPort[];
  readonly addresses: AddressTable;
  readonly #frame = new Frame(new Uint8Array(0));

  /** @throws RangeError for an option out of range; the message says what was got and what is allowed */
  constructor({ ports, addressesPerPort, ageingNs }: LearningSwitchOptions) {
    const perPort = addressesPerPort ?? ADDRESSES_DEFAULT;
    const ageing = ageingNs ?? AGEING_DEFAULT_NS;
    if (ports.length < 1 || ports.length > PORTS_MAX) {
      throw new RangeError(`ports: got ${ports.length}, allowed are 1 to ${PORTS_MAX}`);
    }
    if (!Number.isInteger(perPort) || perPort < 1 || perPort > ADDRESSES_MAX) {
      throw new RangeError(`addressesPerPort: got ${perPort}, allowed is a whole number from 1 to ${ADDRESSES_MAX}`);
    }
    if (!(ageing > 0)) throw new RangeError(`ageingNs: got ${ageing}, allowed is a number above 0`);
    this.addresses = new AddressTable(ports.length, perPort, ageing);
    // A frame may have to go to any port, so a card must finish what one of them does not take.
    const takesChecksum = ports.every(ownerTakesChecksum);
    const takesSegmentation = ports.every(ownerTakesSegmentation);
    this.ports = ports.map((options, index) => {
      const views = new FrameViews();
      const forward = (frame: Frame, nowNs: number): boolean => this.#forward(index, frame, views, nowNs);
      return new SwitchPort(options, takesChecksum, takesSegmentation, forward);
    });
  }

  /** Fetches frames from the ports that have a peer, at most `budgetFrames` from each; returns how many there were. */
  poll(nowNs: number, budgetFrames: number): number {
    let frames = 0;
    for (let port = 0; port < this.ports.length; port++) {
      frames += this.ports[port]!.fetch(this.#frame, budgetFrames, nowNs);
    }
    return frames;
  }

  /** When `poll` is to be called next, ns: Infinity if no peer knows of a frame. */
  nextDeadlineNs(): number {
    let nextNs = Number.POSITIVE_INFINITY;
    for (let port = 0; port < this.ports.length; port++) nextNs = Math.min(nextNs, this.ports[port]!.nextFetchNs);
    return nextNs;
  }

  /** False if nobody got the frame, and somebody should have. */
  #forward(from: number, frame: Frame, views: FrameViews, nowNs: number): boolean {
    const counters = this.ports[from]!.counters;
    const { bytes, offset } = frame;
    if (frame.lengthBytes < ETHERNET_HEADER_BYTES) {
      counters.tooShort++;
      return false;
    }
    // The bits that tell groups from stations are the lowest of the first byte.
    if ((bytes[offset + 6]! & 1) !== 0) {
      counters.groupSource++;
      return false;
    }
    counters.received++;
    this.addresses.hear(high(bytes, offset + 6), low(bytes, offset + 6), from, nowNs);
    const isGroup = (bytes[offset]! & 1) !== 0;
    const to = isGroup ? NO_PORT : this.addresses.portOf(high(bytes, offset), low(bytes, offset), nowNs);
    if (to === from) {
      counters.local++;
      return true;
    }
    if (to !== NO_PORT) return this.ports[to]!.enqueue(frame, views, nowNs);
    counters.flooded++;
    let taken = 0;
    for (let port = 0; port < this.ports.length; port++) {
      if (port !== from && this.ports[port]!.enqueue(frame, views, nowNs)) taken++;
    }
    return taken > 0 || this.ports.length === 1;
  }
}

/** Bytes 0 … 3 of the address at `at`, as an int32. */
function high(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Its bytes 4 and 5. */
function low(bytes: Uint8Array, at: number): number {
  return (bytes[at + 4]! << 8) | bytes[at + 5]!;
}
