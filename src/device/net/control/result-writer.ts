/** The writable part of a control command, wherever its chain is cut: ack, then the result as far as there is room. */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { DescriptorChain } from "../../virtqueue/descriptor-chain.ts";

export const ACK_BYTES = 1;
const TWO_POW_32 = 2 ** 32;

export class ResultWriter {
  /** Bytes of result that the driver has room for. */
  roomBytes = 0;
  /** Bytes of result that were written; what found no room does not count. */
  lengthBytes = 0;
  readonly #memory: GuestMemory;
  readonly #chain: DescriptorChain;
  #segment = 0;
  // Byte of the segment that is next.
  #at = 0;

  constructor(memory: GuestMemory, chain: DescriptorChain) {
    this.#memory = memory;
    this.#chain = chain;
  }

  /** Begins with the chain at hand; false if there is no room for an ack. */
  open(): boolean {
    this.roomBytes = this.#chain.writableBytes - ACK_BYTES;
    this.lengthBytes = 0;
    this.#segment = this.#chain.readableCount;
    this.#at = ACK_BYTES;
    return this.roomBytes >= 0;
  }

  ack(value: number): void {
    this.#memory.u8[this.#chain.offsets[this.#chain.readableCount]!] = value;
  }

  u8(value: number): void {
    if (this.lengthBytes === this.roomBytes) return;
    const { lengths, offsets } = this.#chain;
    while (this.#at >= lengths[this.#segment]!) {
      this.#at = 0;
      this.#segment++;
    }
    this.#memory.u8[offsets[this.#segment]! + this.#at] = value;
    this.#at++;
    this.lengthBytes++;
  }

  u16(value: number): void {
    this.u8(value);
    this.u8(value >>> 8);
  }

  u32(value: number): void {
    this.u16(value);
    this.u16(value >>> 16);
  }

  /** A count, which wraps at 2^64 (NSTAT-7). */
  u64(count: number): void {
    this.u32(count % TWO_POW_32);
    this.u32(Math.floor(count / TWO_POW_32) % TWO_POW_32);
  }
}
