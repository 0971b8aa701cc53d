import type { Frame, FramePort } from "../../device/link/frame-port.ts";
import { countOf, countText } from "../report/quantity.ts";
import { PACKET_BYTES_MAX } from "./capture-source.ts";
import type { FrameMaker } from "./frame-maker.ts";
import type { FrameSink } from "./frame-sink.ts";
import { wireTimeNs } from "./generators.ts";
import type { PacketSource } from "./packet-source.ts";

export interface TrafficPortOptions {
  readonly source: PacketSource;
  readonly frames: FrameMaker;
  readonly sink: FrameSink;
  /** Of every frame: 16 bits. */
  readonly flow?: number;
  /** The moment, on the clock of `receive`, that is time 0 of the source; Infinity = when `begin` says. */
  readonly startNs?: number;
  /** Bounds how densely frames that are late follow one another; Infinity if not given: all that are due at once. */
  readonly linkRateBps?: number;
}

/**
 * The wire of one guest with packets that come when their source says, whatever the guest does.
 *
 * Whoever takes them may be late, for threads stall. What is overdue then comes no denser than it was meant to come, or
 * than the link can carry, whichever is denser: a stall makes the traffic late, which is measured, and no burst that was
 * never on any wire. Frames that are taken in time are not touched by this.
 */
export class TrafficPort implements FramePort {
  readonly maxFrameBytes = PACKET_BYTES_MAX;
  readonly takesChecksum = false;
  readonly takesSegmentation = false;
  /** Stamped on every frame: the guest's state at its arrival. Whoever runs the guest keeps it. */
  stateWord = 0;
  /** Frames taken off the wire, which is also the sequence number of the next one. */
  taken = 0;
  /** When the last frame taken was due; how late it was taken is `nowNs` less this. */
  lastScheduledNs = 0;
  readonly #source: PacketSource;
  readonly #frames: FrameMaker;
  readonly #sink: FrameSink;
  readonly #flow: number;
  readonly #linkRateBps: number;
  #startNs: number;
  /** When the next packet is meant to come, and when it may be taken: the same unless its predecessor was late. */
  #scheduledNs: number;
  #dueNs: number;
  /** The source has a packet that was not taken yet. */
  #open = false;
  #cut = 0;

  constructor(options: TrafficPortOptions) {
    this.#source = options.source;
    this.#frames = options.frames;
    this.#sink = options.sink;
    this.#flow = options.flow ?? 0;
    this.#linkRateBps = options.linkRateBps ?? Number.POSITIVE_INFINITY;
    this.#startNs = options.startNs ?? 0;
    this.#scheduledNs = this.#nextScheduledNs();
    this.#dueNs = this.#scheduledNs;
  }

  /** Time 0 of the source is `startNs`: for a port that was made with Infinity, before a frame was taken. */
  begin(startNs: number): void {
    this.#startNs = startNs;
    if (!this.#open) return;
    this.#scheduledNs = startNs + this.#source.timeNs;
    this.#dueNs = this.#scheduledNs;
  }

  /** What is to be known of the traffic so far. */
  get notes(): readonly string[] {
    if (this.#cut === 0) return this.#source.notes;
    const limit = countText(this.#frames.slotBytes);
    return [...this.#source.notes, `${countOf(this.#cut, "frame")} cut to ${limit} bytes, the longest that is staged`];
  }

  receive(frame: Frame, nowNs: number): boolean {
    if (this.#dueNs > nowNs) return false;
    const { slotBytes } = this.#frames;
    let { lengthBytes } = this.#source;
    if (lengthBytes > slotBytes) {
      lengthBytes = slotBytes;
      this.#cut++;
    }
    this.#frames.stamp(frame, this.taken >>> 0, lengthBytes, nowNs, this.stateWord, this.#flow);
    this.taken++;
    this.lastScheduledNs = this.#scheduledNs;
    this.#scheduledNs = this.#nextScheduledNs();
    if (this.#open) {
      const gapNs = Math.min(
        this.#scheduledNs - this.lastScheduledNs,
        wireTimeNs(this.#source.lengthBytes, this.#linkRateBps),
      );
      this.#dueNs = Math.max(this.#scheduledNs, nowNs + gapNs);
    } else {
      this.#dueNs = Number.POSITIVE_INFINITY;
    }
    return true;
  }

  nextArrivalNs(): number {
    return this.#dueNs;
  }

  transmit(frame: Frame): boolean {
    this.#sink.accept(frame);
    return true;
  }

  close(): void {
    this.#open = false;
    this.#dueNs = Number.POSITIVE_INFINITY;
    this.#source.close();
  }

  #nextScheduledNs(): number {
    this.#open = this.#source.next();
    return this.#open ? this.#startNs + this.#source.timeNs : Number.POSITIVE_INFINITY;
  }
}
