/** How many frames a second a guest receives, and with how many interrupts. */

import { ip, pattern, UDP, udp } from "../wire/packets.ts";
import type { BenchGuest } from "./bench-guest.ts";
import type { Station } from "./bench-station.ts";

export interface ReceiveFigures {
  readonly framesPerS: number;
  readonly interruptsPerFrame: number;
  /** Frames that the guest has not counted. */
  readonly missing: number;
}

/** A socket that is open and never read: what it does not take is lost above the card, and counted. */
export const OPEN_SOCKET = `perl -e 'socket(S,2,2,0); bind(S,pack("S n x12",2,9)) or die; sleep' &`;

/**
 * Frames after which the sender asks whether they have come. Two such windows may be under way: fewer than either card's
 * ring has buffers, so that nobody loses any for want of flow control, which datagrams do not have.
 */
const WINDOW_FRAMES = 128;

/** Sends `frames` UDP frames of `frameBytes`, `perTurn` in each turn of the event loop. */
export async function measureReceive(
  guest: BenchGuest,
  station: Station,
  frameBytes: number,
  frames: number,
  perTurn: number,
): Promise<ReceiveFigures> {
  const ends = station.endsTo(guest);
  // Headers of Ethernet, IPv4 and UDP have 42 bytes.
  const frame = ip(ends, UDP, udp(ends, 1000, 9, pattern(frameBytes - 42)));
  const before = { interrupts: await guest.interrupts(), counted: await countedBySockets(guest) };
  const start = performance.now();
  let windowBefore: Promise<unknown> = Promise.resolve();
  for (let sent = 0; sent < frames; ) {
    for (let i = 0; i < perTurn && sent < frames; i++, sent++) guest.send(frame);
    await new Promise((resolve) => setImmediate(resolve));
    if (sent % WINDOW_FRAMES !== 0) continue;
    const window = station.echo(guest);
    await windowBefore;
    windowBefore = window;
  }
  await station.echo(guest);
  const seconds = (performance.now() - start) / 1000;
  return {
    framesPerS: frames / seconds,
    interruptsPerFrame: ((await guest.interrupts()) - before.interrupts) / frames,
    missing: frames - ((await countedBySockets(guest)) - before.counted),
  };
}

/** Datagrams that reached a socket, whether it had room for them or not. */
async function countedBySockets(guest: BenchGuest): Promise<number> {
  const lines = (await guest.linux.output("grep ^Udp: /proc/net/snmp")).split("\n").map((line) => line.split(" "));
  const value = (name: string): number => Number(lines[1]![lines[0]!.indexOf(name)]);
  return value("InDatagrams") + value("RcvbufErrors");
}
