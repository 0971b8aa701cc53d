import type { Frame } from "../../device/link/frame-port.ts";
import {
  type FrameRingMemory,
  RECORD_FRAME_BYTES,
  RECORD_LENGTH,
  RING_HEAD,
  RING_TAIL,
  recordBytes,
  SKIP,
} from "./frame-ring.ts";

/** The writing end of a frame ring. */
export class FrameRingProducer {
  readonly #ring: FrameRingMemory;
  #head = 0;
  /** The head that the consumer can see, and its tail as it was last seen. */
  #published = 0;
  #tail = 0;

  constructor(ring: FrameRingMemory) {
    this.#ring = ring;
  }

  /**
   * Writes a frame behind those that are there, `content` being a view of exactly its bytes; false if it does not fit.
   * It can be read after the next `publish`.
   */
  put(frame: Frame, content: Uint8Array, sentAtNs: number): boolean {
    const { lengthBytes } = frame;
    const { capacityBytes, maxFrameBytes, words, bytes } = this.#ring;
    if (lengthBytes > maxFrameBytes) return false;
    const neededBytes = recordBytes(lengthBytes);
    let at = this.#head & (capacityBytes - 1);
    const skippedBytes = at + neededBytes > capacityBytes ? capacityBytes - at : 0;
    if (!this.#hasRoom(skippedBytes + neededBytes)) return false;
    if (skippedBytes > 0) {
      words[(at >>> 2) + RECORD_LENGTH] = SKIP;
      at = 0;
    }
    words[(at >>> 2) + RECORD_LENGTH] = lengthBytes;
    this.#ring.describe(at, frame, sentAtNs);
    bytes.set(content, at + RECORD_FRAME_BYTES);
    this.#head = (this.#head + skippedBytes + neededBytes) | 0;
    return true;
  }

  /**
   * Lets the consumer see what was put. True if it may have found the ring empty before that, and sleep: then it is to be
   * woken. Otherwise it has yet to look once more.
   */
  publish(): boolean {
    const before = this.#published;
    if (before === this.#head) return false;
    this.#published = this.#head;
    Atomics.store(this.#ring.control, RING_HEAD, this.#head);
    this.#tail = Atomics.load(this.#ring.control, RING_TAIL);
    return this.#tail === before;
  }

  #hasRoom(neededBytes: number): boolean {
    if (this.#freeBytes() >= neededBytes) return true;
    this.#tail = Atomics.load(this.#ring.control, RING_TAIL);
    return this.#freeBytes() >= neededBytes;
  }

  /** 0 if the consumer's tail makes no sense. */
  #freeBytes(): number {
    const usedBytes = (this.#head - this.#tail) >>> 0;
    return Math.max(0, this.#ring.capacityBytes - usedBytes);
  }
}
