/**
 * The wire's end at v86's own message bus: its network back ends send `net0-receive` and listen to `net0-send`, as for
 * the cards that v86 brings along. v86's back ends can neither finish checksums nor segment.
 */

import type { Frame, FramePort } from "../../device/index.ts";
import type { EmulatorBus } from "./emulator.ts";

const FRAME_BYTES_MIN = 14;
const FRAME_BYTES_MAX = 65535 + FRAME_BYTES_MIN;
/** Frames that may wait for the card; v86 sends bursts of as many as its event loop has gathered. */
const CAPACITY_FRAMES = 1024;

export class BusPort implements FramePort {
  readonly maxFrameBytes = FRAME_BYTES_MAX;
  readonly takesChecksum = false;
  readonly takesSegmentation = false;
  /** Frames from a back end that were shorter than an Ethernet header, or longer than any frame. */
  malformed = 0;
  /** Frames from a back end that found the queue full. */
  dropped = 0;
  readonly #bus: EmulatorBus;
  readonly #id: number;
  readonly #nowNs: () => number;
  readonly #onArrival: () => void;
  readonly #listener = (bytes: Uint8Array) => this.#arrived(bytes);
  // A back end may reuse its array, so frames are copied; the slots' arrays grow to the longest frame they have held.
  readonly #slots: Uint8Array[] = Array.from({ length: CAPACITY_FRAMES }, () => new Uint8Array(0));
  readonly #lengths = new Uint32Array(CAPACITY_FRAMES);
  #head = 0;
  #count = 0;
  #oldestNs = Number.POSITIVE_INFINITY;
  readonly #announced = new Uint8Array(6);

  /** @param id of the network, which the names of its messages carry */
  constructor(bus: EmulatorBus, id: number, nowNs: () => number, onArrival: () => void) {
    this.#bus = bus;
    this.#id = id;
    this.#nowNs = nowNs;
    this.#onArrival = onArrival;
    bus.register(`net${id}-receive`, this.#listener);
  }

  /**
   * Tells back ends that answer for the network what address the card has, unless they know. They send to no other, and
   * the driver may give the card another at any time.
   */
  announce(mac: ArrayLike<number>): void {
    if (this.#knows(mac)) return;
    for (let i = 0; i < this.#announced.length; i++) this.#announced[i] = mac[i]!;
    const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
    this.#bus.send(`net${this.#id}-mac`, text);
  }

  /** Asked in every turn, hence without a closure. */
  #knows(mac: ArrayLike<number>): boolean {
    for (let i = 0; i < this.#announced.length; i++) if (this.#announced[i] !== mac[i]) return false;
    return true;
  }

  receive(frame: Frame): boolean {
    if (this.#count === 0) return false;
    const slot = this.#head;
    frame.bytes = this.#slots[slot]!;
    frame.offset = 0;
    frame.lengthBytes = this.#lengths[slot]!;
    frame.flags = 0;
    frame.gsoType = 0;
    frame.id = 0;
    frame.urgent = false;
    this.#head = (slot + 1) % CAPACITY_FRAMES;
    this.#count--;
    return true;
  }

  nextArrivalNs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#oldestNs;
  }

  transmit(frame: Frame): boolean {
    // Listeners keep what they are given.
    const bytes = frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes);
    this.#bus.send(`net${this.#id}-send`, bytes);
    this.#bus.send("eth-transmit-end", [bytes.length]);
    return true;
  }

  close(): void {
    this.#bus.unregister(`net${this.#id}-receive`, this.#listener);
    this.#count = 0;
  }

  #arrived(bytes: Uint8Array): void {
    this.#bus.send("eth-receive-end", [bytes.length]);
    if (bytes.length < FRAME_BYTES_MIN || bytes.length > FRAME_BYTES_MAX) {
      this.malformed++;
      return;
    }
    if (this.#count === CAPACITY_FRAMES) {
      this.dropped++;
      return;
    }
    const slot = (this.#head + this.#count) % CAPACITY_FRAMES;
    if (this.#slots[slot]!.length < bytes.length) this.#slots[slot] = new Uint8Array(bytes.length);
    this.#slots[slot]!.set(bytes);
    this.#lengths[slot] = bytes.length;
    if (this.#count === 0) this.#oldestNs = this.#nowNs();
    this.#count++;
    this.#onArrival();
  }
}
