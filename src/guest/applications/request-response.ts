import { FrameIntake } from "../frame-intake.ts";
import type { NetDriver } from "../net-driver.ts";
import type { ReceivedFrame } from "../received-frame.ts";
import { StampWriter } from "../stamp-writer.ts";
import { type Application, UNKNOWN_FRAME_ID } from "./application.ts";

/**
 * Answers each whole request with a frame of its own length: the request's flow and sequence number, a fresh stamp with
 * the time of the answer.
 */
export class RequestResponse implements Application {
  readonly intake: FrameIntake;
  unsent = 0;
  readonly done = true;
  readonly #driver: NetDriver;
  readonly #writer: StampWriter;

  constructor(driver: NetDriver, firstSequence: number, sendBytes: number, peerMac: readonly number[]) {
    this.#driver = driver;
    this.intake = new FrameIntake(firstSequence);
    this.#writer = new StampWriter(driver.ram, sendBytes, peerMac, driver.mac);
  }

  frame(frame: ReceivedFrame): number {
    const { intake } = this;
    if (!intake.take(frame)) return UNKNOWN_FRAME_ID;
    const { flow, sequence } = intake.check;
    const address = this.#driver.reserve(this.#writer.lengthBytes);
    if (address < 0) {
      this.unsent++;
    } else {
      this.#writer.write(address, flow, sequence, intake.readNs, intake.readState);
      this.#driver.commit();
    }
    return sequence;
  }

  work(): number {
    return 0;
  }
}
