// The compiled command, but its engine is this one: FAKE_ENGINE says how it behaves. For tests of signals and streams.
import { runProcess } from "../../dist/hypervisor/cli/process.js";

const EV_WAKE = 10;

async function fakeRun(scenario, policy, { events, progress, signal }) {
  const mode = process.env.FAKE_ENGINE;
  events?.record(1, EV_WAKE, 0, 0, 0, 0, 0, 0);
  progress(0.5);
  if (mode === "throw") throw new Error("a fault of ours");
  if (mode === "wait" || mode === "hang") {
    process.stderr.write("running\n");
    const alive = setInterval(() => {}, 1000);
    await new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        process.stderr.write("aborted\n");
        if (mode === "wait") resolve();
      });
    });
    clearInterval(alive);
  }
  return {
    policy: policy.name,
    engine: scenario.engine,
    durationNs: 1000,
    interrupted: signal.aborted,
    stateChangeNs: { p50: null, p99: null },
    latenessNs: { p50: null, p99: null },
    trafficLatenessNs: { p50: null, p99: null },
    guests: [],
    host: { interrupts: 0, switches: 0, cpuNs: 0 },
    // Long enough to fill any pipe.
    notes: ["x".repeat(1 << 20)],
  };
}

await runProcess(process.argv.slice(2), async () => fakeRun);
