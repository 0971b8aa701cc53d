import type { Frame } from "../../device/link/frame-port.ts";
import {
  STAMP_ARRIVAL_HIGH,
  STAMP_ARRIVAL_LOW,
  STAMP_BYTES,
  STAMP_CHECK,
  STAMP_ETHERTYPE,
  STAMP_FLOW,
  STAMP_SEQUENCE,
  stampCheck,
} from "../../device/spec/frame-stamp.ts";
import { SequenceTracker } from "./sequence-tracker.ts";

const ETHERTYPE_OFFSET = 12;
const TWO_32 = 2 ** 32;

/**
 * Where transmitted frames end: counts them and checks their stamps. A frame without a stamp (a guest that is a whole
 * operating system sends such) is counted as foreign and not judged.
 */
export class FrameSink {
  frames = 0;
  bytes = 0;
  /** Shorter than a stamp, or of another ethertype. */
  foreign = 0;
  /** Stamped, and the check does not fit the bytes. */
  corrupted = 0;
  // What the last sound frame's stamp says.
  sequence = 0;
  flow = 0;
  arrivalNs = 0;
  readonly #tracker: SequenceTracker;
  /** View of the buffer that the last frame lay in: senders keep to one. */
  #viewed: Uint8Array | null = null;
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(firstSequence = 0) {
    this.#tracker = new SequenceTracker(firstSequence);
  }

  get lost(): number {
    return this.#tracker.lost;
  }

  get duplicated(): number {
    return this.#tracker.duplicated;
  }

  get reordered(): number {
    return this.#tracker.reordered;
  }

  /** Takes a frame; true if it is stamped and sound. */
  accept(frame: Frame): boolean {
    const { offset, lengthBytes } = frame;
    this.frames++;
    this.bytes += lengthBytes;
    if (this.#viewed !== frame.bytes) {
      this.#viewed = frame.bytes;
      this.#view = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.byteLength);
    }
    const view = this.#view;
    if (lengthBytes < STAMP_BYTES || view.getUint16(offset + ETHERTYPE_OFFSET) !== STAMP_ETHERTYPE) {
      this.foreign++;
      return false;
    }
    const check = view.getUint32(offset + STAMP_CHECK, true);
    if (check !== checkOfFrame(view, offset, lengthBytes)) {
      this.corrupted++;
      return false;
    }
    this.sequence = view.getUint32(offset + STAMP_SEQUENCE, true);
    this.flow = view.getUint16(offset + STAMP_FLOW, true);
    this.arrivalNs =
      view.getUint32(offset + STAMP_ARRIVAL_HIGH, true) * TWO_32 + view.getUint32(offset + STAMP_ARRIVAL_LOW, true);
    this.#tracker.see(this.sequence);
    return true;
  }
}

/** The check that a frame of at least STAMP_BYTES should carry. */
function checkOfFrame(view: DataView, offset: number, lengthBytes: number): number {
  const end = offset + lengthBytes;
  // The sequence number, and behind it the check itself, which counts as 0.
  let s1 = view.getInt32(offset + STAMP_SEQUENCE, true);
  let s2 = s1 + s1;
  let at = offset + STAMP_CHECK + 4;
  for (; at + 4 <= end; at += 4) {
    s1 = (s1 + view.getInt32(at, true)) | 0;
    s2 = (s2 + s1) | 0;
  }
  if (at < end) {
    let word = 0;
    for (let i = at; i < end; i++) word |= view.getUint8(i) << ((i - at) << 3);
    s1 = (s1 + word) | 0;
    s2 = (s2 + s1) | 0;
  }
  return stampCheck(s1, s2, lengthBytes);
}
