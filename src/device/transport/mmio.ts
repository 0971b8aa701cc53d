/**
 * virtio over MMIO, version 2: one table of registers, decoded onto the card. Source: virtio 1.4 §4.2.2.
 *
 * Control registers take 32-bit aligned accesses alone; the configuration space takes any width at any offset. An
 * access that the standard does not allow reads 0 or changes nothing, and is counted as the driver's fault.
 */

import { checkInstance } from "../embedder-parts.ts";
import { FAULT_CONFIG_WRITE, FAULT_QUEUE_INDEX, FAULT_REGISTER_ACCESS } from "../faults.ts";
import { NetCard } from "../net/net-card.ts";
import { record, word32 } from "../saved-value.ts";
import {
  DEVICE_ID_NET,
  F_NOTIF_CONFIG_DATA,
  F_NOTIFICATION_DATA,
  F_RING_RESET,
  NOTIFICATION_VQN_MASK,
} from "../spec/virtio.ts";
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
  MMIO_QUEUE_RESET,
  MMIO_QUEUE_SEL,
  MMIO_QUEUE_SIZE,
  MMIO_QUEUE_SIZE_MAX,
  MMIO_SHM_BASE_HIGH,
  MMIO_SHM_BASE_LOW,
  MMIO_SHM_LEN_HIGH,
  MMIO_SHM_LEN_LOW,
  MMIO_SHM_SEL,
  MMIO_STATUS,
  MMIO_VENDOR_ID,
  MMIO_VERSION,
  MMIO_VERSION_2,
  VENDOR_ID_VIRTIO,
} from "../spec/virtio-mmio.ts";
import { CONFIG_BYTES } from "../spec/virtio-net.ts";
import { AREA_DESC, AREA_DEVICE, AREA_DRIVER } from "../virtqueue/queue-setup.ts";
import { compileRegisters, NO_REGISTER, type RegisterDefinition } from "./register-table.ts";

/** Bytes of the register window that a machine maps. */
export const MMIO_WINDOW_BYTES = 0x200;

const SECTION = "virtio 1.4 §4.2.2";
/** What the shared-memory registers read: no region exists. */
const NO_REGION = 0xffffffff;

/** The MMIO face of a card: register accesses of its driver, and the selectors that only this transport has. */
export class MmioTransport {
  readonly card: NetCard;
  deviceFeaturesSel = 0;
  driverFeaturesSel = 0;
  queueSel = 0;

  /** @throws RangeError if `card` is none, or offers NOTIF_CONFIG_DATA, which MMIO has no register for */
  constructor(card: NetCard) {
    checkInstance("card", card, NetCard);
    if (card.features.isOffered(F_NOTIF_CONFIG_DATA)) {
      throw new RangeError("NOTIF_CONFIG_DATA is offered, but exists on PCI alone (virtio 1.4 §4.1.4.3)");
    }
    this.card = card;
  }

  /** Value of a register or of configuration bytes, unsigned; 0 for an access that is not allowed. */
  read(offset: number, widthBytes: number, nowNs: number): number {
    if (isConfigAccess(offset, widthBytes)) return this.card.config.read(offset - MMIO_CONFIG, widthBytes);
    const value = TABLE.read(this, offset, widthBytes, nowNs);
    if (value !== NO_REGISTER) return value;
    this.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    return 0;
  }

  write(offset: number, widthBytes: number, value: number, nowNs: number): void {
    if (isConfigAccess(offset, widthBytes)) this.card.guestFault(FAULT_CONFIG_WRITE, nowNs);
    else if (!TABLE.write(this, offset, widthBytes, value >>> 0, nowNs)) {
      this.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
    }
  }

  /** All of the transport, as plain values; the card's state is apart. */
  saveState(): MmioTransportState {
    const { deviceFeaturesSel, driverFeaturesSel, queueSel } = this;
    return { deviceFeaturesSel, driverFeaturesSel, queueSel };
  }

  /** @throws RangeError if it is no state of such a transport */
  restoreState(state: MmioTransportState): void {
    checkState("transport", state);
    this.deviceFeaturesSel = state.deviceFeaturesSel;
    this.driverFeaturesSel = state.driverFeaturesSel;
    this.queueSel = state.queueSel;
  }
}

const checkState = record({ deviceFeaturesSel: word32, driverFeaturesSel: word32, queueSel: word32 });

export interface MmioTransportState {
  readonly deviceFeaturesSel: number;
  readonly driverFeaturesSel: number;
  readonly queueSel: number;
}

function isConfigAccess(offset: number, widthBytes: number): boolean {
  return (
    offset >= MMIO_CONFIG && offset < MMIO_WINDOW_BYTES && (widthBytes === 1 || widthBytes === 2 || widthBytes === 4)
  );
}

function readOnly(
  name: string,
  offset: number,
  reset: number,
  summary: string,
  read: (mmio: MmioTransport) => number,
): RegisterDefinition<MmioTransport> {
  return { name, offset, width: 4, access: "RO", reset, section: SECTION, summary, read };
}

function writeOnly(
  name: string,
  offset: number,
  summary: string,
  write: (mmio: MmioTransport, value: number, nowNs: number) => void,
): RegisterDefinition<MmioTransport> {
  return {
    name,
    offset,
    width: 4,
    access: "WO",
    reset: 0,
    section: SECTION,
    summary,
    write: (mmio, _index, value, nowNs) => write(mmio, value, nowNs),
  };
}

/** Low or high half of the address of one of the selected queue's areas. */
function addressHalf(name: string, offset: number, area: number, high: boolean): RegisterDefinition<MmioTransport> {
  const summary = `${high ? "High" : "Low"} 32 bits of the address of the selected queue's ${AREA_NAMES[area]} area.`;
  return writeOnly(name, offset, summary, (mmio, value, nowNs) => {
    const setup = mmio.card.queues.setupOf(mmio.queueSel, nowNs);
    if (setup === null) return;
    if (high) setup.setHigh(area, value);
    else setup.setLow(area, value);
  });
}

const AREA_NAMES = ["descriptor", "driver", "device"];

function writeQueueReady(mmio: MmioTransport, value: number, nowNs: number): void {
  if (!mmio.card.queues.exists(mmio.queueSel)) mmio.card.guestFault(FAULT_QUEUE_INDEX, nowNs);
  else if (value === 1) mmio.card.queues.enable(mmio.queueSel, nowNs);
  else if (value === 0) mmio.card.queues.disable(mmio.queueSel);
  else mmio.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
}

function writeQueueReset(mmio: MmioTransport, value: number, nowNs: number): void {
  if (value !== 1 || !mmio.card.features.has(F_RING_RESET)) mmio.card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
  else if (!mmio.card.queues.exists(mmio.queueSel)) mmio.card.guestFault(FAULT_QUEUE_INDEX, nowNs);
  else mmio.card.queues.reset(mmio.queueSel);
}

function writeStatus(mmio: MmioTransport, value: number, nowNs: number): void {
  if (value === 0) {
    mmio.deviceFeaturesSel = 0;
    mmio.driverFeaturesSel = 0;
    mmio.queueSel = 0;
  }
  mmio.card.writeStatus(value, nowNs);
}

/** All registers of the transport, in the order of their offsets. */
export const MMIO_REGISTERS: readonly RegisterDefinition<MmioTransport>[] = [
  readOnly("MagicValue", MMIO_MAGIC_VALUE, MMIO_MAGIC, 'The string "virt".', () => MMIO_MAGIC),
  readOnly("Version", MMIO_VERSION, MMIO_VERSION_2, "Version of the register layout.", () => MMIO_VERSION_2),
  readOnly("DeviceID", MMIO_DEVICE_ID, DEVICE_ID_NET, "A network device.", () => DEVICE_ID_NET),
  readOnly("VendorID", MMIO_VENDOR_ID, VENDOR_ID_VIRTIO, "The vendor id of virtio over PCI.", () => VENDOR_ID_VIRTIO),
  readOnly("DeviceFeatures", MMIO_DEVICE_FEATURES, 0x30bfffaf, "32 offered features, of the selected word.", (mmio) =>
    mmio.card.features.offeredWord(mmio.deviceFeaturesSel),
  ),
  writeOnly(
    "DeviceFeaturesSel",
    MMIO_DEVICE_FEATURES_SEL,
    "Selects the word that DeviceFeatures reads.",
    (mmio, value) => {
      mmio.deviceFeaturesSel = value;
    },
  ),
  writeOnly(
    "DriverFeatures",
    MMIO_DRIVER_FEATURES,
    "32 accepted features, of the selected word.",
    (mmio, value, nowNs) => {
      mmio.card.acceptFeatures(mmio.driverFeaturesSel, value, nowNs);
    },
  ),
  writeOnly(
    "DriverFeaturesSel",
    MMIO_DRIVER_FEATURES_SEL,
    "Selects the word that DriverFeatures writes.",
    (mmio, value) => {
      mmio.driverFeaturesSel = value;
    },
  ),
  writeOnly("QueueSel", MMIO_QUEUE_SEL, "Selects the queue that the queue registers are about.", (mmio, value) => {
    mmio.queueSel = value;
  }),
  readOnly("QueueSizeMax", MMIO_QUEUE_SIZE_MAX, 1024, "Largest size of the queue; 0 if it does not exist.", (mmio) =>
    mmio.card.queues.sizeMax(mmio.queueSel),
  ),
  writeOnly("QueueSize", MMIO_QUEUE_SIZE, "Size of the queue that the driver has set up.", (mmio, value, nowNs) => {
    const setup = mmio.card.queues.setupOf(mmio.queueSel, nowNs);
    if (setup !== null) setup.size = value;
  }),
  {
    name: "QueueReady",
    offset: MMIO_QUEUE_READY,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "1 enables the queue, if its setup is good; 0 disables it.",
    read: (mmio) => (mmio.card.queues.isEnabled(mmio.queueSel) ? 1 : 0),
    write: (mmio, _index, value, nowNs) => writeQueueReady(mmio, value, nowNs),
  },
  writeOnly("QueueNotify", MMIO_QUEUE_NOTIFY, "Index of a queue with new available buffers.", (mmio, value, nowNs) => {
    // §4.2.3.3: with NOTIFICATION_DATA the upper half tells how far the driver has got, which the ring tells as well.
    const withData = mmio.card.features.has(F_NOTIFICATION_DATA);
    mmio.card.queues.kick(withData ? value & NOTIFICATION_VQN_MASK : value, nowNs);
  }),
  readOnly(
    "InterruptStatus",
    MMIO_INTERRUPT_STATUS,
    0,
    "Bit 0: buffers were used. Bit 1: configuration change.",
    (mmio) => {
      return mmio.card.interruptStatus.value;
    },
  ),
  writeOnly("InterruptACK", MMIO_INTERRUPT_ACK, "Clears the written bits of InterruptStatus.", (mmio, value) => {
    mmio.card.interruptStatus.acknowledge(value);
  }),
  {
    name: "Status",
    offset: MMIO_STATUS,
    width: 4,
    access: "RW",
    reset: 0,
    section: "virtio 1.4 §2.1",
    summary: "Device status; writing 0 resets the device.",
    read: (mmio) => mmio.card.status,
    write: (mmio, _index, value, nowNs) => writeStatus(mmio, value, nowNs),
  },
  addressHalf("QueueDescLow", MMIO_QUEUE_DESC_LOW, AREA_DESC, false),
  addressHalf("QueueDescHigh", MMIO_QUEUE_DESC_HIGH, AREA_DESC, true),
  addressHalf("QueueDriverLow", MMIO_QUEUE_DRIVER_LOW, AREA_DRIVER, false),
  addressHalf("QueueDriverHigh", MMIO_QUEUE_DRIVER_HIGH, AREA_DRIVER, true),
  addressHalf("QueueDeviceLow", MMIO_QUEUE_DEVICE_LOW, AREA_DEVICE, false),
  addressHalf("QueueDeviceHigh", MMIO_QUEUE_DEVICE_HIGH, AREA_DEVICE, true),
  writeOnly("SHMSel", MMIO_SHM_SEL, "Selects a shared memory region; the card has none.", () => {}),
  readOnly("SHMLenLow", MMIO_SHM_LEN_LOW, NO_REGION, "Length of the region: -1, it does not exist.", () => NO_REGION),
  readOnly("SHMLenHigh", MMIO_SHM_LEN_HIGH, NO_REGION, "High half of the length.", () => NO_REGION),
  readOnly("SHMBaseLow", MMIO_SHM_BASE_LOW, NO_REGION, "Address of the region: all ones, none.", () => NO_REGION),
  readOnly("SHMBaseHigh", MMIO_SHM_BASE_HIGH, NO_REGION, "High half of the address.", () => NO_REGION),
  {
    name: "QueueReset",
    offset: MMIO_QUEUE_RESET,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: "1 resets the selected queue, if RING_RESET was negotiated; reads 0, for the reset is done at once.",
    read: () => 0,
    write: (mmio, _index, value, nowNs) => writeQueueReset(mmio, value, nowNs),
  },
  readOnly("ConfigGeneration", MMIO_CONFIG_GENERATION, 0, "Changes whenever the configuration space does.", (mmio) => {
    return mmio.card.config.generation;
  }),
  {
    name: "Config",
    offset: MMIO_CONFIG,
    width: 1,
    access: "RO",
    reset: 0,
    section: "virtio 1.4 §5.1.4",
    summary: "Configuration space of the network device, readable at any width.",
    count: CONFIG_BYTES,
    stride: 1,
    read: (mmio, index) => mmio.card.config.read(index, 1),
  },
];

const TABLE = compileRegisters(MMIO_REGISTERS, MMIO_WINDOW_BYTES);
