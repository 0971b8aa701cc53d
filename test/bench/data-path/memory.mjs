/** Guest memory of two kinds: shared with a fast copy, as the threads engine has it, and a plain ArrayBuffer. */
import { allocateSharedRam, copyWithinOf } from "../../../dist/hypervisor/index.js";
import { FRAME_BYTES_MAX, HEADER_BYTES, makeFrame, RAM_BYTES } from "./layout.mjs";

/** Bytes behind the guest's memory: the frame on the wire, then room in which sent frames are gathered. */
const WIRE_BYTES = 4096;
const STAGING_BYTES = 128 << 10;

/** The wire's frame lies in the same memory, out of the guest's reach; so does the room for sent frames. */
export function sharedMemory() {
  const ram = allocateSharedRam(RAM_BYTES, WIRE_BYTES + STAGING_BYTES);
  const u8 = new Uint8Array(ram.buffer);
  // Frames lie at 4 mod 8, behind their header.
  const wireOffset = ram.stagingOffset + HEADER_BYTES;
  u8.set(makeFrame(FRAME_BYTES_MAX), wireOffset);
  return {
    buffer: ram.buffer,
    byteOffset: 0,
    copy: copyWithinOf(ram.memory),
    // The card takes its fast copy for frames in its own view of the memory.
    wireOf: null,
    wireOffset,
    staging: { bytes: u8, offset: ram.stagingOffset + WIRE_BYTES, lengthBytes: STAGING_BYTES },
  };
}

/** Nothing is lent to the card: frames come as arrays of their own, and it gathers what it sends by itself. */
export function plainMemory() {
  return {
    buffer: new ArrayBuffer(RAM_BYTES),
    byteOffset: 0,
    copy: undefined,
    wireOf: makeFrame,
    wireOffset: 0,
    staging: undefined,
  };
}
