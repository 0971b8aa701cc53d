/**
 * The latency interval for what the guest is at, unless the embedder has said one.
 *
 * In an *exchange* the other end waits for the guest's answer before it sends more: an interval does nothing but delay it.
 * In a *stream* frames come whether or not the guest has read those before: the longer the interval, the more of them share
 * what an interrupt costs an emulated CPU, and the reader that it wakes. A card sees which it is by what the guest sends
 * between two interrupts: a small frame for each that it got is an exchange, all else is a stream. Each stretch of an
 * exchange takes the interval down fast, each of a stream takes it up, so that an answer here and there in a stream, or an
 * acknowledgement between two requests, does not make it jump.
 *
 * The rule is ours; Intel's drivers weigh packets and bytes of an interrupt likewise, but in one direction only. What it
 * was measured to do: docs/decisions/006-in-v86.md.
 */

import { type HostWindow, ITR_LATENCY, type NetCard, THROTTLE_STRIDE } from "../../device/index.ts";

const SHORTEST_NS = 125_000;
const LONGEST_NS = 2_000_000;
const STEP_UP = 2;
const STEP_DOWN = 4;
/** Both ways together: a request and its answer, each of a whole Ethernet frame, and something on top. */
const EXCHANGE_BYTES_MAX = 4096;
/** Frames sent without one received that make a stream; fewer may be answers to frames of before. */
const UNASKED_FRAMES_MIN = 4;

/** Since the card was made: frames that the guest has received and sent, and the bytes of both. */
interface Totals {
  received: number;
  sent: number;
  bytes: number;
}

export class LatencyGovernor {
  readonly #card: NetCard;
  readonly #host: HostWindow;
  readonly #pairs: number;
  #lastNotifyNs = Number.NEGATIVE_INFINITY;
  /** What the registers hold if nobody else has written them. */
  #intervalNs = 0;
  /** At the interrupt that was judged last. */
  #judged: Totals = { received: 0, sent: 0, bytes: 0 };

  constructor(card: NetCard, host: HostWindow, pairs: number) {
    this.#card = card;
    this.#host = host;
    this.#pairs = pairs;
  }

  /** Between two stretches of instructions. A vector whose interval somebody else has written is left alone. */
  govern(nowNs: number): void {
    if (!this.#hasNotified()) return;
    const totals = this.#totals();
    const received = totals.received - this.#judged.received;
    const sent = totals.sent - this.#judged.sent;
    // An interrupt for what was sent tells nothing yet: it comes between a request and the next.
    if (received === 0 && sent < UNASKED_FRAMES_MIN) return;
    const isShort = totals.bytes - this.#judged.bytes <= EXCHANGE_BYTES_MAX;
    this.#judged = totals;
    const isExchange = received > 0 && sent >= received && isShort;
    this.#program(isExchange ? shorter(this.#intervalNs) : longer(this.#intervalNs), nowNs);
  }

  /** The card's counters and registers are those of a saved state. */
  restored(nowNs: number): void {
    this.#judged = this.#totals();
    this.#intervalNs = this.#host.read(ITR_LATENCY, nowNs);
  }

  #program(intervalNs: number, nowNs: number): void {
    if (intervalNs === this.#intervalNs) return;
    for (let vector = 0; vector < this.#card.throttle.vectors.length; vector++) {
      const register = vector * THROTTLE_STRIDE + ITR_LATENCY;
      if (this.#host.read(register, nowNs) === this.#intervalNs) this.#host.write(register, intervalNs, nowNs);
    }
    this.#intervalNs = intervalNs;
  }

  /** True if the throttle has let an interrupt through since the last call. */
  #hasNotified(): boolean {
    const { vectors } = this.#card.throttle;
    let latestNs = this.#lastNotifyNs;
    for (let i = 0; i < vectors.length; i++) latestNs = Math.max(latestNs, vectors[i]!.lastNotifyNs);
    if (latestNs === this.#lastNotifyNs) return false;
    this.#lastNotifyNs = latestNs;
    return true;
  }

  #totals(): Totals {
    const { queues } = this.#card.statistics;
    const totals: Totals = { received: 0, sent: 0, bytes: 0 };
    for (let pair = 0; pair < this.#pairs; pair++) {
      const receive = queues[2 * pair]!;
      const transmit = queues[2 * pair + 1]!;
      totals.received += receive.frames;
      totals.sent += transmit.frames;
      totals.bytes += receive.bytes + transmit.bytes;
    }
    return totals;
  }
}

function longer(intervalNs: number): number {
  return Math.min(LONGEST_NS, Math.max(SHORTEST_NS, intervalNs * STEP_UP));
}

function shorter(intervalNs: number): number {
  return intervalNs <= SHORTEST_NS ? 0 : Math.max(SHORTEST_NS, intervalNs / STEP_DOWN);
}
