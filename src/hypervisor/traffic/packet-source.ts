/** A stream of packet arrivals: times and lengths. Frame bytes are made elsewhere (stamped-frames.ts). */
export interface PacketSource {
  /** Advances to the next packet; false at the end. Must not allocate. */
  next(): boolean;
  /** Of the current packet: ns since the first packet, never decreasing. */
  timeNs: number;
  /** Of the current packet: bytes on the wire (the original length, not what was captured). */
  lengthBytes: number;
  /** What a user should know about the stream so far (truncated, gaps shortened…); empty if nothing. */
  readonly notes: readonly string[];
  close(): void;
}
