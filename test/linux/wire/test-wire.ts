/** The wire at the other end of the guest's card: a test sends frames on it, and sees every frame that the guest sends. */

import type { Frame, FramePort } from "spillway/device";

/** A frame that is to be finished yet says so in its offload header (virtio 1.4 §5.1.9). */
export interface OffloadHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly hdrLen: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

export interface SentFrame {
  readonly bytes: Uint8Array;
  readonly header: OffloadHeader;
}

export interface TestWireOptions {
  /** True: partial checksums come as the guest left them. */
  readonly takesChecksum?: boolean;
  /** True: so do frames that are to be segmented. */
  readonly takesSegmentation?: boolean;
  /** Default 65553. */
  readonly maxFrameBytes?: number;
}

export const NO_OFFLOAD: OffloadHeader = { flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0 };

export class TestWire implements FramePort {
  readonly maxFrameBytes: number;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  /** All that the guest has sent, in order, since `forget`. */
  readonly fromGuest: SentFrame[] = [];
  /** Called for every frame that the guest sends. */
  onFrame: (frame: SentFrame) => void = () => {};
  /** Called when a frame waits for the card. */
  onWaiting: () => void = () => {};
  readonly #toGuest: SentFrame[] = [];
  #taken = 0;

  constructor(options: TestWireOptions = {}) {
    this.takesChecksum = options.takesChecksum ?? false;
    this.takesSegmentation = options.takesSegmentation ?? false;
    this.maxFrameBytes = options.maxFrameBytes ?? 65553;
  }

  /** Frames that the card has not taken yet. */
  get waiting(): number {
    return this.#toGuest.length - this.#taken;
  }

  send(bytes: Uint8Array, header: OffloadHeader = NO_OFFLOAD): void {
    this.#toGuest.push({ bytes, header });
    this.onWaiting();
  }

  /** The frames that the guest has sent until now are of no interest. */
  forget(): void {
    this.fromGuest.length = 0;
  }

  receive(frame: Frame): boolean {
    const next = this.#toGuest[this.#taken];
    if (next === undefined) return false;
    this.#taken++;
    if (this.#taken === this.#toGuest.length) {
      this.#toGuest.length = 0;
      this.#taken = 0;
    }
    Object.assign(frame, next.header);
    frame.bytes = next.bytes;
    frame.offset = 0;
    frame.lengthBytes = next.bytes.length;
    frame.id = 0;
    frame.urgent = false;
    return true;
  }

  nextArrivalNs(): number {
    return this.waiting > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame): boolean {
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame;
    const bytes = new Uint8Array(frame.lengthBytes);
    bytes.set(frame.bytes.subarray(frame.offset, frame.offset + frame.lengthBytes));
    const sent = { bytes, header: { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } };
    this.fromGuest.push(sent);
    this.onFrame(sent);
    return true;
  }
}
