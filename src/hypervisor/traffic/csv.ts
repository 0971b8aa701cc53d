import { UserError } from "../user-error.ts";
import type { RecordReader } from "./capture-source.ts";
import { ChunkedFile, fileName } from "./chunked-file.ts";

/**
 * Captures as text: the header line, then one line for each packet with its time in nanoseconds (counted from any
 * moment) and its length in bytes.
 */

export const CSV_HEADER = "time_ns,length_bytes";

/** 19 digits reach 10^19 ns, which is the year 2286; nanoseconds since 1970 have 19 today. */
const TIME_DIGITS_MAX = 19;
const LENGTH_DIGITS_MAX = 9;
/** No good line is longer, its line end included. */
const LINE_BYTES_MAX = 64;
const NANOSECOND_DIGITS = 9;

const COMMA = 0x2c;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const DIGIT_0 = 0x30;

/** True if the file's first bytes look like a line of text, good or not. */
export function isText(bytes: Uint8Array, count: number): boolean {
  for (let i = 0; i < count; i++) {
    const byte = bytes[i]!;
    if (byte === LINE_FEED || byte === CARRIAGE_RETURN) return i > 0;
    if (byte < 0x20 || byte > 0x7e) return false;
  }
  return count > 0;
}

/** Reads the whole file once, so that a bad line is found before anything runs. Throws UserError for the first one. */
export function checkCsv(path: string, bufferBytes: number): void {
  const file = new ChunkedFile(path, bufferBytes);
  try {
    const reader = new CsvReader(file);
    while (reader.read());
  } finally {
    file.close();
  }
}

export class CsvReader implements RecordReader {
  readonly timed = true;
  seconds = 0;
  nanoseconds = 0;
  originalBytes = 0;
  failure: string | null = null;
  readonly notes: readonly string[] = [];
  readonly #file: ChunkedFile;
  #line = 1;

  /** `file` stands at its beginning. Throws UserError if its first line is not the header. */
  constructor(file: ChunkedFile) {
    this.#file = file;
    const end = this.#lineEnd();
    if (end < 0 || this.#text(end) !== CSV_HEADER) this.#refuse(`the first line of a CSV capture is ${CSV_HEADER}`);
    this.#nextLine(end);
  }

  read(): boolean {
    const file = this.#file;
    if (file.available(1) === 0) return false;
    const end = this.#lineEnd();
    const comma = file.bytes.indexOf(COMMA, file.offset);
    if (end >= 0 && (comma < 0 || comma + 1 >= end) && this.#isCutOff(end)) {
      this.failure = "truncated";
      return false;
    }
    if (end < 0 || comma < 0 || comma >= end) return this.#refuseRow();
    const split = Math.max(file.offset, comma - NANOSECOND_DIGITS);
    if (comma === file.offset || comma - file.offset > TIME_DIGITS_MAX) return this.#refuseRow();
    if (comma + 1 === end || end - comma - 1 > LENGTH_DIGITS_MAX) return this.#refuseRow();
    this.seconds = this.#number(file.offset, split);
    this.nanoseconds = this.#number(split, comma);
    this.originalBytes = this.#number(comma + 1, end);
    this.#nextLine(end);
    return true;
  }

  /** True for a beginning of a good line, behind other lines, at which the file ends without a line end. */
  #isCutOff(end: number): boolean {
    const { bytes, offset } = this.#file;
    if (this.#line <= 2 || this.#file.available(end - offset + 1) > end - offset) return false;
    for (let i = offset; i < end; i++) {
      const isDigit = bytes[i]! >= DIGIT_0 && bytes[i]! <= DIGIT_0 + 9;
      if (!isDigit && !(bytes[i] === COMMA && i + 1 === end && i > offset)) return false;
    }
    return true;
  }

  /** Index behind the line's last character, its line end not included; -1 if the line is too long to be good. */
  #lineEnd(): number {
    const { bytes } = this.#file;
    const there = Math.min(this.#file.available(LINE_BYTES_MAX), LINE_BYTES_MAX);
    const limit = this.#file.offset + there;
    let end = this.#file.offset;
    while (end < limit && bytes[end] !== LINE_FEED) end++;
    if (end === limit && there === LINE_BYTES_MAX) return -1;
    return end > this.#file.offset && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
  }

  /** Moves behind the line whose characters end at `end`: behind CR LF, LF, or at the file's end. */
  #nextLine(end: number): void {
    const file = this.#file;
    file.offset = end;
    const hasTwo = file.available(2) >= 2;
    file.skip(hasTwo && file.bytes[file.offset] === CARRIAGE_RETURN ? 2 : 1);
    this.#line++;
  }

  #number(from: number, to: number): number {
    let value = 0;
    for (let i = from; i < to; i++) {
      const digit = this.#file.bytes[i]! - DIGIT_0;
      if (digit < 0 || digit > 9) this.#refuseRow();
      value = value * 10 + digit;
    }
    return value;
  }

  #refuseRow(): never {
    return this.#refuse(
      `a line is ${CSV_HEADER}, as in 1500,64: whole numbers of at most ${TIME_DIGITS_MAX} and ${LENGTH_DIGITS_MAX} digits`,
    );
  }

  #refuse(allowed: string): never {
    const end = this.#lineEnd();
    const text = end < 0 ? `${this.#text(this.#file.offset + 40)}…` : this.#text(end);
    throw new UserError(`${fileName(this.#file.path)}, line ${this.#line}: got ${JSON.stringify(text)}; ${allowed}`);
  }

  /** The line's characters up to `end`, whatever is not printable ASCII as `?`: messages go to terminals. */
  #text(end: number): string {
    let text = "";
    for (let i = this.#file.offset; i < end; i++) {
      const byte = this.#file.bytes[i]!;
      text += byte < 0x20 || byte > 0x7e ? "?" : String.fromCharCode(byte);
    }
    return text;
  }
}
