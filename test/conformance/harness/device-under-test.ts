/**
 * The card under test and a driver of it, on one ring, over one transport, in one place. The driver is written from the
 * standard alone and does what tests say, legal or not.
 */

import type { CardOptions, HostStatistics, Interrupt, SentFrame, WireFrame, WireProperties } from "./device-host.mjs";
import { GuestRam } from "./guest-ram.ts";
import { MmioDriver } from "./mmio-driver.ts";
import { ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURE_BIT, FEATURES_OK, type Feature, NET_HEADER_BYTES } from "./numbers.ts";
import { PackedRing } from "./packed-ring.ts";
import { PciDriver } from "./pci-driver.ts";
import type { Place } from "./places.ts";
import type { Chain } from "./ring.ts";
import { SplitRing } from "./split-ring.ts";
import { TestQueue } from "./test-queue.ts";
import type { TransportDriver } from "./transport.ts";

export type RingKind = "split" | "packed";
export type TransportKind = "MMIO" | "PCI";
export type PlaceKind = "same thread" | "other thread";

export interface Combination {
  readonly ring: RingKind;
  readonly transport: TransportKind;
  readonly place: PlaceKind;
}

export interface BringUp {
  /** What the driver accepts besides VERSION_1 and RING_PACKED; default BASE_FEATURES. */
  readonly features?: readonly Feature[];
  /** Entries of every queue; default 16. */
  readonly size?: number;
  /** Pairs of queues to set up; default 1. */
  readonly pairs?: number;
}

/** No event index: every used buffer is to be notified. */
export const BASE_FEATURES: readonly Feature[] = ["MTU", "MAC", "MRG_RXBUF", "STATUS", "CTRL_VQ", "RING_INDIRECT_DESC"];

export class DeviceUnderTest {
  readonly combination: Combination;
  readonly ram: GuestRam;
  /** The transport; `mmio` and `pci` know more. */
  readonly transport: TransportDriver;
  /** Queues that were set up, by index. */
  readonly queues: TestQueue[] = [];
  readonly #place: Place;
  #accepted: readonly Feature[] = [];

  constructor(combination: Combination, place: Place, options: CardOptions) {
    this.combination = combination;
    this.#place = place;
    this.ram = new GuestRam(place.buffer);
    if (options.translated === true) this.ram.busOffset = 2 ** 32;
    place.call("create", combination.transport, combination.ring === "packed" ? withPackedRing(options) : options);
    const { intx = false } = options;
    this.transport = combination.transport === "PCI" ? new PciDriver(place, !intx) : new MmioDriver(place);
  }

  /** The MMIO registers themselves. */
  get mmio(): MmioDriver {
    if (this.transport instanceof MmioDriver) return this.transport;
    throw new Error("this card is not on MMIO");
  }

  /** The PCI function itself. */
  get pci(): PciDriver {
    if (this.transport instanceof PciDriver) return this.transport;
    throw new Error("this card is not on PCI");
  }

  // --- the driver ----------------------------------------------------------------------------------------------------

  get status(): number {
    return this.transport.status;
  }

  set status(value: number) {
    this.transport.status = value;
  }

  /** Offered feature bits: 0 … 127. */
  get offered(): bigint {
    let bits = 0n;
    for (let word = 0; word < 4; word++) bits |= BigInt(this.transport.offeredWord(word)) << BigInt(32 * word);
    return bits;
  }

  isOffered(feature: Feature): boolean {
    return ((this.offered >> BigInt(FEATURE_BIT[feature])) & 1n) === 1n;
  }

  /** True if the driver has accepted it. */
  has(feature: Feature): boolean {
    return this.#accepted.includes(feature);
  }

  /** `features` and what the combination needs. */
  withRing(features: readonly Feature[]): Feature[] {
    const ring: Feature[] = this.combination.ring === "packed" ? ["RING_PACKED"] : [];
    return [...new Set<Feature>(["VERSION_1", ...ring, ...features])];
  }

  /** Writes the accepted features, `features` exactly, while status is ACKNOWLEDGE and DRIVER. */
  accept(features: readonly Feature[]): void {
    this.#accepted = features;
    if (this.transport instanceof PciDriver) this.transport.usesNotifyData = features.includes("NOTIF_CONFIG_DATA");
    for (let word = 0; word < 2; word++) {
      let bits = 0;
      for (const name of features) if (FEATURE_BIT[name] >> 5 === word) bits |= 1 << (FEATURE_BIT[name] & 31);
      this.transport.acceptWord(word, bits >>> 0);
    }
  }

  /** Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK (§3.1.1); true if the card has taken the features. */
  negotiate(features: readonly Feature[] = BASE_FEATURES): boolean {
    this.status = 0;
    this.queues.length = 0;
    this.status = ACKNOWLEDGE;
    this.status = ACKNOWLEDGE | DRIVER;
    this.transport.prepare();
    this.accept(this.withRing(features));
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return (this.status & FEATURES_OK) !== 0;
  }

  /** A ring of the combination's kind, anywhere in memory. */
  makeRing(size: number): SplitRing | PackedRing {
    return this.combination.ring === "split" ? new SplitRing(this.ram, size) : new PackedRing(this.ram, size);
  }

  setUpQueue(index: number, size = 16, ring = this.makeRing(size)): TestQueue {
    const { busOffset } = this.ram;
    this.transport.setQueue(index, {
      size,
      desc: ring.desc + busOffset,
      driver: ring.driver + busOffset,
      device: ring.device + busOffset,
    });
    this.transport.enableQueue(index);
    return this.adopt(index, ring);
  }

  /** A queue that a test has set up by itself. */
  adopt(index: number, ring: SplitRing | PackedRing): TestQueue {
    const queue = new TestQueue(this, index, ring);
    this.queues[index] = queue;
    return queue;
  }

  /** All of §3.1.1 up to DRIVER_OK. */
  bringUp({ features = BASE_FEATURES, size = 16, pairs = 1 }: BringUp = {}): this {
    if (!this.negotiate(features)) throw new Error(`the card refuses ${features.join(", ")}`);
    this.setUpQueues({ size, pairs });
    this.driverOk();
    return this;
  }

  /** Receive and transmit queues, and the control queue if it was negotiated. */
  setUpQueues({ size = 16, pairs = 1 }: { size?: number; pairs?: number } = {}): void {
    for (let index = 0; index < 2 * pairs; index++) this.setUpQueue(index, size);
    if (this.has("CTRL_VQ")) this.setUpQueue(this.controlIndex, size);
  }

  driverOk(): void {
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  }

  get rx(): TestQueue {
    return this.queues[0]!;
  }

  get tx(): TestQueue {
    return this.queues[1]!;
  }

  get ctrl(): TestQueue {
    return this.queues[this.controlIndex]!;
  }

  /** §5.1.2: after all pairs that the card has if MQ or RSS was negotiated, else 2. */
  get controlIndex(): number {
    return this.has("MQ") || this.has("RSS") ? 2 * this.transport.config(8, 2) : 2;
  }

  /** Bytes of the header before each frame: HASH_REPORT makes it longer (§5.1.9). */
  get headerBytes(): number {
    return this.has("HASH_REPORT") ? 20 : NET_HEADER_BYTES;
  }

  /** Offers a receive buffer of `length` bytes, header included, and returns its chain. */
  offerBuffer(length = 2048, queue = this.rx): Chain {
    return queue.add([{ address: this.ram.alloc(length), length, write: true }]);
  }

  /** Sends `header` (zeros by default) and `frame` as one buffer, and polls. */
  send(frame: ArrayLike<number>, header: ArrayLike<number> = [], queue = this.tx): Chain {
    const bytes = new Uint8Array(this.headerBytes + frame.length);
    bytes.set(Array.from(header));
    bytes.set(Array.from(frame), this.headerBytes);
    const chain = queue.add([{ address: this.ram.put(bytes), length: bytes.length }]);
    queue.kick();
    this.poll();
    return chain;
  }

  /** Puts frames on the wire, and polls. */
  receive(...frames: readonly (Uint8Array | WireFrame)[]): void {
    this.inject(...frames);
    this.poll();
  }

  /** A command on the control queue; returns what the card answers: the ack, then a result of `resultBytes`. */
  command(commandClass: number, command: number, data: ArrayLike<number>, resultBytes = 0): Uint8Array {
    const out = this.ram.put([commandClass, command, ...Array.from(data)]);
    const answer = this.ram.alloc(resultBytes + 1);
    this.ctrl.add([
      { address: out, length: 2 + data.length },
      { address: answer, length: resultBytes + 1, write: true },
    ]);
    this.ctrl.kick();
    this.poll();
    if (this.ctrl.collectUsed().length !== 1) throw new Error("the card has not answered the command");
    return this.ram.bytes(answer, resultBytes + 1);
  }

  /** What a chain's device-writable buffers hold, up to the length that the device has used. */
  written(chain: Chain): Uint8Array {
    const bytes = chain.buffers
      .filter(({ write }) => write === true)
      .flatMap(({ address, length }) => [...this.ram.bytes(address, length)]);
    return Uint8Array.from(bytes.slice(0, Math.max(0, chain.usedLength)));
  }

  // --- the world -----------------------------------------------------------------------------------------------------

  /** Lets the card work: until nothing is left, or once with a budget of so many frames. */
  poll(budget?: number): void {
    this.#place.call("poll", ...(budget === undefined ? [] : [budget]));
  }

  advance(ns: number): void {
    this.#place.call("advance", ns);
  }

  inject(...frames: readonly (Uint8Array | WireFrame)[]): void {
    this.#place.call(
      "inject",
      frames.map((frame) => (frame instanceof Uint8Array ? { bytes: frame } : frame)),
    );
  }

  /** Frames that the card has put on the wire since last asked. */
  sent(): SentFrame[] {
    return this.#place.call("takeSent");
  }

  /**
   * Interrupts since last asked. On PCI `vector` is what the message's data says, with INTx each rising edge of the line
   * is an interrupt; `why` is known on MMIO alone, and -1 otherwise.
   */
  interrupts(): Interrupt[] {
    return this.#place.call("takeInterrupts");
  }

  /** The level of INTx. */
  get lineAsserted(): boolean {
    return this.#place.call("isLineAsserted");
  }

  wakes(): { vcpu: number; why: number }[] {
    return this.#place.call("takeWakes");
  }

  setLinkUp(up: boolean): void {
    this.#place.call("setLinkUp", up);
  }

  setGuestState(vcpu: number, active: boolean): void {
    this.#place.call("setGuestState", vcpu, active);
  }

  setWire(properties: WireProperties): void {
    this.#place.call("setWire", properties);
  }

  announce(): void {
    this.#place.call("announce");
  }

  statistics(): HostStatistics {
    return this.#place.call("statistics");
  }

  /** Sets a counter of the queue in a slot, as if so much had happened: what it counts would take years. */
  setCounter(slot: number, name: "frames" | "bytes", value: number): void {
    this.#place.call("setCounter", slot, name, value);
  }

  /** The card is saved, and another goes on from there. */
  replaceBySaved(): void {
    this.#place.call("replaceBySaved");
  }

  /**
   * Runs `work` while the card's thread polls by itself, until `work` returns true. In the test's own thread the card is
   * polled in turn with `work`.
   */
  whilePolling(work: () => boolean): void {
    const own = this.combination.place === "same thread";
    const deadline = Date.now() + 10_000;
    this.#place.call("setPolling", true);
    try {
      while (!work()) {
        if (own) this.#place.call("turn");
        if (Date.now() > deadline) throw new Error("the card has not got there within 10 s");
      }
    } finally {
      this.#place.call("setPolling", false);
    }
  }
}

/** A card that is told exactly what to offer has to offer the combination's ring too. */
function withPackedRing(options: CardOptions): CardOptions {
  const { offer, extra = [] } = options;
  if (offer !== undefined) return { ...options, offer: [...new Set([...offer, "RING_PACKED"])] };
  return { ...options, extra: [...new Set([...extra, "RING_PACKED"])] };
}
