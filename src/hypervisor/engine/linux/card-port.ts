import type { Frame, FramePort } from "../../../device/index.ts";
import type { RingPort } from "../../network/ring-port.ts";
import type { SampleLog } from "../../report/percentiles.ts";
import type { FrameMaker } from "../../traffic/frame-maker.ts";

/** Frames of the warm-up that the guest has not yet handled, at most. */
const WARM_UP_AHEAD = 32;
const WARM_UP_BYTES = 256;

/**
 * The wire's end of a card in a guest's worker: a ring that leads to the switch. Before the run it has frames of its own,
 * by which the emulator learns to translate what it will have to run: only then is it as fast as it will be.
 */
export class CardPort implements FramePort {
  readonly maxFrameBytes: number;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  readonly #ring: RingPort;
  #latenessNs: SampleLog | null = null;
  readonly #toRunNs: (nowNs: number) => number;
  #warmUp: FrameMaker | null = null;
  #warmUpLeft = 0;
  #warmUpAhead = 0;

  /** `toRunNs` turns the card's times into the run's. */
  constructor(ring: RingPort, toRunNs: (nowNs: number) => number) {
    this.#ring = ring;
    this.#toRunNs = toRunNs;
    this.maxFrameBytes = ring.maxFrameBytes;
    this.takesChecksum = ring.takesChecksum;
    this.takesSegmentation = ring.takesSegmentation;
  }

  /** From now on, `latenessNs` receives how long after its time each frame was taken. */
  measure(latenessNs: SampleLog): void {
    this.#latenessNs = latenessNs;
  }

  /** The next frames come from `frames`, so many of them. */
  startWarmUp(frames: FrameMaker, count: number): void {
    this.#warmUp = frames;
    this.#warmUpLeft = count;
    this.#warmUpAhead = WARM_UP_AHEAD;
  }

  /** The guest has handled all that came: true if that was all of the warm-up. */
  continueWarmUp(): boolean {
    this.#warmUpAhead = WARM_UP_AHEAD;
    return this.#warmUpLeft === 0;
  }

  receive(frame: Frame, nowNs: number): boolean {
    if (this.#warmUpLeft > 0) return this.#receiveWarmUp(frame);
    if (!this.#ring.receive(frame)) return false;
    this.#latenessNs?.push(Math.max(0, this.#toRunNs(nowNs) - this.#ring.lastSentAtNs));
    return true;
  }

  nextArrivalNs(): number {
    if (this.#warmUpLeft > 0) return this.#warmUpAhead > 0 ? 0 : Number.POSITIVE_INFINITY;
    return this.#ring.nextArrivalNs();
  }

  transmit(frame: Frame, nowNs: number): boolean {
    return this.#ring.transmit(frame, this.#toRunNs(nowNs));
  }

  #receiveWarmUp(frame: Frame): boolean {
    if (this.#warmUpAhead === 0) return false;
    this.#warmUpAhead--;
    this.#warmUpLeft--;
    this.#warmUp!.stamp(frame, this.#warmUpLeft, WARM_UP_BYTES, 0, 0, 0);
    return true;
  }
}
