/**
 * An independent virtio-net driver over MMIO, brought up in the order of virtio 1.4 §3.1.1. It knows the standard and
 * `device/spec`, and nothing of the card that it drives.
 */
import {
  F_VERSION_1,
  INTERRUPT_CONFIG_CHANGE,
  INTERRUPT_USED_BUFFER,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FEATURES_OK,
} from "../device/spec/virtio.ts";
import {
  CONFIG_MAC,
  CONFIG_MTU,
  CONFIG_STATUS,
  ETHERNET_HEADER_BYTES,
  NET_F_MAC,
  NET_F_MTU,
  NET_F_NOTF_COAL,
  NET_F_STATUS,
  NET_F_VQ_NOTF_COAL,
  NET_S_LINK_UP,
  RECEIVEQ,
} from "../device/spec/virtio-net.ts";
import type { Coalescing, ControlQueue, Patience } from "./control-queue.ts";
import { DeviceFault } from "./device-fault.ts";
import { completeDriverOptions, type DriverOptions, MTU_MIN } from "./driver-options.ts";
import { chooseFeatures, FeatureSet } from "./features.ts";
import { MmioTransport } from "./mmio-transport.ts";
import type { DriverObserver, GuestRam, RegisterPort } from "./ports.ts";
import { type Queues, setUpQueues } from "./queue-setup.ts";
import { RamViews } from "./ram-views.ts";
import type { FrameHandler } from "./received-frame.ts";

/** What a driver without VIRTIO_NET_F_MAC calls itself: locally administered, as §5.1.4.2 asks. */
const LOCAL_MAC: readonly number[] = [0x02, 0, 0, 0, 0, 1];

export class NetDriver {
  readonly ram: RamViews;
  readonly options: DriverOptions;
  features = new FeatureSet(0, 0);
  readonly mac = new Uint8Array(6);
  linkUp = false;
  /** Longest frame, Ethernet header included, that may be sent. */
  frameBytesMax = 0;
  interrupts = 0;
  /** Interrupts whose InterruptStatus read 0, see `interrupt`. */
  statuslessInterrupts = 0;

  readonly #transport: MmioTransport;
  readonly #patience: Patience;
  readonly #observer: DriverObserver | null;
  #handler: FrameHandler | null = null;
  #queues: Queues | null = null;

  constructor(
    port: RegisterPort,
    ram: GuestRam,
    options: Partial<DriverOptions>,
    patience: Patience,
    observer: DriverObserver | null,
  ) {
    this.options = completeDriverOptions(options);
    this.ram = new RamViews(ram);
    this.#transport = new MmioTransport(port);
    this.#patience = patience;
    this.#observer = observer;
  }

  /** Says who gets the frames; before the first `poll`. */
  attach(handler: FrameHandler): void {
    this.#handler = handler;
  }

  /** Brings the device up. False if there is none (DeviceID 0, §4.2.3.1.1); throws if it cannot be used. */
  initialise(): boolean {
    const transport = this.#transport;
    if (!transport.identify()) return false;
    try {
      transport.reset();
      transport.addStatus(STATUS_ACKNOWLEDGE);
      transport.addStatus(STATUS_DRIVER);
      this.#negotiate();
      const receiveMtu = this.#readConfig();
      const { ram, options, features, frameBytesMax } = this;
      const link = { receiveMtu, frameBytesMax, patience: this.#patience, observer: this.#observer };
      this.#queues = setUpQueues({ transport, ram, options, features, ...link });
      const kick = this.#queues.receive.fill();
      transport.addStatus(STATUS_DRIVER_OK);
      // Where writes are posted, this read makes sure that the device is live when we return.
      if ((transport.readStatus() & STATUS_DEVICE_NEEDS_RESET) !== 0) throw new DeviceFault("the device needs a reset");
      // Not before DRIVER_OK (§3.1.1).
      if (kick) transport.notifyQueue(RECEIVEQ);
    } catch (error) {
      this.#giveUp();
      throw error;
    }
    return true;
  }

  /** Resets the device: afterwards it touches no memory of ours, and `initialise` may be called again. */
  remove(): void {
    this.#transport.reset();
    this.#queues = null;
  }

  /** True between an interrupt and the `pollDone` that answered true. */
  get polling(): boolean {
    return this.#queues?.receive.polling ?? false;
  }

  /** The last `poll` left no frame unread. */
  get foundEmpty(): boolean {
    return this.#queues?.receive.foundEmpty ?? true;
  }

  get received(): number {
    return this.#queues?.receive.received ?? 0;
  }

  get receivedBytes(): number {
    return this.#queues?.receive.receivedBytes ?? 0;
  }

  /** Receive buffers that the card has, as far as the driver has seen. */
  get freeToCard(): number {
    return this.#queues?.receive.ring.exposed ?? 0;
  }

  get sent(): number {
    return this.#queues?.transmit.sent ?? 0;
  }

  get sentBytes(): number {
    return this.#queues?.transmit.sentBytes ?? 0;
  }

  /** Sent frames that the device has not finished with. */
  get sendsInFlight(): number {
    const transmit = this.#queues?.transmit;
    return transmit === undefined ? 0 : transmit.sent - transmit.completed;
  }

  /** The transmit ring is full; a notification has been asked for. */
  get sendStalled(): boolean {
    return this.#queues?.transmit.stalled ?? false;
  }

  /** What the device did against the standard. */
  get violations(): number {
    if (this.#queues === null) return 0;
    const { receive, transmit, control } = this.#queues;
    const controlViolations = control === null ? 0 : control.violations + control.ring.violations;
    return receive.violations + receive.ring.violations + transmit.ring.violations + controlViolations;
  }

  /**
   * Takes an interrupt: `vectorBits` are the vectors that fired, on MMIO one bit for the one line.
   *
   * Any interrupt starts polling, whatever InterruptStatus says (§4.2.3.4.1 demands that it be read). Writes to
   * InterruptACK may be posted: one that is still on its way when the device raises the next interrupt clears that
   * one's status bit too, and a driver that then believed the 0 would leave frames unread. A needless poll costs little.
   * Acknowledged is after taking note and before reading the configuration, so that a change after the read raises anew.
   */
  interrupt(vectorBits: number): void {
    if (vectorBits === 0) return;
    const { receive, transmit } = this.#live();
    this.interrupts++;
    const status = this.#transport.readInterruptStatus() & (INTERRUPT_USED_BUFFER | INTERRUPT_CONFIG_CHANGE);
    receive.startPolling();
    transmit.interrupted();
    if (status === 0) this.statuslessInterrupts++;
    else this.#transport.acknowledge(status);
    if ((status & INTERRUPT_CONFIG_CHANGE) !== 0) this.#configChanged();
  }

  /** Hands up to `budgetFrames` received frames to the handler; answers how many. See `foundEmpty`. */
  poll(budgetFrames: number): number {
    const { receive, transmit } = this.#live();
    if (this.#handler === null) throw new Error("no frame handler is attached");
    if (transmit.stalled) transmit.reclaim();
    return receive.poll(budgetFrames, this.#handler);
  }

  /** After a poll that found the ring empty: notifications on. False if frames came in between: poll again. */
  pollDone(): boolean {
    return this.#live().receive.pollDone();
  }

  /** Receive buffers that the device has used and `poll` has not taken; frames are at most as many. */
  unreadBuffers(): number {
    return this.#queues?.receive.ring.refreshUsed() ?? 0;
  }

  /** Frames lie unread in the ring. Looks only. */
  hasUnread(): boolean {
    return this.#queues?.receive.ring.hasUsed() ?? false;
  }

  /** Address in guest RAM at which to write a frame of `lengthBytes` to send, or -1: ring full, or no link. */
  reserve(lengthBytes: number): number {
    return this.linkUp ? this.#live().transmit.reserve(lengthBytes) : -1;
  }

  /** Stages the frame written to the address that `reserve` gave. */
  commit(): void {
    this.#live().transmit.commit();
  }

  /** Publishes all committed frames at once, and kicks the device if it wants that. */
  flush(): void {
    this.#live().transmit.flush();
  }

  /** Takes back the buffers of frames that were sent; answers how many. */
  reclaim(): number {
    return this.#live().transmit.reclaim();
  }

  /** Coalescing of all receive or all transmit queues, as by `ethtool -C`. False if the device refused. */
  setCoalescing(direction: "rx" | "tx", maxUsecs: number, maxPackets: number): boolean {
    const control = this.#controlFor(NET_F_NOTF_COAL, "VIRTIO_NET_F_NOTF_COAL");
    const coalescing = { maxUsecs, maxPackets };
    return direction === "rx" ? control.setAllReceive(coalescing) : control.setAllTransmit(coalescing);
  }

  setQueueCoalescing(queue: number, maxUsecs: number, maxPackets: number): boolean {
    return this.#controlFor(NET_F_VQ_NOTF_COAL, "VIRTIO_NET_F_VQ_NOTF_COAL").setQueue(queue, { maxUsecs, maxPackets });
  }

  getQueueCoalescing(queue: number): Coalescing | null {
    return this.#controlFor(NET_F_VQ_NOTF_COAL, "VIRTIO_NET_F_VQ_NOTF_COAL").getQueue(queue);
  }

  #negotiate(): void {
    const transport = this.#transport;
    this.features = chooseFeatures(transport.readFeatures(), this.options.dropFeatures);
    if (!this.features.has(F_VERSION_1)) throw new Error("the device does not offer VIRTIO_F_VERSION_1");
    transport.writeFeatures(this.features);
    transport.addStatus(STATUS_FEATURES_OK);
    if ((transport.readStatus() & STATUS_FEATURES_OK) === 0) {
      const { low, high } = this.features;
      throw new Error(`the device refuses the features 0x${high.toString(16)}'${low.toString(16).padStart(8, "0")}`);
    }
  }

  /** Reads the fields that were negotiated (§2.5.1); answers the MTU that frames from the device can have. */
  #readConfig(): number {
    const transport = this.#transport;
    let receiveMtu = this.options.mtu;
    this.mac.set(LOCAL_MAC);
    this.linkUp = true;
    transport.readConfig(() => {
      if (this.features.has(NET_F_MAC)) {
        for (let i = 0; i < this.mac.length; i++) this.mac[i] = transport.readConfigField(CONFIG_MAC + i, 1);
      }
      if (this.features.has(NET_F_STATUS)) {
        this.linkUp = (transport.readConfigField(CONFIG_STATUS, 2) & NET_S_LINK_UP) !== 0;
      }
      if (this.features.has(NET_F_MTU)) receiveMtu = transport.readConfigField(CONFIG_MTU, 2);
    });
    if (receiveMtu < MTU_MIN) throw new DeviceFault(`the device's MTU is ${receiveMtu}, the least is ${MTU_MIN}`);
    this.frameBytesMax = ETHERNET_HEADER_BYTES + Math.min(receiveMtu, this.options.mtu);
    return receiveMtu;
  }

  #configChanged(): void {
    const transport = this.#transport;
    if ((transport.readStatus() & STATUS_DEVICE_NEEDS_RESET) !== 0) throw new DeviceFault("the device needs a reset");
    if (!this.features.has(NET_F_STATUS)) return;
    transport.readConfig(() => {
      this.linkUp = (transport.readConfigField(CONFIG_STATUS, 2) & NET_S_LINK_UP) !== 0;
    });
  }

  #controlFor(feature: number, name: string): ControlQueue {
    const control = this.#live().control;
    if (control === null || !this.features.has(feature)) throw new Error(`${name} was not negotiated`);
    return control;
  }

  #live(): Queues {
    if (this.#queues === null) throw new Error("the driver is not initialised");
    return this.#queues;
  }

  #giveUp(): void {
    try {
      this.#transport.fail();
    } catch {
      // The registers themselves may be what failed; the first error tells more.
    }
  }
}
