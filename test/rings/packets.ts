/** Packets for tests, byte by byte: Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200), and what they carry. Checksums are left 0. */

const ETHERNET = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];

export interface End {
  /** "192.0.2.1", or "2001:db8::1". */
  readonly address: string;
  readonly port?: number;
}

export const TCP = 6;
export const UDP = 17;

const be16 = (value: number): number[] => [value >>> 8, value & 0xff];

/** Sixteen bytes of an IPv6 address, four of an IPv4 one. */
export function addressBytes(text: string): number[] {
  if (!text.includes(":")) return text.split(".").map(Number);
  const [head = "", tail] = text.split("::");
  const words = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16));
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const zeros = new Array<number>(8 - first.length - last.length).fill(0);
  return [...first, ...zeros, ...last].flatMap(be16);
}

/** A frame with `tags` (TPID and TCI of each), an EtherType and a payload. */
export function ethernet(
  ethertype: number,
  payload: readonly number[],
  tags: readonly [number, number][] = [],
): Uint8Array {
  const tagBytes = tags.flatMap(([tpid, tci]) => [...be16(tpid), ...be16(tci)]);
  return Uint8Array.from([...ETHERNET, ...tagBytes, ...be16(ethertype), ...payload]);
}

/** A TCP or UDP header, and 4 bytes of payload. */
export function transport(protocol: number, from: End, to: End): number[] {
  const ports = [...be16(from.port ?? 0), ...be16(to.port ?? 0)];
  const rest = protocol === TCP ? [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 64, 0, 0, 0, 0] : [0, 12, 0, 0];
  return [...ports, ...rest, 1, 2, 3, 4];
}

/** An IPv4 packet; `flagsAndOffset` is the word of fragmentation. */
export function ipv4(
  protocol: number,
  from: End,
  to: End,
  payload: readonly number[],
  flagsAndOffset = 0x4000,
): number[] {
  const total = be16(20 + payload.length);
  const head = [0x45, 0, ...total, 0, 1, ...be16(flagsAndOffset), 64, protocol, 0, 0];
  return [...head, ...addressBytes(from.address), ...addressBytes(to.address), ...payload];
}

/** An IPv6 packet; `payload` begins with the header of kind `next`. */
export function ipv6(next: number, from: End, to: End, payload: readonly number[]): number[] {
  const head = [0x60, 0, 0, 0, ...be16(payload.length), next, 64];
  return [...head, ...addressBytes(from.address), ...addressBytes(to.address), ...payload];
}

/** A frame with a TCP or UDP packet of the version that the addresses have. */
export function packet(protocol: number, from: End, to: End): Uint8Array {
  const payload = transport(protocol, from, to);
  return from.address.includes(":")
    ? ethernet(0x86dd, ipv6(protocol, from, to, payload))
    : ethernet(0x0800, ipv4(protocol, from, to, payload));
}

/** An extension header of kind destination options (60) that holds the home address (RFC 6275 §6.3). */
export function homeAddressHeader(next: number, address: string): number[] {
  return [next, 2, 1, 2, 0, 0, 201, 16, ...addressBytes(address)];
}

/** A routing header (43) of type 2 (RFC 6275 §6.4). */
export function routingHeader(next: number, address: string): number[] {
  return [next, 2, 2, 1, 0, 0, 0, 0, ...addressBytes(address)];
}
