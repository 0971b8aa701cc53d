/**
 * A card on PCI and a driver that knows the standard's offsets by its own numbers, retyped from virtio 1.4 §4.1.4 and the
 * PCI specification. BARs are accessed by number and offset, as an embedder forwards them.
 */

import {
  FAULTS,
  type FramePort,
  GuestMemory,
  LoopbackPort,
  NetCard,
  type NetCardOptions,
  PciInterrupts,
  PciTransport,
  type PciTransportOptions,
} from "../../src/device/index.ts";
import { FEATURE_BIT, type Feature, PLAIN_FEATURES } from "./card-machine.ts";
import { SplitDriver, WRITE } from "./split-driver.ts";

export const MESSAGE_ADDRESS = 0xfee0_1000;
export const RUNNING = 0x0f;

/** Offsets in struct virtio_pci_common_cfg, §4.1.4.3. */
export const COMMON = {
  DEVICE_FEATURE_SELECT: 0,
  DEVICE_FEATURE: 4,
  DRIVER_FEATURE_SELECT: 8,
  DRIVER_FEATURE: 12,
  CONFIG_MSIX_VECTOR: 16,
  NUM_QUEUES: 18,
  DEVICE_STATUS: 20,
  CONFIG_GENERATION: 21,
  QUEUE_SELECT: 22,
  QUEUE_SIZE: 24,
  QUEUE_MSIX_VECTOR: 26,
  QUEUE_ENABLE: 28,
  QUEUE_NOTIFY_OFF: 30,
  QUEUE_DESC: 32,
  QUEUE_DRIVER: 40,
  QUEUE_DEVICE: 48,
  QUEUE_NOTIF_CONFIG_DATA: 56,
  QUEUE_RESET: 58,
} as const;

/** A virtio capability as the driver finds it. */
export interface VirtioCapability {
  readonly at: number;
  readonly type: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

export class PciMachine {
  readonly ram = new Uint8Array(new ArrayBuffer(0x40000));
  readonly messages: { address: number; data: number; vector: number }[] = [];
  readonly wakes: number[] = [];
  readonly faults: string[] = [];
  line = false;
  readonly lineChanges: boolean[] = [];
  readonly port: FramePort = new LoopbackPort();
  readonly card: NetCard;
  readonly pci: PciTransport;
  readonly queues: SplitDriver[] = [];
  nowNs = 1000;

  constructor(options: Partial<NetCardOptions> = {}, transport: PciTransportOptions = {}) {
    const interrupts = new PciInterrupts({
      message: (address, data, vector) => this.messages.push({ address, data, vector }),
      line: (asserted) => {
        this.line = asserted;
        this.lineChanges.push(asserted);
      },
      wake: (vcpu) => this.wakes.push(vcpu),
    });
    this.card = new NetCard({
      memory: new GuestMemory(this.ram.buffer),
      port: this.port,
      interrupts,
      mac: [2, 0, 0, 0, 0, 1],
      vectors: 4,
      observer: {
        arrived: () => {},
        delivered: () => {},
        dropped: () => {},
        cause: () => {},
        fault: (code) => this.faults.push(FAULTS[code]!.name),
      },
      ...options,
    });
    this.pci = new PciTransport(this.card, interrupts, transport);
    this.card.throttle.setGuestState(0, 1, 1, 0);
  }

  config(offset: number, width: 1 | 2 | 4 = 4): number {
    return this.pci.readConfig(offset, width, this.nowNs);
  }

  setConfig(offset: number, width: 1 | 2 | 4, value: number): void {
    this.pci.writeConfig(offset, width, value, this.nowNs);
  }

  read(bar: number, offset: number, width: number): number {
    return this.pci.readBar(bar, offset, width, this.nowNs);
  }

  write(bar: number, offset: number, width: number, value: number): void {
    this.pci.writeBar(bar, offset, width, value, this.nowNs);
  }

  poll(): void {
    this.card.poll(this.nowNs, 64);
  }

  /** The capability list: id and offset of each. */
  capabilityList(): { id: number; at: number }[] {
    const list: { id: number; at: number }[] = [];
    for (let at = this.config(0x34, 1); at !== 0 && list.length < 48; at = this.config(at + 1, 1)) {
      list.push({ id: this.config(at, 1), at });
    }
    return list;
  }

  virtio(type: number): VirtioCapability {
    const found = this.capabilityList().find(({ id, at }) => id === 9 && this.config(at + 3, 1) === type);
    if (found === undefined) throw new Error(`no virtio capability ${type}`);
    const { at } = found;
    return { at, type, bar: this.config(at + 4, 1), offset: this.config(at + 8), length: this.config(at + 12) };
  }

  get msixAt(): number {
    return this.capabilityList().find(({ id }) => id === 0x11)?.at ?? 0;
  }

  common(offset: number, width: number): number {
    const { bar, offset: base } = this.virtio(1);
    return this.read(bar, base + offset, width);
  }

  setCommon(offset: number, width: number, value: number): void {
    const { bar, offset: base } = this.virtio(1);
    this.write(bar, base + offset, width, value);
  }

  get status(): number {
    return this.common(COMMON.DEVICE_STATUS, 1);
  }

  set status(value: number) {
    this.setCommon(COMMON.DEVICE_STATUS, 1, value);
  }

  isr(): number {
    const { bar, offset } = this.virtio(3);
    return this.read(bar, offset, 1);
  }

  /** Data n for vector n, all unmasked, and MSI-X on. */
  enableMsix(): void {
    const at = this.msixAt;
    const vectors = (this.config(at + 2, 2) & 0x7ff) + 1;
    const bar = this.config(at + 4) & 7;
    for (let vector = 0; vector < vectors; vector++) {
      this.write(bar, 16 * vector, 4, MESSAGE_ADDRESS);
      this.write(bar, 16 * vector + 4, 4, 0);
      this.write(bar, 16 * vector + 8, 4, 0x40 + vector);
      this.write(bar, 16 * vector + 12, 4, 0);
    }
    this.setConfig(at + 2, 2, 0x8000);
  }

  negotiate(features: readonly Feature[] = PLAIN_FEATURES): void {
    // Both spaces, and bus mastering.
    this.setConfig(4, 2, this.config(4, 2) | 7);
    this.status = 0;
    this.status = 1;
    this.status = 3;
    for (const word of [0, 1]) {
      let bits = 0;
      for (const name of features) if (FEATURE_BIT[name] >>> 5 === word) bits |= 1 << (FEATURE_BIT[name] & 31);
      this.setCommon(COMMON.DRIVER_FEATURE_SELECT, 4, word);
      this.setCommon(COMMON.DRIVER_FEATURE, 4, bits >>> 0);
    }
    this.status = 0x0b;
  }

  setUpQueue(index: number, at: number, size: number, vector = 0xffff): SplitDriver {
    const queue = new SplitDriver(this.ram.buffer, at, size);
    this.ram.fill(0, at, queue.end);
    this.queues[index] = queue;
    this.setCommon(COMMON.QUEUE_SELECT, 2, index);
    this.setCommon(COMMON.QUEUE_SIZE, 2, size);
    this.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, vector);
    for (const [offset, address] of [
      [COMMON.QUEUE_DESC, queue.table],
      [COMMON.QUEUE_DRIVER, queue.avail],
      [COMMON.QUEUE_DEVICE, queue.used],
    ] as const) {
      this.setCommon(offset, 4, address);
      this.setCommon(offset + 4, 4, 0);
    }
    this.setCommon(COMMON.QUEUE_ENABLE, 2, 1);
    return queue;
  }

  /** Three queues of 8 entries, each with the vector of its index if there is MSI-X, and vector 3 for changes. */
  bringUp(features: readonly Feature[] = PLAIN_FEATURES): this {
    this.negotiate(features);
    for (const index of [0, 1, 2]) this.setUpQueue(index, 0x1000 + 0x2000 * index, 8, index);
    this.setCommon(COMMON.CONFIG_MSIX_VECTOR, 2, 3);
    this.status = RUNNING;
    return this;
  }

  notify(index: number, width = 2, value = index): void {
    const { at, bar, offset } = this.virtio(2);
    this.setCommon(COMMON.QUEUE_SELECT, 2, index);
    const place = offset + this.common(COMMON.QUEUE_NOTIFY_OFF, 2) * this.config(at + 16);
    this.write(bar, place, width, value);
  }

  /** Offers a receive buffer, and sends `bytes`, which come back over the wire. */
  loop(bytes: Uint8Array): void {
    const [rx, tx] = this.queues;
    rx!.setDescriptor(rx!.availIdx % 8, { address: 0x10000 + 0x800 * (rx!.availIdx % 8), length: 2048, flags: WRITE });
    rx!.offer(rx!.availIdx % 8);
    rx!.publish();
    this.ram.fill(0, 0x20000, 0x2000c);
    this.ram.set(bytes, 0x2000c);
    tx!.setDescriptor(0, { address: 0x20000, length: 12 + bytes.length });
    tx!.offer(0);
    tx!.publish();
    this.notify(1);
    this.poll();
  }
}
