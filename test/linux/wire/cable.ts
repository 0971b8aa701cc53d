/** A cable between two cards. It takes no partial checksum and no packet to be segmented unless it is told to. */

import type { Frame, FramePort } from "spillway/device";
import { dissect } from "./dissection.ts";
import type { OffloadHeader, SentFrame, TestWireOptions } from "./test-wire.ts";
import { NO_OFFLOAD } from "./test-wire.ts";

/** Frames that may be on their way in one direction; more are dropped, and counted. */
const QUEUE_FRAMES_MAX = 4096;

export class Cable {
  readonly ends: readonly [CableEnd, CableEnd];
  /** What was wrong with frames that passed, in words. */
  readonly faults: string[] = [];
  /** Called for every frame; false drops it. */
  inspect: (frame: SentFrame, from: 0 | 1) => boolean = () => true;

  constructor(options: TestWireOptions = {}) {
    this.ends = [new CableEnd(this, 0, options), new CableEnd(this, 1, options)];
  }

  /** @internal */
  carry(frame: SentFrame, from: 0 | 1): boolean {
    if (frame.header.flags === 0) this.faults.push(...dissect(frame.bytes).faults);
    if (!this.inspect(frame, from)) return true;
    return this.ends[from === 0 ? 1 : 0].arrive(frame);
  }
}

export class CableEnd implements FramePort {
  readonly maxFrameBytes: number;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  /** Called when a frame waits for the card at this end. */
  onWaiting: () => void = () => {};
  /** Frames that did not fit. */
  dropped = 0;
  readonly #cable: Cable;
  readonly #index: 0 | 1;
  readonly #waiting: SentFrame[] = [];
  #taken = 0;

  constructor(cable: Cable, index: 0 | 1, options: TestWireOptions) {
    this.#cable = cable;
    this.#index = index;
    this.maxFrameBytes = options.maxFrameBytes ?? 65553;
    this.takesChecksum = options.takesChecksum ?? false;
    this.takesSegmentation = options.takesSegmentation ?? false;
  }

  /** @internal */
  arrive(frame: SentFrame): boolean {
    if (this.#waiting.length - this.#taken === QUEUE_FRAMES_MAX) {
      this.dropped++;
      return false;
    }
    this.#waiting.push(frame);
    this.onWaiting();
    return true;
  }

  receive(frame: Frame): boolean {
    const next = this.#waiting[this.#taken];
    if (next === undefined) return false;
    this.#taken++;
    if (this.#taken === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#taken = 0;
    }
    Object.assign(frame, NO_OFFLOAD, next.header);
    frame.bytes = next.bytes;
    frame.offset = 0;
    frame.lengthBytes = next.bytes.length;
    return true;
  }

  nextArrivalNs(): number {
    return this.#waiting.length > this.#taken ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame): boolean {
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame;
    const header: OffloadHeader = { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset };
    const bytes = frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes);
    return this.#cable.carry({ bytes: new Uint8Array(bytes), header }, this.#index);
  }
}
