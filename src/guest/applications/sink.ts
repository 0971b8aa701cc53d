import { FrameIntake } from "../frame-intake.ts";
import type { ReceivedFrame } from "../received-frame.ts";
import { type Application, UNKNOWN_FRAME_ID } from "./application.ts";

/** Checks what it receives, and sends nothing. */
export class Sink implements Application {
  readonly intake: FrameIntake;
  readonly unsent = 0;
  readonly done = true;

  constructor(firstSequence: number) {
    this.intake = new FrameIntake(firstSequence);
  }

  frame(frame: ReceivedFrame): number {
    return this.intake.take(frame) ? this.intake.check.sequence : UNKNOWN_FRAME_ID;
  }

  work(): number {
    return 0;
  }
}
