/** Where the pieces of one received frame lie. One object per driver, valid only while its handler runs. */
export class ReceivedFrame {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  /** Address (index into `u8`) and length of each piece; only the first `segments` of them count. */
  readonly segmentAddress: Uint32Array;
  readonly segmentBytes: Uint32Array;
  segments = 0;
  lengthBytes = 0;

  constructor(u8: Uint8Array, u32: Uint32Array, segmentsMax: number) {
    this.u8 = u8;
    this.u32 = u32;
    this.segmentAddress = new Uint32Array(segmentsMax);
    this.segmentBytes = new Uint32Array(segmentsMax);
  }

  clear(): void {
    this.segments = 0;
    this.lengthBytes = 0;
  }

  append(address: number, bytes: number): void {
    this.segmentAddress[this.segments] = address;
    this.segmentBytes[this.segments] = bytes;
    this.segments++;
    this.lengthBytes += bytes;
  }
}

/** Who gets the frames that the driver reads. */
export interface FrameHandler {
  /** Answers the id under which the frame appears in the event log: the sequence number of its stamp. */
  frame(frame: ReceivedFrame): number;
}
