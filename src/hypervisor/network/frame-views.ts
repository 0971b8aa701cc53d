import type { Frame } from "../../device/link/frame-port.ts";

/** Views are kept for frames of up to this length; a longer frame costs so much that a view of its own does not count. */
const KEPT_BYTES = 2048;

/**
 * Views of the bytes of one sender's frames. Cards gather what they send in one place, so a view can be kept for each
 * length: making one anew costs as much as copying a short frame, and has to be collected.
 */
export class FrameViews {
  #bytes: Uint8Array | null = null;
  #offset = 0;
  #kept: (Uint8Array | undefined)[] = [];

  /** Exactly the bytes of `frame`. */
  of(frame: Frame): Uint8Array {
    const { bytes, offset, lengthBytes } = frame;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#offset = offset;
      this.#kept = new Array<Uint8Array | undefined>(KEPT_BYTES + 1).fill(undefined);
    }
    if (offset !== this.#offset || lengthBytes > KEPT_BYTES) return bytes.subarray(offset, offset + lengthBytes);
    const kept = this.#kept[lengthBytes];
    if (kept !== undefined) return kept;
    const view = bytes.subarray(offset, offset + lengthBytes);
    this.#kept[lengthBytes] = view;
    return view;
  }
}
