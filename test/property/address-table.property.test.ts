import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressTable, NO_PORT } from "../../src/hypervisor/network/address-table.ts";

const PORTS = 3;
const PER_PORT = 21;
const AGEING_NS = 100;

/** Three times as many stations as fit, so that entries come and go among many that collide. */
const action = fc.record({
  hear: fc.boolean(),
  station: fc.nat(3 * PORTS * PER_PORT),
  port: fc.nat(PORTS - 1),
  waitNs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(5)),
});

test("knows exactly the stations that a plain list of each port's share knows", () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 200, maxLength: 1000 }), (actions) => {
      const table = new AddressTable(PORTS, PER_PORT, AGEING_NS);
      const shares: (number | null)[][] = Array.from({ length: PORTS }, () => new Array(PER_PORT).fill(null));
      const next = new Array<number>(PORTS).fill(0);
      const heard = new Map<number, number>();
      const forget = (station: number): void => {
        for (const share of shares) if (share.includes(station)) share[share.indexOf(station)] = null;
        heard.delete(station);
      };
      let nowNs = 0;
      for (const { hear, station, port, waitNs } of actions) {
        nowNs += waitNs;
        if (!hear) {
          const at = shares.findIndex((share) => share.includes(station));
          const fresh = at >= 0 && nowNs - heard.get(station)! < AGEING_NS;
          if (!fresh) forget(station);
          expect(table.portOf(station, 7, nowNs)).toBe(fresh ? at : NO_PORT);
          continue;
        }
        table.hear(station, 7, port, nowNs);
        if (!shares[port]!.includes(station)) {
          forget(station);
          const displaced = shares[port]![next[port]!]!;
          if (displaced !== null) forget(displaced);
          shares[port]![next[port]!] = station;
          next[port] = (next[port]! + 1) % PER_PORT;
        }
        heard.set(station, nowNs);
        expect(table.size).toBe(heard.size);
      }
    }),
    { numRuns: 60 },
  );
});
