/**
 * One subject, one direction, one ring, both frame lengths, in a process of its own:
 *
 *   node measure.mjs device|floor|plain|v86 rx|tx split|packed milliseconds
 *
 * The driver makes buffers available untimed, the device's part of each batch is timed, and the driver takes the used
 * buffers back untimed. Prints the median time of a batch per frame, less what looking at the clock costs; null if
 * the subject does not have the ring.
 */
import { performance } from "node:perf_hooks";
import { BATCH } from "./layout.mjs";
import { makeSession } from "./session.mjs";

const [kind, direction, ring, budget] = process.argv.slice(2);
const budgetMs = Number(budget);
/** Optimised code may be long in coming on a busy machine. */
const FIRST_WARM_UP_MS = 150;
/** More samples than any budget lasts for; made once, so that nothing is allocated while the clock runs. */
const samples = new Float64Array(400_000);

/** Median, in ms, of two looks at the clock with nothing between them. */
function clockMs() {
  const looks = 20_000;
  for (let i = 0; i < looks; i++) {
    const startMs = performance.now();
    samples[i] = performance.now() - startMs;
  }
  return samples.subarray(0, looks).sort()[looks >> 1];
}

/** Untimed driver, timed device: takes samples for `forMs`, and returns their number. */
function sample(session, forMs) {
  const endMs = performance.now() + forMs;
  let count = 0;
  while (performance.now() < endMs && count < samples.length) {
    const startMs = performance.now();
    session.batch();
    samples[count++] = performance.now() - startMs;
    session.settle();
  }
  return count;
}

const session = await makeSession(kind, direction, ring);
let figures = null;
if (session !== null) {
  figures = {};
  const overheadMs = clockMs();
  for (const lengthBytes of [64, 1514]) {
    session.setLength(lengthBytes);
    sample(session, lengthBytes === 64 ? FIRST_WARM_UP_MS : budgetMs);
    const count = sample(session, budgetMs);
    session.check();
    const medianMs = samples.subarray(0, count).sort()[count >> 1];
    figures[lengthBytes] = ((medianMs - overheadMs) * 1e6) / BATCH;
  }
}
process.stdout.write(JSON.stringify(figures));
// An emulator keeps its process alive.
process.exit(0);
