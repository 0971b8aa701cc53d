/** How long the guest takes to answer an echo request that comes after a pause. */

import type { BenchGuest } from "./bench-guest.ts";
import type { Station } from "./bench-station.ts";

export interface PingFigures {
  readonly medianUs: number;
}

/** Longer than any latency interval in use, so that no request has to wait for an earlier one's. */
const PAUSE_MS = 4;

export async function measurePing(station: Station, count: number): Promise<PingFigures> {
  const tripsUs: number[] = [];
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    tripsUs.push((await station.echo()) * 1000);
  }
  return { medianUs: tripsUs.sort((a, b) => a - b)[count >> 1]! };
}

/** The same with a guest that has other work: it does not sleep, and is between any two of its instructions. */
export async function measurePingRunning(guest: BenchGuest, station: Station, count: number): Promise<PingFigures> {
  await guest.linux.output("(while :; do :; done) </dev/null >/dev/null 2>&1 & busy=$!; renice -n 19 -p $busy");
  const figures = await measurePing(station, count);
  await guest.linux.output("kill $busy; wait $busy 2>/dev/null; true");
  return figures;
}
