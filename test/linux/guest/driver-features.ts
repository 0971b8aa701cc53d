/** Bits of the features that are in the table of Linux' own driver, retyped from its sources and from virtio 1.4 §5.1.3, §6. */

export const BIT = {
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
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  RING_INDIRECT_DESC: 28,
  RING_EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  ORDER_PLATFORM: 36,
  NOTIFICATION_DATA: 38,
  RING_RESET: 40,
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

type Feature = keyof typeof BIT;

/** What came after 6.1, and with which version. */
const SINCE: Partial<Record<Feature, number>> = {
  NOTIFICATION_DATA: 6.04,
  GUEST_USO4: 6.02,
  GUEST_USO6: 6.02,
  HOST_USO: 6.02,
  GUEST_HDRLEN: 6.03,
  VQ_NOTF_COAL: 6.06,
  DEVICE_STATS: 6.11,
};
/** 5.10 knows none of these yet. */
const SINCE_AFTER_5_10: readonly Feature[] = ["HASH_REPORT", "RSS", "NOTF_COAL", "RING_RESET"];

/** Bits that the driver of this kernel accepts if they are offered, in order. */
export function knownToDriver(release: string): number[] {
  const [, major = "", minor = ""] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const version = Number(major) + Number(minor) / 100;
  return (Object.keys(BIT) as Feature[])
    .filter((name) => version >= (SINCE[name] ?? 0) && (version >= 6.01 || !SINCE_AFTER_5_10.includes(name)))
    .map((name) => BIT[name]);
}
