/**
 * What the card allocates per frame once everything is warm, by direction and ring: the driver of the data path
 * allocates nothing. Needs a semi-space that outlasts the run. Null for a ring that the card does not offer.
 */
import { BATCH } from "./layout.mjs";
import { makeSession } from "./session.mjs";

const BATCHES = 4_000;
const figures = {};
for (const direction of ["rx", "tx"]) {
  for (const ring of ["split", "packed"]) {
    figures[`${direction}${ring === "split" ? "Split" : "Packed"}BytesPerFrame`] = await bytesPerFrame(direction, ring);
  }
}
process.stdout.write(JSON.stringify(figures));

async function bytesPerFrame(direction, ring) {
  const session = await makeSession("device", direction, ring);
  if (session === null) return null;
  session.setLength(300);
  run(session);
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  run(session);
  const grown = process.memoryUsage().heapUsed - before;
  session.check();
  return grown / (BATCHES * BATCH);
}

function run(session) {
  for (let i = 0; i < BATCHES; i++) {
    session.batch();
    session.settle();
  }
}
