/** The entry of a vCPU's worker thread: piscina calls the default export with a task and returns its report. */
import { readlinkSync } from "node:fs";
import {
  ASK,
  ASK_STOP,
  DEVICE_ALIVE,
  HOST_DOORBELL,
  SYSTEM_BLOCK_WORDS,
  VCPU_BLOCK_WORDS,
  VCPU_DOORBELL,
  VCPU_FAILED,
  VCPU_STATUS,
  VCPU_STOPPED,
  VCPU_THREAD_ID,
} from "../device/spec/control-block.ts";
import { NET_F_NOTF_COAL } from "../device/spec/virtio-net.ts";
import type { Application } from "./applications/application.ts";
import { makeApplication } from "./applications/make-application.ts";
import { ringDoorbell } from "./doorbell.ts";
import { EventObserver } from "./event-observer.ts";
import { EventRingWriter } from "./event-ring-writer.ts";
import { ExitPort } from "./exit-port.ts";
import { LatencyLog } from "./latency-log.ts";
import { NetDriver } from "./net-driver.ts";
import type { VcpuReport, VcpuTask } from "./task.ts";
import { Vcpu } from "./vcpu.ts";
import { VcpuLoop } from "./vcpu-loop.ts";
import { WorkerClock } from "./worker-clock.ts";

/** A control command is given up after so many rests of so long: 5 s and more. */
const COMMAND_REST_MS = 0.05;
const COMMAND_RESTS = 100_000;
/** A device thread may take 10 s to start. */
const DEVICE_START_TRIES = 2000;
const DEVICE_START_WAIT_MS = 5;

/** One vCPU's life in its thread; the parts are there as far as it got. */
class VcpuLife {
  readonly #task: VcpuTask;
  readonly #words: Int32Array;
  readonly #system: Int32Array;
  readonly #clock: WorkerClock;
  readonly #port: ExitPort;
  readonly #writer: EventRingWriter | null;
  #driver: NetDriver | null = null;
  #application: Application | null = null;
  #loop: VcpuLoop | null = null;
  #coalesceGranted: boolean | null = null;

  constructor(task: VcpuTask) {
    this.#task = task;
    this.#words = new Int32Array(task.control, task.vcpuBlockWord * 4, VCPU_BLOCK_WORDS);
    this.#system = new Int32Array(task.control, task.systemBlockWord * 4, SYSTEM_BLOCK_WORDS);
    this.#clock = new WorkerClock(task.clockBase);
    this.#words[VCPU_THREAD_ID] = threadId();
    this.#port = new ExitPort(this.#words, this.#system);
    this.#writer = task.eventRing === null ? null : new EventRingWriter(task.eventRing);
  }

  /** Runs to the end, and tells the host how it ended: STOPPED or FAILED. */
  live(): VcpuReport {
    let error: string | null = null;
    try {
      this.#run();
    } catch (reason) {
      error = reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason);
    }
    this.#writer?.advance(Number.POSITIVE_INFINITY);
    Atomics.store(this.#words, VCPU_STATUS, error === null ? VCPU_STOPPED : VCPU_FAILED);
    ringDoorbell(this.#system, HOST_DOORBELL);
    return this.#report(error);
  }

  #run(): void {
    const { memory, memoryOffset, memoryBytes, guestIndex, coalesce, load, budgetFrames } = this.#task;
    this.#awaitDevice();
    const port = this.#port;
    const events = this.#writer === null ? null : new EventObserver(this.#writer, guestIndex);
    const ram = { buffer: memory, byteOffset: memoryOffset, sizeBytes: memoryBytes };
    const patience = { relax: () => port.rest(COMMAND_REST_MS), relaxMax: COMMAND_RESTS };
    const driver = new NetDriver(port, ram, this.#task.driver, patience, events);
    this.#driver = driver;
    if (!driver.initialise()) throw new Error("there is no device behind the registers");
    this.#application = makeApplication(this.#task.application, driver);
    if (coalesce !== null) {
      this.#coalesceGranted =
        driver.features.has(NET_F_NOTF_COAL) && driver.setCoalescing("rx", coalesce.maxUsecs, coalesce.maxPackets);
    }
    const vcpu = new Vcpu(driver, this.#application);
    const nowNs = () => this.#clock.nowNs();
    this.#loop = new VcpuLoop(this.#words, this.#system, vcpu, { load, budgetFrames, nowNs, events });
    this.#loop.run();
  }

  /** The device's thread may start after this one; nobody rings when it does. */
  #awaitDevice(): void {
    for (let tries = 0; Atomics.load(this.#system, DEVICE_ALIVE) === 0; tries++) {
      if (tries === DEVICE_START_TRIES) throw new Error("the device thread does not start");
      if (Atomics.load(this.#words, ASK) === ASK_STOP) throw new Error("stopped before the device thread started");
      Atomics.wait(this.#words, VCPU_DOORBELL, Atomics.load(this.#words, VCPU_DOORBELL), DEVICE_START_WAIT_MS);
    }
  }

  #report(error: string | null): VcpuReport {
    const driver = this.#driver;
    const check = this.#application?.intake.check;
    return {
      error,
      received: driver?.received ?? 0,
      receivedBytes: driver?.receivedBytes ?? 0,
      sent: driver?.sent ?? 0,
      sentBytes: driver?.sentBytes ?? 0,
      unsent: this.#application?.unsent ?? 0,
      violations: {
        lost: check?.lost ?? 0,
        duplicated: check?.duplicated ?? 0,
        reordered: check?.reordered ?? 0,
        corrupted: check?.corrupted ?? 0,
      },
      deviceViolations: driver?.violations ?? 0,
      samples: (this.#application?.intake.log ?? new LatencyLog()).toTransfer(),
      workUnits: this.#loop?.background.workUnits ?? 0,
      steps: this.#loop?.steps ?? 0,
      interrupts: driver?.interrupts ?? 0,
      exits: this.#port.exits,
      posts: this.#port.posts,
      coalesceGranted: this.#coalesceGranted,
      eventsLost: this.#writer?.lost ?? 0,
      clockErrorNs: this.#clock.errorNs,
    };
  }
}

/** Linux tells a thread its own number here; elsewhere there is none. */
function threadId(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return 0;
  }
}

export default function runVcpu(task: VcpuTask): VcpuReport {
  return new VcpuLife(task).live();
}
