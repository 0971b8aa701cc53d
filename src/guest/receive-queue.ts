/**
 * The receive side, in the manner of Linux's NAPI: an interrupt turns notifications off and starts polling; polling ends
 * when the ring is found empty with notifications on again. virtio 1.4 §5.1.9.3, §5.1.9.4.
 *
 * Descriptor d always stands for buffer d, so that giving a buffer back costs one store into the available ring.
 */
import { NET_HDR_BYTES, NET_HDR_GSO_NONE, NET_HDR_GSO_TYPE, NET_HDR_NUM_BUFFERS } from "../device/spec/virtio-net.ts";
import { DeviceFault } from "./device-fault.ts";
import type { MmioTransport } from "./mmio-transport.ts";
import type { DriverObserver } from "./ports.ts";
import type { RamViews } from "./ram-views.ts";
import { type FrameHandler, ReceivedFrame } from "./received-frame.ts";
import type { SplitRingDriver } from "./split-ring-driver.ts";

export interface ReceiveSettings {
  readonly queue: number;
  readonly buffersAddress: number;
  readonly bufferBytes: number;
  /** VIRTIO_NET_F_MRG_RXBUF: a frame may lie in several buffers. */
  readonly mergeable: boolean;
  readonly refillBatch: number;
}

export class ReceiveQueue {
  readonly ring: SplitRingDriver;
  /** Between an interrupt and the poll that found the ring empty. */
  polling = false;
  /** The last poll left nothing unread. */
  foundEmpty = true;
  received = 0;
  receivedBytes = 0;
  refilled = 0;
  violations = 0;

  readonly #ram: RamViews;
  readonly #transport: MmioTransport;
  readonly #settings: ReceiveSettings;
  readonly #observer: DriverObserver | null;
  readonly #frame: ReceivedFrame;
  /** Heads of buffers that were read and not yet given back. */
  readonly #spent: Uint16Array;
  #spentCount = 0;
  // Of the frames that the observer has not been told of.
  #firstId = 0;
  #lastId = 0;
  #unreported = 0;

  constructor(
    ring: SplitRingDriver,
    ram: RamViews,
    transport: MmioTransport,
    settings: ReceiveSettings,
    observer: DriverObserver | null,
  ) {
    this.ring = ring;
    this.#ram = ram;
    this.#transport = transport;
    this.#settings = settings;
    this.#observer = observer;
    this.#frame = new ReceivedFrame(ram.u8, ram.u32, settings.mergeable ? ring.entries : 1);
    this.#spent = new Uint16Array(ring.entries);
  }

  /** Gives the device every buffer, before DRIVER_OK. */
  fill(): boolean {
    while (this.ring.freeDescriptors > 0) {
      this.ring.addBuffer(this.#bufferAddress(this.ring.nextHead), this.#settings.bufferBytes, true);
    }
    return this.ring.publish();
  }

  startPolling(): void {
    this.ring.disableNotifications();
    if (!this.polling) this.#observer?.notifications(this.#settings.queue, false);
    this.polling = true;
  }

  /**
   * Hands up to `budgetFrames` frames to the handler and gives buffers back; answers how many frames. Afterwards
   * `foundEmpty` tells for certain whether frames were left: the ring is looked at again even when the budget is spent.
   */
  poll(budgetFrames: number, handler: FrameHandler): number {
    if (this.polling) this.ring.disableNotifications();
    let frames = 0;
    let pending = 0;
    this.foundEmpty = false;
    for (;;) {
      if (pending === 0) {
        pending = this.ring.refreshUsed();
        if (pending === 0) {
          this.foundEmpty = true;
          break;
        }
      }
      if (frames === budgetFrames) break;
      pending = this.#readFrame(pending);
      this.#lastId = handler.frame(this.#frame);
      if (this.#unreported === 0) this.#firstId = this.#lastId;
      this.#unreported++;
      frames++;
      this.receivedBytes += this.#frame.lengthBytes;
      if (this.#spentCount >= this.#settings.refillBatch) this.#refill();
    }
    this.received += frames;
    if (this.foundEmpty && this.#spentCount > 0) this.#refill();
    else if (this.#unreported > 0) this.#reportDrained();
    return frames;
  }

  /** Notifications on, ring looked at once more: true if it is really empty, and polling over (§2.7.14). */
  pollDone(): boolean {
    if (this.ring.enableNotifications() > 0) {
      this.ring.disableNotifications();
      return false;
    }
    this.polling = false;
    this.#observer?.notifications(this.#settings.queue, true);
    return true;
  }

  /** Takes the buffers of one frame; answers how many used buffers are left of those known. */
  #readFrame(pending: number): number {
    const { bufferBytes, mergeable } = this.#settings;
    const frame = this.#frame;
    frame.clear();
    const address = this.#takeBuffer();
    const bytes = this.ring.usedBytes;
    if (bytes < NET_HDR_BYTES) this.#fault(`a receive buffer came back with ${bytes} bytes, less than its header`);
    const buffers = this.#ram.u16[(address + NET_HDR_NUM_BUFFERS) >>> 1]!;
    // No offload was accepted, so no segmentation (§5.1.9.4.1); unknown flag bits are to be ignored (§5.1.9.4.2).
    const gsoType = this.#ram.u8[address + NET_HDR_GSO_TYPE]!;
    if (gsoType !== NET_HDR_GSO_NONE) this.#fault(`gso_type is ${gsoType}, no segmentation was accepted`);
    frame.append(address + NET_HDR_BYTES, bytes - NET_HDR_BYTES);
    pending--;
    if (buffers === 1) return pending;
    if (!mergeable || buffers === 0 || buffers > this.ring.entries) {
      this.#fault(`num_buffers is ${buffers}${mergeable ? "" : " without VIRTIO_NET_F_MRG_RXBUF"}`);
    }
    // The device uses all buffers of a frame together: one used.idx shows them all (§5.1.9.4.1).
    if (pending < buffers - 1) this.#fault(`num_buffers is ${buffers}, and only ${pending + 1} are used`);
    let filled = bytes;
    for (let i = 1; i < buffers; i++) {
      // All but the last are used to their full length (§5.1.9.4.1).
      if (filled !== bufferBytes) this.#fault(`buffer ${i} of ${buffers} holds ${filled} of ${bufferBytes} bytes`);
      const nextAddress = this.#takeBuffer();
      filled = this.ring.usedBytes;
      if (filled === 0) this.#fault("an empty buffer is counted in num_buffers");
      frame.append(nextAddress, filled);
      pending--;
    }
    return pending;
  }

  #takeBuffer(): number {
    this.ring.takeUsed();
    const head = this.ring.usedHead;
    this.#spent[this.#spentCount++] = head;
    return this.#bufferAddress(head);
  }

  #refill(): void {
    // First what was read, then what is given back: the log must not show a buffer free before its frame is read.
    if (this.#unreported > 0) this.#reportDrained();
    const count = this.#spentCount;
    for (let i = 0; i < count; i++) this.ring.recycle(this.#spent[i]!, 1, this.#settings.bufferBytes);
    this.#spentCount = 0;
    this.refilled += count;
    this.#observer?.refilled(this.#settings.queue, count);
    if (this.ring.publish()) this.#transport.notifyQueue(this.#settings.queue);
  }

  #reportDrained(): void {
    this.#observer?.drained(this.#settings.queue, this.#firstId, this.#lastId, this.#unreported);
    this.#unreported = 0;
  }

  #bufferAddress(head: number): number {
    return this.#settings.buffersAddress + head * this.#settings.bufferBytes;
  }

  #fault(what: string): never {
    this.violations++;
    throw new DeviceFault(what);
  }
}
