/**
 * A machine whose driver leaves checksums and segments to its card, and takes frames that are still to be finished, on
 * either ring. Numbers are retyped from virtio 1.4 §5.1.9.
 */

import {
  CardMachine,
  type Feature,
  type MachineOptions,
  type OffloadHeader,
  REG,
  RUNNING,
  RX,
  TX,
} from "./card-machine.ts";
import type { GsoFrame } from "./gso-frames.ts";
import { PackedDriver } from "./packed-driver.ts";
import { SplitDriver, WRITE } from "./split-driver.ts";

export const RINGS = ["split", "packed"] as const;
export type Ring = (typeof RINGS)[number];

export const NEEDS_CSUM = 1;
export const DATA_VALID = 2;

/** What the driver may leave to the card, and what it may take itself. */
export const TRANSMIT_OFFLOADS: readonly Feature[] = [
  "CSUM",
  "HOST_TSO4",
  "HOST_TSO6",
  "HOST_ECN",
  "HOST_UFO",
  "HOST_USO",
];
export const RECEIVE_OFFLOADS: readonly Feature[] = [
  "GUEST_CSUM",
  "GUEST_TSO4",
  "GUEST_TSO6",
  "GUEST_ECN",
  "GUEST_UFO",
  "GUEST_USO4",
  "GUEST_USO6",
  "GUEST_HDRLEN",
];

/** A frame as the driver finds it in its buffers. */
export interface ReceivedFrame extends Required<OffloadHeader> {
  readonly bytes: Uint8Array;
  readonly numBuffers: number;
  /** Null without HASH_REPORT. */
  readonly hash: { readonly value: number; readonly report: number } | null;
}

export interface OffloadMachineOptions extends MachineOptions {
  readonly ring?: Ring;
  /** Size of each receive buffer, and how many there are. */
  readonly bufferBytes?: number;
  readonly buffers?: number;
}

const RING_ENTRIES = 128;
export const RINGS_FROM = 0x1000;
export const RINGS_END = 0x10000;
const RX_RING = RINGS_FROM;
const TX_RING = 0x4000;
const CTRL_RING = 0x8000;
const COMMAND_AT = RINGS_END;
const SEND_AT = 0x20000;
const SEND_ROOM = 0x20000;
export const RECEIVE_BUFFERS = 0x40000;

export class OffloadMachine extends CardMachine {
  readonly headerBytes: number;
  readonly #features: readonly Feature[];
  readonly #rings: (SplitDriver | PackedDriver)[] = [];
  readonly #bufferBytes: number;
  readonly #buffers: number;
  #nextDescriptor = 0;

  /** The driver accepts `features`, VERSION_1 and the ring. */
  constructor(features: readonly Feature[], options: OffloadMachineOptions = {}) {
    const { ring = "split", bufferBytes = 0x11000, buffers = 4, ...rest } = options;
    super({ ramBytes: 0x40000 + bufferBytes * buffers, ...rest });
    this.#features = ["VERSION_1", ...(ring === "packed" ? (["RING_PACKED"] as const) : []), ...features];
    this.headerBytes = features.includes("HASH_REPORT") ? 20 : 12;
    this.#bufferBytes = bufferBytes;
    this.#buffers = buffers;
    this.start();
  }

  /** Reset, negotiation, queues, and all receive buffers. */
  start(): void {
    this.negotiate(this.#features);
    const packed = this.#features.includes("RING_PACKED");
    for (const [index, at] of [RX_RING, TX_RING, CTRL_RING].entries()) {
      if (index === 2 && !this.#features.includes("CTRL_VQ")) continue;
      const Driver = packed ? PackedDriver : SplitDriver;
      const driver = new Driver(this.ram.buffer, at, RING_ENTRIES);
      this.#rings[index] = driver;
      this.ram.fill(0, at, driver.end);
      const areas = driver.areas();
      this.write(REG.QUEUE_SEL, index);
      this.write(REG.QUEUE_SIZE, RING_ENTRIES);
      this.write(REG.QUEUE_DESC_LOW, areas.descAddress);
      this.write(REG.QUEUE_DESC_HIGH, 0);
      this.write(REG.QUEUE_DRIVER_LOW, areas.driverAddress);
      this.write(REG.QUEUE_DRIVER_HIGH, 0);
      this.write(REG.QUEUE_DEVICE_LOW, areas.deviceAddress);
      this.write(REG.QUEUE_DEVICE_HIGH, 0);
      this.write(REG.QUEUE_READY, 1);
    }
    this.write(REG.STATUS, RUNNING);
    for (let i = 0; i < this.#buffers; i++) this.#post(i);
  }

  #offer(queue: number, id: number, elements: readonly { address: number; length: number; flags?: number }[]): void {
    const ring = this.#rings[queue]!;
    if (ring instanceof PackedDriver) {
      ring.offer(id, elements);
      return;
    }
    ring.offerChain(id, elements);
    ring.publish();
  }

  #post(buffer: number): void {
    const address = RECEIVE_BUFFERS + buffer * this.#bufferBytes;
    this.#offer(RX, buffer, [{ address, length: this.#bufferBytes, flags: WRITE }]);
  }

  /** Buffers of a queue that have come back. */
  taken(queue: number): { id: number; length: number }[] {
    const ring = this.#rings[queue]!;
    if (ring instanceof PackedDriver) return ring.takeUsed().map(({ id, length }) => ({ id, length }));
    return ring.takeUsed().map(({ head, length }) => ({ id: head, length }));
  }

  /** Makes a frame available behind a header, as one descriptor or cut into pieces of these lengths; does not kick. */
  offerFrame(bytes: Uint8Array, header: OffloadHeader, pieces: readonly number[] = []): void {
    const { flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = header;
    const total = this.headerBytes + bytes.length;
    if (this.#sendAt + total > SEND_AT + SEND_ROOM) this.#sendAt = SEND_AT;
    const at = this.#sendAt;
    this.#sendAt += Math.ceil(total / 8) * 8;
    this.ram.fill(0, at, at + this.headerBytes);
    this.ram.set([flags, gsoType], at);
    for (const [i, value] of [hdrLen, gsoSize, csumStart, csumOffset].entries()) {
      this.view.setUint16(at + 2 + 2 * i, value, true);
    }
    this.ram.set(bytes, at + this.headerBytes);
    const elements: { address: number; length: number }[] = [];
    let done = 0;
    for (const length of pieces) {
      elements.push({ address: at + done, length });
      done += length;
    }
    if (done < total) elements.push({ address: at + done, length: total - done });
    this.offerChain(TX, elements);
  }

  /** Makes a chain of readable elements available, in the next descriptors. */
  offerChain(queue: number, elements: readonly { address: number; length: number }[]): void {
    if (this.#nextDescriptor + elements.length > RING_ENTRIES) this.#nextDescriptor = 0;
    this.#offer(queue, this.#nextDescriptor, elements);
    this.#nextDescriptor += elements.length;
  }

  #sendAt = SEND_AT;

  /** Sends a frame; gives the frames that have gone out, and checks that its chain has come back. */
  sendFrame(bytes: Uint8Array, header: OffloadHeader, pieces: readonly number[] = []): Uint8Array[] {
    const before = this.port.sent.length;
    this.offerFrame(bytes, header, pieces);
    this.kick(TX);
    this.poll();
    const taken = this.taken(TX);
    if (taken.length !== 1 || taken[0]!.length !== 0) throw new Error(`chains came back: ${JSON.stringify(taken)}`);
    return this.port.sent.slice(before);
  }

  /** Frames arrive; gives what the driver finds, and posts its buffers again. */
  arrive(...arrivals: (OffloadHeader & { bytes: Uint8Array })[]): ReceivedFrame[] {
    this.port.arrivals.push(...arrivals);
    this.poll(256);
    return this.collect();
  }

  /** What the driver finds in its receive queue. */
  collect(): ReceivedFrame[] {
    const used = this.taken(RX);
    const frames: ReceivedFrame[] = [];
    for (let i = 0; i < used.length; ) {
      const at = RECEIVE_BUFFERS + used[i]!.id * this.#bufferBytes;
      const u16 = (offset: number) => this.view.getUint16(at + offset, true);
      const numBuffers = u16(10);
      const parts = used.slice(i, i + numBuffers).flatMap(({ id, length }) => {
        const start = RECEIVE_BUFFERS + id * this.#bufferBytes;
        return [...this.ram.slice(start, start + length)];
      });
      frames.push({
        flags: this.ram[at]!,
        gsoType: this.ram[at + 1]!,
        hdrLen: u16(2),
        gsoSize: u16(4),
        csumStart: u16(6),
        csumOffset: u16(8),
        numBuffers,
        hash: this.headerBytes === 20 ? { value: this.view.getUint32(at + 12, true), report: u16(16) } : null,
        bytes: Uint8Array.from(parts.slice(this.headerBytes)),
      });
      i += Math.max(1, numBuffers);
    }
    for (const { id } of used) this.#post(id);
    return frames;
  }

  /** Sends a control command and gives its answer. */
  command(bytes: readonly number[]): number {
    return this.ask(bytes, 0).ack;
  }

  /** Sends a control command that has a result; gives both. */
  ask(bytes: readonly number[], resultBytes: number): { ack: number; result: number[] } {
    const replyAt = COMMAND_AT + 0x1000;
    this.ram.set(bytes, COMMAND_AT);
    this.#offer(2, 0, [
      { address: COMMAND_AT, length: bytes.length },
      { address: replyAt, length: 1 + resultBytes, flags: WRITE },
    ]);
    this.kick(2);
    this.poll();
    const [used] = this.taken(2);
    return { ack: this.ram[replyAt]!, result: [...this.bytes(replyAt + 1, used!.length - 1)] };
  }
}

/** The header that asks for a frame to be cut. */
export function gsoHeader(
  { headerBytes, csumStart, csumOffset }: GsoFrame,
  gsoType: number,
  gsoSize: number,
): Required<OffloadHeader> {
  return { flags: NEEDS_CSUM, gsoType, gsoSize, hdrLen: headerBytes, csumStart, csumOffset };
}

/** The header that asks for a checksum alone. */
export function checksumHeader({ csumStart, csumOffset }: GsoFrame): Required<OffloadHeader> {
  return { flags: NEEDS_CSUM, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart, csumOffset };
}
