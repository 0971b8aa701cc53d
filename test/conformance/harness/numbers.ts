/** Numbers of the standard, retyped from virtio 1.4: a wrong one in the card cannot hide here. */

// Feature bits, §5.1.3 and §6.
export const FEATURE_BIT = {
  CSUM: 0,
  GUEST_CSUM: 1,
  CTRL_GUEST_OFFLOADS: 2,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  GUEST_UFO: 10,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  HOST_UFO: 14,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  CTRL_RX_EXTRA: 20,
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  RING_INDIRECT_DESC: 28,
  RING_EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  IN_ORDER: 35,
  ORDER_PLATFORM: 36,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  RING_RESET: 40,
  SUSPEND: 43,
  DEVICE_STATS: 50,
  VQ_NOTF_COAL: 52,
  NOTF_COAL: 53,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
  HOST_USO: 56,
  HASH_REPORT: 57,
  GUEST_HDRLEN: 59,
  RSS: 60,
  STANDBY: 62,
  SPEED_DUPLEX: 63,
} as const;
export type Feature = keyof typeof FEATURE_BIT;
export const ALL_FEATURES = Object.keys(FEATURE_BIT) as Feature[];

// Device status, §2.1.
export const ACKNOWLEDGE = 1;
export const DRIVER = 2;
export const DRIVER_OK = 4;
export const FEATURES_OK = 8;
export const SUSPEND = 16;
export const DEVICE_NEEDS_RESET = 64;
export const FAILED = 128;
export const RUNNING = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

// Interrupt status of MMIO and ISR of PCI, §4.2.2 and §4.1.4.5.
export const USED_BUFFER = 1;
export const CONFIG_CHANGE = 2;

// MMIO registers, §4.2.2.
export const MMIO = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  VendorID: 0x00c,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  QueueSel: 0x030,
  QueueSizeMax: 0x034,
  QueueSize: 0x038,
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  SHMSel: 0x0ac,
  SHMLenLow: 0x0b0,
  SHMLenHigh: 0x0b4,
  SHMBaseLow: 0x0b8,
  SHMBaseHigh: 0x0bc,
  QueueReset: 0x0c0,
  ConfigGeneration: 0x0fc,
  Config: 0x100,
} as const;

// Device configuration of a network device, §5.1.4: offset and bytes.
export const CONFIG = {
  mac: [0, 6],
  status: [6, 2],
  maxVirtqueuePairs: [8, 2],
  mtu: [10, 2],
  speed: [12, 4],
  duplex: [16, 1],
  rssMaxKeySize: [17, 1],
  rssMaxIndirectionTableLength: [18, 2],
  supportedHashTypes: [20, 4],
} as const;

/** Bytes of struct virtio_net_hdr without HASH_REPORT, §5.1.9. */
export const NET_HEADER_BYTES = 12;

// Descriptor flags, §2.7.5 and §2.8.
export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;
