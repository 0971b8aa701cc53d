/** One round of one design, in this process alone. */

import { BenchGuest, type Design } from "./bench-guest.ts";
import { GUEST_IP, Station } from "./bench-station.ts";
import { measureReceive, OPEN_SOCKET } from "./receive.ts";
import { measureTcp } from "./tcp.ts";
import { measureTransmit } from "./transmit.ts";

const BURST = 64;
/**
 * v86 compiles what a guest runs often, and a Linux that has just been resumed has run nothing yet: what is measured first
 * would tell of that and not of the card, so each path runs warm before any is measured.
 */
const FRAMES = { warmUp: 20_000, burst: 20_000, trickle: 10_000, transmit: 20_000 };
const TCP_MIB = { warmUp: 96, measured: 160 };
const LENGTHS = [64, 1514] as const;

/** Figures by name, such as `receiveBurst64.framesPerS`. */
export type Round = Record<string, number>;

export interface RoundOptions {
  readonly design: Design;
  /** Share of the frames and bytes of a full round. */
  readonly share: number;
  readonly latencyIntervalNs?: number;
}

export async function measureRound({ design, share, latencyIntervalNs }: RoundOptions): Promise<Round> {
  const round: Round = {};
  const note = (group: string, figures: object): void => {
    for (const [name, value] of Object.entries(figures)) round[`${group}.${name}`] = value;
  };
  const frames = (full: number): number => Math.ceil(full * share);
  const guest = await BenchGuest.start({ design, ip: GUEST_IP, ...(latencyIntervalNs && { latencyIntervalNs }) });
  const station = await Station.at(guest);
  await guest.linux.output(OPEN_SOCKET);
  await station.echo(guest);
  const before = { empty: await guest.emptyInterrupts(), lost: await guest.lostBelowSockets() };
  for (const length of LENGTHS) {
    await measureReceive(guest, station, length, frames(FRAMES.warmUp), BURST);
    await measureReceive(guest, station, length, frames(FRAMES.warmUp / 4), 1);
    await measureTransmit(guest, station, length, frames(FRAMES.warmUp));
  }
  for (const length of LENGTHS) {
    note(`receiveBurst${length}`, await measureReceive(guest, station, length, frames(FRAMES.burst), BURST));
    note(`receiveTrickle${length}`, await measureReceive(guest, station, length, frames(FRAMES.trickle), 1));
    note(`transmit${length}`, await measureTransmit(guest, station, length, frames(FRAMES.transmit)));
  }
  round["emptyInterrupts"] = (await guest.emptyInterrupts()) - before.empty;
  round["lostBelowSockets"] = (await guest.lostBelowSockets()) - before.lost;
  await guest.linux.destroy();
  const mib = { warmUp: Math.ceil(TCP_MIB.warmUp * share), measured: Math.ceil(TCP_MIB.measured * share) };
  note("tcp", await measureTcp(design, mib, latencyIntervalNs));
  return round;
}
