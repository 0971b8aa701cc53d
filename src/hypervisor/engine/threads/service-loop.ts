/**
 * The loop of a thread that serves cards or wires: it works while there is work, looks about for a while, then sleeps on the
 * device doorbell until it is rung or something is due (docs/memory-model.md). It begins and ends as the system block says.
 */
import {
  DEVICE_DOORBELL,
  DEVICE_GO,
  DEVICE_STOP,
  HOST_DOORBELL,
  START_HIGH,
  START_LOW,
  SYSTEM_BLOCK_WORDS,
  TRAFFIC_ENDED,
} from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { EventRingLog } from "./event-ring-log.ts";
import { type RunClock, startRunClock } from "./run-clock.ts";

/** A thread that has just worked looks about for so long before it sleeps: waking costs others several µs. */
const SPIN_NS = 50_000;
/** A sleep is never longer: bounds what a lost ring, which there must not be, would cost. */
const SLEEP_MAX_MS = 100;
const TWO_TO_32 = 2 ** 32;

/** What every such thread is given. */
export interface ServiceTask {
  readonly control: SharedArrayBuffer;
  readonly clockBase: bigint;
  /** How long before a deadline the thread has to be awake, ns (timer slack). */
  readonly timerMarginNs: number;
  /** Where events go (device/spec/event-ring.ts); null = nowhere. */
  readonly eventRing: SharedArrayBuffer | null;
}

/** The work of one thread. */
export interface Service {
  /** The run begins: from `startNs` on, traffic is due. */
  begin(startNs: number): void;
  /** Does what there is to do, and gives every guest its turn; false if there was nothing. */
  serve(): boolean;
  /** When `serve` is to be called next, unless the doorbell rings. */
  nextDeadlineNs(): number;
  /** How many sources of traffic have nothing more to give. */
  sourcesEnded(): number;
}

export class ServiceLoop {
  readonly system: Int32Array;
  readonly clock: RunClock;
  readonly log: EventRingLog | null;
  readonly #timerMarginNs: number;
  readonly #sleepMinNs: number;
  #begun = false;

  /** @param sleepMinNs the thread does not sleep if something is due sooner than this */
  constructor({ control, clockBase, timerMarginNs, eventRing }: ServiceTask, sleepMinNs: number) {
    this.clock = startRunClock(clockBase);
    this.system = new Int32Array(control, 0, SYSTEM_BLOCK_WORDS);
    this.log = eventRing === null ? null : new EventRingLog(eventRing);
    this.#timerMarginNs = timerMarginNs;
    this.#sleepMinNs = sleepMinNs;
  }

  /** Serves until the host stops the threads. */
  run(service: Service): void {
    let workedAtNs = this.clock();
    try {
      while (Atomics.load(this.system, DEVICE_STOP) === 0) {
        // First the doorbell, then everything that it may have been rung for.
        const bell = Atomics.load(this.system, DEVICE_DOORBELL);
        const worked = this.#serve(service);
        const nowNs = this.clock();
        this.log?.advance(nowNs);
        if (worked) workedAtNs = nowNs;
        else if (nowNs - workedAtNs >= SPIN_NS) this.#sleep(bell, nowNs, service.nextDeadlineNs());
      }
    } finally {
      this.log?.advance(Number.POSITIVE_INFINITY);
    }
  }

  #serve(service: Service): boolean {
    if (!this.#begun && Atomics.load(this.system, DEVICE_GO) === 1) {
      this.#begun = true;
      service.begin(this.system[START_HIGH]! * TWO_TO_32 + (this.system[START_LOW]! >>> 0));
      this.#tellEnded(service.sourcesEnded());
    }
    const worked = service.serve();
    if (worked && this.#begun) this.#tellEnded(service.sourcesEnded());
    return worked;
  }

  #tellEnded(sources: number): void {
    if (sources === this.system[TRAFFIC_ENDED]) return;
    Atomics.store(this.system, TRAFFIC_ENDED, sources);
    ringDoorbell(this.system, HOST_DOORBELL);
  }

  /** Sleeps until shortly before `nextNs`, or until rung. Asleep it records nothing, which the log's reader need not wait for. */
  #sleep(bell: number, nowNs: number, nextNs: number): void {
    const sleepNs = nextNs - nowNs - this.#timerMarginNs;
    if (sleepNs <= this.#sleepMinNs) return;
    this.log?.advance(Number.POSITIVE_INFINITY);
    Atomics.wait(this.system, DEVICE_DOORBELL, bell, Math.min(sleepNs / 1e6, SLEEP_MAX_MS));
    this.log?.advance(nowNs);
  }
}
