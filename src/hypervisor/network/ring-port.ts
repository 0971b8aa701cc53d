import type { Frame, FramePort } from "../../device/link/frame-port.ts";
import { ringDoorbell } from "../machine/doorbell.ts";
import { FrameRingMemory, frameRingBytes } from "./frame-ring.ts";
import { FrameRingConsumer } from "./frame-ring-consumer.ts";
import { FrameRingProducer } from "./frame-ring-producer.ts";
import { FrameViews } from "./frame-views.ts";

/** Two rings between two threads, one for each direction. Plain data, which a worker can be sent. */
export interface FrameRingPair {
  readonly toCard: SharedArrayBuffer;
  readonly toWire: SharedArrayBuffer;
  /** Longest frame of either direction. */
  readonly maxFrameBytes: number;
}

/** @throws RangeError if `capacityBytes` is no power of two, or too small for frames of `maxFrameBytes` */
export function createFrameRings(capacityBytes: number, maxFrameBytes: number): FrameRingPair {
  const toCard = new SharedArrayBuffer(frameRingBytes(capacityBytes));
  const toWire = new SharedArrayBuffer(frameRingBytes(capacityBytes));
  // Here, not in threads from where it is hard to tell.
  new FrameRingMemory(toCard, maxFrameBytes);
  return { toCard, toWire, maxFrameBytes };
}

/** What the thread at the other end sleeps on: an Int32 in shared memory, to which whoever rings adds 1. */
export interface Doorbell {
  readonly words: Int32Array;
  readonly index: number;
}

export interface RingPortOptions {
  readonly rings: FrameRingPair;
  /** Which end this is. */
  readonly end: "card" | "wire";
  /** Of the other end. */
  readonly doorbell: Doorbell;
  /** Whether the other end takes frames whose checksum, or whose segmentation, is still to be done; default true. */
  readonly takesChecksum?: boolean;
  readonly takesSegmentation?: boolean;
}

/** A wire's end whose other end is in another thread. */
export class RingPort implements FramePort {
  readonly maxFrameBytes: number;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  /** Frames put into the ring, and frames that found no room in it, or are too long. */
  sent = 0;
  dropped = 0;
  /** Frames taken out of the ring. */
  taken = 0;
  readonly #producer: FrameRingProducer;
  readonly #consumer: FrameRingConsumer;
  readonly #doorbell: Doorbell;
  readonly #views = new FrameViews();

  constructor({ rings, end, doorbell, takesChecksum = true, takesSegmentation = true }: RingPortOptions) {
    const { toCard, toWire, maxFrameBytes } = rings;
    this.maxFrameBytes = maxFrameBytes;
    this.takesChecksum = takesChecksum;
    this.takesSegmentation = takesSegmentation;
    this.#doorbell = doorbell;
    this.#producer = new FrameRingProducer(new FrameRingMemory(end === "card" ? toWire : toCard, maxFrameBytes));
    this.#consumer = new FrameRingConsumer(new FrameRingMemory(end === "card" ? toCard : toWire, maxFrameBytes));
  }

  /** When the frame that was received last was sent, on the clock of its sender. */
  get lastSentAtNs(): number {
    return this.#consumer.sentAtNs;
  }

  /** Times that the other end has left nonsense in the ring. */
  get broken(): number {
    return this.#consumer.broken;
  }

  receive(frame: Frame): boolean {
    if (!this.#consumer.take(frame)) return false;
    this.taken++;
    return true;
  }

  /** A frame that waits is due since ever. */
  nextArrivalNs(): number {
    return this.#consumer.hasFrame() ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame, nowNs: number): boolean {
    if (!this.#producer.put(frame, this.#views.of(frame), nowNs)) {
      this.dropped++;
      return false;
    }
    this.sent++;
    if (this.#producer.publish()) {
      ringDoorbell(this.#doorbell.words, this.#doorbell.index);
    }
    return true;
  }
}
