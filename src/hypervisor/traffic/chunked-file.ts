import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UserError } from "../user-error.ts";

/** What is held of a file at a time, however long the file is. */
export const CHUNK_BYTES = 256 * 1024;

/**
 * A file that is read forwards through one small buffer. A reader makes the few bytes that it wants to look at available
 * (`available`, `has`), reads them in `view` from `offset` on, and skips over the rest: what is skipped is not read.
 */
export class ChunkedFile {
  readonly path: string;
  /** The buffer; its bytes from `offset` on are unread. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Index of the next unread byte in the buffer. */
  offset = 0;
  readonly sizeBytes: number;
  readonly #descriptor: number;
  /** Bytes of the buffer that hold the file's content. */
  #filledBytes = 0;
  /** Position in the file of the first byte behind them. */
  #filePosition = 0;
  #open = true;

  /** Throws UserError for whatever cannot be opened, is no regular file, or is empty. */
  constructor(path: string, bufferBytes: number = CHUNK_BYTES) {
    this.path = path;
    try {
      this.#descriptor = openSync(path, "r");
    } catch (error) {
      throw unreadable(path, error);
    }
    const stat = fstatSync(this.#descriptor);
    this.sizeBytes = stat.size;
    if (!stat.isFile() || stat.size === 0) {
      this.close();
      const what = stat.isDirectory() ? "is a directory" : stat.isFile() ? "is empty" : "is not a regular file";
      throw new UserError(`${fileName(path)}: ${what}; a capture is a regular file with packets in it`);
    }
    this.bytes = new Uint8Array(bufferBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Position in the file of the next unread byte. */
  get positionBytes(): number {
    return this.#filePosition - (this.#filledBytes - this.offset);
  }

  /** Tries to make `count` bytes available, and answers how many are: fewer only at the file's end. */
  available(count: number): number {
    const there = this.#filledBytes - this.offset;
    return there >= count ? there : this.#fill(count);
  }

  /** True if `count` bytes can be read from `offset` on. */
  has(count: number): boolean {
    return this.available(count) >= count;
  }

  /** Moves on by `count` bytes; false, at the file's end, if there are not that many. */
  skip(count: number): boolean {
    const there = this.#filledBytes - this.offset;
    if (count <= there) {
      this.offset += count;
      return true;
    }
    const target = this.#filePosition + (count - there);
    this.offset = 0;
    this.#filledBytes = 0;
    this.#filePosition = Math.min(target, this.sizeBytes);
    return target <= this.sizeBytes;
  }

  close(): void {
    if (this.#open) closeSync(this.#descriptor);
    this.#open = false;
  }

  #fill(count: number): number {
    const { bytes } = this;
    if (count > bytes.length) {
      throw new RangeError(`bytes to look at: got ${count}, allowed are at most the buffer's ${bytes.length}`);
    }
    bytes.copyWithin(0, this.offset, this.#filledBytes);
    this.#filledBytes -= this.offset;
    this.offset = 0;
    while (this.#filledBytes < count) {
      const got = this.#read();
      if (got === 0) break;
      this.#filledBytes += got;
      this.#filePosition += got;
    }
    return this.#filledBytes;
  }

  #read(): number {
    // Not beyond the size at opening: a capture that is still being written ends there.
    const want = Math.min(this.bytes.length - this.#filledBytes, this.sizeBytes - this.#filePosition);
    if (want === 0) return 0;
    try {
      return readSync(this.#descriptor, this.bytes, this.#filledBytes, want, this.#filePosition);
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }
}

/** A path as a message shows it: on one line, whatever is in it. */
export function fileName(path: string): string {
  return path.replace(/\p{Cc}/gu, "?");
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "it may not be read (permission denied)",
  EPERM: "it may not be read (permission denied)",
};

function unreadable(path: string, error: unknown): UserError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
  return new UserError(`${fileName(path)}: ${REASONS[code] ?? `it cannot be read (${code})`}; give a readable capture`);
}
