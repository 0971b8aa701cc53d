import { describe, expect, it } from "vitest";
import { explore } from "./preemption.ts";
import { receiveExperiment } from "./receive-experiment.ts";
import { transmitExperiment } from "./transmit-experiment.ts";
import { RaceWatch } from "./races.ts";
import { MEMORY_BYTES, nameIn } from "./ring-world.ts";
import * as B from "./broken-rings.ts";

describe("x", () => {
  for (const size of [1,2]) for (const eventIdx of [true,false]) it(`races ${size} ${eventIdx}`, () => {
    const watch = new RaceWatch(MEMORY_BYTES, ["guest", "card"], nameIn(size));
    const o = receiveExperiment({ size, eventIdx, batches: [1,2,1], watch, watched: (v, s) => watch.watched(v, s) });
    const t = performance.now();
    const r = explore(o.experiment, { preemptions:3 });
    console.log("rx", size, eventIdx, JSON.stringify(r), [...watch.races].join("\n"), (performance.now() - t).toFixed(0));
  });
  for (const size of [1,2]) for (const eventIdx of [true,false]) it(`races ${size} ${eventIdx}`, () => {
    const watch = new RaceWatch(MEMORY_BYTES, ["guest", "card"], nameIn(size));
    const o = transmitExperiment({ size, eventIdx, flushes: [1,2], watch, watched: (v, s) => watch.watched(v, s) });
    const t = performance.now();
    const r = explore(o.experiment, { preemptions:3 });
    console.log("tx", size, eventIdx, JSON.stringify(r), [...watch.races].join("\n"), (performance.now() - t).toFixed(0));
  });
});
