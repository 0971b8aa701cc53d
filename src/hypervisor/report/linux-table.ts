import { figuresTable, type TableStyle } from "./figures-table.ts";
import { countText } from "./quantity.ts";
import type { RunResult } from "./result.ts";

const HEAD = [
  "policy",
  "guest",
  "interrupts",
  "packets",
  "errors",
  "dropped",
  "softnet handled",
  "softnet dropped",
  "squeezed",
  "datagrams sound",
  "unsound",
];

/** What the kernels of Linux guests counted by themselves, a row for each; empty for guests that have no kernel. */
export function linuxTables(runs: readonly RunResult[], labels: readonly string[], style: TableStyle): string[] {
  const rows = runs.flatMap((run, i) =>
    run.guests.flatMap(({ name, linux }) => {
      if (linux === undefined) return [];
      const figures = [
        linux.interrupts,
        linux.rxPackets,
        linux.rxErrors,
        linux.rxDropped,
        linux.softnetProcessed,
        linux.softnetDropped,
        linux.softnetSqueezed,
        linux.udpNoPorts,
        linux.udpChecksumErrors,
      ];
      return [[labels[i] ?? run.policy, name, ...figures.map(countText)]];
    }),
  );
  return rows.length === 0 ? [] : ["What each guest's own kernel counted:", figuresTable(style, HEAD, rows)];
}
