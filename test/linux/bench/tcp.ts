/** How fast two guests of the same design carry bulk data over TCP: ours on a switch, v86's own from bus to bus. */

import { LearningSwitch } from "spillway/hypervisor";
import { BenchGuest, type Design } from "./bench-guest.ts";

export interface TcpFigures {
  readonly mibPerS: number;
  /** Segments that were sent again, which TCP does for late answers too. */
  readonly retransmitted: number;
  /** Frames that both guests, and the switch between ours, have lost below the sockets. */
  readonly lost: number;
  readonly emptyInterrupts: number;
}

/** MiB of a transfer that is not measured, and of one that is. */
export interface TcpAmounts {
  readonly warmUp: number;
  readonly measured: number;
}

interface Pair {
  readonly guests: readonly [BenchGuest, BenchGuest];
  /** Frames that were lost between them. */
  readonly lostOnTheWay: () => number;
}

const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;

export async function measureTcp(
  design: Design,
  { warmUp, measured }: TcpAmounts,
  latencyIntervalNs?: number,
): Promise<TcpFigures> {
  const { guests, lostOnTheWay } = design === "v86" ? await onBuses() : await onSwitch(latencyIntervalNs);
  const [server, client] = guests;
  await client.linux.output("head -c 1048576 /dev/urandom >/tmp/data");
  await transfer(server, client, warmUp);
  const sum = async (figure: (guest: BenchGuest) => Promise<number>): Promise<number> =>
    (await figure(server)) + (await figure(client));
  const before = {
    retransmitted: await retransmitted(client),
    lost: (await sum((guest) => guest.lostBelowSockets())) + lostOnTheWay(),
    empty: await sum((guest) => guest.emptyInterrupts()),
  };
  const seconds = await transfer(server, client, measured);
  const figures = {
    mibPerS: measured / seconds,
    retransmitted: (await retransmitted(client)) - before.retransmitted,
    lost: (await sum((guest) => guest.lostBelowSockets())) + lostOnTheWay() - before.lost,
    emptyInterrupts: (await sum((guest) => guest.emptyInterrupts())) - before.empty,
  };
  await Promise.all(guests.map((guest) => guest.linux.destroy()));
  return figures;
}

/** Sends so many MiB, which must come unharmed; returns how many seconds the receiver has seen data come. */
async function transfer(server: BenchGuest, client: BenchGuest, mib: number): Promise<number> {
  await server.linux.output(
    "rm -f /tmp/ready; tcp-sink 5000 >/tmp/result 2>/tmp/ready & until grep -q listening /tmp/ready; do sleep 0.1; done",
  );
  await client.linux.output(`tcp-send ${ADDRESSES[0]} 5000 /tmp/data ${mib}`, TRANSFER_TIMEOUT_MS);
  const result = await server.linux.output("until grep . /tmp/result; do sleep 0.1; done");
  const [bytes, differing, seconds] = result.split(" ").map(Number) as [number, number, number];
  if (bytes !== mib << 20 || differing !== 0) {
    throw new Error(`of ${mib} MiB came ${bytes} bytes, ${differing} MiB wrong`);
  }
  return seconds;
}

async function retransmitted(client: BenchGuest): Promise<number> {
  const lines = (await client.linux.output("grep ^Tcp: /proc/net/snmp")).split("\n").map((line) => line.split(" "));
  return Number(lines[1]![lines[0]!.indexOf("RetransSegs")]);
}

const TRANSFER_TIMEOUT_MS = 1_200_000;

async function onSwitch(latencyIntervalNs?: number): Promise<Pair> {
  const guests: BenchGuest[] = [];
  const network = new LearningSwitch({
    ports: ADDRESSES.map((_, index) => ({ onFrame: () => guests[index]?.attached?.wakeLoop() })),
  });
  for (const [index, ip] of ADDRESSES.entries()) {
    const port = network.ports[index]!;
    const latency = latencyIntervalNs === undefined ? {} : { latencyIntervalNs };
    guests.push(await BenchGuest.start({ design: "spillway", ip, port, ...latency }));
  }
  const lostOnTheWay = (): number =>
    network.ports.reduce((sum, { counters }) => sum + counters.queueFull + counters.tooLong + counters.unfinished, 0);
  return { guests: guests as [BenchGuest, BenchGuest], lostOnTheWay };
}

/** The bus hands a frame on at the call that sends it, so none is lost there. */
async function onBuses(): Promise<Pair> {
  const first = await BenchGuest.start({ design: "v86", ip: ADDRESSES[0] });
  const second = await BenchGuest.start({ design: "v86", ip: ADDRESSES[1] });
  first.onSent((frame) => second.send(frame));
  second.onSent((frame) => first.send(frame));
  return { guests: [first, second], lostOnTheWay: () => 0 };
}
