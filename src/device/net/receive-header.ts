/** The header before a received frame, as the driver gets it. Source: virtio 1.4 §5.1.9, §5.1.9.4. */

import type { Frame } from "../link/frame-port.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { NET_HDR_BYTES, NET_HDR_HASH_BYTES, NET_HDR_HASH_REPORT, NET_HDR_HASH_VALUE } from "../spec/virtio-net.ts";

// V8 folds constants of this module into hot code, but looks imported ones up at every use.
const SHORT_BYTES = NET_HDR_BYTES;
const HASH_VALUE_AT = NET_HDR_HASH_VALUE;
const HASH_REPORT_AT = NET_HDR_HASH_REPORT;
/** num_buffers = 1, which is the upper half of its word. */
const ONE_BUFFER = 1 << 16;

export class ReceiveHeader {
  /** 12, or 20 with HASH_REPORT. */
  lengthBytes: number = NET_HDR_BYTES;
  /** What `describe` has made of a frame, byte by byte. */
  readonly bytes = new Uint8Array(NET_HDR_HASH_BYTES);
  readonly #words = new Uint32Array(this.bytes.buffer);

  /** Says of the frame what its fields say, which must be what the driver takes, and that it fills one buffer. */
  describe(frame: Frame): void {
    const words = this.#words;
    // Without flags the other fields are whatever the port has left there.
    const asks = frame.flags !== 0;
    words[0] = asks ? frame.flags | (frame.gsoType << 8) | (frame.hdrLen << 16) : 0;
    words[1] = asks ? frame.gsoSize | (frame.csumStart << 16) : 0;
    words[2] = asks ? frame.csumOffset | ONE_BUFFER : ONE_BUFFER;
    words[3] = frame.hashValue;
    words[4] = frame.hashReport;
  }

  /** Writes what `describe` has made to one place. */
  store(memory: GuestMemory, offset: number): void {
    const words = this.#words;
    memory.storeThreeWords(offset, words[0]!, words[1]!, words[2]!);
    if (this.lengthBytes === SHORT_BYTES) return;
    memory.storeU32(offset + HASH_VALUE_AT, words[3]!);
    memory.storeU32(offset + HASH_REPORT_AT, words[4]!);
  }
}
