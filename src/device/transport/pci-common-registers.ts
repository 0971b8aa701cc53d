/** The fields of the common configuration structure of virtio over PCI, and what each does with the card (virtio 1.4 §4.1.4.3). */

import { FAULT_QUEUE_INDEX, FAULT_REGISTER_ACCESS } from "../faults.ts";
import { F_NOTIF_CONFIG_DATA, F_RING_PACKED, F_RING_RESET } from "../spec/virtio.ts";
import {
  COMMON_ADMIN_QUEUE_INDEX,
  COMMON_ADMIN_QUEUE_NUM,
  COMMON_CONFIG_GENERATION,
  COMMON_CONFIG_MSIX_VECTOR,
  COMMON_DEVICE_FEATURE,
  COMMON_DEVICE_FEATURE_SELECT,
  COMMON_DEVICE_STATUS,
  COMMON_DRIVER_FEATURE,
  COMMON_DRIVER_FEATURE_SELECT,
  COMMON_NUM_QUEUES,
  COMMON_QUEUE_DESC,
  COMMON_QUEUE_DEVICE,
  COMMON_QUEUE_DRIVER,
  COMMON_QUEUE_ENABLE,
  COMMON_QUEUE_MSIX_VECTOR,
  COMMON_QUEUE_NOTIF_CONFIG_DATA,
  COMMON_QUEUE_NOTIFY_OFF,
  COMMON_QUEUE_RESET,
  COMMON_QUEUE_SELECT,
  COMMON_QUEUE_SIZE,
  MSIX_NO_VECTOR,
} from "../spec/virtio-pci.ts";
import { NO_VECTOR } from "../throttle/throttle.ts";
import { AREA_DESC, AREA_DEVICE, AREA_DRIVER } from "../virtqueue/queue-setup.ts";
import type { PciCommonConfig } from "./pci-common-config.ts";
import type { RegisterDefinition, RegisterWidth } from "./register-table.ts";

const SECTION = "virtio 1.4 §4.1.4.3";

function readOnly(
  name: string,
  offset: number,
  width: RegisterWidth,
  reset: number,
  summary: string,
  read: (common: PciCommonConfig) => number,
): RegisterDefinition<PciCommonConfig> {
  return { name, offset, width, access: "RO", reset, section: SECTION, summary, read };
}

function readWrite(
  name: string,
  offset: number,
  width: RegisterWidth,
  reset: number,
  summary: string,
  read: (common: PciCommonConfig) => number,
  write: (common: PciCommonConfig, value: number, nowNs: number) => void,
): RegisterDefinition<PciCommonConfig> {
  return {
    name,
    offset,
    width,
    access: "RW",
    reset,
    section: SECTION,
    summary,
    read,
    write: (common, _index, value, nowNs) => write(common, value, nowNs),
  };
}

/** Both halves of the address of one of the selected queue's areas. */
function address(name: string, offset: number, area: number): RegisterDefinition<PciCommonConfig> {
  return {
    name,
    offset,
    width: 4,
    access: "RW",
    reset: 0,
    section: SECTION,
    summary: `Address of the selected queue's ${AREA_NAMES[area]} area: low half, then high half.`,
    count: 2,
    stride: 4,
    read: (common, half) => common.card.queues.peekSetup(common.queueSelect)?.half(area, half) ?? 0,
    write: (common, half, value, nowNs) => {
      const setup = common.card.queues.setupOf(common.queueSelect, nowNs);
      if (setup === null) return;
      if (half === 0) setup.setLow(area, value);
      else setup.setHigh(area, value);
    },
  };
}

const AREA_NAMES = ["descriptor", "driver", "device"];

/** PCOM-15: only packed rings have sizes that are no power of two. */
function shownQueueSize({ card, queueSelect }: PciCommonConfig): number {
  const size = card.queues.sizeOf(queueSelect);
  const isPowerOfTwo = (size & (size - 1)) === 0;
  return isPowerOfTwo || card.features.has(F_RING_PACKED) ? size : 0;
}

/** The driver must not write 0 (§4.1.4.3.2). */
function writeQueueEnable({ card, queueSelect }: PciCommonConfig, value: number, nowNs: number): void {
  if (!card.queues.exists(queueSelect)) card.guestFault(FAULT_QUEUE_INDEX, nowNs);
  else if (value === 1) card.queues.enable(queueSelect, nowNs);
  else card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
}

function writeQueueReset({ card, queueSelect }: PciCommonConfig, value: number, nowNs: number): void {
  if (value !== 1 || !card.features.has(F_RING_RESET)) card.guestFault(FAULT_REGISTER_ACCESS, nowNs);
  else if (!card.queues.exists(queueSelect)) card.guestFault(FAULT_QUEUE_INDEX, nowNs);
  else card.queues.reset(queueSelect);
}

function writeQueueVector(common: PciCommonConfig, value: number, nowNs: number): void {
  const { card, queueSelect } = common;
  if (!card.queues.exists(queueSelect)) card.guestFault(FAULT_QUEUE_INDEX, nowNs);
  else card.queues.setVector(queueSelect, common.vectorFrom(value), nowNs);
}

function shownVector(vector: number): number {
  return vector === NO_VECTOR ? MSIX_NO_VECTOR : vector;
}

/** All fields, in the order of their offsets. */
export const PCI_COMMON_REGISTERS: readonly RegisterDefinition<PciCommonConfig>[] = [
  readWrite(
    "device_feature_select",
    COMMON_DEVICE_FEATURE_SELECT,
    4,
    0,
    "Selects the word that device_feature shows.",
    (common) => common.deviceFeatureSelect,
    (common, value) => {
      common.deviceFeatureSelect = value;
    },
  ),
  readOnly(
    "device_feature",
    COMMON_DEVICE_FEATURE,
    4,
    0x30bfffaf,
    "32 offered features, of the selected word.",
    (common) => common.card.features.offeredWord(common.deviceFeatureSelect),
  ),
  readWrite(
    "driver_feature_select",
    COMMON_DRIVER_FEATURE_SELECT,
    4,
    0,
    "Selects the word that driver_feature is about.",
    (common) => common.driverFeatureSelect,
    (common, value) => {
      common.driverFeatureSelect = value;
    },
  ),
  readWrite(
    "driver_feature",
    COMMON_DRIVER_FEATURE,
    4,
    0,
    "32 accepted features, of the selected word.",
    (common) => common.card.features.acceptedWord(common.driverFeatureSelect),
    (common, value, nowNs) => common.card.acceptFeatures(common.driverFeatureSelect, value, nowNs),
  ),
  readWrite(
    "config_msix_vector",
    COMMON_CONFIG_MSIX_VECTOR,
    2,
    MSIX_NO_VECTOR,
    "MSI-X vector of configuration changes; 0xffff is none.",
    (common) => shownVector(common.card.configVector),
    (common, value, nowNs) => common.card.setConfigVector(common.vectorFrom(value), nowNs),
  ),
  readOnly("num_queues", COMMON_NUM_QUEUES, 2, 3, "Queues that the card has.", (common) => common.card.queues.count),
  {
    ...readWrite(
      "device_status",
      COMMON_DEVICE_STATUS,
      1,
      0,
      "Device status; writing 0 resets the device.",
      (common) => common.card.status,
      (common, value, nowNs) => common.writeStatus(value, nowNs),
    ),
    section: "virtio 1.4 §2.1",
  },
  readOnly(
    "config_generation",
    COMMON_CONFIG_GENERATION,
    1,
    0,
    "Changes when a driver reads a configuration that has changed.",
    (common) => common.generation,
  ),
  readWrite(
    "queue_select",
    COMMON_QUEUE_SELECT,
    2,
    0,
    "Selects the queue that the fields below are about.",
    (common) => common.queueSelect,
    (common, value) => {
      common.queueSelect = value;
    },
  ),
  readWrite(
    "queue_size",
    COMMON_QUEUE_SIZE,
    2,
    1024,
    "Size of the queue: the largest, or what the driver has written; 0 if the queue does not exist, or cannot have it.",
    shownQueueSize,
    (common, value, nowNs) => {
      const setup = common.card.queues.setupOf(common.queueSelect, nowNs);
      if (setup !== null) setup.size = value;
    },
  ),
  readWrite(
    "queue_msix_vector",
    COMMON_QUEUE_MSIX_VECTOR,
    2,
    MSIX_NO_VECTOR,
    "MSI-X vector of the queue; 0xffff is none.",
    (common) => shownVector(common.card.queues.vectorOf(common.queueSelect)),
    (common, value, nowNs) => writeQueueVector(common, value, nowNs),
  ),
  readWrite(
    "queue_enable",
    COMMON_QUEUE_ENABLE,
    2,
    0,
    "1 enables the queue, if its setup is good.",
    (common) => (common.card.queues.isEnabled(common.queueSelect) ? 1 : 0),
    writeQueueEnable,
  ),
  readOnly("queue_notify_off", COMMON_QUEUE_NOTIFY_OFF, 2, 0, "Where to notify of the queue, in multiples.", (common) =>
    common.parts.notifyOffOf(common.queueSelect),
  ),
  address("queue_desc", COMMON_QUEUE_DESC, AREA_DESC),
  address("queue_driver", COMMON_QUEUE_DRIVER, AREA_DRIVER),
  address("queue_device", COMMON_QUEUE_DEVICE, AREA_DEVICE),
  readOnly(
    "queue_notif_config_data",
    COMMON_QUEUE_NOTIF_CONFIG_DATA,
    2,
    0,
    "With NOTIF_CONFIG_DATA: what names the queue in notifications, which is its index.",
    (common) => (common.card.features.has(F_NOTIF_CONFIG_DATA) ? common.queueSelect : 0),
  ),
  readWrite(
    "queue_reset",
    COMMON_QUEUE_RESET,
    2,
    0,
    "1 resets the queue, if RING_RESET was negotiated; reads 0, for the reset is done at once.",
    () => 0,
    writeQueueReset,
  ),
  readOnly("admin_queue_index", COMMON_ADMIN_QUEUE_INDEX, 2, 0, "There is no administration virtqueue.", () => 0),
  readOnly("admin_queue_num", COMMON_ADMIN_QUEUE_NUM, 2, 0, "Administration virtqueues: none.", () => 0),
];
