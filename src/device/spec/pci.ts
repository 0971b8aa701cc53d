/**
 * Numbers of the PCI configuration space that a function of virtio needs: header type 0, and the MSI-X capability.
 * Source: PCI Local Bus Specification 3.0, §6.
 */

export const PCI_CONFIG_BYTES = 256;

export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_REVISION_ID = 0x08;
/** Three bytes: programming interface, subclass, class. */
export const PCI_CLASS_CODE = 0x09;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_BAR_0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_CAPABILITIES = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;

export const PCI_COMMAND_IO = 1 << 0;
export const PCI_COMMAND_MEMORY = 1 << 1;
export const PCI_COMMAND_MASTER = 1 << 2;
export const PCI_COMMAND_INTX_DISABLE = 1 << 10;
export const PCI_STATUS_INTERRUPT = 1 << 3;
export const PCI_STATUS_CAPABILITIES = 1 << 4;

export const PCI_BARS = 6;
export const PCI_BAR_IO = 1 << 0;
export const PCI_BAR_MEMORY_64 = 1 << 2;

/** Class 2, subclass 0: Ethernet controller. */
export const PCI_CLASS_ETHERNET = 0x020000;

export const PCI_CAP_ID_VENDOR = 0x09;
export const PCI_CAP_ID_MSIX = 0x11;

// MSI-X capability: header, message control u16, table u32, pending bits u32.
export const MSIX_CAP_BYTES = 12;
export const MSIX_CONTROL = 2;
export const MSIX_TABLE = 4;
export const MSIX_PBA = 8;
export const MSIX_CONTROL_MASK_ALL = 1 << 14;
export const MSIX_CONTROL_ENABLE = 1 << 15;
export const MSIX_VECTORS_MAX = 2048;

// An MSI-X table entry: address u64, data u32, control u32.
export const MSIX_ENTRY_BYTES = 16;
export const MSIX_ENTRY_MASKED = 1;
