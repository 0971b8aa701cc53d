/** The entry of the device thread: all cards, their wires, and the loop that serves them (docs/memory-model.md). */
import { parentPort, workerData } from "node:worker_threads";
import {
  DEVICE_ALIVE,
  DEVICE_DOORBELL,
  DEVICE_GO,
  DEVICE_STOP,
  DEVICE_THREAD_ID,
  HOST_DOORBELL,
  START_HIGH,
  START_LOW,
  SYSTEM_BLOCK_WORDS,
  TRAFFIC_ENDED,
  VCPU_BLOCK_WORDS,
  VCPU_DOORBELL,
} from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { SampleLog } from "../../report/percentiles.ts";
import { cardCounts } from "../guest-result.ts";
import { namedNotes } from "../wire.ts";
import { DeviceGuest } from "./device-guest.ts";
import type { DeviceReport, DeviceTask } from "./device-task.ts";
import { EventRingLog } from "./event-ring-log.ts";
import { type RunClock, startRunClock } from "./run-clock.ts";
import { threadCpuNs } from "./thread-cpu.ts";
import { ownThreadId } from "./thread-placement.ts";

/** Frames that one card may move before the others, and the register accesses, get their turn. */
const BUDGET_FRAMES = 64;
/** A thread that has just worked looks about for so long before it sleeps: waking costs others several µs. */
const SPIN_NS = 50_000;
/** Nor does it sleep if the next deadline is nearer than this: while frames flow it is awake for a change of state. */
const SLEEP_MIN_NS = 200_000;
/** A sleep is never longer: bounds what a lost ring, which there must not be, would cost. */
const SLEEP_MAX_MS = 100;
const TWO_TO_32 = 2 ** 32;

class DeviceLoop {
  readonly #task: DeviceTask;
  readonly #system: Int32Array;
  readonly #doorbells: readonly Int32Array[];
  readonly #guests: readonly DeviceGuest[];
  readonly #clock: RunClock;
  readonly #log: EventRingLog | null;
  readonly #samples = {
    stateChangeNs: new SampleLog(),
    latenessNs: new SampleLog(),
    trafficLatenessNs: new SampleLog(),
  };
  #begun = false;

  constructor(task: DeviceTask) {
    this.#task = task;
    this.#clock = startRunClock(task.clockBase);
    this.#system = new Int32Array(task.control, 0, SYSTEM_BLOCK_WORDS);
    this.#log = task.eventRing === null ? null : new EventRingLog(task.eventRing);
    this.#doorbells = task.guests.map(
      ({ vcpuBlockWord }) => new Int32Array(task.control, vcpuBlockWord * 4, VCPU_BLOCK_WORDS),
    );
    this.#guests = task.guests.map(
      (guest, index) =>
        new DeviceGuest(task.scenario, index, guest, this.#system, this.#doorbells[index]!, this.#samples, this.#log),
    );
  }

  run(): DeviceReport {
    const system = this.#system;
    Atomics.store(system, DEVICE_ALIVE, 1);
    try {
      let workedAtNs = this.#clock();
      while (Atomics.load(system, DEVICE_STOP) === 0) {
        // First the doorbell, then everything that it may have been rung for.
        const bell = Atomics.load(system, DEVICE_DOORBELL);
        const worked = this.#serveAll();
        const nowNs = this.#clock();
        this.#log?.advance(nowNs);
        if (worked) workedAtNs = nowNs;
        else if (nowNs - workedAtNs >= SPIN_NS) workedAtNs = this.#sleep(bell, nowNs, workedAtNs);
      }
      return this.#report();
    } finally {
      Atomics.store(system, DEVICE_ALIVE, 0);
      this.#log?.advance(Number.POSITIVE_INFINITY);
      for (const words of this.#doorbells) ringDoorbell(words, VCPU_DOORBELL);
    }
  }

  #serveAll(): boolean {
    if (!this.#begun && Atomics.load(this.#system, DEVICE_GO) === 1) this.#begin();
    let worked = false;
    const guests = this.#guests;
    for (let i = 0; i < guests.length; i++) if (guests[i]!.serve(this.#clock())) worked = true;
    for (let i = 0; i < guests.length; i++) {
      if (guests[i]!.poll(this.#clock(), BUDGET_FRAMES) > 0) worked = true;
    }
    if (worked && this.#begun) this.#afterWork();
    return worked;
  }

  #begin(): void {
    this.#begun = true;
    const startNs = this.#system[START_HIGH]! * TWO_TO_32 + (this.#system[START_LOW]! >>> 0);
    for (const { wire } of this.#guests) wire.port.begin(startNs);
    this.#afterWork();
  }

  #afterWork(): void {
    let ended = 0;
    for (let i = 0; i < this.#guests.length; i++) {
      if (this.#guests[i]!.wire.port.nextArrivalNs() === Number.POSITIVE_INFINITY) ended++;
    }
    if (ended !== this.#system[TRAFFIC_ENDED]) {
      Atomics.store(this.#system, TRAFFIC_ENDED, ended);
      ringDoorbell(this.#system, HOST_DOORBELL);
    }
  }

  /** Sleeps until shortly before the next deadline or until rung, whichever is first; returns since when it spins again. */
  #sleep(bell: number, nowNs: number, workedAtNs: number): number {
    let nextNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#guests.length; i++) nextNs = Math.min(nextNs, this.#guests[i]!.card.nextDeadlineNs());
    const sleepNs = nextNs - nowNs - this.#task.timerMarginNs;
    if (sleepNs <= SLEEP_MIN_NS) return workedAtNs;
    this.#log?.advance(Number.POSITIVE_INFINITY);
    Atomics.wait(this.#system, DEVICE_DOORBELL, bell, Math.min(sleepNs / 1e6, SLEEP_MAX_MS));
    this.#log?.advance(nowNs);
    return workedAtNs;
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
      eventsLost: this.#log?.lost ?? 0,
    };
  }
}

const loop = new DeviceLoop(workerData as DeviceTask);
new Int32Array((workerData as DeviceTask).control)[DEVICE_THREAD_ID] = ownThreadId();
parentPort!.postMessage("ready");
parentPort!.postMessage(loop.run());
