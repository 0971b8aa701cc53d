/** Commands of the control queue, retyped from virtio 1.4 §5.1.9.5: class and command. */

export const OK = 0;
export const ERR = 1;

export const RX_PROMISC = [0, 0] as const;
export const RX_ALLMULTI = [0, 1] as const;
export const RX_ALLUNI = [0, 2] as const;
export const RX_NOMULTI = [0, 3] as const;
export const RX_NOUNI = [0, 4] as const;
export const RX_NOBCAST = [0, 5] as const;
export const MAC_TABLE_SET = [1, 0] as const;
export const MAC_ADDR_SET = [1, 1] as const;
export const VLAN_ADD = [2, 0] as const;
export const VLAN_DEL = [2, 1] as const;
export const ANNOUNCE_ACK = [3, 0] as const;
export const MQ_VQ_PAIRS_SET = [4, 0] as const;
export const MQ_RSS_CONFIG = [4, 1] as const;
export const MQ_HASH_CONFIG = [4, 2] as const;
export const GUEST_OFFLOADS_SET = [5, 0] as const;
export const COAL_TX_SET = [6, 0] as const;
export const COAL_RX_SET = [6, 1] as const;
export const COAL_VQ_SET = [6, 2] as const;
export const COAL_VQ_GET = [6, 3] as const;
export const STATS_QUERY = [8, 0] as const;
export const STATS_GET = [8, 1] as const;

/** Little-endian bytes of a number below 2^53. */
export function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

/** The number in little-endian bytes. */
export function fromLe(bytes: ArrayLike<number>, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

/** A table of addresses as MAC_TABLE_SET has two: le32 entries, then six bytes each. */
export function macTable(...addresses: readonly (readonly number[])[]): number[] {
  return [...le(addresses.length, 4), ...addresses.flat()];
}
