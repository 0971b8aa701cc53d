import type { RecordReader } from "./capture-source.ts";
import type { ChunkedFile } from "./chunked-file.ts";

/**
 * The classic pcap format (draft-ietf-opsawg-pcap): a file header of 24 bytes (§4), then records of 16 bytes and the
 * captured bytes (§5), all in the byte order of the machine that wrote it.
 *
 *    0  magic number         file header        0  seconds             record
 *    4  version 2.x                             4  µs or ns
 *    8  reserved                                8  captured length
 *   16  snapshot length                        12  original length
 *   20  FCS length, link type                  16  captured bytes, not padded
 */

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const VERSION_MAJOR = 2;
/** The longest snapshot length that libpcap allows for any link type (pcap-common.c, max_snaplen_for_dlt). */
const CAPTURED_BYTES_MAX = 128 * 1024 * 1024;

/** True if the first four bytes are one of the four magic numbers. */
export function isPcap(view: DataView): boolean {
  return littleEndianOf(view, 0) !== null;
}

export class PcapReader implements RecordReader {
  readonly timed = true;
  seconds = 0;
  nanoseconds = 0;
  originalBytes = 0;
  failure: string | null = null;
  readonly notes: readonly string[] = [];
  readonly #file: ChunkedFile;
  readonly #littleEndian: boolean;
  readonly #fractionNs: number;

  /** `file` stands at its beginning, and `isPcap` is true of it. */
  constructor(file: ChunkedFile) {
    this.#file = file;
    const { view, offset } = file;
    const littleEndian = littleEndianOf(view, offset) === true;
    this.#littleEndian = littleEndian;
    this.#fractionNs = view.getUint32(offset, littleEndian) === MAGIC_NANOSECONDS ? 1 : 1000;
    if (!file.has(FILE_HEADER_BYTES)) {
      this.failure = "truncated";
      return;
    }
    const major = view.getUint16(file.offset + 4, littleEndian);
    // §4: a major version changes if old code cannot read the new format.
    if (major !== VERSION_MAJOR) this.failure = `damaged (pcap version ${major}, known is ${VERSION_MAJOR})`;
    file.skip(FILE_HEADER_BYTES);
  }

  read(): boolean {
    const file = this.#file;
    if (this.failure !== null) return false;
    if (!file.has(RECORD_HEADER_BYTES)) {
      if (file.available(1) > 0) this.failure = "truncated";
      return false;
    }
    const { view, offset } = file;
    const littleEndian = this.#littleEndian;
    const capturedBytes = view.getUint32(offset + 8, littleEndian);
    if (capturedBytes > CAPTURED_BYTES_MAX) {
      this.failure = `damaged (${capturedBytes} captured bytes at byte ${file.positionBytes})`;
      return false;
    }
    this.seconds = view.getUint32(offset, littleEndian);
    this.nanoseconds = view.getUint32(offset + 4, littleEndian) * this.#fractionNs;
    this.originalBytes = view.getUint32(offset + 12, littleEndian);
    if (file.skip(RECORD_HEADER_BYTES + capturedBytes)) return true;
    this.failure = "truncated";
    return false;
  }
}

/** The byte order that makes the word at `offset` a magic number; null if none does. */
function littleEndianOf(view: DataView, offset: number): boolean | null {
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(offset, littleEndian);
    if (magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS) return littleEndian;
  }
  return null;
}
