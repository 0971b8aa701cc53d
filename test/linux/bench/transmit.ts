/** How many frames a second a guest sends, with its kernel's packet generator. */

import type { BenchGuest } from "./bench-guest.ts";
import { STATION_MAC, type Station } from "./bench-station.ts";

export interface TransmitFigures {
  readonly framesPerS: number;
  readonly interruptsPerFrame: number;
  /** Frames that have not come out at the other end. */
  readonly missing: number;
}

export async function measureTransmit(
  guest: BenchGuest,
  station: Station,
  frameBytes: number,
  frames: number,
): Promise<TransmitFigures> {
  const before = { interrupts: await guest.interrupts(), sent: station.sent };
  const result = await guest.linux.output(`flood ${frames} ${frameBytes} 0 ${STATION_MAC}`);
  const [, micros] = /Result: OK: (\d+)/.exec(result) ?? [];
  if (micros === undefined) throw new Error(`the packet generator says: ${result}`);
  return {
    framesPerS: frames / (Number(micros) / 1e6),
    interruptsPerFrame: ((await guest.interrupts()) - before.interrupts) / frames,
    missing: frames - (station.sent - before.sent),
  };
}
