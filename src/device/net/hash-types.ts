/** Kinds of packets of which the card computes a hash (virtio 1.4 §5.1.9.4.4). */

import {
  HASH_TYPE_IP_EX,
  HASH_TYPE_IPV4,
  HASH_TYPE_IPV6,
  HASH_TYPE_TCP_EX,
  HASH_TYPE_TCPV4,
  HASH_TYPE_TCPV6,
  HASH_TYPE_UDP_EX,
  HASH_TYPE_UDPV4,
  HASH_TYPE_UDPV6,
} from "../spec/virtio-net.ts";

/** The config field supported_hash_types: all that the standard knows. */
export const SUPPORTED_HASH_TYPES =
  HASH_TYPE_IPV4 |
  HASH_TYPE_TCPV4 |
  HASH_TYPE_UDPV4 |
  HASH_TYPE_IPV6 |
  HASH_TYPE_TCPV6 |
  HASH_TYPE_UDPV6 |
  HASH_TYPE_IP_EX |
  HASH_TYPE_TCP_EX |
  HASH_TYPE_UDP_EX;
