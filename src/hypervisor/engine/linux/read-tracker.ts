import type { NetCard } from "../../../device/index.ts";
import { GUEST_ACTIVE } from "../../../device/spec/throttle-registers.ts";
import { EV_DRAIN, EV_REFILL, type EventLog } from "../../events/event.ts";
import { SampleLog } from "../../report/percentiles.ts";

const RECEIVE_QUEUE = 0;

/** Waiting times, ns, apart by what the scheduler did meanwhile (docs/results.md). */
export interface WaitingTimes {
  readonly latencyNs: SampleLog;
  readonly latencyCutNs: SampleLog;
  readonly latencyInactiveNs: SampleLog;
}

/**
 * Which of the delivered frames the driver has read, as far as the card can see it. A driver that is not ours says so in
 * two ways: buffers that it makes available anew are those of frames that it has read; and when it arms its interrupt
 * again, at the index up to which it has looked, it has read everything before that (virtio 1.4 §2.7.7, §2.8.10).
 *
 * Looked at between two stretches of the guest's instructions, before new frames come: times of reading are late by up to
 * one stretch.
 */
export class ReadTracker {
  /** Frames that were delivered, and of those the ones that are known to be read. */
  delivered = 0;
  read = 0;
  readonly waits: WaitingTimes = {
    latencyNs: new SampleLog(),
    latencyCutNs: new SampleLog(),
    latencyInactiveNs: new SampleLog(),
  };
  readonly #log: EventLog | null;
  readonly #guest: number;
  readonly #ring: number;
  // Of the frames in the ring, oldest first, at their number mod ring: never more than the ring has buffers.
  readonly #ids: Float64Array;
  readonly #arrivedNs: Float64Array;
  readonly #states: Int32Array;
  readonly #buffers: Uint32Array;
  /** Buffers of the frames in the ring, and buffers that the driver has made available in all, as it was last seen. */
  #unreadBuffers = 0;
  #usedBuffers = 0;
  #offered = 0;

  /** `ring` is the number of entries of the receive ring. */
  constructor(log: EventLog | null, guest: number, ring: number) {
    this.#log = log;
    this.#guest = guest;
    this.#ring = ring;
    this.#ids = new Float64Array(ring);
    this.#arrivedNs = new Float64Array(ring);
    this.#states = new Int32Array(ring);
    this.#buffers = new Uint32Array(ring);
  }

  /** The run begins: the ring is drained, and has as many free buffers as it has now. */
  begin(card: NetCard): void {
    this.#offered = card.freeReceiveBuffers;
    this.#usedBuffers = 0;
  }

  /** A frame was written to the ring; `stateWord` is the guest's state, as of `nowNs` on the run's clock. */
  deliver(id: number, buffers: number, stateWord: number, nowNs: number): void {
    const at = this.delivered % this.#ring;
    this.#ids[at] = id;
    this.#arrivedNs[at] = nowNs;
    this.#states[at] = stateWord;
    this.#buffers[at] = buffers;
    this.#unreadBuffers += buffers;
    this.#usedBuffers += buffers;
    this.delivered++;
  }

  /** Looks at the ring, at `nowNs` of the run's clock; `stateWord` is the guest's state. */
  look(card: NetCard, stateWord: number, nowNs: number): void {
    const offered = this.#usedBuffers + card.freeReceiveBuffers;
    if (offered > this.#offered) {
      this.#log?.record(nowNs, EV_REFILL, this.#guest, 0, RECEIVE_QUEUE, offered - this.#offered, 0, 0);
      this.#offered = offered;
    }
    if (this.delivered === this.read) return;
    const drained = !card.queues.mayHaveUnread(RECEIVE_QUEUE);
    // A ring full of offers would mean that every used buffer was read; each that is missing may still hold a frame.
    const readBuffers = drained ? this.#unreadBuffers : this.#unreadBuffers - (this.#ring - card.freeReceiveBuffers);
    this.#take(readBuffers, stateWord, nowNs);
  }

  /** The oldest frames, as far as they lie in the first `readBuffers` buffers, were read. */
  #take(readBuffers: number, stateWord: number, nowNs: number): void {
    const first = this.read;
    let left = readBuffers;
    while (this.read < this.delivered) {
      const at = this.read % this.#ring;
      left -= this.#buffers[at]!;
      if (left < 0) break;
      this.#unreadBuffers -= this.#buffers[at]!;
      this.#sample(this.#arrivedNs[at]!, this.#states[at]!, stateWord, nowNs);
      this.read++;
    }
    const count = this.read - first;
    if (count === 0) return;
    const firstId = this.#ids[first % this.#ring]!;
    const lastId = this.#ids[(this.read - 1) % this.#ring]!;
    this.#log?.record(nowNs, EV_DRAIN, this.#guest, firstId, RECEIVE_QUEUE, lastId, count, 0);
  }

  /** State words are `seq << 2 | GUEST_STATE`: the same word means the same span. */
  #sample(arrivedNs: number, arrivalState: number, readState: number, nowNs: number): void {
    const { latencyNs, latencyCutNs, latencyInactiveNs } = this.waits;
    const log =
      (arrivalState & GUEST_ACTIVE) === 0 ? latencyInactiveNs : arrivalState === readState ? latencyNs : latencyCutNs;
    log.push(nowNs - arrivedNs);
  }
}
