/**
 * The readable part of a control command, wherever its chain is cut. What a command looks at is copied from guest memory
 * first, each byte once: what the driver changes after that changes nothing.
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import { CTRL_HDR_BYTES } from "../../spec/virtio-net-control.ts";
import type { DescriptorChain } from "../../virtqueue/descriptor-chain.ts";

/** Bytes that can be looked at at a time. */
export const COMMAND_PIECE_BYTES = 512;

export class CommandData {
  /** The piece that was loaded last. */
  readonly bytes = new Uint8Array(COMMAND_PIECE_BYTES);
  /** Bytes behind class and command. */
  lengthBytes = 0;
  readonly #view = new DataView(this.bytes.buffer);
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  // A segment, and the first byte of the command that lies in it: pieces are mostly loaded one after the other.
  #segment = 0;
  #segmentStart = 0;

  constructor(memory: GuestMemory, chain: DescriptorChain) {
    this.#memory = memory;
    this.#chain = chain;
  }

  /** Begins with the chain at hand: the piece is class and command. False if it is too short for them. */
  open(): boolean {
    this.#segment = 0;
    this.#segmentStart = 0;
    this.lengthBytes = this.#chain.readableBytes - CTRL_HDR_BYTES;
    if (this.lengthBytes < 0) return false;
    this.#copy(0, CTRL_HDR_BYTES);
    return true;
  }

  /** Makes `lengthBytes` (up to COMMAND_PIECE_BYTES) bytes of the data from `from` the piece; false if there are not so many. */
  load(from: number, lengthBytes: number): boolean {
    if (from + lengthBytes > this.lengthBytes) return false;
    this.#copy(CTRL_HDR_BYTES + from, lengthBytes);
    return true;
  }

  // Little-endian values of the piece.

  u8(at: number): number {
    return this.bytes[at]!;
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #copy(from: number, lengthBytes: number): void {
    const { offsets, lengths } = this.#chain;
    const u8 = this.#memory.u8;
    if (from < this.#segmentStart) {
      this.#segment = 0;
      this.#segmentStart = 0;
    }
    for (let done = 0; done < lengthBytes; ) {
      const skipBytes = from + done - this.#segmentStart;
      const segmentBytes = lengths[this.#segment]!;
      if (skipBytes >= segmentBytes) {
        this.#segmentStart += segmentBytes;
        this.#segment++;
        continue;
      }
      const offset = offsets[this.#segment]! + skipBytes;
      const end = Math.min(lengthBytes, done + segmentBytes - skipBytes);
      for (let at = offset; done < end; at++, done++) this.bytes[done] = u8[at]!;
    }
  }
}
