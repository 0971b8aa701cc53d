import type { Frame, FramePort } from "../../device/link/frame-port.ts";
import { FRAME_BYTES_MAX, NET_HDR_F_NEEDS_CSUM, NET_HDR_GSO_NONE } from "../../device/spec/virtio-net.ts";
import { FrameRingMemory, frameRingBytes } from "./frame-ring.ts";
import { FrameRingConsumer } from "./frame-ring-consumer.ts";
import { FrameRingProducer } from "./frame-ring-producer.ts";
import type { FrameViews } from "./frame-views.ts";

/** What is plugged into a port of a switch, as far as the switch must know. */
export interface SwitchPortOptions {
  /**
   * The other end of the cable, if that is a wire's end itself: a ring to another thread, a socket. Frames for it are sent
   * through it at once, without a queue in between; its frames are fetched by the switch's `poll`. Without it a card is
   * plugged in, which takes the port for its wire's end.
   */
  readonly peer?: FramePort;
  /** Longest frame that it takes, Ethernet header included; by default what `peer` takes, or 65553, the longest there is. */
  readonly maxFrameBytes?: number;
  /** Whether it takes frames whose checksum, or whose segmentation, is still to be done; by default as `peer`, or true. */
  readonly takesChecksum?: boolean;
  readonly takesSegmentation?: boolean;
  /** Room for frames that wait to be fetched, a power of two; default 1 MiB. */
  readonly queueBytes?: number;
  /** Called when a frame waits and none did before: whoever sleeps may look. It may call the port. */
  readonly onFrame?: () => void;
}

/** What happened at a port. Frames that it *sent* are those that its card gave to the switch. */
export class SwitchPortCounters {
  /** Sent, and taken over by the switch. */
  received = 0;
  /** Of these: to everybody else, because the station is not known or is a group; to a station at this same port. */
  flooded = 0;
  local = 0;
  /** Sent, and dropped: shorter than an Ethernet header; from a group address, which nobody can have. */
  tooShort = 0;
  groupSource = 0;
  /** For this port, and in its queue, or taken by its peer. */
  queued = 0;
  /** For this port, and dropped: no room, longer than it takes, unfinished though it takes none such. */
  queueFull = 0;
  tooLong = 0;
  unfinished = 0;
}

const QUEUE_BYTES_DEFAULT = 1 << 20;

/** One port of a switch: what a card is plugged into. */
export class SwitchPort implements FramePort {
  /** As the switch takes them; what another port does not take is dropped there. */
  readonly maxFrameBytes = FRAME_BYTES_MAX;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  readonly counters = new SwitchPortCounters();
  readonly #forward: (frame: Frame, nowNs: number) => boolean;
  readonly #peer: FramePort | null;
  // What its owner takes, and how it is told of frames.
  readonly #frameBytesMax: number;
  readonly #ownerTakesChecksum: boolean;
  readonly #ownerTakesSegmentation: boolean;
  readonly #onFrame: () => void;
  // The queue's ends; null with a peer, which is its own queue.
  readonly #producer: FrameRingProducer | null;
  readonly #consumer: FrameRingConsumer | null;

  /** `takesChecksum` and `takesSegmentation` are the switch's; `forward` gives a frame of this port to it. */
  constructor(
    options: SwitchPortOptions,
    takesChecksum: boolean,
    takesSegmentation: boolean,
    forward: (frame: Frame, nowNs: number) => boolean,
  ) {
    const { peer = null } = options;
    this.#peer = peer;
    this.#frameBytesMax = options.maxFrameBytes ?? peer?.maxFrameBytes ?? FRAME_BYTES_MAX;
    this.#ownerTakesChecksum = ownerTakesChecksum(options);
    this.#ownerTakesSegmentation = ownerTakesSegmentation(options);
    this.#onFrame = options.onFrame ?? (() => {});
    this.takesChecksum = takesChecksum;
    this.takesSegmentation = takesSegmentation;
    this.#forward = forward;
    const { queueBytes = QUEUE_BYTES_DEFAULT } = options;
    const queue =
      peer === null ? new FrameRingMemory(new ArrayBuffer(frameRingBytes(queueBytes)), this.#frameBytesMax) : null;
    this.#producer = queue === null ? null : new FrameRingProducer(queue);
    this.#consumer = queue === null ? null : new FrameRingConsumer(queue);
  }

  receive(frame: Frame): boolean {
    return this.#consumer?.take(frame) ?? false;
  }

  /** A frame that waits is due since ever. */
  nextArrivalNs(): number {
    return this.#consumer?.hasFrame() ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame, nowNs: number): boolean {
    return this.#forward(frame, nowNs);
  }

  /** Takes at most `budgetFrames` frames from the peer, into `frame` one after the other, and forwards them; returns how many. */
  fetch(frame: Frame, budgetFrames: number, nowNs: number): number {
    let frames = 0;
    while (frames < budgetFrames && this.#peer !== null && this.#peer.receive(frame, nowNs)) {
      frames++;
      this.#forward(frame, nowNs);
    }
    return frames;
  }

  /** When the peer has its next frame, ns; Infinity without a peer. */
  get nextFetchNs(): number {
    return this.#peer?.nextArrivalNs() ?? Number.POSITIVE_INFINITY;
  }

  /** The switch has a frame for this port, from the sender whose `views` these are; false if it was dropped. */
  enqueue(frame: Frame, views: FrameViews, nowNs: number): boolean {
    const { counters } = this;
    if (frame.lengthBytes > this.#frameBytesMax) {
      counters.tooLong++;
      return false;
    }
    const wantsChecksum = (frame.flags & NET_HDR_F_NEEDS_CSUM) !== 0;
    const wantsSegmentation = frame.gsoType !== NET_HDR_GSO_NONE;
    if ((wantsChecksum && !this.#ownerTakesChecksum) || (wantsSegmentation && !this.#ownerTakesSegmentation)) {
      counters.unfinished++;
      return false;
    }
    const taken = this.#producer?.put(frame, views.of(frame), nowNs) ?? this.#peer!.transmit(frame, nowNs);
    if (!taken) {
      counters.queueFull++;
      return false;
    }
    counters.queued++;
    if (this.#producer?.publish()) this.#onFrame();
    return true;
  }
}

export function ownerTakesChecksum({ takesChecksum, peer }: SwitchPortOptions): boolean {
  return takesChecksum ?? peer?.takesChecksum ?? true;
}

export function ownerTakesSegmentation({ takesSegmentation, peer }: SwitchPortOptions): boolean {
  return takesSegmentation ?? peer?.takesSegmentation ?? true;
}
