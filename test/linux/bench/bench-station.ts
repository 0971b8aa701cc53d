/** The neighbour at the bus of the guest that is measured: it is known to the guest, sends, and asks for answers. */

import { dissect } from "../wire/dissection.ts";
import { type Ends, echo, ICMP, ip, pattern, UDP, udp } from "../wire/packets.ts";
import type { BenchGuest } from "./bench-guest.ts";

export const GUEST_IP = "192.0.2.1";
export const STATION_IP = "192.0.2.2";
export const STATION_MAC = "02:00:00:00:00:02";

const STATION_PORT = 1000;
const READER_PORT = 9;
/** First byte of a datagram that the reader is to send back. */
const ANSWER_ME = 0xff;
/** Longest that an answer takes on a busy machine. */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * Reads every datagram that comes, and sends some back. Its socket holds as many as are ever under way (SO_RCVBUFFORCE), so
 * that nothing is lost there however late it is. The guest's perl has no Socket.pm, hence the addresses by hand.
 */
const READER = [
  "socket(S, 2, 2, 0) and setsockopt(S, 1, 33, 4194304) or die;",
  `bind(S, pack("S n x12", 2, ${READER_PORT})) or die;`,
  `connect(S, pack("S n C4 x8", 2, ${STATION_PORT}, ${STATION_IP.split(".").join(", ")})) or die;`,
  `while (sysread S, $b, 2048) { syswrite S, $b if ord $b == ${ANSWER_ME} }`,
].join(" ");

export class Station {
  /** Frames that the guest has sent. */
  sent = 0;
  readonly #guest: BenchGuest;
  #sequence = 0;
  readonly #unanswered = new Map<number, (answeredMs: number) => void>();

  private constructor(guest: BenchGuest) {
    this.#guest = guest;
    guest.onSent((frame) => this.#take(frame));
  }

  /** At the bus of `guest`, which gets to know its address and starts the reader. */
  static async at(guest: BenchGuest): Promise<Station> {
    const station = new Station(guest);
    await guest.linux.output(`arp -i eth0 -s ${STATION_IP} ${STATION_MAC}`);
    await guest.linux.output(`perl -e '${READER}' &`);
    await guest.linux.output(
      `until grep -q ':${READER_PORT.toString(16).padStart(4, "0")} ' /proc/net/udp; do sleep 0.1; done`,
    );
    return station;
  }

  /** A frame with a datagram for the reader. */
  datagram(frameBytes: number): Uint8Array {
    // Headers of Ethernet, IPv4 and UDP have 42 bytes.
    return this.#toReader(pattern(frameBytes - 42));
  }

  /** Settles when the guest's kernel has answered an echo request; its value is how many ms that took. */
  echo(): Promise<number> {
    return this.#ask((sequence) => ip(this.#ends, ICMP, echo(false, 1, sequence, pattern(56))));
  }

  /** The same with the reader, which has then read all that was sent before. */
  answer(): Promise<number> {
    return this.#ask((sequence) => this.#toReader(Uint8Array.of(ANSWER_ME, sequence >>> 8, sequence & 0xff)));
  }

  get #ends(): Ends {
    return { fromMac: STATION_MAC, toMac: this.#guest.mac, from: STATION_IP, to: GUEST_IP };
  }

  #toReader(payload: Uint8Array): Uint8Array {
    return ip(this.#ends, UDP, udp(this.#ends, STATION_PORT, READER_PORT, payload));
  }

  /**
   * Frames stay in order, so the guest has got by the answer all that was sent before. The time ends when its card gives the
   * answer away: earlier than what waits for it goes on, for the emulator first goes on with what it is at.
   */
  #ask(frameOf: (sequence: number) => Uint8Array): Promise<number> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    const frame = frameOf(sequence);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the guest has not answered")), ANSWER_TIMEOUT_MS);
      this.#unanswered.set(sequence, (answeredMs) => {
        clearTimeout(timer);
        resolve(answeredMs - askedMs);
      });
      const askedMs = performance.now();
      this.#guest.send(frame);
    });
  }

  #take(frame: Uint8Array): void {
    const nowMs = performance.now();
    this.sent++;
    const sequence = sequenceIn(frame);
    if (sequence === null) return;
    this.#unanswered.get(sequence)?.(nowMs);
    this.#unanswered.delete(sequence);
  }
}

/** Which question a frame answers, or null. */
function sequenceIn(frame: Uint8Array): number | null {
  if (frame[12] !== 8) return null;
  const { ip: packet } = dissect(frame);
  if (packet === null) return null;
  const { protocol, payload } = packet;
  if (protocol === ICMP && payload[0] === 0) return (payload[6]! << 8) | payload[7]!;
  return protocol === UDP && payload[8] === ANSWER_ME ? (payload[9]! << 8) | payload[10]! : null;
}
