/** node time.mjs CASE: ns per frame of a case, and of the bare copy of the frame's bytes. */
import { performance } from "node:perf_hooks";
import { makeSession } from "./session.mjs";

const name = process.argv[2];
const session = makeSession(name);
const ROUNDS = 40;
const BATCHES = 50;
let batches = 0;

function round(work) {
  const startMs = performance.now();
  for (let i = 0; i < BATCHES; i++) work();
  return ((performance.now() - startMs) * 1e6) / (BATCHES * session.framesPerBatch);
}

let cardNs = Number.POSITIVE_INFINITY;
let copyNs = Number.POSITIVE_INFINITY;
for (let i = 0; i < ROUNDS; i++) {
  cardNs = Math.min(
    cardNs,
    round(() => {
      session.batch();
      session.settle();
    }),
  );
  batches += BATCHES;
  copyNs = Math.min(copyNs, round(session.copyFrames));
}
session.check(batches);
process.stdout.write(JSON.stringify({ [`${name}Ns`]: cardNs, [`${name}CopyNs`]: copyNs }));
