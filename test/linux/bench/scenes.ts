/** What one design measures, in a process of its own: guests that have run warm, and figures by name. */

import { BenchGuest, type Design } from "./bench-guest.ts";
import { GUEST_IP, Station } from "./bench-station.ts";
import { measureExchange } from "./exchange.ts";
import { measurePing, measurePingRunning } from "./ping.ts";
import { measureReceive } from "./receive.ts";
import { TcpPair } from "./tcp.ts";
import { measureTransmit } from "./transmit.ts";

export type Figures = Record<string, number>;

export interface Scene {
  /** Measures once; between two calls the guests idle. */
  measure(name: string): Promise<Figures>;
}

export interface SceneOptions {
  readonly design: Design;
  readonly scene: "wire" | "tcp";
  /** Share of the warm-up and of the frames and bytes of a full measurement. */
  readonly share: number;
  readonly latencyIntervalNs?: number;
}

const BURST = 64;
/**
 * v86 compiles what a guest runs often, and a Linux that has just been resumed has run nothing yet: what is measured first
 * would tell of that and not of the card.
 */
const WARM_UP = { burst: 60_000, trickle: 20_000, transmit: 60_000, exchange: 2000, pings: 200, mib: 640 };
/** Of one measurement, a fraction of a second each: many short ones by turns, for the machine's speed drifts. */
const MEASURED = { burst: 15_000, trickle: 8_000, transmit: 15_000, exchange: 1000, pings: 40, mib: 48 };
const LENGTHS = [64, 1514] as const;

export function openScene(options: SceneOptions): Promise<Scene> {
  return options.scene === "tcp" ? openTcp(options) : openWire(options);
}

/** A guest, and a station that sends to it and hears it. */
async function openWire({ design, share, latencyIntervalNs }: SceneOptions): Promise<Scene> {
  const guest = await BenchGuest.start({ design, ip: GUEST_IP, ...(latencyIntervalNs && { latencyIntervalNs }) });
  const station = await Station.at(guest);
  await station.answer();
  const part = (full: number): number => Math.ceil(full * share);
  const ways: Record<string, (amounts: typeof WARM_UP | typeof MEASURED) => Promise<object>> = {
    pingIdle: ({ pings }) => measurePing(station, part(pings)),
    exchange: ({ exchange }) => measureExchange(guest, station, part(exchange)),
    pingRunning: ({ pings }) => measurePingRunning(guest, station, part(pings)),
  };
  for (const length of LENGTHS) {
    ways[`receiveBurst${length}`] = ({ burst }) => measureReceive(guest, station, length, part(burst), BURST);
    ways[`receiveTrickle${length}`] = ({ trickle }) => measureReceive(guest, station, length, part(trickle), 1);
    ways[`transmit${length}`] = ({ transmit }) => measureTransmit(guest, station, length, part(transmit));
  }
  for (const measure of Object.values(ways)) await measure(WARM_UP);
  return {
    async measure(name) {
      await guest.sawEmptyInterrupt();
      const lost = await guest.lostBelowSockets();
      const figures = await ways[name]!(MEASURED);
      return {
        ...figures,
        lost: (await guest.lostBelowSockets()) - lost,
        emptyInterrupts: Number(await guest.sawEmptyInterrupt()),
      };
    },
  };
}

/** Two guests, one of which sends to the other. */
async function openTcp({ design, share, latencyIntervalNs }: SceneOptions): Promise<Scene> {
  const pair = await TcpPair.start(design, latencyIntervalNs);
  await pair.transfer(Math.ceil(WARM_UP.mib * share));
  return {
    async measure() {
      return { ...(await pair.measure(Math.ceil(MEASURED.mib * share))) };
    },
  };
}
