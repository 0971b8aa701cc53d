/** Numbers of virtio over PCI. Source: virtio 1.4 (cs01) §4.1. */

export const PCI_VENDOR_VIRTIO = 0x1af4;
/** 0x1040 plus the device type, §4.1.2. */
export const PCI_DEVICE_NET = 0x1041;
/** At least 1, and at least 0x40: no driver of an older standard takes the card for one of its own (§4.1.2.1). */
export const PCI_REVISION_VIRTIO = 1;
export const PCI_SUBSYSTEM_VIRTIO = 0x1100;

// struct virtio_pci_cap, §4.1.4: vndr u8, next u8, len u8, type u8, bar u8, id u8, padding, offset u32, length u32.
export const VIRTIO_PCI_CAP_BYTES = 16;
export const VIRTIO_PCI_CAP_LEN = 2;
export const VIRTIO_PCI_CAP_TYPE = 3;
export const VIRTIO_PCI_CAP_BAR = 4;
export const VIRTIO_PCI_CAP_OFFSET = 8;
export const VIRTIO_PCI_CAP_LENGTH = 12;
/** What follows: notify_off_multiplier u32 (§4.1.4.4), or pci_cfg_data u8[4] (§4.1.4.9). */
export const VIRTIO_PCI_CAP_EXTRA = 16;

export const VIRTIO_PCI_CAP_COMMON_CFG = 1;
export const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
export const VIRTIO_PCI_CAP_ISR_CFG = 3;
export const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
export const VIRTIO_PCI_CAP_PCI_CFG = 5;

// struct virtio_pci_common_cfg, §4.1.4.3.
export const COMMON_DEVICE_FEATURE_SELECT = 0;
export const COMMON_DEVICE_FEATURE = 4;
export const COMMON_DRIVER_FEATURE_SELECT = 8;
export const COMMON_DRIVER_FEATURE = 12;
export const COMMON_CONFIG_MSIX_VECTOR = 16;
export const COMMON_NUM_QUEUES = 18;
export const COMMON_DEVICE_STATUS = 20;
export const COMMON_CONFIG_GENERATION = 21;
export const COMMON_QUEUE_SELECT = 22;
export const COMMON_QUEUE_SIZE = 24;
export const COMMON_QUEUE_MSIX_VECTOR = 26;
export const COMMON_QUEUE_ENABLE = 28;
export const COMMON_QUEUE_NOTIFY_OFF = 30;
export const COMMON_QUEUE_DESC = 32;
export const COMMON_QUEUE_DRIVER = 40;
export const COMMON_QUEUE_DEVICE = 48;
export const COMMON_QUEUE_NOTIF_CONFIG_DATA = 56;
export const COMMON_QUEUE_RESET = 58;
export const COMMON_ADMIN_QUEUE_INDEX = 60;
export const COMMON_ADMIN_QUEUE_NUM = 62;
export const COMMON_CFG_BYTES = 64;

/** Vector registers: the event has no vector. */
export const MSIX_NO_VECTOR = 0xffff;
