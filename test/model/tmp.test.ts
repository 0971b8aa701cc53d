import { it } from "vitest";
import { explore } from "./preemption.ts";
import { loopExperiment } from "./loop-experiment.ts";
it("loop", () => {
  for (const preemptions of [1,2]) for (const load of ["busy", "idle"] as const) for (const wakeSlices of [true, false]) for (const eventIdx of [true,false]) for (const frames of [1,2]) {
    if (load === "busy" && !wakeSlices) continue;
    const o = loopExperiment({ size: 2, eventIdx, load, frames, parks: 1, wakeSlices });
    const t = performance.now();
    let r: unknown;
    try { r = explore(o.experiment, { preemptions, patience: 60, interleavingsMax: 20000 }); } catch (e) { r = (e as Error).message.slice(0, 3000); }
    console.log(preemptions, load, wakeSlices, eventIdx, frames, JSON.stringify(r).slice(0, 2500), "wakes", o.wakesMax, (performance.now() - t).toFixed(0));
  }
}, 300000);
