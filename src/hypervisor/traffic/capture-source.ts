import { countOf, countText } from "../report/quantity.ts";
import { UserError } from "../user-error.ts";
import { CaptureClock } from "./capture-clock.ts";
import { type ChunkedFile, fileName } from "./chunked-file.ts";
import type { PacketSource } from "./packet-source.ts";

/** The longest IP packet and an Ethernet header: no port takes a longer frame. */
export const PACKET_BYTES_MAX = 65535 + 14;

/** Reads one file format, record by record: the part of a capture that the formats do not share. */
export interface RecordReader {
  /** Reads the next packet's record into the fields below; false if there is no further whole one. */
  read(): boolean;
  /** False if this record says no time. */
  readonly timed: boolean;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly originalBytes: number;
  /** Why `read` answered false before the file's end, as in `truncated`; null if it did not. */
  readonly failure: string | null;
  readonly notes: readonly string[];
}

/** A capture file as a packet source, whatever its format. */
export class CaptureSource implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  readonly #file: ChunkedFile;
  readonly #reader: RecordReader;
  readonly #clock = new CaptureClock();
  #records = 0;
  #shortened = 0;
  #empty = 0;
  /** The first packet is read ahead, so that a capture without any is refused when it is opened. */
  #ahead: boolean;
  #ended = false;

  /** Throws UserError if the capture has no packet; closes `file` at the end and on an error. */
  constructor(file: ChunkedFile, reader: RecordReader) {
    this.#file = file;
    this.#reader = reader;
    this.#ahead = this.#advance();
    if (!this.#ahead) {
      const what = reader.failure === null ? "has no packet" : `is ${reader.failure} before its first whole packet`;
      const why = [...reader.notes, ...this.#lengthNotes()].map((note) => ` (${note})`).join("");
      throw new UserError(`${fileName(file.path)}: ${what}${why}; a capture needs at least one`);
    }
  }

  next(): boolean {
    if (this.#ahead) {
      this.#ahead = false;
      return true;
    }
    return !this.#ended && this.#advance();
  }

  get notes(): readonly string[] {
    const notes = [...this.#reader.notes, ...this.#clock.notes(), ...this.#lengthNotes()];
    const { failure } = this.#reader;
    if (failure !== null) notes.push(`${failure} after ${countOf(this.#records, "packet")}`);
    return notes;
  }

  close(): void {
    this.#ended = true;
    this.#file.close();
  }

  #advance(): boolean {
    const reader = this.#reader;
    for (;;) {
      if (!this.#readRecord()) return false;
      this.#records++;
      if (reader.originalBytes >= 1) break;
      this.#empty++;
    }
    this.timeNs = reader.timed ? this.#clock.at(reader.seconds, reader.nanoseconds) : this.#clock.lastNs;
    this.lengthBytes = reader.originalBytes;
    if (this.lengthBytes > PACKET_BYTES_MAX) {
      this.#shortened++;
      this.lengthBytes = PACKET_BYTES_MAX;
    }
    return true;
  }

  #readRecord(): boolean {
    try {
      if (this.#reader.read()) return true;
    } catch (error) {
      this.close();
      throw error;
    }
    this.close();
    return false;
  }

  #lengthNotes(): string[] {
    const notes: string[] = [];
    if (this.#empty > 0) notes.push(`${countOf(this.#empty, "packet")} of length 0 left out`);
    if (this.#shortened > 0) {
      notes.push(`${countOf(this.#shortened, "packet")} shortened to ${countText(PACKET_BYTES_MAX)} bytes`);
    }
    return notes;
  }
}
