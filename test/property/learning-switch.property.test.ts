import fc from "fast-check";
import { expect, test } from "vitest";
import { LearningSwitch } from "../../src/hypervisor/network/learning-switch.ts";
import { BROADCAST, drain, frameBetween, stationMac } from "../unit/hypervisor/network/frames.ts";

/** Enough to meet again, and to collide in a table of few entries. */
const STATIONS = 24;
const AGEING_NS = 1000;
const PER_PORT = 4;
/** Frames of 60 bytes, in records of 88. */
const QUEUE_BYTES = 512;
const FRAME_BYTES = 60;
const RECORD_BYTES = 88;

interface Sent {
  readonly port: number;
  readonly to: number | "all";
  readonly from: number;
  readonly waitNs: number;
  readonly fetch: readonly number[];
}

const send = (ports: number): fc.Arbitrary<Sent> =>
  fc.record({
    port: fc.nat(ports - 1),
    to: fc.oneof({ weight: 6, arbitrary: fc.nat(STATIONS - 1) }, { weight: 1, arbitrary: fc.constant("all" as const) }),
    from: fc.nat(STATIONS - 1),
    waitNs: fc.oneof(fc.constant(0), fc.nat(AGEING_NS), fc.nat(2 * AGEING_NS)),
    // How many frames each port fetches afterwards.
    fetch: fc.array(fc.nat(3), { minLength: ports, maxLength: ports }),
  });

const script = fc
  .integer({ min: 1, max: 5 })
  .chain((ports) => fc.record({ ports: fc.constant(ports), sent: fc.array(send(ports), { maxLength: 120 }) }));

/** What a switch has to do, in the plainest words. */
class ReferenceSwitch {
  readonly queues: { id: number }[][];
  /** For each port the stations heard there, each in its place of the share; null = nobody. */
  #shares: ({ station: number; heardNs: number } | null)[][];
  readonly #next: number[];

  constructor(ports: number) {
    this.queues = Array.from({ length: ports }, () => []);
    this.#shares = Array.from({ length: ports }, () => new Array(PER_PORT).fill(null));
    this.#next = new Array(ports).fill(0);
  }

  transmit({ port, to, from }: Sent, id: number, nowNs: number): void {
    this.#hear(from, port, nowNs);
    const known = to === "all" ? undefined : this.#portOf(to, nowNs);
    const targets = known === undefined ? this.queues.map((_, target) => target) : [known];
    for (const target of targets) if (target !== port) this.queues[target]!.push({ id });
  }

  #hear(station: number, port: number, nowNs: number): void {
    const known = this.#shares[port]!.find((entry) => entry?.station === station);
    if (known) {
      known.heardNs = nowNs;
      return;
    }
    this.#forget(station);
    this.#shares[port]![this.#next[port]!] = { station, heardNs: nowNs };
    this.#next[port] = (this.#next[port]! + 1) % PER_PORT;
  }

  #portOf(station: number, nowNs: number): number | undefined {
    const port = this.#shares.findIndex((share) => share.some((entry) => entry?.station === station));
    if (port < 0) return undefined;
    const entry = this.#shares[port]!.find((candidate) => candidate?.station === station)!;
    if (nowNs - entry.heardNs < AGEING_NS) return port;
    this.#forget(station);
    return undefined;
  }

  #forget(station: number): void {
    this.#shares = this.#shares.map((share) => share.map((entry) => (entry?.station === station ? null : entry)));
  }
}

test("every frame arrives exactly where the rules say, and where it cannot, that is counted", () => {
  fc.assert(
    fc.property(script, ({ ports, sent }) => {
      const network = new LearningSwitch({
        ports: Array.from({ length: ports }, () => ({ maxFrameBytes: FRAME_BYTES, queueBytes: QUEUE_BYTES })),
        addressesPerPort: PER_PORT,
        ageingNs: AGEING_NS,
      });
      const reference = new ReferenceSwitch(ports);
      const lost = new Array<number>(ports).fill(0);
      let nowNs = 0;
      sent.forEach((step, id) => {
        nowNs += step.waitNs;
        const before = network.ports.map(({ counters }) => counters.queueFull);
        const to = step.to === "all" ? BROADCAST : stationMac(step.to);
        network.ports[step.port]!.transmit(frameBetween(to, stationMac(step.from), id, FRAME_BYTES), nowNs);
        reference.transmit(step, id, nowNs);
        network.ports.forEach(({ counters }, port) => {
          if (counters.queueFull === before[port]) return;
          // A port that dropped was to have this very frame, and had no room for it.
          expect(reference.queues[port]!.at(-1)).toEqual({ id });
          expect(reference.queues[port]!.length * RECORD_BYTES).toBeGreaterThan(QUEUE_BYTES - 2 * RECORD_BYTES);
          reference.queues[port]!.pop();
          lost[port]!++;
        });
        step.fetch.forEach((max, port) => {
          const expected = reference.queues[port]!.splice(0, max);
          expect(drain(network.ports[port]!, max).map((frame) => ({ id: frame.id }))).toEqual(expected);
        });
      });
      network.ports.forEach((port, index) => {
        expect(drain(port).map(({ id }) => ({ id }))).toEqual(reference.queues[index]);
        expect(port.counters.queueFull).toBe(lost[index]);
      });
    }),
    { numRuns: 300 },
  );
});
