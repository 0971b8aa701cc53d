/** How fast two guests of the same design carry bulk data over TCP: ours on a switch, v86's own from bus to bus. */

import { LearningSwitch } from "spillway/hypervisor";
import { BenchGuest, type Design } from "./bench-guest.ts";

export interface TcpFigures {
  readonly mibPerS: number;
  /** Segments that were sent again, which TCP does for late answers too. */
  readonly retransmitted: number;
  /** Frames that both guests, and the switch between ours, have lost below the sockets. */
  readonly lost: number;
  /** Of how many guests at least one interrupt found nothing to do. */
  readonly emptyInterrupts: number;
}

const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;

/** A receiver and a sender. */
export class TcpPair {
  readonly #server: BenchGuest;
  readonly #client: BenchGuest;
  readonly #lostOnTheWay: () => number;

  /** @param lostOnTheWay frames that were lost between the two */
  constructor(server: BenchGuest, client: BenchGuest, lostOnTheWay: () => number) {
    this.#server = server;
    this.#client = client;
    this.#lostOnTheWay = lostOnTheWay;
  }

  static async start(design: Design, latencyIntervalNs?: number): Promise<TcpPair> {
    const pair = design === "v86" ? await onBuses() : await onSwitch(latencyIntervalNs);
    await pair.#client.linux.output("head -c 1048576 /dev/urandom >/tmp/data");
    return pair;
  }

  async measure(mib: number): Promise<TcpFigures> {
    const before = { lost: await this.#lost(), retransmitted: await this.#retransmitted() };
    await this.#emptyInterrupts();
    const seconds = await this.transfer(mib);
    return {
      mibPerS: mib / seconds,
      retransmitted: (await this.#retransmitted()) - before.retransmitted,
      lost: (await this.#lost()) - before.lost,
      emptyInterrupts: await this.#emptyInterrupts(),
    };
  }

  /** Sends so many MiB, all of which must come; returns how many seconds the receiver has seen data come. */
  async transfer(mib: number): Promise<number> {
    await this.#server.linux.output(
      "rm -f /tmp/ready; tcp-sink 5000 >/tmp/result 2>/tmp/ready & until grep -q listening /tmp/ready; do sleep 0.1; done",
    );
    await this.#client.linux.output(`tcp-send ${ADDRESSES[0]} 5000 /tmp/data ${mib}`, TRANSFER_TIMEOUT_MS);
    const result = await this.#server.linux.output("until grep . /tmp/result; do sleep 0.1; done");
    const [bytes, , seconds] = result.split(" ").map(Number) as [number, number, number];
    if (bytes !== mib << 20) throw new Error(`of ${mib} MiB came ${bytes} bytes`);
    return seconds;
  }

  async #lost(): Promise<number> {
    const [server, client] = [await this.#server.lostBelowSockets(), await this.#client.lostBelowSockets()];
    return server + client + this.#lostOnTheWay();
  }

  async #emptyInterrupts(): Promise<number> {
    return Number(await this.#server.sawEmptyInterrupt()) + Number(await this.#client.sawEmptyInterrupt());
  }

  async #retransmitted(): Promise<number> {
    const lines = (await this.#client.linux.output("grep ^Tcp: /proc/net/snmp")).split("\n");
    const [names, values] = lines.map((line) => line.split(" ")) as [string[], string[]];
    return Number(values[names.indexOf("RetransSegs")]);
  }
}

const TRANSFER_TIMEOUT_MS = 1_200_000;

async function onSwitch(latencyIntervalNs?: number): Promise<TcpPair> {
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
  return new TcpPair(guests[0]!, guests[1]!, lostOnTheWay);
}

/** The bus hands a frame on at the call that sends it, so none is lost there. */
async function onBuses(): Promise<TcpPair> {
  const first = await BenchGuest.start({ design: "v86", ip: ADDRESSES[0] });
  const second = await BenchGuest.start({ design: "v86", ip: ADDRESSES[1] });
  first.onSent((frame) => second.send(frame));
  second.onSent((frame) => first.send(frame));
  return new TcpPair(first, second, () => 0);
}
