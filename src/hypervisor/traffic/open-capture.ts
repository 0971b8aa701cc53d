import { UserError } from "../user-error.ts";
import { CaptureSource, type RecordReader } from "./capture-source.ts";
import { CHUNK_BYTES, ChunkedFile, fileName } from "./chunked-file.ts";
import { CSV_HEADER, CsvReader, checkCsv, isText } from "./csv.ts";
import type { PacketSource } from "./packet-source.ts";
import { isPcap, PcapReader } from "./pcap.ts";
import { isPcapng, PcapngReader } from "./pcapng.ts";

/** Enough to tell the formats apart, and a first line of text from anything else. */
const LOOK_BYTES = 64;
const MAGIC_BYTES = 4;

/** What captures come packed in, by their first bytes. */
const PACKED: readonly (readonly [string, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

/**
 * Opens a capture of any known format, which its content tells, not its name: pcap and pcapng in either byte order, or
 * CSV. The file is read as the packets are taken, never whole. Throws UserError for a file that cannot be played.
 */
export function openCapture(path: string, bufferBytes: number = CHUNK_BYTES): PacketSource {
  const file = new ChunkedFile(path, bufferBytes);
  try {
    return new CaptureSource(file, readerFor(file));
  } catch (error) {
    file.close();
    throw error;
  }
}

function readerFor(file: ChunkedFile): RecordReader {
  const there = Math.min(file.available(LOOK_BYTES), LOOK_BYTES);
  if (there >= MAGIC_BYTES) {
    if (isPcap(file.view)) return new PcapReader(file);
    if (isPcapng(file.view)) return new PcapngReader(file);
  }
  const packing = PACKED.find(([, magic]) => there >= magic.length && magic.every((byte, i) => file.bytes[i] === byte));
  if (packing !== undefined) throw refusal(file, `is packed with ${packing[0]}: unpack it first`);
  if (!isText(file.bytes, there)) throw refusal(file, "is of no known format");
  const reader = new CsvReader(file);
  checkCsv(file.path, file.bytes.length);
  return reader;
}

function refusal(file: ChunkedFile, what: string): UserError {
  return new UserError(
    `${fileName(file.path)}: ${what}; allowed are pcap, pcapng, and CSV with the header ${CSV_HEADER}`,
  );
}
