import { DEVICE_DOORBELL, DEVICE_STOP, DEVICE_THREAD_ID, VCPU_PREEMPTED } from "../../../device/spec/control-block.ts";
import type { VcpuReport, VcpuTask } from "../../../guest/task.ts";
import { coalescingUnder } from "../../governor/guest-coalescing.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { allocateSharedRam } from "../../machine/shared-ram.ts";
import type { PolicySpec, Scenario } from "../../scenario/scenario.ts";
import { applicationOptions, driverOptions, sendStagingBytes } from "../guest-settings.ts";
import type { RunHooks } from "../run.ts";
import { stagingBytesFor } from "../wire.ts";
import type { DeviceReport, DeviceTask } from "./device-task.ts";
import { createEventRing } from "./event-ring-log.ts";
import { ReportingThread } from "./reporting-thread.ts";
import { chooseClockBase, startRunClock } from "./run-clock.ts";
import { ControlMemory, type ThreadMachine, until } from "./thread-machine.ts";
import { placeThreads, type ThreadPlacement } from "./thread-placement.ts";
import { lowerTimerSlack } from "./timer-slack.ts";
import { VcpuPool } from "./vcpu-pool.ts";

/** Frames that a vCPU reads between two looks at what the host asks. */
const STEP_FRAMES = 64;
const DEVICE_EVENTS = 1 << 17;
const VCPU_EVENTS = 1 << 15;
const START_TIMEOUT_NS = 20e9;
/** What a wake takes until one has been measured: two thread wake-ups and a switch (reference: 7–30 µs each). */
const WAKE_LATENCY_GUESS_NS = 60_000;
/** From the takeover of an activation to the first buffers given back: the vCPU's own wake-up, and a batch of frames. */
const FIRST_REFILL_NS = 30_000;
const DRAIN_MAX_NS = 2e9;

/** Guests that run the project's own driver, each in a worker; their cards are all in the device thread. */
export async function startTsMachine(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<ThreadMachine> {
  const slack = lowerTimerSlack();
  const clockBase = chooseClockBase();
  const { guests } = scenario;
  const memory = new ControlMemory(guests.length);
  const { system: control, vcpus } = memory;

  const { guestRamBytes } = await import("../../../guest/ram-layout.ts");
  const stagingBytes = stagingBytesFor(scenario) + sendStagingBytes(scenario);
  const rams = guests.map((guest) => allocateSharedRam(guestRamBytes(driverOptions(scenario, guest)), stagingBytes));
  const ringFor = (capacity: number): SharedArrayBuffer | null =>
    hooks.events === null ? null : createEventRing(capacity);
  const deviceRing = ringFor(DEVICE_EVENTS);
  const vcpuRings = guests.map(() => ringFor(VCPU_EVENTS));

  const deviceTask: DeviceTask = {
    scenario,
    control: memory.buffer,
    guests: rams.map((ram, index) => ({ ram, vcpuBlockWord: memory.blockWords[index]! })),
    clockBase,
    timerMarginNs: slack.marginNs,
    eventRing: deviceRing,
  };
  const device = new ReportingThread<DeviceReport>(
    "device",
    new URL("./device-worker.js", import.meta.url),
    deviceTask,
  );
  const tasks = guests.map(
    (guest, index): VcpuTask => ({
      guestIndex: index,
      memory: rams[index]!.buffer,
      memoryOffset: 0,
      memoryBytes: rams[index]!.ramBytes,
      control: memory.buffer,
      vcpuBlockWord: memory.blockWords[index]!,
      systemBlockWord: 0,
      clockBase,
      driver: driverOptions(scenario, guest),
      application: applicationOptions(guest, index),
      load: guest.load,
      coalesce: coalescingUnder(policy, guest),
      budgetFrames: STEP_FRAMES,
      eventRing: vcpuRings[index]!,
    }),
  );
  const names = guests.map(({ name }) => name);
  const pool = new VcpuPool<VcpuReport>(new URL("../../../guest/vcpu-worker.js", import.meta.url), tasks, names);

  let placement: ThreadPlacement | null = null;
  const notes = [...slack.notes];
  const ringDevice = (): void => ringDoorbell(control, DEVICE_DOORBELL);
  const machine: ThreadMachine = {
    clock: startRunClock(clockBase),
    control,
    vcpus,
    eventRings: [deviceRing, ...vcpuRings].filter((ring) => ring !== null),
    notes,
    wakeLatencyGuessNs: WAKE_LATENCY_GUESS_NS,
    firstRefillNs: FIRST_REFILL_NS,
    drainMaxNs: DRAIN_MAX_NS,
    ringCard: ringDevice,
    async whenParked() {
      const parked = () => vcpus.every(({ status }) => status === VCPU_PREEMPTED);
      await until(machine, parked, "initialise their drivers", START_TIMEOUT_NS);
      placement = placeThreads({
        device: control[DEVICE_THREAD_ID]!,
        vcpus: vcpus.map(({ threadId }) => threadId),
      });
      notes.push(...placement.notes);
    },
    whenStateTaken: () =>
      until(machine, () => vcpus.every(({ stateTaken }) => stateTaken), "reach the device", START_TIMEOUT_NS),
    go(startNs) {
      memory.go(startNs);
      ringDevice();
    },
    sendersDone: () => guests.every((guest, index) => guest.app !== "bulk" || vcpus[index]!.sendsDone),
    check(stuckVcpu) {
      device.check();
      pool.check();
      if (stuckVcpu >= 0) throw new Error(`guest ${names[stuckVcpu]}: its vCPU does not leave the CPU when asked`);
    },
    async halt() {
      for (const vcpu of vcpus) vcpu.askToStop();
      await pool.reports();
      Atomics.store(control, DEVICE_STOP, 1);
      ringDevice();
      await device.report();
    },
    async report() {
      const reports = await pool.reports();
      const { eventsLost, ...measured } = await device.report();
      return {
        ...measured,
        readers: reports.map(({ received, violations, samples }) => ({ read: received, ...violations, ...samples })),
        linux: null,
        eventsLost: reports.reduce((total, report) => total + report.eventsLost, eventsLost),
      };
    },
    async destroy() {
      for (const vcpu of vcpus) vcpu.askToStop();
      Atomics.store(control, DEVICE_STOP, 1);
      ringDevice();
      placement?.undo();
      await Promise.all([pool.destroy(), device.terminate()]);
    },
  };
  return machine;
}
