/**
 * Numbers of the virtio network device: feature bits, frame header, configuration space, control commands.
 * Source: virtio 1.4 (cs01) §5.1.
 */

// Feature bit numbers, §5.1.3.
export const NET_F_MTU = 3;
export const NET_F_MAC = 5;
export const NET_F_MRG_RXBUF = 15;
export const NET_F_STATUS = 16;
export const NET_F_CTRL_VQ = 17;
export const NET_F_VQ_NOTF_COAL = 52;
export const NET_F_NOTF_COAL = 53;

// Queues of a device with one pair, §5.1.2.
export const RECEIVEQ = 0;
export const TRANSMITQ = 1;
/** The control queue follows the last pair: its index is twice the number of pairs. */
export const CONTROLQ_ONE_PAIR = 2;

// struct virtio_net_hdr, §5.1.9. With VERSION_1 num_buffers is always there, so 12 bytes.
export const NET_HDR_BYTES = 12;
export const NET_HDR_FLAGS = 0;
export const NET_HDR_GSO_TYPE = 1;
export const NET_HDR_HDR_LEN = 2;
export const NET_HDR_GSO_SIZE = 4;
export const NET_HDR_CSUM_START = 6;
export const NET_HDR_CSUM_OFFSET = 8;
export const NET_HDR_NUM_BUFFERS = 10;
export const NET_HDR_F_NEEDS_CSUM = 1;
export const NET_HDR_GSO_NONE = 0;

// struct virtio_net_config, §5.1.4.
export const CONFIG_MAC = 0;
export const CONFIG_STATUS = 6;
export const CONFIG_MAX_VIRTQUEUE_PAIRS = 8;
export const CONFIG_MTU = 10;
export const CONFIG_BYTES = 12;
export const NET_S_LINK_UP = 1;

// Limits of the mtu field, NCFG-2.
export const MTU_MIN = 68;
export const MTU_MAX = 65535;

/** Bytes of an Ethernet header; a frame may be this much longer than the MTU. */
export const ETHERNET_HEADER_BYTES = 14;
/** IEEE 802.1Q: a tagged frame may be this much longer still. */
export const VLAN_TAG_BYTES = 4;

// Control queue: class, command, data…, ack. §5.1.9.5.
export const CTRL_HDR_BYTES = 2;
export const CTRL_OK = 0;
export const CTRL_ERR = 1;
export const CTRL_NOTF_COAL = 6;
export const CTRL_NOTF_COAL_TX_SET = 0;
export const CTRL_NOTF_COAL_RX_SET = 1;
export const CTRL_NOTF_COAL_VQ_SET = 2;
export const CTRL_NOTF_COAL_VQ_GET = 3;
/** struct virtio_net_ctrl_coal: le32 max_packets, le32 max_usecs. */
export const CTRL_COAL_BYTES = 8;
/** struct virtio_net_ctrl_coal_vq: le16 vq_index, le16 reserved, then virtio_net_ctrl_coal. */
export const CTRL_COAL_VQ_BYTES = 12;
