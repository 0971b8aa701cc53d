import { LatencyLog } from "./latency-log.ts";
import type { ReceivedFrame } from "./received-frame.ts";
import { StampCheck } from "./stamp-check.ts";

/** What every application does first with a frame: check it, and note how long it waited. */
export class FrameIntake {
  readonly check: StampCheck;
  readonly log = new LatencyLog();
  /** When frames of this step are read, and in which active span: set before each step, not per frame. */
  readNs = 0;
  readState = 0;
  /** What each frame moves `readNs` on by: 0 where a clock runs by itself. */
  frameNs = 0;

  constructor(firstSequence = 0) {
    this.check = new StampCheck(firstSequence);
  }

  /** False if the frame is corrupted; otherwise `check` holds its fields. */
  take(frame: ReceivedFrame): boolean {
    const check = this.check;
    if (!check.verify(frame)) return false;
    this.log.record(check.arrivalNs, check.arrivalState, this.readNs, this.readState);
    this.readNs += this.frameNs;
    return true;
  }
}
