/** Guest memory of a test: zeros in no place but where asked for, canaries elsewhere, so that a stray write shows. */

import { DESC_NEXT, DESC_WRITE } from "./numbers.ts";

export const RAM_BYTES = 1 << 21;
const CANARY = 0xa5;
// Between two allocations, so that a write past an end hits a canary.
const GAP_BYTES = 48;

export class GuestRam {
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly u16: Uint16Array;
  /** What the platform adds to physical addresses to make those that the driver gives the device (ACCESS_PLATFORM). */
  busOffset = 0;
  #next = 0x1000;

  /** Guest address 0 lies at `byteOffset` in the buffer. */
  constructor(buffer: ArrayBufferLike, byteOffset = 0, sizeBytes = buffer.byteLength - byteOffset) {
    this.u8 = new Uint8Array(buffer, byteOffset, sizeBytes);
    this.view = new DataView(buffer, byteOffset, sizeBytes);
    this.u16 = new Uint16Array(buffer, byteOffset, sizeBytes >> 1);
    this.u8.fill(CANARY);
  }

  /** Address of `bytes` bytes that nobody else has, filled with canaries; `alignment` is a power of two. */
  alloc(bytes: number, alignment = 16): number {
    const at = Math.ceil(this.#next / alignment) * alignment;
    this.#next = at + bytes + GAP_BYTES;
    if (this.#next > this.u8.length) throw new Error(`the guest's ${this.u8.length} bytes of memory are used up`);
    return at;
  }

  zeroed(bytes: number, alignment = 16): number {
    const at = this.alloc(bytes, alignment);
    this.u8.fill(0, at, at + bytes);
    return at;
  }

  /** Address of a copy of `bytes`. */
  put(bytes: ArrayLike<number>, alignment = 16): number {
    const at = this.alloc(bytes.length, alignment);
    this.u8.set(bytes, at);
    return at;
  }

  bytes(at: number, length: number): Uint8Array {
    return Uint8Array.from(this.u8.subarray(at, at + length));
  }

  /** A table of split descriptors (indirect ones too): `next` of entry i is i + 1. */
  putSplitTable(at: number, buffers: readonly GuestBuffer[]): void {
    buffers.forEach(({ address, length, write }, i) => {
      const last = i === buffers.length - 1;
      const flags = (write === true ? DESC_WRITE : 0) | (last ? 0 : DESC_NEXT);
      this.putDescriptor(at + 16 * i, address, length, flags, last ? 0 : i + 1);
    });
  }

  /** le64 address, le32 length, le16 flags, le16 next (§2.7.5). */
  putDescriptor(at: number, address: number, length: number, flags: number, next: number): void {
    this.view.setBigUint64(at, BigInt(address) + BigInt(this.busOffset), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, flags, true);
    this.view.setUint16(at + 14, next, true);
  }

  snapshot(): Uint8Array {
    return Uint8Array.from(this.u8);
  }

  /** Addresses of the bytes that differ from `before`. */
  changedSince(before: Uint8Array): number[] {
    const changed: number[] = [];
    for (let at = 0; at < before.length; at++) if (before[at] !== this.u8[at]) changed.push(at);
    return changed;
  }
}

/** One piece of a chain: device-readable unless `write`. */
export interface GuestBuffer {
  readonly address: number;
  readonly length: number;
  readonly write?: boolean;
}
