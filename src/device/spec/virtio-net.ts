/**
 * Numbers of the virtio network device: feature bits, frame header, configuration space. Commands of the control queue
 * are in virtio-net-control.ts. Source: virtio 1.4 (cs01) §5.1.
 */

// Feature bit numbers, §5.1.3.
export const NET_F_CSUM = 0;
export const NET_F_GUEST_CSUM = 1;
export const NET_F_CTRL_GUEST_OFFLOADS = 2;
export const NET_F_MTU = 3;
export const NET_F_MAC = 5;
export const NET_F_GUEST_TSO4 = 7;
export const NET_F_GUEST_TSO6 = 8;
export const NET_F_GUEST_ECN = 9;
export const NET_F_GUEST_UFO = 10;
export const NET_F_HOST_TSO4 = 11;
export const NET_F_HOST_TSO6 = 12;
export const NET_F_HOST_ECN = 13;
export const NET_F_HOST_UFO = 14;
export const NET_F_MRG_RXBUF = 15;
export const NET_F_STATUS = 16;
export const NET_F_CTRL_VQ = 17;
export const NET_F_CTRL_RX = 18;
export const NET_F_CTRL_VLAN = 19;
export const NET_F_CTRL_RX_EXTRA = 20;
export const NET_F_GUEST_ANNOUNCE = 21;
export const NET_F_MQ = 22;
export const NET_F_CTRL_MAC_ADDR = 23;
export const NET_F_DEVICE_STATS = 50;
export const NET_F_VQ_NOTF_COAL = 52;
export const NET_F_NOTF_COAL = 53;
export const NET_F_GUEST_USO4 = 54;
export const NET_F_GUEST_USO6 = 55;
export const NET_F_HOST_USO = 56;
export const NET_F_HASH_REPORT = 57;
export const NET_F_GUEST_HDRLEN = 59;
export const NET_F_RSS = 60;
export const NET_F_STANDBY = 62;
export const NET_F_SPEED_DUPLEX = 63;

// Queues of a device with one pair, §5.1.2.
export const RECEIVEQ = 0;
export const TRANSMITQ = 1;
/** The control queue follows the last pair: its index is twice the number of pairs. */
export const CONTROLQ_ONE_PAIR = 2;

// struct virtio_net_hdr, §5.1.9. With VERSION_1 num_buffers is always there, so 12 bytes.
export const NET_HDR_BYTES = 12;
/** With HASH_REPORT the header goes on with the hash. */
export const NET_HDR_HASH_BYTES = 20;
export const NET_HDR_FLAGS = 0;
export const NET_HDR_GSO_TYPE = 1;
export const NET_HDR_HDR_LEN = 2;
export const NET_HDR_GSO_SIZE = 4;
export const NET_HDR_CSUM_START = 6;
export const NET_HDR_CSUM_OFFSET = 8;
export const NET_HDR_NUM_BUFFERS = 10;
export const NET_HDR_HASH_VALUE = 12;
export const NET_HDR_HASH_REPORT = 16;
export const NET_HDR_F_NEEDS_CSUM = 1;
export const NET_HDR_F_DATA_VALID = 2;
export const NET_HDR_F_RSC_INFO = 4;
export const NET_HDR_GSO_NONE = 0;
export const NET_HDR_GSO_TCPV4 = 1;
export const NET_HDR_GSO_UDP = 3;
export const NET_HDR_GSO_TCPV6 = 4;
export const NET_HDR_GSO_UDP_L4 = 5;
/** A flag beside the type. */
export const NET_HDR_GSO_ECN = 0x80;

// struct virtio_net_config, §5.1.4.
export const CONFIG_MAC = 0;
export const CONFIG_STATUS = 6;
export const CONFIG_MAX_VIRTQUEUE_PAIRS = 8;
export const CONFIG_MTU = 10;
export const CONFIG_SPEED = 12;
export const CONFIG_DUPLEX = 16;
export const CONFIG_RSS_MAX_KEY_SIZE = 17;
export const CONFIG_RSS_MAX_INDIRECTION_TABLE_LENGTH = 18;
export const CONFIG_SUPPORTED_HASH_TYPES = 20;
/** The last field, supported_tunnel_types, belongs to a feature that the card has not. */
export const CONFIG_BYTES = 24;
export const NET_S_LINK_UP = 1;
export const NET_S_ANNOUNCE = 2;
/** speed and duplex of a link whose own are not known. */
export const SPEED_UNKNOWN = 0xffffffff;
export const DUPLEX_UNKNOWN = 0xff;

// Limits of the mtu field, NCFG-2.
export const MTU_MIN = 68;
export const MTU_MAX = 65535;
/** Limits of max_virtqueue_pairs, NCFG-1. */
export const PAIRS_MAX = 0x8000;

// Receive-side scaling, §5.1.9.4.4 and §5.1.9.5.7.
export const RSS_KEY_BYTES = 40;
export const RSS_TABLE_ENTRIES = 128;
export const HASH_TYPE_IPV4 = 1 << 0;
export const HASH_TYPE_TCPV4 = 1 << 1;
export const HASH_TYPE_UDPV4 = 1 << 2;
export const HASH_TYPE_IPV6 = 1 << 3;
export const HASH_TYPE_TCPV6 = 1 << 4;
export const HASH_TYPE_UDPV6 = 1 << 5;
export const HASH_TYPE_IP_EX = 1 << 6;
export const HASH_TYPE_TCP_EX = 1 << 7;
export const HASH_TYPE_UDP_EX = 1 << 8;
export const HASH_REPORT_NONE = 0;
export const HASH_REPORT_IPV4 = 1;
export const HASH_REPORT_TCPV4 = 2;
export const HASH_REPORT_UDPV4 = 3;
export const HASH_REPORT_IPV6 = 4;
export const HASH_REPORT_TCPV6 = 5;
export const HASH_REPORT_UDPV6 = 6;
export const HASH_REPORT_IPV6_EX = 7;
export const HASH_REPORT_TCPV6_EX = 8;
export const HASH_REPORT_UDPV6_EX = 9;

/** Bytes of an Ethernet header; a frame may be this much longer than the MTU. */
export const ETHERNET_HEADER_BYTES = 14;
/** IEEE 802.1Q: a tagged frame may be this much longer still. */
export const VLAN_TAG_BYTES = 4;
/** The longest frame that there is: 65,535 bytes behind an IPv6 header (§5.1.9.3), with two tags. */
export const FRAME_BYTES_MAX = 65597;
