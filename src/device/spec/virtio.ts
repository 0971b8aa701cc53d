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
export const F_SUSPEND = 43;

/** Device id of a network device, §5. */
export const DEVICE_ID_NET = 1;

// Interrupt status bits, §4.2.2 (MMIO) and §4.1.4.5 (PCI).
export const INTERRUPT_USED_BUFFER = 1;
export const INTERRUPT_CONFIG_CHANGE = 2;
