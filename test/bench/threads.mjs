/** Three guests in threads for a few seconds: how soon a state is taken over, how late deadlines are, what it takes. */
import { resolve } from "node:path";
import { parseScenario, runThreads } from "../../dist/hypervisor/index.js";

const guests = ["tumblr", "reddit", "chrome"].map((name) => ({
  name,
  traffic: resolve(import.meta.dirname, `../../captures/${name}.csv`),
}));
const policy = { name: "cooperative-adaptive", latencyIntervalNs: 50_000 };
const json = { engine: "threads", guests, speed: 5, durationS: 3, policies: [policy] };
const scenario = parseScenario(json, {}, { source: null, folder: ".", command: "run" });
const run = await runThreads(scenario, scenario.policies[0], {
  events: null,
  progress() {},
  signal: new AbortController().signal,
});
process.stdout.write(
  JSON.stringify({
    stateChangeP50Us: run.stateChangeNs.p50 / 1000,
    latenessP50Us: run.latenessNs.p50 === null ? null : run.latenessNs.p50 / 1000,
    peakRssMb: process.resourceUsage().maxRSS / 1024,
    dropped: run.guests.reduce((sum, { dropped }) => sum + dropped, 0),
  }),
);
