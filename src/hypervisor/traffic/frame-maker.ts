import type { Frame } from "../../device/link/frame-port.ts";

/** Makes the frames of a guest's traffic: `StampedFrames` for our own guests, `DatagramFrames` for an operating system. */
export interface FrameMaker {
  /** The longest frame. */
  readonly slotBytes: number;
  /**
   * Makes frame `sequence`, as long as asked for or a little longer if that is too short for what it has to carry. Valid
   * until the next call. `arrivalNs` and `stateWord` are for those that carry when, and in which state of the guest, they came.
   */
  stamp(frame: Frame, sequence: number, lengthBytes: number, arrivalNs: number, stateWord: number, flow: number): void;
}
