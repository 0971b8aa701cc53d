import type { GuestRam, RegisterPort } from "../../../src/guest/ports.ts";

// A scripted virtio-net device over MMIO, from the standard's text alone: every number is typed again here, so that a
// wrong constant in src does not agree with itself. It is obedient by default; tests make it misbehave by its fields.

const R = {
  deviceFeatures: 0x010,
  deviceFeaturesSel: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSel: 0x024,
  queueSel: 0x030,
  queueSizeMax: 0x034,
  queueSize: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAck: 0x064,
  status: 0x070,
  generation: 0x0fc,
  config: 0x100,
} as const;

export const bit = (n: number): bigint => 1n << BigInt(n);
export const FEATURE = {
  mtu: bit(3),
  mac: bit(5),
  mrgRxbuf: bit(15),
  status: bit(16),
  ctrlVq: bit(17),
  indirect: bit(28),
  eventIdx: bit(29),
  version1: bit(32),
  vqNotfCoal: bit(52),
  notfCoal: bit(53),
} as const;
export const ALL_FEATURES = Object.values(FEATURE).reduce((all, feature) => all | feature, 0n);

export interface Element {
  readonly address: number;
  readonly bytes: number;
  readonly writable: boolean;
}

class FakeQueue {
  readonly ram: DataView;
  readonly u16: Uint16Array;
  size = 0;
  ready = 0;
  desc = 0;
  driver = 0;
  device = 0;
  availTaken = 0;
  usedIdx = 0;

  constructor(ram: DataView) {
    this.ram = ram;
    this.u16 = new Uint16Array(ram.buffer, ram.byteOffset, ram.byteLength >>> 1);
  }

  // Words that order memory are Atomics: some tests have the driver in a thread of its own.

  get availIdx(): number {
    return Atomics.load(this.u16, (this.driver + 2) >>> 1);
  }

  get usedEvent(): number {
    return Atomics.load(this.u16, (this.driver + 4 + 2 * this.size) >>> 1);
  }

  get availFlags(): number {
    return Atomics.load(this.u16, this.driver >>> 1);
  }

  set availEvent(index: number) {
    Atomics.store(this.u16, (this.device + 4 + 8 * this.size) >>> 1, index & 0xffff);
  }

  publishUsed(): void {
    Atomics.store(this.u16, (this.device + 2) >>> 1, this.usedIdx);
  }

  get waiting(): number {
    return (this.availIdx - this.availTaken) & 0xffff;
  }

  takeHead(): number {
    const slot = this.availTaken % this.size;
    this.availTaken = (this.availTaken + 1) & 0xffff;
    return this.ram.getUint16(this.driver + 4 + 2 * slot, true);
  }

  chain(head: number): Element[] {
    const elements: Element[] = [];
    let table = this.desc;
    let index = head;
    for (;;) {
      const at = table + 16 * index;
      const address = Number(this.ram.getBigUint64(at, true));
      const bytes = this.ram.getUint32(at + 8, true);
      const flags = this.ram.getUint16(at + 12, true);
      if (flags & 4) {
        if (flags & 1) throw new Error("INDIRECT and NEXT together");
        table = address;
        index = 0;
        continue;
      }
      elements.push({ address, bytes, writable: (flags & 2) !== 0 });
      if ((flags & 1) === 0) break;
      index = this.ram.getUint16(at + 14, true);
      if (elements.length > this.size) throw new Error("the chain does not end");
    }
    const firstWritable = elements.findIndex((element) => element.writable);
    if (firstWritable >= 0 && elements.slice(firstWritable).some((element) => !element.writable)) {
      throw new Error("a readable element after a writable one");
    }
    return elements;
  }

  writeUsed(id: number, bytes: number): void {
    const at = this.device + 4 + 8 * (this.usedIdx % this.size);
    this.ram.setUint32(at, id, true);
    this.ram.setUint32(at + 4, bytes, true);
    this.usedIdx = (this.usedIdx + 1) & 0xffff;
  }
}

export class FakeDevice implements RegisterPort {
  readonly ram: GuestRam;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly queues: FakeQueue[];
  /** Every register access, in the words of the tests: `R 070/4` or `W 070/4 = 1`. */
  readonly log: string[] = [];
  readonly notified: number[] = [];
  offered = ALL_FEATURES;
  accepted = 0n;
  magic = 0x74726976;
  version = 2;
  deviceId = 1;
  queueSizeMax = 1024;
  queueCount = 3;
  status = 0;
  /** Status bits that a write of FEATURES_OK does not set. */
  refuseFeatures = false;
  needsReset = false;
  interruptStatus = 0;
  acknowledged: number[] = [];
  readonly config = new Uint8Array(12);
  generation = 0;
  /** Configuration reads before which the configuration still changes. */
  configChanges = 0;
  readonly sent: Uint8Array[] = [];
  /** Answers a control command: its bytes in, ack and result out. */
  control: (command: Uint8Array) => { ack: number; result?: number[]; usedBytes?: number } = () => ({ ack: 0 });

  #featuresSel = 0;
  #driverSel = 0;
  #queueSel = 0;

  constructor(sizeBytes: number) {
    const buffer = new SharedArrayBuffer(sizeBytes + 64);
    this.ram = { buffer, byteOffset: 64, sizeBytes };
    this.u8 = new Uint8Array(buffer, 64, sizeBytes);
    this.view = new DataView(buffer, 64, sizeBytes);
    // Memory of a machine that has run before.
    this.u8.fill(0xa5);
    this.queues = [0, 1, 2].map(() => new FakeQueue(this.view));
    this.config.set([0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0, 1, 0, 0xdc, 0x05]); // link up, 1 pair, MTU 1500
  }

  get receive(): FakeQueue {
    return this.queues[0]!;
  }

  get transmit(): FakeQueue {
    return this.queues[1]!;
  }

  has(feature: bigint): boolean {
    return (this.accepted & feature) !== 0n;
  }

  read(offset: number, widthBytes: 1 | 2 | 4): number {
    this.log.push(`R ${offset.toString(16).padStart(3, "0")}/${widthBytes}`);
    if (offset >= R.config) {
      if (this.configChanges > 0) {
        this.configChanges--;
        this.generation++;
      }
      const at = new DataView(this.config.buffer);
      const field = offset - R.config;
      return widthBytes === 1 ? at.getUint8(field) : at.getUint16(field, true);
    }
    if (widthBytes !== 4) throw new Error(`control register ${offset.toString(16)} read with ${widthBytes} bytes`);
    const queue = this.queues[this.#queueSel]!;
    switch (offset) {
      case 0x000:
        return this.magic;
      case 0x004:
        return this.version;
      case 0x008:
        return this.deviceId;
      case R.deviceFeatures:
        return Number((this.offered >> BigInt(32 * this.#featuresSel)) & 0xffffffffn);
      case R.queueSizeMax:
        return this.#queueSel < this.queueCount ? this.queueSizeMax : 0;
      case R.queueReady:
        return queue.ready;
      case R.interruptStatus:
        return this.interruptStatus;
      case R.status:
        return this.status | (this.needsReset && this.status !== 0 ? 64 : 0);
      case R.generation:
        return this.generation;
      default:
        throw new Error(`the driver reads register ${offset.toString(16)}`);
    }
  }

  write(offset: number, widthBytes: 1 | 2 | 4, value: number): void {
    this.log.push(`W ${offset.toString(16).padStart(3, "0")}/${widthBytes} = ${(value >>> 0).toString(16)}`);
    if (widthBytes !== 4) throw new Error(`control register ${offset.toString(16)} written with ${widthBytes} bytes`);
    const queue = this.queues[this.#queueSel]!;
    switch (offset) {
      case R.deviceFeaturesSel:
        this.#featuresSel = value;
        break;
      case R.driverFeaturesSel:
        this.#driverSel = value;
        break;
      case R.driverFeatures:
        this.accepted |= BigInt(value >>> 0) << BigInt(32 * this.#driverSel);
        break;
      case R.queueSel:
        this.#queueSel = value;
        break;
      case R.queueSize:
        queue.size = value;
        break;
      case 0x080:
        queue.desc = value;
        break;
      case 0x090:
        queue.driver = value;
        break;
      case 0x0a0:
        queue.device = value;
        break;
      case 0x084:
      case 0x094:
      case 0x0a4:
        break;
      case R.queueReady:
        queue.ready = value;
        break;
      case R.queueNotify:
        this.notified.push(value);
        if (value === 2) this.#runControl();
        break;
      case R.interruptAck:
        this.acknowledged.push(value);
        this.interruptStatus &= ~value;
        break;
      case R.status:
        this.#writeStatus(value);
        break;
      default:
        throw new Error(`the driver writes register ${offset.toString(16)}`);
    }
  }

  /** Writes a frame into as many receive buffers as it needs, header first; publishes nothing. False: no buffer. */
  stageFrame(frame: Uint8Array, header: { numBuffers?: number; gsoType?: number } = {}): boolean {
    const queue = this.receive;
    const packet = new Uint8Array(12 + frame.length);
    packet.set(frame, 12);
    const heads: number[] = [];
    const used: number[] = [];
    let at = 0;
    while (at < packet.length) {
      if (queue.waiting === 0) {
        queue.availTaken = (queue.availTaken - heads.length) & 0xffff;
        return false;
      }
      const head = queue.takeHead();
      const before = at;
      for (const { address, bytes } of queue.chain(head)) {
        const count = Math.min(bytes, packet.length - at);
        this.u8.set(packet.subarray(at, at + count), address);
        at += count;
      }
      heads.push(head);
      used.push(at - before);
    }
    const first = queue.chain(heads[0]!)[0]!.address;
    this.view.setUint16(first + 10, header.numBuffers ?? heads.length, true);
    this.u8[first + 1] = header.gsoType ?? 0;
    heads.forEach((head, i) => {
      queue.writeUsed(head, used[i]!);
    });
    return true;
  }

  /** Delivers frames as one batch; answers whether the driver wants an interrupt for it (§2.7.7.2). */
  deliver(...frames: Uint8Array[]): boolean {
    const before = this.receive.usedIdx;
    for (const frame of frames) if (!this.stageFrame(frame)) throw new Error("no receive buffer");
    return this.publishReceive(before);
  }

  publishReceive(before: number): boolean {
    this.receive.publishUsed();
    return this.wantsInterrupt(this.receive, before);
  }

  wantsInterrupt(queue: FakeQueue, before: number): boolean {
    if (!this.has(FEATURE.eventIdx)) return (queue.availFlags & 1) === 0;
    // Walked entry by entry, as the standard words it, not in wrap arithmetic.
    const { usedEvent } = queue;
    for (let index = before; index !== queue.usedIdx; index = (index + 1) & 0xffff) {
      if (index === usedEvent) return true;
    }
    return false;
  }

  /** Sends up to `count` frames of the transmit queue; answers whether the driver wants an interrupt for it. */
  sendFrames(count = Number.POSITIVE_INFINITY): boolean {
    const queue = this.transmit;
    const before = queue.usedIdx;
    for (let i = 0; i < count && queue.waiting > 0; i++) {
      const head = queue.takeHead();
      const bytes = queue
        .chain(head)
        .flatMap(({ address, bytes: size }) => [...this.u8.slice(address, address + size)]);
      this.sent.push(new Uint8Array(bytes));
      queue.writeUsed(head, 0);
    }
    queue.publishUsed();
    return this.wantsInterrupt(queue, before);
  }

  #runControl(): void {
    const queue = this.queues[2]!;
    while (queue.waiting > 0) {
      const head = queue.takeHead();
      const chain = queue.chain(head);
      const readable = chain.filter((element) => !element.writable);
      const command = new Uint8Array(readable.flatMap((e) => [...this.u8.slice(e.address, e.address + e.bytes)]));
      const { ack, result = [], usedBytes } = this.control(command);
      const answer = [ack, ...result];
      let at = 0;
      for (const { address, bytes } of chain.filter((element) => element.writable)) {
        const part = answer.slice(at, at + bytes);
        this.u8.set(part, address);
        at += part.length;
      }
      queue.writeUsed(head, usedBytes ?? at);
    }
    queue.publishUsed();
    // Asks for a kick at the next command.
    queue.availEvent = queue.availTaken;
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.status = 0;
      this.accepted = 0n;
      this.interruptStatus = 0;
      for (const queue of this.queues) {
        queue.ready = 0;
        queue.availTaken = 0;
        queue.usedIdx = 0;
      }
      return;
    }
    if ((this.status & ~value) !== 0) throw new Error("the driver clears a status bit");
    this.status = this.refuseFeatures ? value & ~8 : value;
  }
}
