/**
 * A stretch of a ring: chains that lie side by side there, each of which is taken, used and written of in one go. That
 * costs a fraction of `Virtqueue.take` and `pushUsed`, which deal with chains of any shape.
 *
 * Only plain chains go this way, those of one descriptor without a fault; any other one is left for `take`. A queue has
 * one stretch, which it opens and closes; the queue hears of what was used in it when it is closed.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";

export interface Stretch {
  /** Where its buffers lie. */
  readonly memory: GuestMemory;
  /** Chains used since it was opened. */
  readonly used: number;
  /** Bytes that `put` was to copy when it threw, since it was opened. */
  failedBytes: number;
  /** True at its end, and while it is not open. Behind the end there may be more chains. */
  readonly spent: boolean;
  /** Length in bytes of the chain taken last. */
  readonly lengthBytes: number;
  /**
   * Takes the next chain, if it is plain and holds at least `neededBytes`, which is at least 1, and uses it with
   * `usedBytes`: what will be written to it if it is writable, at least 1, and 0 if it is not. Returns the byte offset of
   * its segment in the guest's buffer, or -1: nothing has happened then.
   */
  take(neededBytes: number, usedBytes: number): number;
  /**
   * Takes the next chain as `take` does a writable one, and writes to it: three words, and from `headerBytes` on, at least
   * 12, `bytes[srcOffset … + lengthBytes)`. For a stretch that was opened for writable chains. False if there is no such
   * chain; nothing has happened then. If the copy throws, the chain is given back, and `failedBytes` counts what was to be
   * copied.
   */
  put(
    word0: number,
    word1: number,
    word2: number,
    headerBytes: number,
    bytes: Uint8Array,
    srcOffset: number,
    lengthBytes: number,
  ): boolean;
  /** Gives back the chain that was taken last; once for each `take`. It will be read again. */
  undo(): void;
}

/** What `take` gives when it takes nothing. */
export const NO_CHAIN = -1;

/** `put` by way of `take`, for a chain that lies anywhere. */
export function putByTake(
  stretch: Stretch,
  word0: number,
  word1: number,
  word2: number,
  headerBytes: number,
  bytes: Uint8Array,
  srcOffset: number,
  lengthBytes: number,
): boolean {
  const usedBytes = headerBytes + lengthBytes;
  const offset = stretch.take(usedBytes, usedBytes);
  if (offset < 0) return false;
  stretch.memory.storeThreeWords(offset, word0, word1, word2);
  copyOrUndo(stretch, bytes, srcOffset, offset + headerBytes, lengthBytes);
  return true;
}

/** The last step of a `put`. */
export function copyOrUndo(
  stretch: Stretch,
  bytes: Uint8Array,
  srcOffset: number,
  dstOffset: number,
  lengthBytes: number,
): void {
  try {
    stretch.memory.copyIn(bytes, srcOffset, dstOffset, lengthBytes);
  } catch (error) {
    stretch.undo();
    stretch.failedBytes += lengthBytes;
    throw error;
  }
}
