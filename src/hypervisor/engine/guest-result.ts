import type { NetCard } from "../../device/index.ts";
import type { FrameIntake } from "../../guest/frame-intake.ts";
import { distributionOf, type SampleLog } from "../report/percentiles.ts";
import type { GuestResult, LinuxCounts } from "../report/result.ts";
import type { Wire } from "./wire.ts";

/** What the card of a guest counted; plain data, so that a thread can send it. */
export interface CardCounts {
  readonly arrived: number;
  readonly delivered: number;
  readonly dropped: number;
  /** In the order of NOTIFY_* and WAKE_*. */
  readonly notifications: readonly number[];
  readonly wakes: readonly number[];
  readonly wakesCoalesced: number;
  readonly notifyNs: Float64Array;
  readonly transmitted: { readonly frames: number; readonly bytes: number; readonly corrupted: number };
}

/** What the guest itself saw. */
export interface ReaderCounts {
  readonly read: number;
  /** By the guest's own checks; `lost` still holds what the card dropped. */
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  readonly latencyNs: Float64Array;
  readonly latencyCutNs: Float64Array;
  readonly latencyInactiveNs: Float64Array;
}

/** What the host did with it. */
export interface HostCounts {
  readonly activations: number;
  readonly activeNs: number;
  readonly unboosted: number;
}

const RECEIVE_QUEUE = 0;

export function cardCounts(card: NetCard, wire: Wire, notifyNs: SampleLog): CardCounts {
  const queue = card.statistics.queues[RECEIVE_QUEUE]!;
  // MMIO has one vector.
  const { counters } = card.throttle.vectors[0]!;
  const { frames, bytes, corrupted } = wire.sink;
  return {
    arrived: wire.port.taken,
    delivered: queue.frames,
    dropped: queue.dropped,
    notifications: [...counters.notifications],
    wakes: [...counters.wakes],
    wakesCoalesced: counters.wakesCoalesced,
    notifyNs: notifyNs.toArray(),
    transmitted: { frames, bytes, corrupted },
  };
}

export function readerCounts(read: number, intake: FrameIntake): ReaderCounts {
  const { lost, duplicated, reordered, corrupted } = intake.check;
  return { read, lost, duplicated, reordered, corrupted, ...intake.log.toTransfer() };
}

/** `linux` is what the guest's own kernel counted, null for a guest that is none. */
export function guestResult(
  name: string,
  card: CardCounts,
  reader: ReaderCounts,
  host: HostCounts,
  linux: LinuxCounts | null = null,
): GuestResult {
  const [latency, guard, urgent, wake, config] = card.notifications as [number, number, number, number, number];
  const [byOverflow, byGuard, byUrgent, byConfig] = card.wakes as [number, number, number, number];
  return {
    name,
    arrived: card.arrived,
    delivered: card.delivered,
    dropped: card.dropped,
    read: reader.read,
    unread: card.delivered - reader.read,
    violations: {
      // Missing numbers below the highest one read, less those that the card said it dropped.
      lost: Math.max(0, reader.lost - card.dropped),
      duplicated: reader.duplicated,
      reordered: reader.reordered,
      corrupted: reader.corrupted,
    },
    transmitted: card.transmitted,
    notifications: { total: latency + guard + urgent + wake + config, latency, guard, urgent, wake, config },
    wakes: {
      total: byOverflow + byGuard + byUrgent + byConfig,
      overflow: byOverflow,
      guard: byGuard,
      urgent: byUrgent,
      config: byConfig,
      coalesced: card.wakesCoalesced,
      unboosted: host.unboosted,
    },
    activations: host.activations,
    activeNs: host.activeNs,
    notifyNs: distributionOf(card.notifyNs),
    latencyNs: distributionOf(reader.latencyNs),
    latencyCutNs: distributionOf(reader.latencyCutNs),
    latencyInactiveNs: distributionOf(reader.latencyInactiveNs),
    ...(linux === null ? {} : { linux }),
  };
}
