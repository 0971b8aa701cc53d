import { setImmediate } from "node:timers/promises";
import { HOST_DOORBELL, TRAFFIC_ENDED } from "../../../device/spec/control-block.ts";
import { distributionOf } from "../../report/percentiles.ts";
import type { Distribution, GuestResult, RunResult } from "../../report/result.ts";
import type { PolicySpec, Scenario } from "../../scenario/scenario.ts";
import { GuestGovernor } from "../guest-governor.ts";
import { guestResult } from "../guest-result.ts";
import { SETTLE_NS } from "../guest-settings.ts";
import type { RunHooks } from "../run.ts";
import { EventMerger } from "./event-merger.ts";
import { threadCpuNs } from "./thread-cpu.ts";
import { ThreadHost } from "./thread-host.ts";
import { startMachine, type ThreadMachine } from "./thread-machine.ts";

/** What a wake takes until one has been measured: two thread wake-ups and a switch (reference: 7–30 µs each). */
const WAKE_LATENCY_GUESS_NS = 60_000;
/** From the takeover of an activation to the first buffers given back: the vCPU's own wake-up, and a batch of frames. */
const FIRST_REFILL_NS = 30_000;
/** The main thread sleeps no longer than this at a time, so that signals and worker messages are heard. */
const SLEEP_MAX_NS = 5e6;
const PROGRESS_EVERY_NS = 200e6;
/** Between two portions of events: the guests' CPU is theirs first. */
const EVENTS_REST_NS = 200e3;
/** A run that only waits for its rings to be drained looks so often. */
const DRAIN_LOOK_NS = 1e6;
/** How much longer than to settle a run may take until every ring is drained. */
const DRAIN_MAX_NS = 2e9;

/** Runs one policy in real time: cards in the device thread, guests in workers, the scheduler here. */
export async function runThreads(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<RunResult> {
  const cpuBeforeNs = threadCpuNs();
  const machine = await startMachine(scenario, policy, hooks);
  try {
    const { clock } = machine;
    const merger = hooks.events === null ? null : new EventMerger(hooks.events, machine.eventRings);
    const governors = scenario.guests.map(
      (guest) => new GuestGovernor(policy, scenario, guest, WAKE_LATENCY_GUESS_NS, FIRST_REFILL_NS),
    );
    const host = new ThreadHost(scenario, machine.vcpus, governors, clock, merger, machine.ringDevice);
    await machine.whenParked();
    host.prepare();
    await machine.whenStateTaken();
    const startNs = clock();
    merger?.begin(startNs);
    host.begin(startNs);
    machine.go(startNs);
    const interrupted = await play(host, machine, merger, scenario, startNs, hooks);
    const { reports, device } = await machine.stop();
    const endNs = clock();
    merger?.finish();
    const cpuAfterNs = threadCpuNs();
    const guests = scenario.guests.map((guest, index): GuestResult => {
      const report = reports[index]!;
      const reader = { read: report.received, ...report.violations, ...report.samples };
      return guestResult(guest.name, device.cards[index]!, reader, host.counts(index, endNs));
    });
    const sum = (figure: (guest: GuestResult) => number): number =>
      guests.reduce((total, guest) => total + figure(guest), 0);
    const hostCpuNs =
      cpuBeforeNs === null || cpuAfterNs === null || device.cpuNs === null
        ? null
        : cpuAfterNs - cpuBeforeNs + device.cpuNs;
    const eventsLost = reports.reduce((total, report) => total + report.eventsLost, device.eventsLost);
    return {
      policy: policy.name,
      engine: "threads",
      durationNs: endNs - startNs,
      interrupted,
      stateChangeNs: percentiles(device.stateChangeNs),
      latenessNs: percentiles(device.latenessNs),
      trafficLatenessNs: percentiles(device.trafficLatenessNs),
      guests,
      host: {
        interrupts: sum((guest) => guest.notifications.total) + sum((guest) => guest.wakes.total),
        switches: sum((guest) => guest.activations),
        cpuNs: hostCpuNs,
      },
      notes: [
        ...device.notes,
        ...machine.notes,
        ...(eventsLost > 0 ? [`${eventsLost} events were lost: they came faster than they could be written`] : []),
      ],
    };
  } finally {
    await machine.destroy();
  }
}

/** The main thread's loop until all traffic has ended and settled, or the signal comes; returns whether it came. */
async function play(
  host: ThreadHost,
  machine: ThreadMachine,
  merger: EventMerger | null,
  scenario: Scenario,
  startNs: number,
  hooks: RunHooks,
): Promise<boolean> {
  const { clock, control } = machine;
  const { durationNs } = scenario;
  let endNs = durationNs === null ? Number.POSITIVE_INFINITY : startNs + durationNs + SETTLE_NS;
  let progressNs = startNs;
  while (!hooks.signal.aborted) {
    // First the doorbell, then everything that it may have been rung for.
    const bell = Atomics.load(control, HOST_DOORBELL);
    const nextNs = host.turn();
    const nowNs = clock();
    // Settled: but a machine under load may not have come to read what the cards delivered.
    if (nowNs >= endNs && (nowNs >= endNs + DRAIN_MAX_NS || !machine.vcpus.some(({ hasUnread }) => hasUnread)))
      return false;
    machine.check(host.stuckVcpu(nowNs));
    if (
      endNs === Number.POSITIVE_INFINITY &&
      machine.sendersDone() &&
      Atomics.load(control, TRAFFIC_ENDED) === scenario.guests.length
    ) {
      endNs = nowNs + SETTLE_NS;
    }
    if (nowNs >= progressNs) {
      hooks.progress(durationNs === null ? null : Math.min(1, (nowNs - startNs) / durationNs));
      progressNs = nowNs + PROGRESS_EVERY_NS;
    }
    const more = merger?.write(nowNs) ?? false;
    const wakeNs = Math.min(
      nextNs,
      Math.max(endNs, nowNs + DRAIN_LOOK_NS),
      nowNs + (more ? EVENTS_REST_NS : SLEEP_MAX_NS),
    );
    const sleepNs = wakeNs - clock();
    // A doorbell that was rung since it was read makes this return at once.
    if (sleepNs > 0) Atomics.wait(control, HOST_DOORBELL, bell, sleepNs / 1e6);
    await setImmediate();
  }
  return true;
}

function percentiles(samples: Float64Array): Pick<Distribution, "p50" | "p99"> {
  const { p50, p99 } = distributionOf(samples);
  return { p50, p99 };
}
