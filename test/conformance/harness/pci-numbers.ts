/** Numbers of PCI and of virtio over PCI, retyped: PCI Local Bus 3.0 §6.1, §6.7, §6.8; virtio 1.4 §4.1.4. */

export const PCI_CONFIG = {
  vendorId: 0x00,
  deviceId: 0x02,
  command: 0x04,
  status: 0x06,
  revisionId: 0x08,
  classCode: 0x09,
  headerType: 0x0e,
  bar0: 0x10,
  subsystemVendorId: 0x2c,
  subsystemId: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

export const COMMAND_IO = 1;
export const COMMAND_MEMORY = 2;
export const COMMAND_BUS_MASTER = 4;
export const COMMAND_INTX_DISABLE = 1 << 10;
export const STATUS_INTERRUPT = 1 << 3;
export const STATUS_CAPABILITIES = 1 << 4;

export const CAP_VENDOR = 0x09;
export const CAP_MSIX = 0x11;
export const MSIX_ENABLE = 1 << 15;
export const MSIX_MASK_ALL = 1 << 14;
export const NO_VECTOR = 0xffff;

// cfg_type of a virtio capability.
export const CFG_COMMON = 1;
export const CFG_NOTIFY = 2;
export const CFG_ISR = 3;
export const CFG_DEVICE = 4;
export const CFG_PCI = 5;
export const CFG_SHARED_MEMORY = 8;
export const CFG_VENDOR = 9;

// struct virtio_pci_common_cfg: offset and bytes.
export const COMMON = {
  deviceFeatureSelect: [0, 4],
  deviceFeature: [4, 4],
  driverFeatureSelect: [8, 4],
  driverFeature: [12, 4],
  configMsixVector: [16, 2],
  numQueues: [18, 2],
  deviceStatus: [20, 1],
  configGeneration: [21, 1],
  queueSelect: [22, 2],
  queueSize: [24, 2],
  queueMsixVector: [26, 2],
  queueEnable: [28, 2],
  queueNotifyOff: [30, 2],
  queueDesc: [32, 8],
  queueDriver: [40, 8],
  queueDevice: [48, 8],
  queueNotifConfigData: [56, 2],
  queueReset: [58, 2],
} as const;
export type CommonField = keyof typeof COMMON;
