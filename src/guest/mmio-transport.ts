/**
 * The register side of the driver: virtio over MMIO, virtio 1.4 §4.2. Each method is one step of §3.1.1, and touches the
 * registers in the order and with the widths of §4.2.2.2.
 */
import { DEVICE_ID_NET, STATUS_FAILED } from "../device/spec/virtio.ts";
import {
  MMIO_CONFIG,
  MMIO_CONFIG_GENERATION,
  MMIO_DEVICE_FEATURES,
  MMIO_DEVICE_FEATURES_SEL,
  MMIO_DEVICE_ID,
  MMIO_DRIVER_FEATURES,
  MMIO_DRIVER_FEATURES_SEL,
  MMIO_INTERRUPT_ACK,
  MMIO_INTERRUPT_STATUS,
  MMIO_MAGIC,
  MMIO_MAGIC_VALUE,
  MMIO_QUEUE_DESC_HIGH,
  MMIO_QUEUE_DESC_LOW,
  MMIO_QUEUE_DEVICE_HIGH,
  MMIO_QUEUE_DEVICE_LOW,
  MMIO_QUEUE_DRIVER_HIGH,
  MMIO_QUEUE_DRIVER_LOW,
  MMIO_QUEUE_NOTIFY,
  MMIO_QUEUE_READY,
  MMIO_QUEUE_SEL,
  MMIO_QUEUE_SIZE,
  MMIO_QUEUE_SIZE_MAX,
  MMIO_STATUS,
  MMIO_VERSION,
  MMIO_VERSION_2,
} from "../device/spec/virtio-mmio.ts";
import { FeatureSet } from "./features.ts";
import type { RegisterPort } from "./ports.ts";
import type { RingAreas } from "./ram-layout.ts";

/** A device that has not finished its reset after so many reads of Status never will. */
const RESET_READS_MAX = 1000;
/** Same for a configuration space that changes under every read. */
const CONFIG_READS_MAX = 1000;

export class MmioTransport {
  readonly #port: RegisterPort;
  /** The status bits set so far: the driver MUST NOT clear one (virtio 1.4 §2.1.1). */
  #status = 0;

  constructor(port: RegisterPort) {
    this.#port = port;
  }

  /** §4.2.3.1.1. False if there is no device behind the registers, which is no error; throws if there is a wrong one. */
  identify(): boolean {
    const magic = this.#read(MMIO_MAGIC_VALUE);
    if (magic !== MMIO_MAGIC) throw new Error(`no virtio device: MagicValue is 0x${magic.toString(16)}`);
    const version = this.#read(MMIO_VERSION);
    if (version !== MMIO_VERSION_2) throw new Error(`virtio MMIO version ${version}, this driver knows 2`);
    const deviceId = this.#read(MMIO_DEVICE_ID);
    if (deviceId === 0) return false;
    if (deviceId !== DEVICE_ID_NET) throw new Error(`virtio device id ${deviceId}, this driver knows 1 (network)`);
    return true;
  }

  /** §2.4.2: complete when Status reads 0. */
  reset(): void {
    this.#status = 0;
    this.#write(MMIO_STATUS, 0);
    for (let reads = 0; this.#read(MMIO_STATUS) !== 0; reads++) {
      if (reads === RESET_READS_MAX) throw new Error("the device does not finish its reset: Status stays set");
    }
  }

  addStatus(bit: number): void {
    this.#status |= bit;
    this.#write(MMIO_STATUS, this.#status);
  }

  readStatus(): number {
    return this.#read(MMIO_STATUS);
  }

  /** §3.1.1: the driver has given up on the device. */
  fail(): void {
    this.addStatus(STATUS_FAILED);
  }

  readFeatures(): FeatureSet {
    this.#write(MMIO_DEVICE_FEATURES_SEL, 0);
    const low = this.#read(MMIO_DEVICE_FEATURES);
    this.#write(MMIO_DEVICE_FEATURES_SEL, 1);
    return new FeatureSet(low, this.#read(MMIO_DEVICE_FEATURES));
  }

  writeFeatures(features: FeatureSet): void {
    this.#write(MMIO_DRIVER_FEATURES_SEL, 0);
    this.#write(MMIO_DRIVER_FEATURES, features.low);
    this.#write(MMIO_DRIVER_FEATURES_SEL, 1);
    this.#write(MMIO_DRIVER_FEATURES, features.high);
  }

  /** §4.2.3.2 steps 1 to 3: selects the queue and answers the entries it may have, 0 if there is no such queue. */
  probeQueue(queue: number): number {
    this.#write(MMIO_QUEUE_SEL, queue);
    if (this.#read(MMIO_QUEUE_READY) !== 0) throw new Error(`queue ${queue} is in use after a reset`);
    return this.#read(MMIO_QUEUE_SIZE_MAX);
  }

  /** §4.2.3.2 steps 5 to 7, for the selected queue. */
  enableQueue(areas: RingAreas): void {
    this.#write(MMIO_QUEUE_SIZE, areas.entries);
    this.#write(MMIO_QUEUE_DESC_LOW, areas.descAddress);
    this.#write(MMIO_QUEUE_DESC_HIGH, 0);
    this.#write(MMIO_QUEUE_DRIVER_LOW, areas.availAddress);
    this.#write(MMIO_QUEUE_DRIVER_HIGH, 0);
    this.#write(MMIO_QUEUE_DEVICE_LOW, areas.usedAddress);
    this.#write(MMIO_QUEUE_DEVICE_HIGH, 0);
    this.#write(MMIO_QUEUE_READY, 1);
  }

  notifyQueue(queue: number): void {
    this.#write(MMIO_QUEUE_NOTIFY, queue);
  }

  readInterruptStatus(): number {
    return this.#read(MMIO_INTERRUPT_STATUS);
  }

  acknowledge(bits: number): void {
    this.#write(MMIO_INTERRUPT_ACK, bits);
  }

  /** Runs `readFields` until the configuration did not change under it (§2.5.1). */
  readConfig(readFields: () => void): void {
    let before = this.#read(MMIO_CONFIG_GENERATION);
    for (let reads = 0; ; reads++) {
      readFields();
      const after = this.#read(MMIO_CONFIG_GENERATION);
      if (after === before) return;
      if (reads === CONFIG_READS_MAX) throw new Error("the configuration space changes under every read");
      before = after;
    }
  }

  /** One field, with an access of the field's own width (§4.2.2.2). */
  readConfigField(offset: number, widthBytes: 1 | 2 | 4): number {
    return this.#port.read(MMIO_CONFIG + offset, widthBytes);
  }

  #read(offset: number): number {
    return this.#port.read(offset, 4) >>> 0;
  }

  #write(offset: number, value: number): void {
    this.#port.write(offset, 4, value);
  }
}
