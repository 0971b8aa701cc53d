import type { Frame } from "../../device/link/frame-port.ts";
import { type FrameRingMemory, RECORD_LENGTH, RING_HEAD, RING_TAIL, recordBytes, SKIP } from "./frame-ring.ts";

/**
 * The reading end of a frame ring. Whatever the producer may change is read once, then checked, then used: a producer
 * that has gone wrong costs the frames that it has put, and nothing else.
 */
export class FrameRingConsumer {
  /** Times that what the ring says made no sense; everything in it was thrown away. */
  broken = 0;
  /** When the frame that was taken last was sent, ns. */
  sentAtNs = 0;
  readonly #ring: FrameRingMemory;
  /** The next record to be read, and the head as it was last seen. */
  #position = 0;
  #head = 0;
  /** What the producer was told of. */
  #tail = 0;

  constructor(ring: FrameRingMemory) {
    this.#ring = ring;
  }

  /** Takes the next frame into `frame`, whose bytes are valid until the next call; false if there is none. */
  take(frame: Frame): boolean {
    if (!this.hasFrame()) return false;
    const { capacityBytes, maxFrameBytes, words } = this.#ring;
    let at = this.#position & (capacityBytes - 1);
    let lengthBytes = words[(at >>> 2) + RECORD_LENGTH]!;
    if (lengthBytes === SKIP) {
      this.#position = (this.#position + capacityBytes - at) | 0;
      at = 0;
      lengthBytes = words[RECORD_LENGTH]!;
    }
    // Unsigned: a negative length is too long.
    if (lengthBytes >>> 0 > maxFrameBytes) return this.#giveUp();
    const takenBytes = recordBytes(lengthBytes);
    const waitingBytes = (this.#head - this.#position) >>> 0;
    if (takenBytes > waitingBytes || waitingBytes > capacityBytes || at + takenBytes > capacityBytes) {
      return this.#giveUp();
    }
    this.#position = (this.#position + takenBytes) | 0;
    this.sentAtNs = this.#ring.recall(at, lengthBytes, frame);
    return true;
  }

  /**
   * True if there is a record. Everything before it has been read, and the producer is told so *before* the ring is found
   * empty: seeing an older tail it knows that this look is still to come, and need not wake anybody.
   */
  hasFrame(): boolean {
    if (this.#position !== this.#head) {
      // The producer is told seldom: it need not know before a good part of the ring is free again.
      if ((this.#position - this.#tail) >>> 0 >= this.#ring.capacityBytes >>> 2) this.#release();
      return true;
    }
    if (this.#position !== this.#tail) this.#release();
    this.#head = Atomics.load(this.#ring.control, RING_HEAD);
    const waitingBytes = (this.#head - this.#position) >>> 0;
    if (waitingBytes === 0) return false;
    if (waitingBytes <= this.#ring.capacityBytes && (waitingBytes & 7) === 0) return true;
    return this.#giveUp();
  }

  #release(): void {
    this.#tail = this.#position;
    Atomics.store(this.#ring.control, RING_TAIL, this.#tail);
  }

  /** What the producer puts next begins at its head. */
  #giveUp(): false {
    this.broken++;
    this.#position = this.#head & ~7;
    this.#head = this.#position;
    this.#release();
    return false;
  }
}
