import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import {
  ASK,
  ASK_PARK,
  DEVICE_DOORBELL,
  DEVICE_GO,
  DEVICE_STOP,
  DEVICE_THREAD_ID,
  HOST_DOORBELL,
  START_HIGH,
  START_LOW,
  SYSTEM_BLOCK_WORDS,
  VCPU_BLOCK_WORDS,
  VCPU_PREEMPTED,
} from "../../../device/spec/control-block.ts";
import type { VcpuReport, VcpuTask } from "../../../guest/task.ts";
import { coalescingUnder } from "../../governor/guest-coalescing.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { allocateSharedRam, type SharedRam } from "../../machine/shared-ram.ts";
import type { GuestSpec, PolicySpec, Scenario } from "../../scenario/scenario.ts";
import { applicationOptions, driverOptions, sendStagingBytes } from "../guest-settings.ts";
import type { RunHooks } from "../run.ts";
import { stagingBytesFor } from "../wire.ts";
import type { DeviceReport, DeviceTask } from "./device-task.ts";
import { createEventRing } from "./event-ring-log.ts";
import { HostVcpu } from "./host-vcpu.ts";
import { chooseClockBase, type RunClock, startRunClock } from "./run-clock.ts";
import { placeThreads, type ThreadPlacement } from "./thread-placement.ts";
import { lowerTimerSlack } from "./timer-slack.ts";

/** Frames that a vCPU reads between two looks at what the host asks. */
const STEP_FRAMES = 64;
const DEVICE_EVENTS = 1 << 17;
const VCPU_EVENTS = 1 << 15;
const START_TIMEOUT_NS = 20e9;
const TWO_TO_32 = 2 ** 32;

/** The threads of a run, their memory, and the words that they share. */
export interface ThreadMachine {
  readonly clock: RunClock;
  /** The system block. */
  readonly control: Int32Array;
  readonly vcpus: readonly HostVcpu[];
  readonly eventRings: readonly SharedArrayBuffer[];
  readonly notes: readonly string[];
  readonly ringDevice: () => void;
  /** All drivers are initialised, and all vCPUs parked; the threads have got their places. */
  whenParked(): Promise<void>;
  /** The device has taken over every guest's state. */
  whenStateTaken(): Promise<void>;
  /** The traffic may begin. */
  go(startNs: number): void;
  /** No guest has anything more to send of its own accord. */
  sendersDone(): boolean;
  /** Throws if a thread has failed, or if the vCPU of this index does not leave its CPU; -1 = all do. */
  check(stuckVcpu: number): void;
  /** Ends all threads in order and returns what they report. */
  stop(): Promise<{ reports: readonly VcpuReport[]; device: DeviceReport }>;
  /** Ends whatever still runs. */
  destroy(): Promise<void>;
}

export async function startMachine(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<ThreadMachine> {
  const slack = lowerTimerSlack();
  const clockBase = chooseClockBase();
  const count = scenario.guests.length;
  const controlBuffer = new SharedArrayBuffer(4 * (SYSTEM_BLOCK_WORDS + count * VCPU_BLOCK_WORDS));
  const control = new Int32Array(controlBuffer, 0, SYSTEM_BLOCK_WORDS);
  const blockWords = scenario.guests.map((_, index) => SYSTEM_BLOCK_WORDS + index * VCPU_BLOCK_WORDS);
  const blocks = blockWords.map((word) => new Int32Array(controlBuffer, 4 * word, VCPU_BLOCK_WORDS));
  for (const block of blocks) block[ASK] = ASK_PARK;

  const { guestRamBytes } = await import("../../../guest/ram-layout.ts");
  const stagingBytes = stagingBytesFor(scenario) + sendStagingBytes(scenario);
  const rams = scenario.guests.map((guest) =>
    allocateSharedRam(guestRamBytes(driverOptions(scenario, guest)), stagingBytes),
  );
  const ringFor = (capacity: number): SharedArrayBuffer | null =>
    hooks.events === null ? null : createEventRing(capacity);
  const deviceRing = ringFor(DEVICE_EVENTS);
  const vcpuRings = scenario.guests.map(() => ringFor(VCPU_EVENTS));

  const deviceTask: DeviceTask = {
    scenario,
    control: controlBuffer,
    guests: rams.map((ram, index) => ({ ram, vcpuBlockWord: blockWords[index]! })),
    clockBase,
    timerMarginNs: slack.marginNs,
    eventRing: deviceRing,
  };
  const device = new DeviceThread(deviceTask);
  const pool = new Piscina({
    filename: new URL("../../../guest/vcpu-worker.js", import.meta.url).href,
    minThreads: count,
    maxThreads: count,
    // A vCPU's task ends with the run: threads that waited on Atomics for the next one would never see another message.
    atomics: "disabled",
  });
  const tasks = scenario.guests.map((guest, index): Promise<VcpuReport> => {
    const task = vcpuTask(
      scenario,
      policy,
      guest,
      index,
      rams[index]!,
      controlBuffer,
      blockWords[index]!,
      clockBase,
      vcpuRings[index]!,
    );
    return pool.run(task) as Promise<VcpuReport>;
  });
  let failure: Error | null = null;
  for (const [index, task] of tasks.entries()) {
    task.then(
      ({ error }) => {
        if (error !== null) failure ??= new Error(`guest ${scenario.guests[index]!.name}: ${error}`);
      },
      (error: Error) => {
        failure ??= error;
      },
    );
  }

  const vcpus = blocks.map((block) => new HostVcpu(block));
  let placement: ThreadPlacement | null = null;
  const notes = slack.lowered
    ? []
    : ["timer slack could not be lowered: short intervals are kept less exactly, or cost more CPU"];
  const machine: ThreadMachine = {
    clock: startRunClock(clockBase),
    control,
    vcpus,
    eventRings: [deviceRing, ...vcpuRings].filter((ring) => ring !== null),
    notes,
    ringDevice: () => ringDoorbell(control, DEVICE_DOORBELL),
    async whenParked() {
      await until(machine, () => vcpus.every(({ status }) => status === VCPU_PREEMPTED), "initialise their drivers");
      const threads = { device: control[DEVICE_THREAD_ID]!, vcpus: vcpus.map(({ threadId }) => threadId) };
      placement = placeThreads(threads);
      notes.push(...placement.notes);
    },
    whenStateTaken: () => until(machine, () => vcpus.every(({ stateTaken }) => stateTaken), "reach the device"),
    go(startNs) {
      control[START_LOW] = startNs % TWO_TO_32;
      control[START_HIGH] = Math.floor(startNs / TWO_TO_32);
      Atomics.store(control, DEVICE_GO, 1);
      machine.ringDevice();
    },
    sendersDone: () => scenario.guests.every((guest, index) => guest.app !== "bulk" || vcpus[index]!.sendsDone),
    check(stuckVcpu) {
      device.check();
      if (failure !== null) throw failure;
      if (stuckVcpu >= 0)
        throw new Error(`guest ${scenario.guests[stuckVcpu]!.name}: its vCPU does not leave the CPU when asked`);
    },
    async stop() {
      for (const vcpu of vcpus) vcpu.askToStop();
      const reports = await Promise.all(tasks);
      Atomics.store(control, DEVICE_STOP, 1);
      machine.ringDevice();
      return { reports, device: await device.report() };
    },
    async destroy() {
      for (const vcpu of vcpus) vcpu.askToStop();
      Atomics.store(control, DEVICE_STOP, 1);
      machine.ringDevice();
      placement?.undo();
      await Promise.all([pool.destroy(), device.terminate()]);
    },
  };
  return machine;
}

/** The device's worker: its two messages, and its failure, which nobody may miss. */
class DeviceThread {
  readonly #worker: Worker;
  readonly #report: Promise<DeviceReport>;
  #failure: Error | null = null;

  constructor(task: DeviceTask) {
    this.#worker = new Worker(new URL("./device-worker.js", import.meta.url), { workerData: task });
    this.#report = new Promise((resolve, reject) => {
      this.#worker.on("message", (message: DeviceReport | "ready") => {
        if (message !== "ready") resolve(message);
      });
      this.#worker.on("error", (error) => {
        this.#failure = error;
        reject(error);
      });
      this.#worker.on("exit", () => reject(new Error("the device thread has ended without a report")));
    });
    this.#report.catch(() => {});
  }

  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  report(): Promise<DeviceReport> {
    return this.#report;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

async function until(machine: ThreadMachine, condition: () => boolean, what: string): Promise<void> {
  const deadlineNs = machine.clock() + START_TIMEOUT_NS;
  while (!condition()) {
    machine.check(-1);
    if (machine.clock() > deadlineNs) throw new Error(`the guests did not ${what} within ${START_TIMEOUT_NS / 1e9} s`);
    Atomics.wait(machine.control, HOST_DOORBELL, Atomics.load(machine.control, HOST_DOORBELL), 1);
    await setImmediate();
  }
}

function vcpuTask(
  scenario: Scenario,
  policy: PolicySpec,
  guest: GuestSpec,
  guestIndex: number,
  ram: SharedRam,
  control: SharedArrayBuffer,
  vcpuBlockWord: number,
  clockBase: bigint,
  eventRing: SharedArrayBuffer | null,
): VcpuTask {
  return {
    guestIndex,
    memory: ram.buffer,
    memoryOffset: 0,
    memoryBytes: ram.ramBytes,
    control,
    vcpuBlockWord,
    systemBlockWord: 0,
    clockBase,
    driver: driverOptions(scenario, guest),
    application: applicationOptions(guest, guestIndex),
    load: guest.load,
    coalesce: coalescingUnder(policy, guest),
    budgetFrames: STEP_FRAMES,
    eventRing,
  };
}
