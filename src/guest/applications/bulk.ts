import { FrameIntake } from "../frame-intake.ts";
import type { NetDriver } from "../net-driver.ts";
import type { ReceivedFrame } from "../received-frame.ts";
import { StampWriter } from "../stamp-writer.ts";
import { type Application, UNKNOWN_FRAME_ID } from "./application.ts";

/** Frames of one step: enough to make a kick cheap, few enough that the vCPU can be parked soon. */
const FRAMES_PER_STEP = 64;

/** Sends stamped frames as fast as the ring takes them, so many or without end; checks what it receives. */
export class Bulk implements Application {
  readonly intake: FrameIntake;
  /** A full ring is no loss here: the frame goes out later. */
  readonly unsent = 0;
  readonly #driver: NetDriver;
  readonly #writer: StampWriter;
  readonly #flow: number;
  readonly #sendCount: number;
  #sequence: number;
  #sent = 0;

  constructor(
    driver: NetDriver,
    firstSequence: number,
    sendBytes: number,
    sendCount: number | null,
    flow: number,
    peerMac: readonly number[],
  ) {
    this.#driver = driver;
    this.intake = new FrameIntake(firstSequence);
    this.#writer = new StampWriter(driver.ram, sendBytes, peerMac, driver.mac);
    this.#flow = flow;
    this.#sendCount = sendCount ?? Number.POSITIVE_INFINITY;
    this.#sequence = firstSequence;
  }

  get done(): boolean {
    return this.#sent >= this.#sendCount;
  }

  frame(frame: ReceivedFrame): number {
    return this.intake.take(frame) ? this.intake.check.sequence : UNKNOWN_FRAME_ID;
  }

  work(nowNs: number): number {
    const wanted = Math.min(FRAMES_PER_STEP, this.#sendCount - this.#sent);
    let sent = 0;
    while (sent < wanted) {
      const address = this.#driver.reserve(this.#writer.lengthBytes);
      if (address < 0) break;
      this.#writer.write(address, this.#flow, this.#sequence, nowNs, this.intake.readState);
      this.#driver.commit();
      this.#sequence = (this.#sequence + 1) >>> 0;
      sent++;
    }
    this.#sent += sent;
    return sent;
  }
}
