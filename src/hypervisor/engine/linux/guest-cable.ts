import type { Frame, FramePort } from "../../../device/index.ts";
import { DROP_REASONS, EV_ARRIVE, EV_DROP, type EventLog } from "../../events/event.ts";
import type { RingPort } from "../../network/ring-port.ts";
import { FrameSink } from "../../traffic/frame-sink.ts";
import type { RunClock } from "../threads/run-clock.ts";

const RECEIVE_QUEUE = 0;
const QUEUE_FULL = DROP_REASONS.indexOf("queue-full");

/**
 * The switch's end of one guest's rings: names the frames that go to the guest, in the order in which they go, and sees those
 * that come from it. A frame that finds no room on its way arrives and is dropped here, as if the card had dropped it.
 */
export class GuestCable implements FramePort {
  readonly maxFrameBytes: number;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  /** Frames that found no room. */
  dropped = 0;
  /** What came from the guest. */
  readonly sink = new FrameSink();
  readonly #ring: RingPort;
  readonly #log: EventLog | null;
  readonly #guest: number;
  readonly #clock: RunClock;
  #named = 0;

  constructor(ring: RingPort, clock: RunClock, log: EventLog | null, guest: number) {
    this.#ring = ring;
    this.#clock = clock;
    this.#log = log;
    this.#guest = guest;
    this.maxFrameBytes = ring.maxFrameBytes;
    this.takesChecksum = ring.takesChecksum;
    this.takesSegmentation = ring.takesSegmentation;
  }

  receive(frame: Frame): boolean {
    if (!this.#ring.receive(frame)) return false;
    this.sink.accept(frame);
    return true;
  }

  nextArrivalNs(): number {
    return this.#ring.nextArrivalNs();
  }

  /** `nowNs` is when the frame was sent, which may be some time ago. */
  transmit(frame: Frame, nowNs: number): boolean {
    const { id } = frame;
    frame.id = this.#named++;
    const taken = this.#ring.transmit(frame, nowNs);
    if (!taken) {
      this.#drop(frame);
    }
    // Other ports may get the same frame.
    frame.id = id;
    return taken;
  }

  #drop(frame: Frame): void {
    this.dropped++;
    if (this.#log === null) return;
    const nowNs = this.#clock();
    this.#log.record(nowNs, EV_ARRIVE, this.#guest, frame.id, RECEIVE_QUEUE, frame.lengthBytes, 0, 0);
    this.#log.record(nowNs, EV_DROP, this.#guest, frame.id, RECEIVE_QUEUE, QUEUE_FULL, 0, 0);
  }
}
