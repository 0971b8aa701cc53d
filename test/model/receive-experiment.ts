/**
 * Receiving: the card's receive path publishes batches and interrupts through its throttle, while the driver polls in the
 * manner of `Vcpu.step`, refills, ends its poll and sleeps. Both are the real code, down to the frames' bytes.
 */

import { Frame } from "../../src/device/link/frame-port.ts";
import { FeatureNegotiation } from "../../src/device/net/features.ts";
import { negotiated } from "../../src/device/net/negotiated.ts";
import { ReceivePath } from "../../src/device/net/receive.ts";
import { CAUSE_KIND_RX } from "../../src/device/observer.ts";
import { NET_HDR_BYTES } from "../../src/device/spec/virtio-net.ts";
import { MmioTransport } from "../../src/guest/mmio-transport.ts";
import { ReceiveQueue } from "../../src/guest/receive-queue.ts";
import type { ReceivedFrame } from "../../src/guest/received-frame.ts";
import type { Experiment } from "./preemption.ts";
import {
  BUFFERS,
  DeviceEnd,
  driverRing,
  MEMORY_BYTES,
  nameIn,
  PENDING,
  type RingOptions,
  ramOf,
  SIZE_MAX,
  sideOf,
} from "./ring-world.ts";

/** Header and the shortest frame of the experiment: its id. */
const BUFFER_BYTES = NET_HDR_BYTES + 4;
const BATCH_EVERY_NS = 100;

export interface ReceiveOptions extends RingOptions {
  readonly watch?: Experiment["watch"];
  /** Frames of each batch. */
  readonly batches: readonly number[];
  /** Frames a driver reads before it looks about. */
  readonly budget?: number;
  /** Buffers that each frame takes. */
  readonly spread?: number;
}

/** What all interleavings of an experiment came to. */
export interface ReceiveOutcomes {
  readonly experiment: Experiment;
  /** `notifications / frames read / frames dropped`, as they were seen at least once. */
  readonly seen: Set<string>;
  /** Interrupts that found the driver polling. */
  needless: number;
}

export function receiveExperiment(options: ReceiveOptions): ReceiveOutcomes {
  let card: Card | null = null;
  let guest: Guest | null = null;
  const experiment: Experiment = {
    memoryBytes: MEMORY_BYTES,
    nameOf: nameIn(options.size),
    ...(options.watch === undefined ? {} : { watch: options.watch }),
    sides: [
      sideOf("guest", (buffer) => {
        guest = new Guest(buffer, options);
        return guest;
      }),
      sideOf("card", (buffer) => {
        card = new Card(buffer, options);
        return card;
      }),
    ],
    check: (waiting) => {
      if (waiting.has("card")) throw new Error("the card does not come to its end");
      const { delivered } = card!;
      const { read, receive } = guest!;
      if (`${read}` !== `${delivered}`) throw new Error(`delivered were ${delivered}, read ${read}: the driver sleeps`);
      if (receive.polling || !receive.ring.notificationsOn) throw new Error("the driver sleeps with notifications off");
      const given = [receive.ring.exposed, card!.end.queue.refresh()];
      if (`${given}` !== `${[options.size, options.size]}`) throw new Error(`buffers were lost: ${given} are left`);
      outcomes.needless += guest!.needless;
      outcomes.seen.add(`${card!.end.notifications}/${read.length}/${card!.dropped}`);
    },
  };
  const outcomes: ReceiveOutcomes = { experiment, seen: new Set(), needless: 0 };
  return outcomes;
}

class Card {
  readonly end: DeviceEnd;
  readonly delivered: number[] = [];
  dropped = 0;
  readonly #path: ReceivePath;
  readonly #batches: readonly number[];
  readonly #frame: Frame;
  readonly #ids: Int32Array;

  constructor(buffer: SharedArrayBuffer, options: ReceiveOptions) {
    this.end = new DeviceEnd(buffer, CAUSE_KIND_RX, false, options);
    this.#path = new ReceivePath(this.end.context, SIZE_MAX);
    const spread = options.spread ?? 1;
    this.#path.configure({ ...negotiated(new FeatureNegotiation(), 1500), mergeable: spread > 1 });
    this.#batches = options.batches;
    const bytes = new Uint8Array(BUFFER_BYTES * spread - NET_HDR_BYTES);
    this.#frame = new Frame(bytes);
    this.#frame.lengthBytes = bytes.length;
    this.#ids = new Int32Array(bytes.buffer);
  }

  run(): void {
    const { statistics } = this.end.context;
    let nowNs = 0;
    let id = 0;
    for (const count of this.#batches) {
      for (let i = 0; i < count; i++) {
        const before = statistics.dropped;
        this.#ids.fill(++id);
        this.#path.accept(this.#frame, nowNs);
        if (statistics.dropped === before) this.delivered.push(id);
        else this.dropped++;
      }
      this.#path.finish(nowNs);
      nowNs += BATCH_EVERY_NS;
      this.end.throttle.expire(nowNs);
    }
    this.end.expireAll();
  }
}

class Guest {
  readonly receive: ReceiveQueue;
  readonly read: number[] = [];
  needless = 0;
  readonly #words: Int32Array;
  readonly #budget: number;

  constructor(buffer: SharedArrayBuffer, options: ReceiveOptions) {
    this.#words = new Int32Array(buffer);
    this.#budget = options.budget ?? 64;
    const ram = ramOf(buffer, options);
    const ring = driverRing(ram, options);
    // The receive queue wants no kicks, and the card ignores them.
    const transport = new MmioTransport({ read: () => 0, write: () => {} });
    const mergeable = (options.spread ?? 1) > 1;
    const settings = { queue: 0, buffersAddress: BUFFERS, bufferBytes: BUFFER_BYTES, mergeable, refillBatch: 2 };
    this.receive = new ReceiveQueue(ring, ram, transport, settings, null);
    this.receive.fill();
  }

  /** As `Vcpu.step` and the vCPU's loop do it; the doorbell is the pending word itself. */
  run(): void {
    const words = this.#words;
    const { receive } = this;
    for (;;) {
      const known = receive.ring.refreshUsed();
      if (Atomics.load(words, PENDING) !== 0 && Atomics.exchange(words, PENDING, 0) !== 0) {
        if (receive.polling) this.needless++;
        receive.startPolling();
      }
      if (receive.polling) {
        receive.poll(Math.min(known, this.#budget), this);
        if (receive.foundEmpty) receive.pollDone();
      } else {
        Atomics.wait(words, PENDING, 0);
      }
    }
  }

  frame({ u8, segmentAddress, lengthBytes, segments }: ReceivedFrame): number {
    const id = u8[segmentAddress[0]!]!;
    const last = segments - 1;
    if (u8[segmentAddress[last]! + (last > 0 ? BUFFER_BYTES - 4 : 0)] !== id || lengthBytes % 4 !== 0) {
      throw new Error(`frame ${id} was torn`);
    }
    this.read.push(id);
    return id;
  }
}
