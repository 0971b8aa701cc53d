/** A wire whose ends are joined: every frame that is sent comes back, in order. */

import { FRAME_BYTES_MAX } from "../spec/virtio-net.ts";
import type { Frame, FramePort } from "./frame-port.ts";

export class LoopbackPort implements FramePort {
  readonly maxFrameBytes: number;
  // A frame comes back as it was sent, so nothing has to be finished for it.
  readonly takesChecksum = true;
  readonly takesSegmentation = true;
  /** Frames dropped because the queue was full. */
  dropped = 0;
  // One slot per frame that is under way; slots are reused, and begin at 4 mod 8 as frames in guest memory do.
  readonly #bytes: Uint8Array;
  readonly #slotBytes: number;
  readonly #frames: readonly Header[];
  #head = 0;
  #count = 0;

  /**
   * @param capacityFrames frames that may be under way
   * @throws RangeError unless both are positive integers
   */
  constructor(capacityFrames = 256, maxFrameBytes = FRAME_BYTES_MAX) {
    for (const [name, value] of [
      ["capacityFrames", capacityFrames],
      ["maxFrameBytes", maxFrameBytes],
    ] as const) {
      if (!Number.isInteger(value) || value < 1)
        throw new RangeError(`${name} is ${value}; it must be a positive integer`);
    }
    this.maxFrameBytes = maxFrameBytes;
    this.#slotBytes = Math.ceil((SLOT_LEAD_BYTES + maxFrameBytes) / 8) * 8;
    this.#bytes = new Uint8Array(this.#slotBytes * capacityFrames);
    this.#frames = Array.from({ length: capacityFrames }, () => new Header());
  }

  receive(frame: Frame, _nowNs: number): boolean {
    if (this.#count === 0) return false;
    const slot = this.#head;
    this.#frames[slot]!.restore(frame);
    frame.bytes = this.#bytes;
    frame.offset = slot * this.#slotBytes + SLOT_LEAD_BYTES;
    this.#head = (slot + 1) % this.#frames.length;
    this.#count--;
    return true;
  }

  /** When the oldest waiting frame was sent: it is due since then. */
  nextArrivalNs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#frames[this.#head]!.sentAtNs;
  }

  transmit(frame: Frame, nowNs: number): boolean {
    if (this.#count === this.#frames.length || frame.lengthBytes > this.maxFrameBytes) {
      this.dropped++;
      return false;
    }
    const slot = (this.#head + this.#count) % this.#frames.length;
    this.#frames[slot]!.save(frame, nowNs);
    const source = frame.bytes.subarray(frame.offset, frame.offset + frame.lengthBytes);
    this.#bytes.set(source, slot * this.#slotBytes + SLOT_LEAD_BYTES);
    this.#count++;
    return true;
  }
}

const SLOT_LEAD_BYTES = 4;

/** All that a frame carries besides its bytes. */
class Header {
  sentAtNs = 0;
  #lengthBytes = 0;
  #flags = 0;
  #gsoType = 0;
  #gsoSize = 0;
  #hdrLen = 0;
  #csumStart = 0;
  #csumOffset = 0;
  #id = 0;
  #urgent = false;

  save(frame: Frame, nowNs: number): void {
    this.sentAtNs = nowNs;
    this.#lengthBytes = frame.lengthBytes;
    this.#flags = frame.flags;
    this.#gsoType = frame.gsoType;
    this.#gsoSize = frame.gsoSize;
    this.#hdrLen = frame.hdrLen;
    this.#csumStart = frame.csumStart;
    this.#csumOffset = frame.csumOffset;
    this.#id = frame.id;
    this.#urgent = frame.urgent;
  }

  restore(frame: Frame): void {
    frame.lengthBytes = this.#lengthBytes;
    frame.flags = this.#flags;
    frame.gsoType = this.#gsoType;
    frame.gsoSize = this.#gsoSize;
    frame.hdrLen = this.#hdrLen;
    frame.csumStart = this.#csumStart;
    frame.csumOffset = this.#csumOffset;
    frame.id = this.#id;
    frame.urgent = this.#urgent;
  }
}
