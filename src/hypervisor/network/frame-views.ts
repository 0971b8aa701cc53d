import type { Frame } from "../../device/link/frame-port.ts";

/** Views are kept for frames of up to this length; a longer frame costs so much that a view of its own does not count. */
const KEPT_BYTES = 2048;

/**
 * Views of the bytes of one sender's frames. A card gathers all that it sends in one place, so a view can be kept for each
 * length: to make one anew costs as much as to copy a short frame, and it has to be collected. Frames at other places, as
 * those that come out of a ring, get a view each.
 */
export class FrameViews {
  #bytes: Uint8Array | null = null;
  #offset = 0;
  readonly #kept = new Array<Uint8Array | undefined>(KEPT_BYTES + 1).fill(undefined);
  /** Frames elsewhere, one after the other: the sender may have moved for good. */
  #elsewhere = KEPT_BYTES;

  /** Exactly the bytes of `frame`. */
  of(frame: Frame): Uint8Array {
    const { bytes, offset, lengthBytes } = frame;
    if (bytes !== this.#bytes || offset !== this.#offset) {
      if (this.#elsewhere++ < KEPT_BYTES) return bytes.subarray(offset, offset + lengthBytes);
      this.#bytes = bytes;
      this.#offset = offset;
      this.#kept.fill(undefined);
    }
    this.#elsewhere = 0;
    if (lengthBytes > KEPT_BYTES) return bytes.subarray(offset, offset + lengthBytes);
    const kept = this.#kept[lengthBytes];
    if (kept !== undefined) return kept;
    const view = bytes.subarray(offset, offset + lengthBytes);
    this.#kept[lengthBytes] = view;
    return view;
  }
}
