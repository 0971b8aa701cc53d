/**
 * A machine around one card, for tests: guest memory full of canaries, a wire that is a list, a sink that records, and
 * a driver that brings the card up through its MMIO registers. All numbers are retyped from virtio 1.4.
 */

import {
  type AddressTranslator,
  type CardObserver,
  type Frame,
  type FramePort,
  GuestMemory,
  MmioTransport,
  NetCard,
  type NetCardOptions,
} from "../../src/device/index.ts";
import {
  ACKNOWLEDGE,
  DRIVER,
  DRIVER_OK,
  FEATURE_BIT,
  FEATURES_OK,
  type Feature,
} from "../conformance/harness/numbers.ts";
import { SplitDriver } from "./split-driver.ts";

export {
  ACKNOWLEDGE,
  ALL_FEATURES,
  DEVICE_NEEDS_RESET,
  DRIVER,
  DRIVER_OK,
  FAILED,
  FEATURE_BIT,
  FEATURES_OK,
  type Feature,
  RUNNING,
  SUSPEND,
} from "../conformance/harness/numbers.ts";

export const RX = 0;
export const TX = 1;
export const CTRL = 2;

/** What a driver without offloads, filters and several pairs accepts. */
export const PLAIN_FEATURES: readonly Feature[] = [
  "MTU",
  "MAC",
  "MRG_RXBUF",
  "STATUS",
  "CTRL_VQ",
  "RING_INDIRECT_DESC",
  "RING_EVENT_IDX",
  "VERSION_1",
  "SUSPEND",
  "VQ_NOTF_COAL",
  "NOTF_COAL",
];

// Registers, §4.2.2.
export const REG = {
  MAGIC: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  VENDOR_ID: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SEL: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SEL: 0x024,
  QUEUE_SEL: 0x030,
  QUEUE_SIZE_MAX: 0x034,
  QUEUE_SIZE: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  QUEUE_DESC_LOW: 0x080,
  QUEUE_DESC_HIGH: 0x084,
  QUEUE_DRIVER_LOW: 0x090,
  QUEUE_DRIVER_HIGH: 0x094,
  QUEUE_DEVICE_LOW: 0x0a0,
  QUEUE_DEVICE_HIGH: 0x0a4,
  SHM_LEN_LOW: 0x0b0,
  SHM_LEN_HIGH: 0x0b4,
  SHM_BASE_LOW: 0x0b8,
  SHM_BASE_HIGH: 0x0bc,
  QUEUE_RESET: 0x0c0,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

export const HEADER_BYTES = 12;
export const CANARY = 0xa5;
export const MAC = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];
/** Data buffers of the tests begin here; the rings lie below. */
export const BUFFERS = 0x10000;

/** The offload header of a frame (§5.1.9), as a port sees it. */
export interface OffloadHeader {
  readonly flags?: number;
  readonly gsoType?: number;
  readonly hdrLen?: number;
  readonly gsoSize?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
}

/** A wire whose arrivals are a list, and that keeps what it is sent. */
export class ListPort implements FramePort {
  maxFrameBytes = 65597;
  takesChecksum = false;
  takesSegmentation = false;
  readonly arrivals: (OffloadHeader & { bytes: Uint8Array; urgent?: boolean })[] = [];
  readonly sent: Uint8Array[] = [];
  /** What was said of each of them. */
  readonly sentHeaders: Required<OffloadHeader>[] = [];
  accepts = true;
  /** Called from inside `transmit` and `receive`. */
  onTransmit: (() => void) | null = null;
  onReceive: (() => void) | null = null;
  #nextId = 1;

  receive(frame: Frame): boolean {
    const arrival = this.arrivals.shift();
    if (arrival === undefined) return false;
    this.onReceive?.();
    frame.bytes = arrival.bytes;
    frame.offset = 0;
    frame.lengthBytes = arrival.bytes.length;
    frame.flags = arrival.flags ?? 0;
    frame.gsoType = arrival.gsoType ?? 0;
    frame.hdrLen = arrival.hdrLen ?? 0;
    frame.gsoSize = arrival.gsoSize ?? 0;
    frame.csumStart = arrival.csumStart ?? 0;
    frame.csumOffset = arrival.csumOffset ?? 0;
    frame.urgent = arrival.urgent ?? false;
    frame.id = this.#nextId++;
    return true;
  }

  nextArrivalNs(): number {
    return this.arrivals.length > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame: Frame): boolean {
    this.onTransmit?.();
    if (!this.accepts) return false;
    this.sent.push(frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes));
    const { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset } = frame;
    this.sentHeaders.push({ flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset });
    return true;
  }
}

/** A frame of `length` bytes that begins with an IPv4 Ethernet header and goes on with a pattern of `seed`. */
export function frameOf(length: number, seed = 1): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + seed * 13) & 0xff);
  bytes.set(
    [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00].slice(0, length), // destination, source, ethertype
  );
  return bytes;
}

export interface MachineOptions extends Partial<Omit<NetCardOptions, "memory" | "interrupts">> {
  readonly ramBytes?: number;
  readonly shared?: boolean;
  /** Bytes behind the guest's memory, in the same buffer, that are lent to the card as its staging area. */
  readonly stagingBytes?: number;
  /** False for a card without an observer, which takes plain receive buffers in stretches; `drops` and `faults` stay empty then. */
  readonly observed?: boolean;
  readonly translator?: AddressTranslator;
}

export class CardMachine {
  readonly ram: Uint8Array;
  readonly view: DataView;
  readonly port = new ListPort();
  readonly notified: { vector: number; why: number; nowNs: number }[] = [];
  readonly woken: { vcpu: number; why: number; nowNs: number }[] = [];
  readonly drops: { id: number; why: number }[] = [];
  readonly delivered: { id: number; buffers: number; free: number }[] = [];
  readonly faults: { code: number; queue: number }[] = [];
  onNotify: (() => void) | null = null;
  readonly memory: GuestMemory;
  readonly card: NetCard;
  readonly mmio: MmioTransport;
  /** Driver sides of the queues, filled by `bringUp`. */
  readonly queues: SplitDriver[] = [];
  nowNs = 1000;
  /** What a translator adds to the addresses of rings. */
  ringBase = 0;

  constructor({
    ramBytes = 0x40000,
    shared = false,
    stagingBytes = 0,
    translator,
    observed = true,
    ...options
  }: MachineOptions = {}) {
    const bufferBytes = ramBytes + stagingBytes;
    const buffer = shared ? new SharedArrayBuffer(bufferBytes) : new ArrayBuffer(bufferBytes);
    this.ram = new Uint8Array(buffer, 0, ramBytes).fill(CANARY);
    this.view = new DataView(buffer);
    const regions = [{ guestAddress: 0, sizeBytes: ramBytes, byteOffset: 0 }];
    this.memory = new GuestMemory(buffer, regions, undefined, translator ?? null);
    const txStaging = { bytes: this.memory.u8, offset: ramBytes, lengthBytes: stagingBytes };
    const observer: CardObserver = {
      arrived: () => {},
      delivered: (id, _queue, buffers, free) => this.delivered.push({ id, buffers, free }),
      dropped: (id, _queue, why) => this.drops.push({ id, why }),
      cause: () => {},
      fault: (code, queue) => this.faults.push({ code, queue }),
    };
    this.card = new NetCard({
      memory: this.memory,
      port: this.port,
      interrupts: {
        notify: (vector, why, nowNs) => {
          this.notified.push({ vector, why, nowNs });
          this.onNotify?.();
        },
        wake: (vcpu, why, nowNs) => this.woken.push({ vcpu, why, nowNs }),
      },
      mac: MAC,
      ...(observed ? { observer } : {}),
      ...(stagingBytes > 0 ? { txStaging } : {}),
      ...options,
    });
    this.mmio = new MmioTransport(this.card);
    // The guest of these tests is always on a CPU.
    this.card.throttle.setGuestState(0, 1, 1, 0);
  }

  read(register: number, width: 1 | 2 | 4 = 4): number {
    return this.mmio.read(register, width, this.nowNs);
  }

  write(register: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.mmio.write(register, width, value, this.nowNs);
  }

  poll(budget = 64): number {
    return this.card.poll(this.nowNs, budget);
  }

  get status(): number {
    return this.read(REG.STATUS);
  }

  get interruptStatus(): number {
    return this.read(REG.INTERRUPT_STATUS);
  }

  /** Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK. */
  negotiate(features: readonly Feature[] = PLAIN_FEATURES): void {
    this.write(REG.STATUS, 0);
    this.write(REG.STATUS, ACKNOWLEDGE);
    this.write(REG.STATUS, ACKNOWLEDGE | DRIVER);
    for (const word of [0, 1]) {
      let bits = 0;
      for (const name of features) if (FEATURE_BIT[name] >>> 5 === word) bits |= 1 << (FEATURE_BIT[name] & 31);
      this.write(REG.DRIVER_FEATURES_SEL, word);
      this.write(REG.DRIVER_FEATURES, bits >>> 0);
    }
    this.write(REG.STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  }

  /** Puts a queue of `size` entries at `at`, zeroed as §4.2.3.2 asks, and enables it. */
  setUpQueue(index: number, at: number, size: number): SplitDriver {
    const driver = new SplitDriver(this.ram.buffer, at, size);
    this.ram.fill(0, at, driver.end);
    this.queues[index] = driver;
    this.write(REG.QUEUE_SEL, index);
    this.write(REG.QUEUE_SIZE, size);
    this.write(REG.QUEUE_DESC_LOW, driver.table);
    this.write(REG.QUEUE_DESC_HIGH, Math.floor(this.ringBase / 2 ** 32));
    this.write(REG.QUEUE_DRIVER_LOW, driver.avail);
    this.write(REG.QUEUE_DRIVER_HIGH, Math.floor(this.ringBase / 2 ** 32));
    this.write(REG.QUEUE_DEVICE_LOW, driver.used);
    this.write(REG.QUEUE_DEVICE_HIGH, Math.floor(this.ringBase / 2 ** 32));
    this.write(REG.QUEUE_READY, 1);
    return driver;
  }

  /** The whole initialisation sequence (§3.1.1), with three queues of `size` entries. */
  bringUp(features: readonly Feature[] = PLAIN_FEATURES, size = 8): this {
    this.negotiate(features);
    this.setUpQueue(RX, 0x1000, size);
    this.setUpQueue(TX, 0x4000, size);
    if (features.includes("CTRL_VQ")) this.setUpQueue(CTRL, 0x8000, size);
    this.write(REG.STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    return this;
  }

  get rx(): SplitDriver {
    return this.queues[RX]!;
  }

  get tx(): SplitDriver {
    return this.queues[TX]!;
  }

  get ctrl(): SplitDriver {
    return this.queues[CTRL]!;
  }

  kick(index: number): void {
    this.write(REG.QUEUE_NOTIFY, index);
  }

  /** Offers one receive buffer per length, in descriptors 0, 1, 2 …, 0x1000 bytes apart; returns their addresses. */
  offerReceiveBuffers(lengths: readonly number[]): number[] {
    const addresses = lengths.map((length, i) => {
      const address = BUFFERS + 0x1000 * i;
      this.rx.setDescriptor(i, { address, length, flags: 2 });
      this.rx.offer(i);
      return address;
    });
    this.rx.publish();
    return addresses;
  }

  /** Takes frames off the wire, through the card, and returns what the driver finds used. */
  receive(...frames: Uint8Array[]): { head: number; length: number }[] {
    for (const bytes of frames) this.port.arrivals.push({ bytes });
    this.poll();
    return this.rx.takeUsed();
  }

  /** Puts header and frame at `address` and sends them as one descriptor. */
  send(frame: Uint8Array, address = BUFFERS + 0x20000, descriptor = 0): void {
    this.ram.fill(0, address, address + HEADER_BYTES);
    this.ram.set(frame, address + HEADER_BYTES);
    this.tx.setDescriptor(descriptor, { address, length: HEADER_BYTES + frame.length });
    this.tx.offer(descriptor);
    this.tx.publish();
    this.kick(TX);
    this.poll();
  }

  bytes(address: number, length: number): Uint8Array {
    return this.ram.slice(address, address + length);
  }

  /** Byte ranges of guest memory that differ from `before`, as [first, last + 1]. */
  changedSince(before: Uint8Array): [number, number][] {
    const ranges: [number, number][] = [];
    for (let at = 0; at < before.length; at++) {
      if (this.ram[at] === before[at]) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === at) last[1] = at + 1;
      else ranges.push([at, at + 1]);
    }
    return ranges;
  }

  /** Byte ranges of guest memory that `work` has changed. */
  writtenBy(work: () => void): [number, number][] {
    const before = this.ram.slice();
    work();
    return this.changedSince(before);
  }
}
