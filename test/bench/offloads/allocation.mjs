/**
 * What the card allocates per frame that a driver or the wire hands over, once everything is warm, by case. Needs a
 * semi-space that outlasts the run.
 */
import { CASES } from "./cases.mjs";
import { makeSession } from "./session.mjs";

/** As many as it takes for what is allocated once to be little, of frames of 64 KiB and of the usual size. */
const LONG_FRAMES = 8_000;
const SHORT_FRAMES = 64_000;
const figures = {};
for (const [name, { gso }] of Object.entries(CASES)) {
  const session = makeSession(name);
  const frames = gso ? LONG_FRAMES : SHORT_FRAMES;
  const batches = frames / session.framesPerBatch;
  const run = () => {
    for (let i = 0; i < batches; i++) {
      session.batch();
      session.settle();
    }
  };
  run();
  run();
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  run();
  figures[name] = (process.memoryUsage().heapUsed - before) / frames;
  session.check(3 * batches);
}
process.stdout.write(JSON.stringify(figures));
