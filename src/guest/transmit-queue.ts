/**
 * The transmit side, virtio 1.4 §5.1.9.2. Sending is two steps, so that a frame is written once, where the device reads
 * it: `reserve` a buffer, fill it, `commit`; `flush` publishes all that was committed and kicks once.
 *
 * Sent buffers are taken back when new ones are needed; transmit notifications stay off unless the ring is full.
 */
import { DESC_BYTES } from "../device/spec/split-ring.ts";
import { NET_HDR_BYTES } from "../device/spec/virtio-net.ts";
import type { MmioTransport } from "./mmio-transport.ts";
import type { DriverObserver } from "./ports.ts";
import { SCATTER_ELEMENTS } from "./ram-layout.ts";
import type { RamViews } from "./ram-views.ts";
import type { SplitRingDriver } from "./split-ring-driver.ts";

/** How header and frame are described: in one element, in a chain of two, or in an indirect table of two. */
export type TransmitFraming = "joined" | "chained" | "indirect";

export interface TransmitSettings {
  readonly queue: number;
  readonly buffersAddress: number;
  readonly bufferBytes: number;
  readonly tablesAddress: number;
  readonly framing: TransmitFraming;
  /** Longest frame that the link takes. */
  readonly frameBytesMax: number;
}

export class TransmitQueue {
  readonly ring: SplitRingDriver;
  sent = 0;
  sentBytes = 0;
  /** Frames that the device has finished with. */
  completed = 0;
  /** `reserve` found the ring full, and the device was asked to notify. */
  stalled = false;

  readonly #transport: MmioTransport;
  readonly #settings: TransmitSettings;
  readonly #observer: DriverObserver | null;
  readonly #descriptorsEach: number;
  #reservedBytes = 0;

  constructor(
    ring: SplitRingDriver,
    ram: RamViews,
    transport: MmioTransport,
    settings: TransmitSettings,
    observer: DriverObserver | null,
  ) {
    this.ring = ring;
    this.#transport = transport;
    this.#settings = settings;
    this.#observer = observer;
    this.#descriptorsEach = settings.framing === "chained" ? SCATTER_ELEMENTS : 1;
    // No offload is asked for and num_buffers MUST be 0 (§5.1.9.2.1): the headers stay zeros for ever.
    for (let head = 0; head < ring.entries; head++) {
      const address = settings.buffersAddress + head * settings.bufferBytes;
      ram.u8.fill(0, address, address + NET_HDR_BYTES);
    }
    ring.disableNotifications();
  }

  /** Address at which to write a frame of `lengthBytes`, or -1 while the ring is full. */
  reserve(lengthBytes: number): number {
    const { frameBytesMax, buffersAddress, bufferBytes } = this.#settings;
    if (!(lengthBytes > 0 && lengthBytes <= frameBytesMax)) {
      throw new RangeError(`a frame has 1 to ${frameBytesMax} bytes, got ${lengthBytes}`);
    }
    if (this.ring.freeDescriptors < this.#descriptorsEach && !this.#makeRoom()) return -1;
    this.#reservedBytes = lengthBytes;
    return buffersAddress + this.ring.nextHead * bufferBytes + NET_HDR_BYTES;
  }

  /** Stages the frame that was written to the reserved buffer. */
  commit(): void {
    const { buffersAddress, bufferBytes, tablesAddress, framing } = this.#settings;
    const lengthBytes = this.#reservedBytes;
    const ring = this.ring;
    const head = ring.nextHead;
    const address = buffersAddress + head * bufferBytes;
    if (framing === "joined") {
      ring.addBuffer(address, NET_HDR_BYTES + lengthBytes, false);
    } else {
      ring.elementAddress[0] = address;
      ring.elementBytes[0] = NET_HDR_BYTES;
      ring.elementAddress[1] = address + NET_HDR_BYTES;
      ring.elementBytes[1] = lengthBytes;
      if (framing === "chained") ring.addChain(SCATTER_ELEMENTS, 0);
      else ring.addIndirect(tablesAddress + head * SCATTER_ELEMENTS * DESC_BYTES, SCATTER_ELEMENTS, 0);
    }
    this.sent++;
    this.sentBytes += lengthBytes;
  }

  /** Publishes what was committed and kicks the device if it wants that. */
  flush(): void {
    if (this.ring.staged > 0 && this.ring.publish()) this.#transport.notifyQueue(this.#settings.queue);
  }

  /** Takes back what the device has sent; answers how many frames. */
  reclaim(): number {
    const count = this.ring.refreshUsed();
    for (let i = 0; i < count; i++) {
      const descriptors = this.ring.takeUsed();
      this.ring.release(this.ring.usedHead, descriptors);
    }
    this.completed += count;
    if (!this.ring.notificationsOn) {
      if (count > 0) this.ring.disableNotifications();
    } else if (count > 0 && this.stalled) {
      this.stalled = false;
      this.ring.disableNotifications();
      this.#observer?.notifications(this.#settings.queue, false);
    }
    return count;
  }

  /** An interrupt may have been for sent frames. */
  interrupted(): void {
    if (this.stalled) this.reclaim();
  }

  #makeRoom(): boolean {
    if (this.reclaim() > 0) return true;
    // Frames that the device has not heard of will never make room.
    this.flush();
    if (!this.stalled) {
      this.stalled = true;
      // Three quarters of the ring at a time, so that a sender is not interrupted for each frame.
      const wanted = Math.max(1, Math.floor((this.ring.exposed * 3) / 4));
      this.#observer?.notifications(this.#settings.queue, true);
      if (this.ring.enableNotifications(wanted) < wanted) return false;
    }
    return this.reclaim() > 0;
  }
}
