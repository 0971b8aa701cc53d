/**
 * All features that the card can offer, and what each needs. Sources: virtio 1.4 §5.1.3, §5.1.3.1, §6.
 *
 * §5.1.3.1 forgets that CTRL_GUEST_OFFLOADS, CTRL_RX_EXTRA, HASH_REPORT and DEVICE_STATS are nothing without the control
 * queue (§5.1.4.1 says so of two of them); here they need it.
 */

import {
  F_ACCESS_PLATFORM,
  F_IN_ORDER,
  F_NOTIF_CONFIG_DATA,
  F_NOTIFICATION_DATA,
  F_ORDER_PLATFORM,
  F_RING_EVENT_IDX,
  F_RING_INDIRECT_DESC,
  F_RING_PACKED,
  F_RING_RESET,
  F_SUSPEND,
  F_VERSION_1,
} from "../spec/virtio.ts";
import {
  NET_F_CSUM,
  NET_F_CTRL_GUEST_OFFLOADS,
  NET_F_CTRL_MAC_ADDR,
  NET_F_CTRL_RX,
  NET_F_CTRL_RX_EXTRA,
  NET_F_CTRL_VLAN,
  NET_F_CTRL_VQ,
  NET_F_DEVICE_STATS,
  NET_F_GUEST_ANNOUNCE,
  NET_F_GUEST_CSUM,
  NET_F_GUEST_ECN,
  NET_F_GUEST_HDRLEN,
  NET_F_GUEST_TSO4,
  NET_F_GUEST_TSO6,
  NET_F_GUEST_UFO,
  NET_F_GUEST_USO4,
  NET_F_GUEST_USO6,
  NET_F_HASH_REPORT,
  NET_F_HOST_ECN,
  NET_F_HOST_TSO4,
  NET_F_HOST_TSO6,
  NET_F_HOST_UFO,
  NET_F_HOST_USO,
  NET_F_MAC,
  NET_F_MQ,
  NET_F_MRG_RXBUF,
  NET_F_MTU,
  NET_F_NOTF_COAL,
  NET_F_RSS,
  NET_F_SPEED_DUPLEX,
  NET_F_STANDBY,
  NET_F_STATUS,
  NET_F_VQ_NOTF_COAL,
} from "../spec/virtio-net.ts";

export type FeatureName =
  | "CSUM"
  | "GUEST_CSUM"
  | "CTRL_GUEST_OFFLOADS"
  | "MTU"
  | "MAC"
  | "GUEST_TSO4"
  | "GUEST_TSO6"
  | "GUEST_ECN"
  | "GUEST_UFO"
  | "HOST_TSO4"
  | "HOST_TSO6"
  | "HOST_ECN"
  | "HOST_UFO"
  | "MRG_RXBUF"
  | "STATUS"
  | "CTRL_VQ"
  | "CTRL_RX"
  | "CTRL_VLAN"
  | "CTRL_RX_EXTRA"
  | "GUEST_ANNOUNCE"
  | "MQ"
  | "CTRL_MAC_ADDR"
  | "RING_INDIRECT_DESC"
  | "RING_EVENT_IDX"
  | "VERSION_1"
  | "ACCESS_PLATFORM"
  | "RING_PACKED"
  | "IN_ORDER"
  | "ORDER_PLATFORM"
  | "NOTIFICATION_DATA"
  | "NOTIF_CONFIG_DATA"
  | "RING_RESET"
  | "SUSPEND"
  | "DEVICE_STATS"
  | "VQ_NOTF_COAL"
  | "NOTF_COAL"
  | "GUEST_USO4"
  | "GUEST_USO6"
  | "HOST_USO"
  | "HASH_REPORT"
  | "GUEST_HDRLEN"
  | "RSS"
  | "STANDBY"
  | "SPEED_DUPLEX";

export interface FeatureDescription {
  readonly name: FeatureName;
  readonly bit: number;
  /** Features without which this one may be neither offered nor accepted. */
  readonly needs: readonly FeatureName[];
  /** Features of which it needs one, whichever. */
  readonly needsOneOf?: readonly FeatureName[];
  /** False for what has to be asked for. */
  readonly byDefault: boolean;
}

/** In the order of their bits. */
export const FEATURES: readonly FeatureDescription[] = [
  { name: "CSUM", bit: NET_F_CSUM, needs: [], byDefault: true },
  { name: "GUEST_CSUM", bit: NET_F_GUEST_CSUM, needs: [], byDefault: true },
  { name: "CTRL_GUEST_OFFLOADS", bit: NET_F_CTRL_GUEST_OFFLOADS, needs: ["CTRL_VQ"], byDefault: true },
  { name: "MTU", bit: NET_F_MTU, needs: [], byDefault: true },
  { name: "MAC", bit: NET_F_MAC, needs: [], byDefault: true },
  { name: "GUEST_TSO4", bit: NET_F_GUEST_TSO4, needs: ["GUEST_CSUM"], byDefault: true },
  { name: "GUEST_TSO6", bit: NET_F_GUEST_TSO6, needs: ["GUEST_CSUM"], byDefault: true },
  { name: "GUEST_ECN", bit: NET_F_GUEST_ECN, needs: [], needsOneOf: ["GUEST_TSO4", "GUEST_TSO6"], byDefault: true },
  { name: "GUEST_UFO", bit: NET_F_GUEST_UFO, needs: ["GUEST_CSUM"], byDefault: true },
  { name: "HOST_TSO4", bit: NET_F_HOST_TSO4, needs: ["CSUM"], byDefault: true },
  { name: "HOST_TSO6", bit: NET_F_HOST_TSO6, needs: ["CSUM"], byDefault: true },
  { name: "HOST_ECN", bit: NET_F_HOST_ECN, needs: [], needsOneOf: ["HOST_TSO4", "HOST_TSO6"], byDefault: true },
  { name: "HOST_UFO", bit: NET_F_HOST_UFO, needs: ["CSUM"], byDefault: true },
  { name: "MRG_RXBUF", bit: NET_F_MRG_RXBUF, needs: [], byDefault: true },
  { name: "STATUS", bit: NET_F_STATUS, needs: [], byDefault: true },
  { name: "CTRL_VQ", bit: NET_F_CTRL_VQ, needs: [], byDefault: true },
  { name: "CTRL_RX", bit: NET_F_CTRL_RX, needs: ["CTRL_VQ"], byDefault: true },
  { name: "CTRL_VLAN", bit: NET_F_CTRL_VLAN, needs: ["CTRL_VQ"], byDefault: true },
  { name: "CTRL_RX_EXTRA", bit: NET_F_CTRL_RX_EXTRA, needs: ["CTRL_VQ"], byDefault: true },
  { name: "GUEST_ANNOUNCE", bit: NET_F_GUEST_ANNOUNCE, needs: ["CTRL_VQ"], byDefault: true },
  { name: "MQ", bit: NET_F_MQ, needs: ["CTRL_VQ"], byDefault: true },
  { name: "CTRL_MAC_ADDR", bit: NET_F_CTRL_MAC_ADDR, needs: ["CTRL_VQ"], byDefault: true },
  { name: "RING_INDIRECT_DESC", bit: F_RING_INDIRECT_DESC, needs: [], byDefault: true },
  { name: "RING_EVENT_IDX", bit: F_RING_EVENT_IDX, needs: [], byDefault: true },
  { name: "VERSION_1", bit: F_VERSION_1, needs: [], byDefault: true },
  { name: "ACCESS_PLATFORM", bit: F_ACCESS_PLATFORM, needs: [], byDefault: false },
  { name: "RING_PACKED", bit: F_RING_PACKED, needs: [], byDefault: true },
  { name: "IN_ORDER", bit: F_IN_ORDER, needs: [], byDefault: true },
  { name: "ORDER_PLATFORM", bit: F_ORDER_PLATFORM, needs: [], byDefault: true },
  { name: "NOTIFICATION_DATA", bit: F_NOTIFICATION_DATA, needs: [], byDefault: true },
  { name: "NOTIF_CONFIG_DATA", bit: F_NOTIF_CONFIG_DATA, needs: [], byDefault: false },
  { name: "RING_RESET", bit: F_RING_RESET, needs: [], byDefault: true },
  { name: "SUSPEND", bit: F_SUSPEND, needs: [], byDefault: true },
  { name: "DEVICE_STATS", bit: NET_F_DEVICE_STATS, needs: ["CTRL_VQ"], byDefault: true },
  { name: "VQ_NOTF_COAL", bit: NET_F_VQ_NOTF_COAL, needs: ["CTRL_VQ"], byDefault: true },
  { name: "NOTF_COAL", bit: NET_F_NOTF_COAL, needs: ["CTRL_VQ"], byDefault: true },
  { name: "GUEST_USO4", bit: NET_F_GUEST_USO4, needs: ["GUEST_CSUM"], byDefault: true },
  { name: "GUEST_USO6", bit: NET_F_GUEST_USO6, needs: ["GUEST_CSUM"], byDefault: true },
  { name: "HOST_USO", bit: NET_F_HOST_USO, needs: ["CSUM"], byDefault: true },
  { name: "HASH_REPORT", bit: NET_F_HASH_REPORT, needs: ["CTRL_VQ"], byDefault: true },
  { name: "GUEST_HDRLEN", bit: NET_F_GUEST_HDRLEN, needs: [], byDefault: true },
  { name: "RSS", bit: NET_F_RSS, needs: ["CTRL_VQ"], byDefault: true },
  { name: "STANDBY", bit: NET_F_STANDBY, needs: [], byDefault: false },
  { name: "SPEED_DUPLEX", bit: NET_F_SPEED_DUPLEX, needs: [], byDefault: true },
];
