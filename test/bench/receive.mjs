/** The receive path, wire to driver: stamping, card, driver without an application, against the bare copy of the bytes. */
import { performance } from "node:perf_hooks";
import { BATCH, makeMachine } from "./machine.mjs";

const lengthBytes = Number(process.argv[2]);
const BATCHES = 4_000;
const machine = makeMachine(lengthBytes, null);
let cardNs = Number.POSITIVE_INFINITY;
let copyNs = Number.POSITIVE_INFINITY;
for (let round = 0; round < 8; round++) {
  let startMs = performance.now();
  for (let i = 0; i < BATCHES; i++) machine.batch();
  cardNs = Math.min(cardNs, ((performance.now() - startMs) * 1e6) / (BATCHES * BATCH));
  startMs = performance.now();
  // The same bytes to as many buffers, 12 bytes past their beginning as a frame's header puts them.
  for (let i = 0; i < BATCHES * BATCH; i++)
    machine.copy(65_536 + (i & 255) * 1536 + 12, machine.ram.stagingOffset + 36, lengthBytes);
  copyNs = Math.min(copyNs, ((performance.now() - startMs) * 1e6) / (BATCHES * BATCH));
}
if (machine.received !== 8 * BATCHES * BATCH) throw new Error(`${machine.received} frames received`);
process.stdout.write(
  JSON.stringify({ [`receive${lengthBytes}CardNs`]: cardNs, [`receive${lengthBytes}CopyNs`]: copyNs }),
);
