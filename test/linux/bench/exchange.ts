/** How many requests a second a program in the guest answers, if each waits for the answer to the one before. */

import type { BenchGuest } from "./bench-guest.ts";
import type { Station } from "./bench-station.ts";

export interface ExchangeFigures {
  readonly answersPerS: number;
  readonly interruptsPerAnswer: number;
}

export async function measureExchange(guest: BenchGuest, station: Station, count: number): Promise<ExchangeFigures> {
  const before = await guest.interrupts();
  const start = performance.now();
  for (let i = 0; i < count; i++) await station.answer();
  const seconds = (performance.now() - start) / 1000;
  return { answersPerS: count / seconds, interruptsPerAnswer: ((await guest.interrupts()) - before) / count };
}
