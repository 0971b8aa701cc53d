import type { RecordReader } from "./capture-source.ts";
import type { ChunkedFile } from "./chunked-file.ts";
import { TimestampUnit } from "./pcapng-time.ts";

/**
 * The pcapng format (draft-ietf-opsawg-pcapng): blocks, one behind the other, of type, total length, body, and the total
 * length again (§3.1). A Section Header Block says the byte order of what follows, down to the next one; interfaces are
 * numbered within a section. Blocks of other types are skipped, and so is a section of an unknown version (§3.4).
 *
 * Nothing here is as long as the file says: a body is skipped, not read, and options are read one by one.
 */

const SECTION_HEADER = 0x0a0d0d0a; // §4.1: reads the same in both byte orders
const INTERFACE_DESCRIPTION = 1; // §4.2
const PACKET = 2; // Appendix A, obsolete
const SIMPLE_PACKET = 3; // §4.4
const ENHANCED_PACKET = 6; // §4.3

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const VERSION_MAJOR = 1;
const OPTION_END = 0;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

/** Type, total length, and what follows them in every block: a first body word or the second total length. */
const SMALLEST_BLOCK_BYTES = 12;
const TRAILER_BYTES = 4;
/** Bytes up to the options or the data: the most of a block that is looked at in one piece. */
const ENHANCED_PACKET_BYTES = 28;
/** More interfaces than this in one section are taken for damage; each costs memory. */
const INTERFACES_MAX = 65536;

/** True if the file begins with a block type that no other format begins with. */
export function isPcapng(view: DataView): boolean {
  return view.getUint32(0) === SECTION_HEADER;
}

export class PcapngReader implements RecordReader {
  timed = true;
  seconds = 0;
  nanoseconds = 0;
  originalBytes = 0;
  failure: string | null = null;
  readonly notes: string[] = [];
  readonly #file: ChunkedFile;
  #littleEndian = true;
  #interfaces: TimestampUnit[] = [];
  /** The section is of a version that is not known. */
  #skipping = false;
  /** Position of the block being read, and how much of it is not consumed yet. */
  #blockPosition = 0;
  #leftBytes = 0;

  constructor(file: ChunkedFile) {
    this.#file = file;
  }

  read(): boolean {
    const file = this.#file;
    while (this.failure === null) {
      const there = file.available(SMALLEST_BLOCK_BYTES);
      if (there === 0) return false;
      if (there < SMALLEST_BLOCK_BYTES) return this.#fail("truncated");
      this.#blockPosition = file.positionBytes;
      const { view, offset } = file;
      const type = view.getUint32(offset, this.#littleEndian);
      if (type === SECTION_HEADER && !this.#takeByteOrder(offset)) return this.#damaged("no byte-order magic");
      const totalBytes = view.getUint32(offset + 4, this.#littleEndian);
      if (totalBytes < SMALLEST_BLOCK_BYTES || totalBytes % 4 !== 0) {
        return this.#damaged(`a block length of ${totalBytes}`);
      }
      this.#leftBytes = totalBytes;
      const isPacket = this.#readBody(type);
      if (this.failure === null) this.#endBlock(totalBytes);
      if (isPacket && this.failure === null) return true;
    }
    return false;
  }

  /** Reads what matters of the block; true if it is a packet. */
  #readBody(type: number): boolean {
    switch (type) {
      case SECTION_HEADER:
        this.#beginSection();
        return false;
      case INTERFACE_DESCRIPTION:
        if (!this.#skipping) this.#addInterface();
        return false;
      case ENHANCED_PACKET:
        return !this.#skipping && this.#readPacket(4);
      case PACKET:
        return !this.#skipping && this.#readPacket(2);
      case SIMPLE_PACKET:
        return !this.#skipping && this.#readSimplePacket();
      default:
        return false;
    }
  }

  #takeByteOrder(offset: number): boolean {
    const { view } = this.#file;
    this.#littleEndian = view.getUint32(offset + 8, true) === BYTE_ORDER_MAGIC;
    return this.#littleEndian || view.getUint32(offset + 8, false) === BYTE_ORDER_MAGIC;
  }

  #beginSection(): void {
    if (!this.#look(24)) return;
    const { view, offset } = this.#file;
    const major = view.getUint16(offset + 12, this.#littleEndian);
    // The minor version does not count: 1.2 is to be read like 1.0 (§4.1). Nor does the section's length: it need not be known.
    this.#skipping = major !== VERSION_MAJOR;
    if (this.#skipping) this.notes.push(`a section of pcapng version ${major} left out, known is ${VERSION_MAJOR}`);
    this.#interfaces = [];
  }

  #addInterface(): void {
    if (!this.#look(16)) return;
    if (this.#interfaces.length === INTERFACES_MAX) {
      this.#damaged(`more than ${INTERFACES_MAX} interfaces`);
      return;
    }
    this.#consume(16);
    let resolution: number | undefined;
    let offsetSeconds = 0;
    // §3.5: the list may end with the block instead of opt_endofopt.
    while (this.#leftBytes >= TRAILER_BYTES + 4) {
      if (!this.#look(4)) return;
      const { view, offset } = this.#file;
      const code = view.getUint16(offset, this.#littleEndian);
      const valueBytes = view.getUint16(offset + 2, this.#littleEndian);
      if (code === OPTION_END) break;
      const wantedBytes = code === OPTION_TSRESOL ? 1 : code === OPTION_TSOFFSET ? 8 : valueBytes;
      const paddedBytes = (valueBytes + 3) & ~3;
      if (valueBytes !== wantedBytes || 4 + paddedBytes > this.#leftBytes - TRAILER_BYTES) {
        this.#damaged(`an option of ${valueBytes} bytes`);
        return;
      }
      this.#consume(4);
      if (code === OPTION_TSRESOL || code === OPTION_TSOFFSET) {
        if (!this.#look(paddedBytes)) return;
        if (code === OPTION_TSRESOL) resolution = this.#file.view.getUint8(this.#file.offset);
        else offsetSeconds = this.#signed64(this.#file.offset);
      }
      this.#consume(paddedBytes);
      if (this.failure !== null) return;
    }
    this.#interfaces.push(new TimestampUnit(resolution, offsetSeconds));
  }

  /** An Enhanced Packet Block or its obsolete ancestor, which differ in the width of the interface's number. */
  #readPacket(interfaceBytes: 2 | 4): boolean {
    if (!this.#look(ENHANCED_PACKET_BYTES)) return false;
    const { view, offset } = this.#file;
    const littleEndian = this.#littleEndian;
    const number =
      interfaceBytes === 4 ? view.getUint32(offset + 8, littleEndian) : view.getUint16(offset + 8, littleEndian);
    const unit = this.#interfaces[number];
    if (unit === undefined) return this.#damaged(`a packet of interface ${number}, which is not described`);
    const capturedBytes = view.getUint32(offset + 20, littleEndian);
    if (capturedBytes > this.#leftBytes - ENHANCED_PACKET_BYTES - TRAILER_BYTES) {
      return this.#damaged(`${capturedBytes} captured bytes in a block of ${this.#leftBytes}`);
    }
    unit.split(view.getUint32(offset + 12, littleEndian), view.getUint32(offset + 16, littleEndian));
    this.timed = true;
    this.seconds = unit.seconds;
    this.nanoseconds = unit.nanoseconds;
    this.originalBytes = view.getUint32(offset + 24, littleEndian);
    return true;
  }

  #readSimplePacket(): boolean {
    if (!this.#look(12)) return false;
    // §4.4: it is a packet of the first interface.
    if (this.#interfaces.length === 0) return this.#damaged("a packet without an interface");
    this.timed = false;
    this.originalBytes = this.#file.view.getUint32(this.#file.offset + 8, this.#littleEndian);
    return true;
  }

  /** Skips what is left of the block, whose last word must repeat its length. */
  #endBlock(totalBytes: number): void {
    const file = this.#file;
    this.#consume(this.#leftBytes - TRAILER_BYTES);
    if (this.failure !== null) return;
    if (!file.has(TRAILER_BYTES)) {
      this.#fail("truncated");
      return;
    }
    const repeated = file.view.getUint32(file.offset, this.#littleEndian);
    if (repeated === totalBytes) this.#consume(TRAILER_BYTES);
    else this.#damaged(`block lengths ${totalBytes} and ${repeated}, which must be the same`);
  }

  /** True if the block has `count` further bytes before its trailer, and the file too. */
  #look(count: number): boolean {
    if (count > this.#leftBytes - TRAILER_BYTES) return this.#damaged(`a block too short for its type`);
    return this.#file.has(count) || this.#fail("truncated");
  }

  #consume(count: number): void {
    this.#leftBytes -= count;
    if (!this.#file.skip(count)) this.#fail("truncated");
  }

  #signed64(offset: number): number {
    const { view } = this.#file;
    const first = this.#littleEndian ? offset + 4 : offset;
    const second = this.#littleEndian ? offset : offset + 4;
    return view.getInt32(first, this.#littleEndian) * 2 ** 32 + view.getUint32(second, this.#littleEndian);
  }

  #damaged(what: string): false {
    return this.#fail(`damaged (${what}, in the block at byte ${this.#blockPosition})`);
  }

  #fail(failure: string): false {
    this.failure = failure;
    return false;
  }
}
