/**
 * A neighbour of the guest on the wire: answers ARP, neighbour solicitations and echo requests as any host does, and
 * can ask, send and wait itself. Every frame of the guest is checked.
 */

import type { Address } from "../guest/card-guest.ts";
import { type Dissection, dissect } from "./dissection.ts";
import { fragmented, Reassembly } from "./fragments.ts";
import {
  addressBytes,
  addressText,
  arp,
  concat,
  type Ends,
  ETHERTYPE_ARP,
  echo,
  ICMP,
  ICMPV6,
  icmpv6,
  ip,
  macBytes,
  pattern,
  UDP,
  udp,
} from "./packets.ts";
import type { SentFrame, TestWire } from "./test-wire.ts";

/** What a wait may take on a busy machine. */
const WAIT_TIMEOUT_MS = 60_000;
const ECHO_ID = 0x5157;

interface Waiter {
  readonly accepts: (frame: Dissection, sent: SentFrame) => boolean;
  readonly settle: (frame: Dissection) => void;
}

export class Station {
  readonly wire: TestWire;
  readonly mac: string;
  readonly ip: string;
  /** Of the guest: where frames of this station go. */
  readonly guest: { mac: string; ip: string };
  /** Largest packet that this station sends. */
  mtu = 1500;
  /** What was wrong with frames of the guest, in words. */
  readonly faults: string[] = [];
  /** Asked echoes that the guest sent, and what their payloads were. */
  echoRequests = 0;
  readonly #reassembly = new Reassembly();
  readonly #waiters = new Set<Waiter>();
  readonly #echoReplies = new Map<number, (payload: Uint8Array) => void>();
  #sequence = 0;
  #packetId = 0;

  constructor(wire: TestWire, own: Address, guest: Address) {
    this.wire = wire;
    this.mac = own.mac;
    this.ip = own.ip;
    this.guest = { ...guest };
    wire.onFrame = (sent) => this.#take(sent);
  }

  /** From this station to the guest. */
  get ends(): Ends {
    return { fromMac: this.mac, toMac: this.guest.mac, from: this.ip, to: this.guest.ip };
  }

  /**
   * Settles with the first frame of the guest that `accepts` takes, from now on.
   * @throws Error with `what` if none comes
   */
  next(
    what: string,
    accepts: (frame: Dissection, sent: SentFrame) => boolean,
    timeoutMs = WAIT_TIMEOUT_MS,
  ): Promise<Dissection> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`${what} did not come within ${timeoutMs} ms`));
      }, timeoutMs);
      const waiter: Waiter = {
        accepts,
        settle: (frame) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(frame);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /**
   * Asks the guest for an echo of `lengthBytes`; true if the same bytes came back.
   * @throws Error if none comes
   */
  async ping(lengthBytes: number, timeoutMs = WAIT_TIMEOUT_MS): Promise<boolean> {
    const sequence = ++this.#sequence & 0xffff;
    const payload = pattern(lengthBytes, sequence);
    const reply = new Promise<Uint8Array>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#echoReplies.delete(sequence);
        reject(new Error(`no echo of ${lengthBytes} bytes within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#echoReplies.set(sequence, (back) => {
        clearTimeout(timer);
        this.#echoReplies.delete(sequence);
        resolve(back);
      });
    });
    this.#sendPacket(this.ends, ICMP, echo(false, ECHO_ID, sequence, payload));
    return Buffer.compare(payload, await reply) === 0;
  }

  /** Sends a UDP datagram, in one frame. */
  sendUdp(fromPort: number, toPort: number, payload: Uint8Array): void {
    this.wire.send(ip(this.ends, UDP, udp(this.ends, fromPort, toPort, payload)));
  }

  #sendPacket(ends: Ends, protocol: number, payload: Uint8Array): void {
    this.#packetId = (this.#packetId + 1) & 0xffff;
    for (const frame of fragmented(ends, protocol, payload, this.#packetId, this.mtu)) this.wire.send(frame);
  }

  #take(sent: SentFrame): void {
    const frame = dissect(sent.bytes);
    // What is to be finished by the wire has no checksum yet.
    if (sent.header.flags === 0) this.faults.push(...frame.faults.map((fault) => `${fault}: ${hex(sent.bytes)}`));
    for (const waiter of this.#waiters) if (waiter.accepts(frame, sent)) waiter.settle(frame);
    if (frame.vlan !== null) return;
    if (frame.ethertype === ETHERTYPE_ARP) this.#answerArp(frame);
    else if (frame.ip?.protocol === ICMP) this.#takeIcmp(frame);
    else if (frame.ip?.protocol === ICMPV6) this.#answerSolicitation(frame);
  }

  #answerArp({ fromMac, payload }: Dissection): void {
    const asksForUs = payload[7] === 1 && Buffer.compare(payload.subarray(24, 28), addressBytes(this.ip)) === 0;
    if (!asksForUs) return;
    const to = payload.subarray(14, 18).join(".");
    this.wire.send(arp({ fromMac: this.mac, toMac: fromMac, from: this.ip, to }, true));
  }

  #takeIcmp({ fromMac, ip: packet }: Dissection): void {
    const message = this.#reassembly.add(packet!);
    if (message === null) return;
    const sequence = (message[6]! << 8) | message[7]!;
    if (message[0] === 0 && message[4] === ECHO_ID >>> 8) this.#echoReplies.get(sequence)?.(message.subarray(8));
    if (message[0] !== 8 || packet!.to.join(".") !== this.ip) return;
    this.echoRequests++;
    const id = (message[4]! << 8) | message[5]!;
    const ends = { fromMac: this.mac, toMac: fromMac, from: this.ip, to: packet!.from.join(".") };
    this.#sendPacket(ends, ICMP, echo(true, id, sequence, message.subarray(8)));
  }

  /** RFC 4861 §7.2.4. */
  #answerSolicitation({ fromMac, ip: packet }: Dissection): void {
    const target = packet!.payload.subarray(8, 24);
    if (packet!.payload[0] !== 135 || !this.ip.includes(":")) return;
    if (Buffer.compare(target, addressBytes(this.ip)) !== 0) return;
    const body = concat([136, 0, 0, 0, 0x60, 0, 0, 0], target, [2, 1], macBytes(this.mac));
    const to = addressText(packet!.from);
    this.wire.send(icmpv6({ fromMac: this.mac, toMac: fromMac, from: this.ip, to }, body));
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 64)).toString("hex");
