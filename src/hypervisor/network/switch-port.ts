import type { Frame, FramePort } from "../../device/link/frame-port.ts";
import { NET_HDR_F_NEEDS_CSUM, NET_HDR_GSO_NONE } from "../../device/spec/virtio-net.ts";
import { FrameRingMemory, frameRingBytes } from "./frame-ring.ts";
import { FrameRingConsumer } from "./frame-ring-consumer.ts";
import { FrameRingProducer } from "./frame-ring-producer.ts";

/** What is plugged into a port of a switch, as far as the switch must know. */
export interface SwitchPortOptions {
  /** Longest frame that it takes, Ethernet header included; default 65553, the longest there is. */
  readonly maxFrameBytes?: number;
  /** Whether it takes frames whose checksum, or whose segmentation, is still to be done; default true. */
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
  /** For this port, and in its queue. */
  queued = 0;
  /** For this port, and dropped: no room in its queue, longer than it takes, unfinished though it takes none such. */
  queueFull = 0;
  tooLong = 0;
  unfinished = 0;
}

const FRAME_BYTES_MAX_DEFAULT = 65553;
const QUEUE_BYTES_DEFAULT = 1 << 20;

/** One port of a switch: what a card is plugged into. */
export class SwitchPort implements FramePort {
  /** As the switch takes them; what another port does not take is dropped there. */
  readonly maxFrameBytes = FRAME_BYTES_MAX_DEFAULT;
  readonly takesChecksum: boolean;
  readonly takesSegmentation: boolean;
  readonly counters = new SwitchPortCounters();
  readonly #forward: (frame: Frame, nowNs: number) => boolean;
  readonly #owner: Required<Omit<SwitchPortOptions, "queueBytes">>;
  readonly #producer: FrameRingProducer;
  readonly #consumer: FrameRingConsumer;

  /** `takesChecksum` and `takesSegmentation` are the switch's; `forward` gives a frame of this port to it. */
  constructor(
    options: SwitchPortOptions,
    takesChecksum: boolean,
    takesSegmentation: boolean,
    forward: (frame: Frame, nowNs: number) => boolean,
  ) {
    const { queueBytes = QUEUE_BYTES_DEFAULT } = options;
    this.#owner = {
      maxFrameBytes: options.maxFrameBytes ?? FRAME_BYTES_MAX_DEFAULT,
      takesChecksum: options.takesChecksum ?? true,
      takesSegmentation: options.takesSegmentation ?? true,
      onFrame: options.onFrame ?? (() => {}),
    };
    this.takesChecksum = takesChecksum;
    this.takesSegmentation = takesSegmentation;
    this.#forward = forward;
    const queue = new FrameRingMemory(new ArrayBuffer(frameRingBytes(queueBytes)), this.#owner.maxFrameBytes);
    this.#producer = new FrameRingProducer(queue);
    this.#consumer = new FrameRingConsumer(queue);
  }

  receive(frame: Frame): boolean {
    return this.#consumer.take(frame);
  }

  /** A frame that waits is due since ever. */
  nextArrivalNs(): number {
    return this.#consumer.hasFrame() ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame, nowNs: number): boolean {
    return this.#forward(frame, nowNs);
  }

  /** The switch has a frame for this port, `content` being its bytes; false if it was dropped. */
  enqueue(frame: Frame, content: Uint8Array, nowNs: number): boolean {
    const { counters } = this;
    const owner = this.#owner;
    if (frame.lengthBytes > owner.maxFrameBytes) {
      counters.tooLong++;
      return false;
    }
    const wantsChecksum = (frame.flags & NET_HDR_F_NEEDS_CSUM) !== 0;
    const wantsSegmentation = frame.gsoType !== NET_HDR_GSO_NONE;
    if ((wantsChecksum && !owner.takesChecksum) || (wantsSegmentation && !owner.takesSegmentation)) {
      counters.unfinished++;
      return false;
    }
    if (!this.#producer.put(frame, content, nowNs)) {
      counters.queueFull++;
      return false;
    }
    counters.queued++;
    if (this.#producer.publish()) owner.onFrame();
    return true;
  }
}
