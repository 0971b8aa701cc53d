import { describe, expect, it } from "vitest";
import { explore } from "./preemption.ts";
import { receiveExperiment } from "./receive-experiment.ts";
import { transmitExperiment } from "./transmit-experiment.ts";
import * as B from "./broken-rings.ts";

describe("x", () => {
  for (const preemptions of [3,Infinity]) for (const size of [1,2]) for (const eventIdx of [true,false]) it(`r ${preemptions} ${size} ${eventIdx}`, () => {
    const o = receiveExperiment({ size, eventIdx, batches: [1,2,1] });
    const t = performance.now();
    const r = explore(o.experiment, { preemptions, interleavingsMax: 50000 });
    console.log("rx", preemptions, size, eventIdx, JSON.stringify(r), [...o.seen].join(" "), o.needless, (performance.now() - t).toFixed(0));
  });
  for (const preemptions of [3,Infinity]) for (const size of [1,2,4]) for (const eventIdx of [true,false]) it(`t ${preemptions} ${size} ${eventIdx}`, () => {
    const o = transmitExperiment({ size, eventIdx, flushes: [1, 2, 1] });
    const t = performance.now();
    const r = explore(o.experiment, { preemptions });
    console.log("tx", preemptions, size, eventIdx, JSON.stringify(r), [...o.seen].join(" "),  (performance.now() - t).toFixed(0));
  });
  for (const eventIdx of [true,false]) for (const [name, opts] of Object.entries({AsksBeforePublishing: {Queue: eventIdx ? B.AsksBeforePublishing : B.AsksFlagsBeforePublishing},
   PublishesTooEarly: {Queue:B.PublishesTooEarly}, EnablesAndSleeps: {Driver: B.EnablesAndSleeps}, LooksThenEnables: {Driver: B.LooksThenEnables}})) it(`broken ${name} ${eventIdx}`, () => {
    const o = receiveExperiment({ size:2, eventIdx, batches: [1, 1], ...opts });
    try { const r = explore(o.experiment, { preemptions: 2 }); console.log(name, eventIdx, "PASSED", JSON.stringify(r)); } catch (e) { console.log(name, eventIdx, e.message); }
   });
  for (const eventIdx of [true,false]) for (const [name, opts] of Object.entries({ArmsAndSleeps: {Queue: B.ArmsAndSleeps},
   AsksBeforeKicking: {Driver:B.AsksBeforeKicking}, EnablesAndSleeps: {Driver: B.EnablesAndSleeps}, LooksThenEnables: {Driver: B.LooksThenEnables}, Asks:{Queue: eventIdx ? B.AsksBeforePublishing : B.AsksFlagsBeforePublishing}})) it(`tbroken ${name} ${eventIdx}`, () => {
    const o = transmitExperiment({ size:1, eventIdx, flushes: [1, 1], ...opts });
    try { const r = explore(o.experiment, { preemptions: 2 }); console.log(name, eventIdx, "PASSED", JSON.stringify(r)); } catch (e) { console.log(name, eventIdx, e.message); }
   });
});
