import type { FrameIntake } from "../frame-intake.ts";
import type { FrameHandler } from "../received-frame.ts";

/** The program that runs on a guest. Its frames come through `frame`, in the course of the driver's poll. */
export interface Application extends FrameHandler {
  readonly intake: FrameIntake;
  /** Frames that it wanted to send and could not, because the ring was full. */
  readonly unsent: number;
  /** True if it has nothing more to send of its own accord; what it sent may still be on its way. */
  readonly done: boolean;
  /** Sends what it wants to send of its own accord, a bounded number of frames; answers how many. */
  work(nowNs: number): number;
}

/** The id in the event log of a frame whose stamp cannot be read. */
export const UNKNOWN_FRAME_ID = -1;
