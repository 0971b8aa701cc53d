import { FrameIntake } from "../frame-intake.ts";
import type { NetDriver } from "../net-driver.ts";
import type { ReceivedFrame } from "../received-frame.ts";
import { type Application, UNKNOWN_FRAME_ID } from "./application.ts";

/** Sends each frame back as it came, every byte of it, whole or not. */
export class Echo implements Application {
  readonly intake: FrameIntake;
  unsent = 0;
  readonly done = true;
  readonly #driver: NetDriver;

  constructor(driver: NetDriver, firstSequence: number) {
    this.#driver = driver;
    this.intake = new FrameIntake(firstSequence);
  }

  frame(frame: ReceivedFrame): number {
    const id = this.intake.take(frame) ? this.intake.check.sequence : UNKNOWN_FRAME_ID;
    let address = frame.lengthBytes <= this.#driver.frameBytesMax ? this.#driver.reserve(frame.lengthBytes) : -1;
    if (address < 0) {
      this.unsent++;
      return id;
    }
    for (let i = 0; i < frame.segments; i++) {
      const from = frame.segmentAddress[i]!;
      const bytes = frame.segmentBytes[i]!;
      // Within one RAM, where a frame begins at 4 past a multiple of 8 on both sides.
      frame.u8.copyWithin(address, from, from + bytes);
      address += bytes;
    }
    this.#driver.commit();
    return id;
  }

  work(): number {
    return 0;
  }
}
