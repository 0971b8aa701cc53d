/** How many frames a second a program in the guest receives, and with how many interrupts. */

import type { BenchGuest } from "./bench-guest.ts";
import type { Station } from "./bench-station.ts";

export interface ReceiveFigures {
  readonly framesPerS: number;
  readonly interruptsPerFrame: number;
  /** Frames that the reader has not got. */
  readonly missing: number;
}

/**
 * Frames after which the sender asks whether they were read. Two such windows may be under way: fewer than either card's
 * ring has buffers (1024), so that nobody loses any for want of flow control, which datagrams do not have.
 */
const WINDOW_FRAMES = 256;

/** Sends `frames` UDP frames of `frameBytes`, `perTurn` in each turn of the event loop. */
export async function measureReceive(
  guest: BenchGuest,
  station: Station,
  frameBytes: number,
  frames: number,
  perTurn: number,
): Promise<ReceiveFigures> {
  const frame = station.datagram(frameBytes);
  const before = { interrupts: await guest.interrupts(), read: await datagramsRead(guest) };
  let asked = 0;
  const ask = (): Promise<number> => {
    asked++;
    return station.answer();
  };
  const start = performance.now();
  let windowBefore: Promise<unknown> = Promise.resolve();
  for (let sent = 0; sent < frames; ) {
    for (let i = 0; i < perTurn && sent < frames; i++, sent++) guest.send(frame);
    await new Promise((resolve) => setImmediate(resolve));
    if (sent % WINDOW_FRAMES !== 0) continue;
    const window = ask();
    await windowBefore;
    windowBefore = window;
  }
  await ask();
  const seconds = (performance.now() - start) / 1000;
  return {
    framesPerS: frames / seconds,
    interruptsPerFrame: ((await guest.interrupts()) - before.interrupts) / frames,
    missing: frames + asked - ((await datagramsRead(guest)) - before.read),
  };
}

/** Linux counts a datagram when a program reads it. */
async function datagramsRead(guest: BenchGuest): Promise<number> {
  const lines = (await guest.linux.output("grep ^Udp: /proc/net/snmp")).split("\n").map((line) => line.split(" "));
  return Number(lines[1]![lines[0]!.indexOf("InDatagrams")]);
}
