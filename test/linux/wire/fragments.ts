/** IPv4 packets that are longer than a frame: cut into fragments, and put together again (RFC 791 §3.2). */

import type { IpPacket } from "./dissection.ts";
import { type Ends, ETHERTYPE_IPV4, ethernet, ipv4 } from "./packets.ts";

/** Frames that carry `payload` as one IPv4 packet, in as many fragments as `mtu` asks for. */
export function fragmented(ends: Ends, protocol: number, payload: Uint8Array, id: number, mtu: number): Uint8Array[] {
  const partBytes = (mtu - 20) & ~7;
  const frames: Uint8Array[] = [];
  for (let offsetBytes = 0; offsetBytes === 0 || offsetBytes < payload.length; offsetBytes += partBytes) {
    const part = payload.subarray(offsetBytes, offsetBytes + partBytes);
    const more = offsetBytes + partBytes < payload.length;
    const packet = ipv4(ends, protocol, part, { id, offsetBytes, more });
    frames.push(ethernet(ends.fromMac, ends.toMac, ETHERTYPE_IPV4, packet));
  }
  return frames;
}

export class Reassembly {
  readonly #packets = new Map<string, Uint8Array[]>();

  /** The payload of the packet that `part` completes, or null while parts are missing. They must come in order. */
  add(part: IpPacket): Uint8Array | null {
    if (part.fragmentOffsetBytes === 0 && !part.moreFragments) return part.payload;
    const key = `${part.from} ${part.to} ${part.protocol} ${part.id}`;
    const parts = part.fragmentOffsetBytes === 0 ? [] : (this.#packets.get(key) ?? []);
    if (parts.reduce((length, { length: more }) => length + more, 0) !== part.fragmentOffsetBytes) return null;
    parts.push(part.payload.slice());
    this.#packets.set(key, parts);
    if (part.moreFragments) return null;
    this.#packets.delete(key);
    return Uint8Array.from(Buffer.concat(parts));
  }
}
