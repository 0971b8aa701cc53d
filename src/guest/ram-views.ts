import type { GuestRam } from "./ports.ts";

/**
 * Typed views of guest RAM, made once: index 0 of each is guest-physical address 0.
 *
 * Virtio's fields are little-endian (virtio 1.4 §2.7), typed arrays are native-endian; so the constructor refuses the
 * rare big-endian host instead of paying for a DataView at each access.
 */
export class RamViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly sizeBytes: number;

  constructor(ram: GuestRam) {
    if (ram.byteOffset % 8 !== 0) {
      throw new RangeError(`guest RAM must begin at a multiple of 8 bytes, got offset ${ram.byteOffset}`);
    }
    if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
      throw new RangeError("this driver needs a little-endian host");
    }
    this.u8 = new Uint8Array(ram.buffer, ram.byteOffset, ram.sizeBytes);
    this.u16 = new Uint16Array(ram.buffer, ram.byteOffset, ram.sizeBytes >>> 1);
    this.u32 = new Uint32Array(ram.buffer, ram.byteOffset, ram.sizeBytes >>> 2);
    this.sizeBytes = ram.sizeBytes;
  }
}
