import type { Frame, FramePort } from "../../device/link/frame-port.ts";
import { SampleLog } from "../report/percentiles.ts";
import { countOf, timeText } from "../report/quantity.ts";
import { PACKET_BYTES_MAX } from "./capture-source.ts";
import type { FrameSink } from "./frame-sink.ts";
import type { StampedFrames } from "./stamped-frames.ts";

/** A request that is not answered within this counts as lost, and is replaced. */
export const ANSWER_TIMEOUT_NS = 1e9;
/** A client is named by the frame's flow, which has 16 bits. */
const CLIENTS_MAX = 65536;

export interface RequestPortOptions {
  readonly frames: StampedFrames;
  readonly sink: FrameSink;
  /** Requests kept in flight. */
  readonly outstanding: number;
  /** From an answer to the next request. */
  readonly thinkNs: number;
  readonly lengthBytes: number;
  /** Requests in all, null = no limit. */
  readonly count: number | null;
  /** When the first requests are due; Infinity = when `begin` says. */
  readonly startNs?: number;
  /** No request is due this long after the start, or later; null = no limit. */
  readonly durationNs?: number | null;
}

/**
 * The wire of one guest with a closed loop at its other end: a number of clients, each of which sends a request, waits
 * for the answer, thinks, and sends the next. The flow of a request names its client, the sequence number the request;
 * an answer repeats both.
 */
export class RequestPort implements FramePort {
  readonly maxFrameBytes = PACKET_BYTES_MAX;
  readonly takesChecksum = false;
  readonly takesSegmentation = false;
  /** As in TrafficPort. */
  stateWord = 0;
  taken = 0;
  lastScheduledNs = 0;
  answered = 0;
  /** Requests not answered in time. */
  lost = 0;
  /** Sound frames that answer no request in flight: duplicates, and answers after the time. */
  unexpected = 0;
  /** From taking each request off the wire to its answer. */
  readonly responseNs = new SampleLog();
  readonly #frames: StampedFrames;
  readonly #sink: FrameSink;
  readonly #thinkNs: number;
  readonly #lengthBytes: number;
  readonly #countMax: number;
  readonly #durationNs: number;
  #endNs = Number.POSITIVE_INFINITY;
  /** Clients that think, in the order in which they will be done: all think equally long. */
  readonly #thinking: ClientQueue;
  /** Clients whose request was lost, and at the start all: they send at once. */
  readonly #ready: ClientQueue;
  /** Clients in flight, in the order of sending; the queue's times are those of sending. */
  readonly #inFlight: ClientQueue;
  /** Of each client's request in flight. */
  readonly #sequences: Uint32Array;

  constructor(options: RequestPortOptions) {
    const { frames, outstanding } = options;
    if (!Number.isInteger(outstanding) || outstanding < 1 || outstanding > CLIENTS_MAX) {
      throw new RangeError(`outstanding: got ${outstanding}, allowed are 1 to ${CLIENTS_MAX}`);
    }
    if (!(options.lengthBytes <= frames.slotBytes)) {
      throw new RangeError(
        `lengthBytes: got ${options.lengthBytes}, allowed are at most the slot's ${frames.slotBytes}`,
      );
    }
    this.#frames = frames;
    this.#sink = options.sink;
    this.#thinkNs = options.thinkNs;
    this.#lengthBytes = options.lengthBytes;
    this.#countMax = options.count ?? Number.POSITIVE_INFINITY;
    this.#durationNs = options.durationNs ?? Number.POSITIVE_INFINITY;
    this.#thinking = new ClientQueue(outstanding);
    this.#ready = new ClientQueue(outstanding);
    this.#inFlight = new ClientQueue(outstanding);
    this.#sequences = new Uint32Array(outstanding);
    for (let client = 0; client < outstanding; client++) this.#ready.append(client, Number.POSITIVE_INFINITY);
    this.begin(options.startNs ?? 0);
  }

  /** The first requests are due at `startNs`: for a port that was made with Infinity, before a request was taken. */
  begin(startNs: number): void {
    const clients = this.#ready.length;
    for (let i = 0; i < clients; i++) this.#ready.append(this.#ready.takeFirst(), startNs);
    this.#endNs = startNs + this.#durationNs;
  }

  /** What is to be known of the traffic so far. */
  get notes(): readonly string[] {
    return this.lost === 0
      ? []
      : [`${countOf(this.lost, "request")} not answered within ${timeText(ANSWER_TIMEOUT_NS)}`];
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** When the oldest request in flight counts as lost; Infinity if there is none. */
  nextTimeoutNs(): number {
    return this.#inFlight.firstNs() + ANSWER_TIMEOUT_NS;
  }

  /** Counts as lost what is not answered by now. `receive` and `transmit` do so too; a run calls it at its end. */
  expire(nowNs: number): void {
    while (this.nextTimeoutNs() <= nowNs) {
      const lostNs = this.nextTimeoutNs();
      this.#ready.append(this.#inFlight.takeFirst(), lostNs);
      this.lost++;
    }
  }

  nextArrivalNs(): number {
    if (this.taken >= this.#countMax) return Number.POSITIVE_INFINITY;
    const dueNs = Math.min(this.#ready.firstNs(), this.#thinking.firstNs(), this.nextTimeoutNs());
    return dueNs < this.#endNs ? dueNs : Number.POSITIVE_INFINITY;
  }

  receive(frame: Frame, nowNs: number): boolean {
    this.expire(nowNs);
    const dueNs = this.nextArrivalNs();
    if (dueNs > nowNs) return false;
    const queue = this.#ready.firstNs() <= this.#thinking.firstNs() ? this.#ready : this.#thinking;
    const client = queue.takeFirst();
    const sequence = this.taken >>> 0;
    this.#frames.stamp(frame, sequence, this.#lengthBytes, nowNs, this.stateWord, client);
    this.taken++;
    this.lastScheduledNs = dueNs;
    this.#sequences[client] = sequence;
    this.#inFlight.append(client, nowNs);
    return true;
  }

  transmit(frame: Frame, nowNs: number): boolean {
    this.expire(nowNs);
    if (!this.#sink.accept(frame)) return true;
    const { flow, sequence } = this.#sink;
    if (!this.#inFlight.has(flow) || this.#sequences[flow] !== sequence) {
      this.unexpected++;
      return true;
    }
    this.answered++;
    this.responseNs.push(nowNs - this.#inFlight.timeNs(flow));
    this.#inFlight.remove(flow);
    this.#thinking.append(flow, nowNs + this.#thinkNs);
    return true;
  }

  /** Nothing is to be released; it makes the port's owner need not tell it from a TrafficPort. */
  close(): void {}
}

/** Clients in order, each with a time: a doubly linked list in typed arrays, for answers come in any order. */
class ClientQueue {
  length = 0;
  /** Neighbours of each client; the list is a ring through an end mark, index `clients`. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #times: Float64Array;
  readonly #end: number;

  constructor(clients: number) {
    this.#next = new Int32Array(clients + 1).fill(-1);
    this.#previous = new Int32Array(clients + 1).fill(-1);
    // The end mark's time is that of an empty queue's first client.
    this.#times = new Float64Array(clients + 1).fill(Number.POSITIVE_INFINITY);
    this.#end = clients;
    this.#next[clients] = clients;
    this.#previous[clients] = clients;
  }

  has(client: number): boolean {
    return client < this.#end && this.#next[client] !== -1;
  }

  timeNs(client: number): number {
    return this.#times[client]!;
  }

  /** Time of the first client; Infinity if there is none. */
  firstNs(): number {
    return this.#times[this.#next[this.#end]!]!;
  }

  append(client: number, timeNs: number): void {
    const last = this.#previous[this.#end]!;
    this.#next[last] = client;
    this.#previous[client] = last;
    this.#next[client] = this.#end;
    this.#previous[this.#end] = client;
    this.#times[client] = timeNs;
    this.length++;
  }

  remove(client: number): void {
    const next = this.#next[client]!;
    const previous = this.#previous[client]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#next[client] = -1;
    this.length--;
  }

  takeFirst(): number {
    const client = this.#next[this.#end]!;
    this.remove(client);
    return client;
  }
}
