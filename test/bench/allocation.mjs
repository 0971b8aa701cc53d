/** What card, driver and sink allocate per frame once everything is warm. Needs a semi-space that outlasts the run. */
import { BATCH, makeMachine } from "./machine.mjs";

const machine = makeMachine(300, "sink");
for (let i = 0; i < 4_000; i++) machine.batch();
globalThis.gc();
const before = process.memoryUsage().heapUsed;
const BATCHES = 4_000;
for (let i = 0; i < BATCHES; i++) machine.batch();
const grown = process.memoryUsage().heapUsed - before;
process.stdout.write(JSON.stringify({ allocationBytesPerFrame: grown / (BATCHES * BATCH) }));
