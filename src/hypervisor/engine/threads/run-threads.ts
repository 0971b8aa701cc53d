import { setImmediate } from "node:timers/promises";
import { HOST_DOORBELL, TRAFFIC_ENDED } from "../../../device/spec/control-block.ts";
import { distributionOf } from "../../report/percentiles.ts";
import type { Distribution, GuestResult, RunResult } from "../../report/result.ts";
import type { PolicySpec, Scenario } from "../../scenario/scenario.ts";
import { GuestGovernor } from "../guest-governor.ts";
import { guestResult } from "../guest-result.ts";
import { SETTLE_NS } from "../guest-settings.ts";
import { startLinuxMachine } from "../linux/linux-machine.ts";
import type { RunHooks } from "../run.ts";
import { EventMerger } from "./event-merger.ts";
import { threadCpuNs } from "./thread-cpu.ts";
import { ThreadHost } from "./thread-host.ts";
import type { ThreadMachine } from "./thread-machine.ts";
import { startTsMachine } from "./ts-machine.ts";

/** The main thread sleeps no longer than this at a time, so that signals and worker messages are heard. */
const SLEEP_MAX_NS = 5e6;
const PROGRESS_EVERY_NS = 200e6;
/** Between two portions of events: the guests' CPU is theirs first. */
const EVENTS_REST_NS = 200e3;
/** A run that only waits for its rings to be drained looks so often. */
const DRAIN_LOOK_NS = 1e6;

/** Runs one policy in real time: guests in workers, the scheduler here. */
export async function runThreads(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<RunResult> {
  const cpuBeforeNs = threadCpuNs();
  const machine = await start(scenario, policy, hooks);
  try {
    const { clock, wakeLatencyGuessNs, firstRefillNs } = machine;
    const merger = hooks.events === null ? null : new EventMerger(hooks.events, machine.eventRings);
    const governors = scenario.guests.map(
      (guest) => new GuestGovernor(policy, scenario, guest, wakeLatencyGuessNs, firstRefillNs),
    );
    const host = new ThreadHost(scenario, machine.vcpus, governors, clock, merger, machine.ringCard);
    await machine.whenParked();
    host.prepare();
    await machine.whenStateTaken();
    const startNs = clock();
    merger?.begin(startNs);
    host.begin(startNs);
    machine.go(startNs);
    const interrupted = await play(host, machine, merger, scenario, startNs, hooks);
    await machine.halt();
    const endNs = clock();
    const report = await machine.report();
    merger?.finish();
    const cpuAfterNs = threadCpuNs();
    const guests = scenario.guests.map(({ name }, index): GuestResult => {
      const { cards, readers, linux } = report;
      return guestResult(name, cards[index]!, readers[index]!, host.counts(index, endNs), linux?.[index] ?? null);
    });
    const sum = (figure: (guest: GuestResult) => number): number =>
      guests.reduce((total, guest) => total + figure(guest), 0);
    const hostCpuNs =
      cpuBeforeNs === null || cpuAfterNs === null || report.cpuNs === null
        ? null
        : cpuAfterNs - cpuBeforeNs + report.cpuNs;
    const { eventsLost } = report;
    return {
      policy: policy.name,
      engine: "threads",
      durationNs: endNs - startNs,
      interrupted,
      stateChangeNs: percentiles(report.stateChangeNs),
      latenessNs: percentiles(report.latenessNs),
      trafficLatenessNs: percentiles(report.trafficLatenessNs),
      guests,
      host: {
        interrupts: sum((guest) => guest.notifications.total) + sum((guest) => guest.wakes.total),
        switches: sum((guest) => guest.activations),
        cpuNs: hostCpuNs,
      },
      notes: [
        ...report.notes,
        ...machine.notes,
        ...(eventsLost > 0 ? [`${eventsLost} events were lost: they came faster than they could be written`] : []),
      ],
    };
  } finally {
    await machine.destroy();
  }
}

function start(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<ThreadMachine> {
  return scenario.kind === "linux"
    ? startLinuxMachine(scenario, policy, hooks)
    : startTsMachine(scenario, policy, hooks);
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
  const { clock, control, drainMaxNs } = machine;
  const { durationNs } = scenario;
  let endNs = durationNs === null ? Number.POSITIVE_INFINITY : startNs + durationNs + SETTLE_NS;
  let progressNs = startNs;
  while (!hooks.signal.aborted) {
    // First the doorbell, then everything that it may have been rung for.
    const bell = Atomics.load(control, HOST_DOORBELL);
    const nextNs = host.turn();
    const nowNs = clock();
    // Settled: but a machine under load may not have come to read what the cards delivered.
    if (nowNs >= endNs && (nowNs >= endNs + drainMaxNs || !machine.vcpus.some(({ hasUnread }) => hasUnread)))
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
