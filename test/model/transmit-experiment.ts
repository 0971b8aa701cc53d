/**
 * Sending: the driver commits frames, flushes, kicks if the card wants that, and sleeps when its ring is full; the card's
 * transmit path empties the ring, arms the kick and sleeps until it comes. Both are the real code.
 */

import type { FramePort } from "../../src/device/link/frame-port.ts";
import { FeatureNegotiation } from "../../src/device/net/features.ts";
import { FrameStaging } from "../../src/device/net/frame-staging.ts";
import { negotiated } from "../../src/device/net/negotiated.ts";
import { TransmitPath } from "../../src/device/net/transmit.ts";
import { TransmitOffloads } from "../../src/device/net/transmit-offloads.ts";
import { CAUSE_KIND_TX } from "../../src/device/observer.ts";
import { Segmenter } from "../../src/device/offload/segmenter.ts";
import { ETHERNET_HEADER_BYTES, NET_HDR_BYTES } from "../../src/device/spec/virtio-net.ts";
import { MmioTransport } from "../../src/guest/mmio-transport.ts";
import { TransmitQueue } from "../../src/guest/transmit-queue.ts";
import type { Experiment } from "./preemption.ts";
import {
  BUFFERS,
  DeviceEnd,
  driverRing,
  KICK,
  MEMORY_BYTES,
  nameIn,
  PENDING,
  type RingOptions,
  ramOf,
  sideOf,
} from "./ring-world.ts";

const FRAME_BYTES = ETHERNET_HEADER_BYTES + 1;
const BUFFER_BYTES = 32;
const BUDGET = 64;

export interface TransmitOptions extends RingOptions {
  readonly watch?: Experiment["watch"];
  /** Frames of each flush. */
  readonly flushes: readonly number[];
}

export interface TransmitOutcomes {
  readonly experiment: Experiment;
  /** `kicks / notifications`, as they were seen at least once. */
  readonly seen: Set<string>;
}

export function transmitExperiment(options: TransmitOptions): TransmitOutcomes {
  const frames = options.flushes.reduce((sum, count) => sum + count, 0);
  const all = Array.from({ length: frames }, (_, i) => i + 1);
  const seen = new Set<string>();
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
      const { sent, end } = card!;
      const { transmit } = guest!;
      if (!waiting.has("card")) throw new Error("the card has ended");
      if (waiting.has("guest")) throw new Error(`sent were ${sent} of ${frames}: the driver sleeps`);
      if (`${sent}` !== `${all}`) throw new Error(`committed were ${all}, sent ${sent}: the card sleeps`);
      transmit.reclaim();
      if (transmit.completed !== frames) throw new Error(`${transmit.completed} of ${frames} frames came back`);
      if (transmit.ring.freeDescriptors !== options.size) throw new Error("descriptors were lost");
      if (end.queue.refresh() !== 0 || !end.queue.armed) throw new Error("the card sleeps without an armed kick");
      seen.add(`${guest!.kicks}/${end.notifications}`);
    },
  };
  return { experiment, seen };
}

class Card {
  readonly end: DeviceEnd;
  readonly sent: number[] = [];
  readonly #path: TransmitPath;

  constructor(buffer: SharedArrayBuffer, options: TransmitOptions) {
    this.end = new DeviceEnd(buffer, CAUSE_KIND_TX, true, options);
    const port: FramePort = {
      maxFrameBytes: FRAME_BYTES,
      takesChecksum: false,
      takesSegmentation: false,
      receive: () => false,
      nextArrivalNs: () => Number.POSITIVE_INFINITY,
      transmit: ({ bytes, offset, lengthBytes }) => {
        if (lengthBytes !== FRAME_BYTES) throw new Error(`a frame of ${lengthBytes} bytes was sent`);
        this.sent.push(bytes[offset + ETHERNET_HEADER_BYTES]!);
        return true;
      },
    };
    const staging = new FrameStaging(this.end.memory, undefined, FRAME_BYTES);
    const offloads = new TransmitOffloads(port, new Segmenter());
    this.#path = new TransmitPath(this.end.context, port, staging, offloads);
    // Nothing is negotiated.
    this.#path.configure(negotiated(new FeatureNegotiation(), 1500));
  }

  /** As `QueueBank.serve` does it: an armed queue is looked at only after a kick. */
  run(): void {
    const { words, queue } = this.end;
    for (let nowNs = 0; ; nowNs++) {
      const kicked = Atomics.exchange(words, KICK, 0) !== 0;
      if (queue.armed && !kicked) {
        Atomics.wait(words, KICK, 0);
        continue;
      }
      this.#path.run(BUDGET, nowNs);
      this.end.expireAll();
    }
  }
}

class Guest {
  readonly transmit: TransmitQueue;
  kicks = 0;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #flushes: readonly number[];

  constructor(buffer: SharedArrayBuffer, options: TransmitOptions) {
    this.#words = new Int32Array(buffer);
    this.#flushes = options.flushes;
    const ram = ramOf(buffer, options);
    this.#bytes = ram.u8;
    const ring = driverRing(ram, options);
    const transport = new MmioTransport({
      read: () => 0,
      write: () => {
        this.kicks++;
        Atomics.store(this.#words, KICK, 1);
        Atomics.notify(this.#words, KICK);
      },
    });
    const settings = {
      queue: 1,
      buffersAddress: BUFFERS,
      bufferBytes: BUFFER_BYTES,
      tablesAddress: 0,
      framing: "joined" as const,
      frameBytesMax: FRAME_BYTES,
    };
    this.transmit = new TransmitQueue(ring, ram, transport, settings, null);
  }

  run(): void {
    const { transmit } = this;
    let id = 0;
    for (const count of this.#flushes) {
      for (let i = 0; i < count; i++) {
        const address = this.#reserve();
        this.#bytes[address + ETHERNET_HEADER_BYTES] = ++id;
        transmit.commit();
      }
      transmit.flush();
    }
  }

  #reserve(): number {
    const words = this.#words;
    for (;;) {
      const address = this.transmit.reserve(FRAME_BYTES);
      if (address >= NET_HDR_BYTES) return address;
      Atomics.wait(words, PENDING, 0);
      if (Atomics.exchange(words, PENDING, 0) !== 0) this.transmit.interrupted();
    }
  }
}
