/**
 * Statistics that the driver can ask for (virtio 1.4 §5.1.9.5.11): one entry per type, with the counters of its reply in
 * the order of the standard. They count from when the card was made: a reset does not stop them. There are none of speed,
 * for the card drops nothing to keep to one.
 */

import {
  CAUSE_KIND_CTRL,
  CAUSE_KIND_RX,
  CAUSE_KIND_TX,
  DROP_FAULT,
  DROP_NO_BUFFER,
  DROP_NOT_READY,
  DROP_TOO_LONG,
} from "../observer.ts";
import {
  NET_F_CSUM,
  NET_F_GUEST_CSUM,
  NET_F_GUEST_TSO4,
  NET_F_GUEST_TSO6,
  NET_F_HOST_TSO4,
  NET_F_HOST_TSO6,
  NET_F_HOST_USO,
} from "../spec/virtio-net.ts";
import {
  STATS_REPLY_HDR_BYTES,
  STATS_TYPE_CVQ,
  STATS_TYPE_RX_BASIC,
  STATS_TYPE_RX_CSUM,
  STATS_TYPE_RX_GSO,
  STATS_TYPE_TX_BASIC,
  STATS_TYPE_TX_CSUM,
  STATS_TYPE_TX_GSO,
} from "../spec/virtio-net-control.ts";
import type { ResultWriter } from "./control/result-writer.ts";
import type { FeatureNegotiation } from "./features.ts";
import type { QueueNumbering } from "./queue-numbering.ts";
import type { CardStatistics, QueueStatistics } from "./statistics.ts";

interface StatisticsType {
  /** Number of the type: its bit in a bitmap of types, and what the reply calls it. */
  readonly type: number;
  /** CAUSE_KIND_* of the queues that have it. */
  readonly kind: number;
  /** Features of which one must be negotiated. */
  readonly needsOneOf?: readonly number[];
  readonly counters: readonly ((queue: QueueStatistics) => number)[];
}

const COUNTER_BYTES = 8;

const TYPES: readonly StatisticsType[] = [
  {
    type: STATS_TYPE_RX_BASIC,
    kind: CAUSE_KIND_RX,
    counters: [
      (queue) => queue.kicks,
      (queue) => queue.frames,
      (queue) => queue.bytes,
      (queue) => queue.interrupts,
      (queue) => queue.dropped,
      (queue) => queue.drops[DROP_NO_BUFFER]!,
    ],
  },
  {
    type: STATS_TYPE_RX_CSUM,
    kind: CAUSE_KIND_RX,
    needsOneOf: [NET_F_GUEST_CSUM],
    counters: [
      (queue) => queue.checksumValid,
      (queue) => queue.checksumNeeded,
      (queue) => queue.frames - queue.checksumValid - queue.checksumNeeded,
      // The card verifies no checksum, so it finds none that is bad.
      () => 0,
    ],
  },
  {
    type: STATS_TYPE_RX_GSO,
    kind: CAUSE_KIND_RX,
    needsOneOf: [NET_F_GUEST_TSO4, NET_F_GUEST_TSO6],
    // What arrives in segments is not put together.
    counters: [(queue) => queue.gsoFrames, (queue) => queue.gsoBytes, () => 0, () => 0],
  },
  {
    type: STATS_TYPE_TX_BASIC,
    kind: CAUSE_KIND_TX,
    counters: [
      (queue) => queue.kicks,
      (queue) => queue.frames,
      (queue) => queue.bytes,
      (queue) => queue.interrupts,
      (queue) => queue.dropped,
      (queue) => queue.drops[DROP_FAULT]!,
    ],
  },
  {
    type: STATS_TYPE_TX_CSUM,
    kind: CAUSE_KIND_TX,
    needsOneOf: [NET_F_CSUM],
    counters: [framesWithoutChecksum, (queue) => queue.checksumNeeded],
  },
  {
    type: STATS_TYPE_TX_GSO,
    kind: CAUSE_KIND_TX,
    needsOneOf: [NET_F_HOST_TSO4, NET_F_HOST_TSO6, NET_F_HOST_USO],
    counters: [
      (queue) => queue.gsoFrames,
      (queue) => queue.gsoBytes,
      (queue) => queue.segments,
      (queue) => queue.segmentBytes,
      (queue) => queue.gsoFramesWhole,
      (queue) => queue.gsoBytesWhole,
    ],
  },
  {
    type: STATS_TYPE_CVQ,
    kind: CAUSE_KIND_CTRL,
    counters: [(queue) => queue.frames, (queue) => queue.commandsDone],
  },
];

export class DeviceStatistics {
  readonly #numbering: QueueNumbering;
  readonly #statistics: CardStatistics;
  readonly #features: FeatureNegotiation;

  constructor(numbering: QueueNumbering, statistics: CardStatistics, features: FeatureNegotiation) {
    this.#numbering = numbering;
    this.#statistics = statistics;
    this.#features = features;
  }

  /** STATS_QUERY: a bitmap of all types that the card has under what was negotiated (NSTAT-1). */
  writeCapabilities(result: ResultWriter): void {
    let low = 0;
    let high = 0;
    for (const statisticsType of TYPES) {
      if (!this.#has(statisticsType)) continue;
      const { type } = statisticsType;
      low |= lowBit(type);
      high |= highBit(type);
    }
    result.u32(low);
    result.u32(high);
  }

  /** True if the queue of `slot` has all types of a bitmap, of two words (NSTAT-2). */
  hasTypes(slot: number, low: number, high: number): boolean {
    let lowLeft = low;
    let highLeft = high;
    for (const statisticsType of TYPES) {
      const { type, kind } = statisticsType;
      if (kind !== this.#numbering.kindOf(slot) || !this.#has(statisticsType)) continue;
      lowLeft &= ~lowBit(type);
      highLeft &= ~highBit(type);
    }
    return lowLeft === 0 && highLeft === 0;
  }

  #has({ needsOneOf }: StatisticsType): boolean {
    return needsOneOf === undefined || needsOneOf.some((feature) => this.#features.has(feature));
  }

  /** STATS_GET: the replies of a queue, one for each type of a bitmap that `hasTypes` has passed (NSTAT-4, NSTAT-5). */
  writeReplies(slot: number, low: number, high: number, result: ResultWriter): void {
    const queue = this.#statistics.queues[slot]!;
    queue.wrap();
    for (const { type, counters } of TYPES) {
      if ((low & lowBit(type)) === 0 && (high & highBit(type)) === 0) continue;
      result.u8(type);
      result.u8(0);
      result.u16(this.#numbering.indexOf(slot));
      result.u16(0);
      result.u16(STATS_REPLY_HDR_BYTES + COUNTER_BYTES * counters.length);
      for (const counter of counters) result.u64(counter(queue));
    }
  }
}

/** Frames that the driver has sent, and for which the card had a link, whose checksum was not left to others. */
function framesWithoutChecksum({ buffers, drops, checksumNeeded }: QueueStatistics): number {
  return buffers - drops[DROP_FAULT]! - drops[DROP_TOO_LONG]! - drops[DROP_NOT_READY]! - checksumNeeded;
}

function lowBit(type: number): number {
  return type < 32 ? 1 << type : 0;
}

function highBit(type: number): number {
  return type < 32 ? 0 : 1 << (type - 32);
}
