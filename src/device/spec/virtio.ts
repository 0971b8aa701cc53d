/**
 * Numbers of the virtio standard that every device shares: status bits, transport-independent feature bits.
 * Source: virtio 1.4 (cs01) §2.1, §6.
 */

// Device status field, §2.1.
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_SUSPEND = 16;
export const STATUS_DEVICE_NEEDS_RESET = 64;
export const STATUS_FAILED = 128;

// Feature bit numbers that belong to no device type, §6.
export const F_RING_INDIRECT_DESC = 28;
export const F_RING_EVENT_IDX = 29;
export const F_VERSION_1 = 32;
export const F_ACCESS_PLATFORM = 33;
export const F_RING_PACKED = 34;
export const F_IN_ORDER = 35;
export const F_ORDER_PLATFORM = 36;
export const F_NOTIFICATION_DATA = 38;
export const F_NOTIF_CONFIG_DATA = 39;
export const F_RING_RESET = 40;
export const F_SUSPEND = 43;

/** Device id of a network device, §5. */
export const DEVICE_ID_NET = 1;

// Notification data, §4.1.5.2, §4.2.3.3: the queue's index, and where its next available entry goes. A split ring tells
// avail.idx; a packed one the offset, with the wrap counter as its top bit.
export const NOTIFICATION_VQN_MASK = 0xffff;
export const NOTIFICATION_NEXT_SHIFT = 16;

// Interrupt status bits, §4.2.2 (MMIO) and §4.1.4.5 (PCI).
export const INTERRUPT_USED_BUFFER = 1;
export const INTERRUPT_CONFIG_CHANGE = 2;
