/**
 * Commands of the network device's control queue: class u8, command u8, data, ack u8, result.
 * Source: virtio 1.4 (cs01) §5.1.9.5.
 */

export const CTRL_HDR_BYTES = 2;
export const CTRL_OK = 0;
export const CTRL_ERR = 1;

// Receive mode: one byte of data, 0 or 1. §5.1.9.5.1.
export const CTRL_RX = 0;
export const CTRL_RX_PROMISC = 0;
export const CTRL_RX_ALLMULTI = 1;
export const CTRL_RX_ALLUNI = 2;
export const CTRL_RX_NOMULTI = 3;
export const CTRL_RX_NOUNI = 4;
export const CTRL_RX_NOBCAST = 5;

// §5.1.9.5.2. TABLE_SET: le32 entries, then six bytes each; twice, unicast first. ADDR_SET: six bytes.
export const CTRL_MAC = 1;
export const CTRL_MAC_TABLE_SET = 0;
export const CTRL_MAC_ADDR_SET = 1;

// §5.1.9.5.3: le16 VLAN id.
export const CTRL_VLAN = 2;
export const CTRL_VLAN_ADD = 0;
export const CTRL_VLAN_DEL = 1;

// §5.1.9.5.4: no data.
export const CTRL_ANNOUNCE = 3;
export const CTRL_ANNOUNCE_ACK = 0;

// §5.1.9.5.5 … §5.1.9.5.7.
export const CTRL_MQ = 4;
export const CTRL_MQ_VQ_PAIRS_SET = 0;
export const CTRL_MQ_RSS_CONFIG = 1;
export const CTRL_MQ_HASH_CONFIG = 2;

// §5.1.9.5.8: le64 mask of guest offload feature bits.
export const CTRL_GUEST_OFFLOADS = 5;
export const CTRL_GUEST_OFFLOADS_SET = 0;

// §5.1.9.5.10.
export const CTRL_NOTF_COAL = 6;
export const CTRL_NOTF_COAL_TX_SET = 0;
export const CTRL_NOTF_COAL_RX_SET = 1;
export const CTRL_NOTF_COAL_VQ_SET = 2;
export const CTRL_NOTF_COAL_VQ_GET = 3;
/** struct virtio_net_ctrl_coal: le32 max_packets, le32 max_usecs. */
export const CTRL_COAL_BYTES = 8;
/** struct virtio_net_ctrl_coal_vq: le16 vq_index, le16 reserved, then virtio_net_ctrl_coal. */
export const CTRL_COAL_VQ_BYTES = 12;

// §5.1.9.5.11. A type is a bit of a le64; those of the low and of the high word are apart here.
export const CTRL_STATS = 8;
export const CTRL_STATS_QUERY = 0;
export const CTRL_STATS_GET = 1;
/** struct virtio_net_stats_capabilities: le64 supported_stats_types[1]. */
export const STATS_CAPABILITIES_BYTES = 8;
/** struct virtio_net_ctrl_queue_stats: le16 vq_index, le16 reserved[3], le64 types_bitmap[1]. */
export const STATS_REQUEST_BYTES = 16;
/** struct virtio_net_stats_reply_hdr: u8 type, u8 reserved, le16 vq_index, le16 reserved, le16 size. */
export const STATS_REPLY_HDR_BYTES = 8;
export const STATS_TYPE_RX_BASIC = 0;
export const STATS_TYPE_RX_CSUM = 1;
export const STATS_TYPE_RX_GSO = 2;
export const STATS_TYPE_RX_SPEED = 3;
export const STATS_TYPE_TX_BASIC = 16;
export const STATS_TYPE_TX_CSUM = 17;
export const STATS_TYPE_TX_GSO = 18;
export const STATS_TYPE_TX_SPEED = 19;
export const STATS_TYPE_CVQ = 32;
