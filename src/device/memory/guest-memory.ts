/**
 * Guest memory: bounds-checked access to the buffer in which a guest's physical memory lies.
 *
 * Two vocabularies, on purpose. Payload, descriptors and ring slots are read and written plainly, through the typed
 * views. The few words that order them (`avail.idx`, `used.idx`, the event words) go through `loadAcquireU16` and
 * `storeReleaseU16`, which are Atomics: they cost ten times as much, and their names say where order matters.
 *
 * Offsets are bytes from the start of the buffer; addresses are guest-physical, `low + high * 2^32` as a number. All
 * multi-byte values are little-endian, as is every machine that runs JavaScript today.
 */

import { checkBuffer, checkFunction, checkList, checkMethods, checkObject } from "../embedder-parts.ts";

/** One range of guest-physical addresses and where it lies in the buffer. */
export interface MemoryRegion {
  /** First guest-physical address; a multiple of 8. */
  readonly guestAddress: number;
  readonly sizeBytes: number;
  /** Where the region begins in the buffer; a multiple of 8, so that what the guest aligns is aligned here. */
  readonly byteOffset: number;
}

/** Copies `lengthBytes` bytes inside the guest's buffer; the ranges may overlap. wasm `memory.copy` has this shape. */
export type CopyWithin = (dstOffset: number, srcOffset: number, lengthBytes: number) => void;

/**
 * An IOMMU, or whatever else the platform puts between a device and memory (ACCESS_PLATFORM, virtio 1.4 §6.1). Drivers
 * give the device addresses that mean something here alone.
 *
 * Where rings lie is asked once, when a queue is enabled: a mapping under a live queue must not change, and a ring's must
 * be contiguous. Buffers are asked for afresh each time, and may be in pieces.
 */
export interface AddressTranslator {
  /**
   * Guest-physical address of what the device finds at `address`, or -1 if it may not read it (or write it, if `write`).
   * Must not throw. Sets `runBytes`.
   */
  translate(address: number, write: boolean): number;
  /** How many bytes from there on lie one after the other, under the same permission: at least 1 after success. */
  readonly runBytes: number;
}

/** Typed views address at most this much, with 32-bit offsets. */
const BUFFER_BYTES_MAX = 2 ** 32;
/** The largest signed word. */
const NEAR_END = 2 ** 31 - 1;

export class GuestMemory {
  readonly regions: readonly MemoryRegion[];
  /** What stands between the addresses that a driver gives and guest-physical ones; null if they are the same. */
  readonly translator: AddressTranslator | null;
  // Views of the whole buffer. Only `rebind` replaces them; take them afresh after any call that may have led there.
  // Declared only: fields that are born undefined may be anything to V8, which then looks what they are at every use.
  declare u8: Uint8Array;
  declare u16: Uint16Array;
  declare u32: Uint32Array;
  declare i32: Int32Array;
  /** Where the piece lies that `translatePiece` found: byte offset in the buffer. */
  pieceOffset = 0;
  /**
   * Where the last hit was, for most drivers keep all their rings and buffers in one region: where the region begins in
   * guest addresses, its length, 0 before the first hit, and where it lies in the buffer. What of it has numbers beyond
   * 31 bits is left out, so that hot code gets by with signed words.
   */
  nearAddress = 0;
  nearBytes = 0;
  nearOffset = 0;
  #copyWithin: CopyWithin;

  /**
   * @param regions sorted by address and not overlapping; one region of the whole buffer at address 0 if left out
   * @param copyWithin a faster copy inside this buffer (wasm `memory.copy` on the same memory); default `Uint8Array.copyWithin`
   * @param translator what maps the addresses that drivers give; by default they are guest-physical
   * @throws RangeError if a region is misaligned, out of order, overlapping or outside the buffer, or a part is none
   */
  constructor(
    buffer: ArrayBufferLike,
    regions: readonly MemoryRegion[] = wholeOf(buffer),
    copyWithin?: CopyWithin,
    translator: AddressTranslator | null = null,
  ) {
    if (translator !== null) checkMethods("translator", translator, "an AddressTranslator", ["translate"]);
    this.translator = translator;
    checkRegions(regions);
    this.regions = regions.map((region) => ({ ...region }));
    this.#copyWithin =
      copyWithin ??
      ((dstOffset, srcOffset, lengthBytes) => {
        this.u8.copyWithin(dstOffset, srcOffset, srcOffset + lengthBytes);
      });
    this.rebind(buffer);
  }

  /**
   * Goes on with another buffer that holds the same memory: a WebAssembly.Memory that has grown detaches its old one.
   * @throws RangeError if a region lies outside `buffer`
   */
  rebind(buffer: ArrayBufferLike, copyWithin: CopyWithin = this.#copyWithin): void {
    checkBuffer("guest memory's buffer", buffer);
    checkFunction("copyWithin", copyWithin);
    if (buffer.byteLength > BUFFER_BYTES_MAX) {
      throw new RangeError(`guest memory buffer has ${buffer.byteLength} bytes; at most 2^32 are allowed`);
    }
    for (const region of this.regions) {
      if (region.byteOffset + region.sizeBytes > buffer.byteLength) {
        throw new RangeError(
          `memory region at byteOffset ${region.byteOffset} has ${region.sizeBytes} bytes, ` +
            `but the buffer ends at ${buffer.byteLength}`,
        );
      }
    }
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer, 0, Math.floor(buffer.byteLength / 2));
    this.u32 = new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / 4));
    this.i32 = new Int32Array(buffer, 0, Math.floor(buffer.byteLength / 4));
    this.#copyWithin = copyWithin;
  }

  /**
   * Byte offset in the buffer of the range `address … address + lengthBytes`, or -1 if any byte of it lies outside
   * every region, or in two. A range of length 0 must begin inside a region or at its end. Behind a translator -1 as well
   * if the range is in pieces, or may not be accessed as `write` says; `translatePiece` gives it piece by piece.
   */
  translate(address: number, lengthBytes: number, write = false): number {
    const inRegion = address - this.nearAddress;
    if (inRegion >= 0 && lengthBytes >= 0 && lengthBytes <= this.nearBytes - inRegion) {
      return this.nearOffset + inRegion;
    }
    if (this.translator === null) return this.#findRegion(address, lengthBytes, true);
    return this.translatePiece(address, lengthBytes, write) === lengthBytes ? this.pieceOffset : -1;
  }

  /**
   * Length of the first piece of a range of `lengthBytes` bytes, at `pieceOffset` in the buffer; -1 if it may not be
   * accessed. For memory with a translator.
   */
  translatePiece(address: number, lengthBytes: number, write: boolean): number {
    const translator = this.translator!;
    const guestAddress = translator.translate(address, write);
    if (guestAddress < 0) return -1;
    const pieceBytes = Math.min(lengthBytes, translator.runBytes);
    // What a hit leaves behind would let addresses past the translator.
    this.pieceOffset = this.#findRegion(guestAddress, pieceBytes, false);
    return this.pieceOffset < 0 ? -1 : pieceBytes;
  }

  #findRegion(address: number, lengthBytes: number, remember: boolean): number {
    if (!Number.isInteger(address) || !(lengthBytes >= 0)) return -1;
    for (const region of this.regions) {
      const inRegion = address - region.guestAddress;
      if (inRegion >= 0 && lengthBytes <= region.sizeBytes - inRegion) {
        if (remember) this.#goNear(region);
        // An integer to V8 too: as a double it would be boxed wherever it is kept.
        return (region.byteOffset + inRegion) >>> 0;
      }
    }
    return -1;
  }

  #goNear({ guestAddress, byteOffset, sizeBytes }: MemoryRegion): void {
    const bytes = Math.min(sizeBytes, NEAR_END - Math.max(guestAddress, byteOffset));
    if (bytes <= 0) return;
    this.nearAddress = guestAddress;
    this.nearBytes = bytes;
    this.nearOffset = byteOffset;
  }

  /** Loads a word by which the driver publishes; what it published before is visible to the plain reads that follow. */
  loadAcquireU16(offset: number): number {
    return Atomics.load(this.u16, offset >>> 1);
  }

  /** Stores a word that publishes: all plain writes before it are visible to a driver that has seen it. */
  storeReleaseU16(offset: number, value: number): void {
    Atomics.store(this.u16, offset >>> 1, value);
  }

  /** Loads a little-endian word at any byte offset. */
  loadU32(offset: number): number {
    if ((offset & 3) === 0) return this.u32[offset >>> 2]!;
    const u8 = this.u8;
    return (u8[offset]! | (u8[offset + 1]! << 8) | (u8[offset + 2]! << 16) | (u8[offset + 3]! << 24)) >>> 0;
  }

  /** Stores three little-endian words, at any byte offset: the length of a virtio-net header. */
  storeThreeWords(offset: number, word0: number, word1: number, word2: number): void {
    if ((offset & 3) === 0) {
      // Signed: what hot code has at hand.
      const i32 = this.i32;
      const index = offset >>> 2;
      i32[index] = word0;
      i32[index + 1] = word1;
      i32[index + 2] = word2;
      return;
    }
    this.#storeBytes(offset, word0);
    this.#storeBytes(offset + 4, word1);
    this.#storeBytes(offset + 8, word2);
  }

  /** Stores a little-endian word at any byte offset. */
  storeU32(offset: number, word: number): void {
    if ((offset & 3) === 0) this.u32[offset >>> 2] = word;
    else this.#storeBytes(offset, word);
  }

  #storeBytes(offset: number, word: number): void {
    const u8 = this.u8;
    u8[offset] = word;
    u8[offset + 1] = word >>> 8;
    u8[offset + 2] = word >>> 16;
    u8[offset + 3] = word >>> 24;
  }

  /**
   * Copies `bytes[srcOffset … + lengthBytes)` to `dstOffset`. Bytes that lie in this very buffer (`bytes === u8`) take
   * the fast copy. Others need a subarray, which costs more than copying a short frame, unless `bytes` is the frame.
   */
  copyIn(bytes: Uint8Array, srcOffset: number, dstOffset: number, lengthBytes: number): void {
    if (bytes === this.u8) this.#copyWithin(dstOffset, srcOffset, lengthBytes);
    else if (srcOffset === 0 && lengthBytes === bytes.length) this.u8.set(bytes, dstOffset);
    else this.u8.set(bytes.subarray(srcOffset, srcOffset + lengthBytes), dstOffset);
  }

  /** Copies `lengthBytes` bytes at `srcOffset` to `bytes[dstOffset …)`. */
  copyOut(srcOffset: number, bytes: Uint8Array, dstOffset: number, lengthBytes: number): void {
    if (bytes === this.u8) this.#copyWithin(dstOffset, srcOffset, lengthBytes);
    else bytes.set(this.u8.subarray(srcOffset, srcOffset + lengthBytes), dstOffset);
  }
}

/** One region of all of a buffer. */
function wholeOf(buffer: ArrayBufferLike): MemoryRegion[] {
  checkBuffer("guest memory's buffer", buffer);
  return [{ guestAddress: 0, sizeBytes: buffer.byteLength, byteOffset: 0 }];
}

function checkRegions(regions: readonly MemoryRegion[]): void {
  checkList("regions", regions);
  for (const [index, region] of regions.entries()) checkObject(`regions[${index}]`, region, "a MemoryRegion");
  if (regions.length === 0) throw new RangeError("guest memory has no regions; at least one is needed");
  let endAddress = 0;
  for (const { guestAddress, sizeBytes, byteOffset } of regions) {
    const name = `memory region at guest address ${guestAddress}`;
    for (const value of [guestAddress, byteOffset]) {
      if (!Number.isSafeInteger(value) || value < 0 || value % 8 !== 0) {
        throw new RangeError(`${name}: guestAddress and byteOffset must be non-negative multiples of 8, got ${value}`);
      }
    }
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new RangeError(`${name}: sizeBytes must be a positive integer, got ${sizeBytes}`);
    }
    if (guestAddress < endAddress) {
      throw new RangeError(
        `${name} begins before ${endAddress}, where the region before it ends; sort them, without overlap`,
      );
    }
    endAddress = guestAddress + sizeBytes;
    if (!Number.isSafeInteger(endAddress)) throw new RangeError(`${name} ends beyond 2^53`);
  }
}
