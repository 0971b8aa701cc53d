/** The receiver's end of the frame stamp: is this frame whole, which one is it, when did it arrive at the card. */
import {
  STAMP_ARRIVAL_HIGH,
  STAMP_ARRIVAL_LOW,
  STAMP_BYTES,
  STAMP_CHECK,
  STAMP_ETHERTYPE,
  STAMP_FLOW,
  STAMP_SEQUENCE,
  STAMP_STATE,
  stampCheck,
} from "../device/spec/frame-stamp.ts";
import type { ReceivedFrame } from "./received-frame.ts";
import { SequenceTracker } from "./sequence-tracker.ts";
import { StampSum } from "./stamp-sum.ts";

const ETHERTYPE_OFFSET = 12;
/** The last four bytes of the source MAC address: enough to tell senders apart. */
const SOURCE_MAC_END = 8;
/** The ethertype is in network order, so its bytes come swapped in a little-endian u16. */
const ETHERTYPE_SWAPPED = ((STAMP_ETHERTYPE & 0xff) << 8) | (STAMP_ETHERTYPE >>> 8);

export class StampCheck {
  /** Frames whose stamp or check was wrong; they count in no other figure. */
  corrupted = 0;
  /** Of the last frame that `verify` found whole. */
  flow = 0;
  sequence = 0;
  arrivalNs = 0;
  arrivalState = 0;

  readonly #firstSequence: number;
  readonly #sum = new StampSum();
  /** The stamp of a frame whose first piece is too short or oddly aligned. */
  readonly #copy8 = new Uint8Array(STAMP_BYTES);
  readonly #copy32 = new Uint32Array(this.#copy8.buffer);
  /** Each sender numbers its frames, whatever flows they belong to. */
  readonly #trackers = new Map<number, SequenceTracker>();
  #sender = -1;
  #tracker: SequenceTracker;

  constructor(firstSequence = 0) {
    this.#firstSequence = firstSequence;
    this.#tracker = new SequenceTracker(firstSequence);
  }

  get lost(): number {
    return this.#total("lost");
  }

  get duplicated(): number {
    return this.#total("duplicated");
  }

  get reordered(): number {
    return this.#total("reordered");
  }

  /** True if the frame is whole; its fields are then in this object, and its sequence number is counted. */
  verify(frame: ReceivedFrame): boolean {
    if (frame.lengthBytes < STAMP_BYTES) return this.#corrupt();
    const address = frame.segmentAddress[0]!;
    const direct = (address & 3) === 0 && frame.segmentBytes[0]! >= STAMP_BYTES;
    if (!direct) this.#copyStamp(frame);
    const words = direct ? frame.u32 : this.#copy32;
    const word = direct ? address >>> 2 : 0;

    const typeAndFlow = words[word + (ETHERTYPE_OFFSET >>> 2)]!;
    if ((typeAndFlow & 0xffff) !== ETHERTYPE_SWAPPED) return this.#corrupt();
    const sum = this.#sum;
    sum.clear();
    for (let offset = STAMP_SEQUENCE; offset < STAMP_BYTES; offset += 4) {
      sum.addWord(offset === STAMP_CHECK ? 0 : words[word + (offset >>> 2)]!);
    }
    this.#sumFiller(frame);
    if (words[word + (STAMP_CHECK >>> 2)] !== stampCheck(sum.s1, sum.s2, frame.lengthBytes)) return this.#corrupt();

    this.flow = typeAndFlow >>> ((STAMP_FLOW & 3) << 3);
    this.sequence = words[word + (STAMP_SEQUENCE >>> 2)]!;
    this.arrivalNs = words[word + (STAMP_ARRIVAL_LOW >>> 2)]! + words[word + (STAMP_ARRIVAL_HIGH >>> 2)]! * 2 ** 32;
    this.arrivalState = words[word + (STAMP_STATE >>> 2)]!;
    const sender = words[word + (SOURCE_MAC_END >>> 2)]!;
    if (sender !== this.#sender) this.#switchSender(sender);
    this.#tracker.see(this.sequence);
    return true;
  }

  /** What follows the stamp, through all pieces. */
  #sumFiller(frame: ReceivedFrame): void {
    let skip = STAMP_BYTES;
    for (let i = 0; i < frame.segments; i++) {
      const bytes = frame.segmentBytes[i]!;
      if (bytes > skip) {
        this.#sum.addBytes(frame.u8, frame.u32, frame.segmentAddress[i]! + skip, bytes - skip);
        skip = 0;
      } else {
        skip -= bytes;
      }
    }
    this.#sum.finish();
  }

  #copyStamp(frame: ReceivedFrame): void {
    let copied = 0;
    for (let i = 0; copied < STAMP_BYTES; i++) {
      const address = frame.segmentAddress[i]!;
      const bytes = Math.min(frame.segmentBytes[i]!, STAMP_BYTES - copied);
      for (let b = 0; b < bytes; b++) this.#copy8[copied + b] = frame.u8[address + b]!;
      copied += bytes;
    }
  }

  #switchSender(sender: number): void {
    let tracker = this.#trackers.get(sender);
    if (tracker === undefined) {
      tracker = new SequenceTracker(this.#firstSequence);
      this.#trackers.set(sender, tracker);
    }
    this.#tracker = tracker;
    this.#sender = sender;
  }

  #corrupt(): boolean {
    this.corrupted++;
    return false;
  }

  #total(counter: "lost" | "duplicated" | "reordered"): number {
    let total = 0;
    for (const tracker of this.#trackers.values()) total += tracker[counter];
    return total;
  }
}
