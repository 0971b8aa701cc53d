/** The entry of the device thread: all cards, their wires, and the loop that serves them (docs/memory-model.md). */
import { parentPort, workerData } from "node:worker_threads";
import { DEVICE_ALIVE, DEVICE_THREAD_ID, VCPU_BLOCK_WORDS, VCPU_DOORBELL } from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { SampleLog } from "../../report/percentiles.ts";
import { cardCounts } from "../guest-result.ts";
import { namedNotes } from "../wire.ts";
import { DeviceGuest } from "./device-guest.ts";
import type { DeviceReport, DeviceTask } from "./device-task.ts";
import { type Service, ServiceLoop } from "./service-loop.ts";
import { threadCpuNs } from "./thread-cpu.ts";
import { ownThreadId } from "./thread-placement.ts";

/** Frames that one card may move before the others, and the register accesses, get their turn. */
const BUDGET_FRAMES = 64;
/** The thread does not sleep if the next deadline is nearer than this: while frames flow it is awake for a change of state. */
const SLEEP_MIN_NS = 200_000;

class DeviceService implements Service {
  readonly #task: DeviceTask;
  readonly #loop: ServiceLoop;
  readonly #doorbells: readonly Int32Array[];
  readonly #guests: readonly DeviceGuest[];
  readonly #samples = {
    stateChangeNs: new SampleLog(),
    latenessNs: new SampleLog(),
    trafficLatenessNs: new SampleLog(),
  };

  constructor(task: DeviceTask) {
    this.#task = task;
    this.#loop = new ServiceLoop(task, SLEEP_MIN_NS);
    const { system, log } = this.#loop;
    this.#doorbells = task.guests.map(
      ({ vcpuBlockWord }) => new Int32Array(task.control, vcpuBlockWord * 4, VCPU_BLOCK_WORDS),
    );
    this.#guests = task.guests.map(
      (guest, index) =>
        new DeviceGuest(task.scenario, index, guest, system, this.#doorbells[index]!, this.#samples, log),
    );
  }

  run(): DeviceReport {
    const { system } = this.#loop;
    Atomics.store(system, DEVICE_ALIVE, 1);
    try {
      this.#loop.run(this);
      return this.#report();
    } finally {
      Atomics.store(system, DEVICE_ALIVE, 0);
      for (const words of this.#doorbells) ringDoorbell(words, VCPU_DOORBELL);
    }
  }

  begin(startNs: number): void {
    for (const { wire } of this.#guests) wire.port.begin(startNs);
  }

  serve(): boolean {
    const { clock } = this.#loop;
    let worked = false;
    const guests = this.#guests;
    for (let i = 0; i < guests.length; i++) if (guests[i]!.serve(clock())) worked = true;
    for (let i = 0; i < guests.length; i++) {
      if (guests[i]!.poll(clock(), BUDGET_FRAMES) > 0) worked = true;
    }
    return worked;
  }

  nextDeadlineNs(): number {
    let nextNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#guests.length; i++) nextNs = Math.min(nextNs, this.#guests[i]!.card.nextDeadlineNs());
    return nextNs;
  }

  sourcesEnded(): number {
    let ended = 0;
    for (let i = 0; i < this.#guests.length; i++) {
      if (this.#guests[i]!.wire.port.nextArrivalNs() === Number.POSITIVE_INFINITY) ended++;
    }
    return ended;
  }

  #report(): DeviceReport {
    const { stateChangeNs, latenessNs, trafficLatenessNs } = this.#samples;
    return {
      cards: this.#guests.map(({ card, wire, notifyNs }) => cardCounts(card, wire, notifyNs)),
      stateChangeNs: stateChangeNs.toArray(),
      latenessNs: latenessNs.toArray(),
      trafficLatenessNs: trafficLatenessNs.toArray(),
      notes: this.#guests.flatMap(({ wire }, index) => namedNotes(this.#task.scenario.guests[index]!.name, wire)),
      cpuNs: threadCpuNs(),
      eventsLost: this.#loop.log?.lost ?? 0,
    };
  }
}

const service = new DeviceService(workerData as DeviceTask);
new Int32Array((workerData as DeviceTask).control)[DEVICE_THREAD_ID] = ownThreadId();
parentPort!.postMessage("ready");
parentPort!.postMessage(service.run());
