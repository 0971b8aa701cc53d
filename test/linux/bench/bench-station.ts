/** The neighbour at the bus of the guest that is measured: it is known to the guest, sends, and asks for echoes. */

import { dissect } from "../wire/dissection.ts";
import { type Ends, echo, ICMP, ip, pattern } from "../wire/packets.ts";
import type { BenchGuest } from "./bench-guest.ts";

export const GUEST_IP = "192.0.2.1";
export const STATION_IP = "192.0.2.2";
export const STATION_MAC = "02:00:00:00:00:02";

/** Longest that an echo takes on a busy machine. */
const ECHO_TIMEOUT_MS = 120_000;

export class Station {
  /** Frames that the guest has sent. */
  sent = 0;
  #sequence = 0;
  readonly #unanswered = new Map<number, (answeredMs: number) => void>();

  /** At the bus of `guest`, which gets to know its address. */
  static async at(guest: BenchGuest): Promise<Station> {
    const station = new Station();
    guest.onSent((frame) => station.#take(frame));
    await guest.linux.output(`arp -i eth0 -s ${STATION_IP} ${STATION_MAC}`);
    return station;
  }

  endsTo(guest: BenchGuest): Ends {
    return { fromMac: STATION_MAC, toMac: guest.mac, from: STATION_IP, to: GUEST_IP };
  }

  /**
   * Settles when the guest has answered; frames stay in order, so it has got by then all that was sent before. Its value is
   * when the card gave the answer away, by performance.now(): earlier, for the emulator goes on with what it is at.
   */
  echo(guest: BenchGuest): Promise<number> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the guest has not answered an echo request")), ECHO_TIMEOUT_MS);
      this.#unanswered.set(sequence, (answeredMs) => {
        clearTimeout(timer);
        resolve(answeredMs);
      });
      const ends = this.endsTo(guest);
      guest.send(ip(ends, ICMP, echo(false, 1, sequence, pattern(56))));
    });
  }

  #take(frame: Uint8Array): void {
    this.sent++;
    if (frame[12] !== 8 || frame[23] !== ICMP) return;
    const { ip: packet } = dissect(frame);
    if (packet?.payload[0] !== 0) return;
    const sequence = (packet.payload[6]! << 8) | packet.payload[7]!;
    this.#unanswered.get(sequence)?.(performance.now());
    this.#unanswered.delete(sequence);
  }
}
