import {
  DEVICE_DOORBELL,
  DEVICE_STOP,
  DEVICE_THREAD_ID,
  VCPU_PREEMPTED,
  VCPU_STOPPED,
} from "../../../device/spec/control-block.ts";
import { FRAME_BYTES_MAX } from "../../../device/spec/virtio-net.ts";
import { coalescingUnder } from "../../governor/guest-coalescing.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { createFrameRings } from "../../network/ring-port.ts";
import type { PolicySpec, Scenario } from "../../scenario/scenario.ts";
import type { RunHooks } from "../run.ts";
import { createEventRing } from "../threads/event-ring-log.ts";
import { ReportingThread } from "../threads/reporting-thread.ts";
import { chooseClockBase, startRunClock } from "../threads/run-clock.ts";
import { ControlMemory, type ThreadMachine, until } from "../threads/thread-machine.ts";
import { placeThreads, type ThreadPlacement } from "../threads/thread-placement.ts";
import { lowerTimerSlack } from "../threads/timer-slack.ts";
import { VcpuPool } from "../threads/vcpu-pool.ts";
import { bootedState } from "./booted-state.ts";
import type { LinuxReport, LinuxTask, WireReport, WireTask } from "./linux-task.ts";

/** Of each direction of each guest: 600 frames of 1514 bytes, or 15 that the guests leave to each other to be cut. */
const RING_BYTES = 1 << 20;
const EVENTS = 1 << 16;
/** Restoring, finding the card and warming up take seconds each, all guests at once. */
const START_TIMEOUT_NS = 300e9;
const STOP_TIMEOUT_NS = 20e9;
/** What a wake takes until one has been measured: the running guest is left after the stretch of instructions it is in. */
const WAKE_LATENCY_GUESS_NS = 2.5e6;
/** A batch of NAPI's, 64 frames at 25 µs each (reference), for so many are read before buffers are given back. */
const FIRST_REFILL_NS = 2e6;
/** A full ring of a guest that gets a tenth of a busy machine. */
const DRAIN_MAX_NS = 30e9;

/**
 * Linux guests, each in v86 in a worker together with its card; a switch between them, and the traffic, in a thread that
 * frames come from and go to by shared rings. Throws UserError for files that cannot be read, or without v86.
 */
export async function startLinuxMachine(
  scenario: Scenario,
  policy: PolicySpec,
  hooks: RunHooks,
): Promise<ThreadMachine> {
  hooks.progress(null);
  const state = await bootedState(scenario.linux!);
  const slack = lowerTimerSlack();
  const clockBase = chooseClockBase();
  const { guests } = scenario;
  const memory = new ControlMemory(guests.length);
  const { system: control, vcpus } = memory;
  const rings = guests.map(() => createFrameRings(RING_BYTES, FRAME_BYTES_MAX));
  const ringFor = (): SharedArrayBuffer | null => (hooks.events === null ? null : createEventRing(EVENTS));
  const wireEvents = ringFor();
  const guestEvents = guests.map(ringFor);
  const wireTask: WireTask = {
    scenario,
    control: memory.buffer,
    cables: rings.map((pair, index) => ({ rings: pair, vcpuBlockWord: memory.blockWords[index]! })),
    clockBase,
    timerMarginNs: slack.marginNs,
    eventRing: wireEvents,
  };
  const wire = new ReportingThread<WireReport>("wire", new URL("./wire-worker.js", import.meta.url), wireTask);
  const tasks = guests.map(
    (guest, index): LinuxTask => ({
      scenario,
      setup: { guestIndex: index, coalesce: coalescingUnder(policy, guest), busy: guest.load === "busy" },
      state,
      rings: rings[index]!,
      control: memory.buffer,
      vcpuBlockWord: memory.blockWords[index]!,
      clockBase,
      timerMarginNs: slack.marginNs,
      eventRing: guestEvents[index]!,
    }),
  );
  const names = guests.map(({ name }) => name);
  const pool = new VcpuPool<LinuxReport>(new URL("./linux-worker.js", import.meta.url), tasks, names);

  let placement: ThreadPlacement | null = null;
  const notes = [...slack.notes];
  const ringWire = (): void => ringDoorbell(control, DEVICE_DOORBELL);
  const machine: ThreadMachine = {
    clock: startRunClock(clockBase),
    control,
    vcpus,
    eventRings: [wireEvents, ...guestEvents].filter((ring) => ring !== null),
    notes,
    wakeLatencyGuessNs: WAKE_LATENCY_GUESS_NS,
    firstRefillNs: FIRST_REFILL_NS,
    drainMaxNs: DRAIN_MAX_NS,
    ringCard: (guest) => vcpus[guest]!.ring(),
    async whenParked() {
      const parked = () => vcpus.every(({ status }) => status === VCPU_PREEMPTED);
      await until(machine, parked, "come up", START_TIMEOUT_NS);
      const threads = { device: control[DEVICE_THREAD_ID]!, vcpus: vcpus.map(({ threadId }) => threadId) };
      placement = placeThreads(threads);
      notes.push(...placement.notes);
    },
    whenStateTaken: () =>
      until(machine, () => vcpus.every(({ stateTaken }) => stateTaken), "reach their cards", STOP_TIMEOUT_NS),
    go(startNs) {
      memory.go(startNs);
      ringWire();
    },
    // Nothing that a Linux guest sends is part of a scenario.
    sendersDone: () => true,
    check(stuckVcpu) {
      wire.check();
      pool.check();
      if (stuckVcpu >= 0) throw new Error(`guest ${names[stuckVcpu]}: its emulator does not leave the CPU when asked`);
    },
    async halt() {
      for (const vcpu of vcpus) vcpu.askToStop();
      await until(machine, () => vcpus.every(({ status }) => status === VCPU_STOPPED), "stop", STOP_TIMEOUT_NS);
      Atomics.store(control, DEVICE_STOP, 1);
      ringWire();
      await wire.report();
    },
    async report() {
      const runs = (await pool.reports()).map(({ run }) => run!);
      const { dropped, transmitted, ...measured } = await wire.report();
      return {
        notes: measured.notes,
        cpuNs: measured.cpuNs,
        cards: runs.map(({ card }, index) => ({
          ...card,
          // What found no room in the ring arrived, and was dropped, before the card could see it.
          arrived: card.arrived + dropped[index]!,
          dropped: card.dropped + dropped[index]!,
          transmitted: transmitted[index]!,
        })),
        readers: runs.map(({ reader }) => reader),
        linux: runs.map(({ counts }) => counts),
        stateChangeNs: joined(runs.map(({ stateChangeNs }) => stateChangeNs)),
        latenessNs: joined(runs.map(({ latenessNs }) => latenessNs)),
        trafficLatenessNs: joined(runs.map(({ trafficLatenessNs }) => trafficLatenessNs)),
        eventsLost: runs.reduce((total, run) => total + run.eventsLost, measured.eventsLost),
      };
    },
    async destroy() {
      for (const vcpu of vcpus) vcpu.askToStop();
      Atomics.store(control, DEVICE_STOP, 1);
      ringWire();
      placement?.undo();
      await Promise.all([pool.destroy(), wire.terminate()]);
    },
  };
  return machine;
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
