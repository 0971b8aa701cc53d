import { Frame } from "../../../device/index.ts";
import {
  DEVICE_DOORBELL,
  DEVICE_GO,
  DEVICE_STOP,
  HOST_DOORBELL,
  START_HIGH,
  START_LOW,
  SYSTEM_BLOCK_WORDS,
  TRAFFIC_ENDED,
  VCPU_BLOCK_WORDS,
  VCPU_DOORBELL,
} from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { LearningSwitch } from "../../network/learning-switch.ts";
import { RingPort } from "../../network/ring-port.ts";
import type { SwitchPort } from "../../network/switch-port.ts";
import type { GuestSpec, Scenario } from "../../scenario/scenario.ts";
import { DatagramFrames } from "../../traffic/datagram-frames.ts";
import { FrameSink } from "../../traffic/frame-sink.ts";
import { makeSource, type OpenLoopTraffic } from "../../traffic/make-source.ts";
import { TrafficPort } from "../../traffic/traffic-port.ts";
import { EventRingLog } from "../threads/event-ring-log.ts";
import { type RunClock, startRunClock } from "../threads/run-clock.ts";
import { threadCpuNs } from "../threads/thread-cpu.ts";
import { longestFrameBytes, macOf } from "../wire.ts";
import { GuestCable } from "./guest-cable.ts";
import { addressOf } from "./guest-setup.ts";
import type { WireReport, WireTask } from "./linux-task.ts";

/** Frames of one guest, or of one source, before the others get their turn. */
const BUDGET_FRAMES = 64;
/** A thread that has just worked looks about for so long before it sleeps. */
const SPIN_NS = 50_000;
/** Nor does it sleep if the next frame is due sooner than this. */
const SLEEP_MIN_NS = 100_000;
/** A sleep is never longer: bounds what a lost ring, which there must not be, would cost. */
const SLEEP_MAX_MS = 100;
const TWO_TO_32 = 2 ** 32;
/** Until the run begins, no frame of the traffic is due. */
const NOT_BEGUN = Number.POSITIVE_INFINITY;

/** The wires of all Linux guests, and what lies between them: a learning switch, with the traffic's sources at one of its ports. */
export class WireLoop {
  readonly #task: WireTask;
  readonly #system: Int32Array;
  readonly #clock: RunClock;
  readonly #log: EventRingLog | null;
  readonly #cables: readonly GuestCable[];
  readonly #sources: readonly TrafficPort[];
  readonly #switch: LearningSwitch;
  /** The last port of the switch: where the sources are, and where frames for strangers end. */
  readonly #uplink: SwitchPort;
  readonly #frame = new Frame(new Uint8Array(0));
  #begun = false;

  constructor(task: WireTask) {
    const { scenario, control, cables, eventRing, clockBase } = task;
    this.#task = task;
    this.#clock = startRunClock(clockBase);
    this.#system = new Int32Array(control, 0, SYSTEM_BLOCK_WORDS);
    this.#log = eventRing === null ? null : new EventRingLog(eventRing);
    this.#cables = cables.map(({ rings, vcpuBlockWord }, index) => {
      const words = new Int32Array(control, vcpuBlockWord * 4, VCPU_BLOCK_WORDS);
      const ring = new RingPort({ rings, end: "wire", doorbell: { words, index: VCPU_DOORBELL } });
      return new GuestCable(ring, this.#clock, this.#log, index);
    });
    this.#sources = scenario.guests.map((guest, index) => makeTraffic(scenario, guest, index));
    this.#switch = new LearningSwitch({ ports: [...this.#cables.map((peer) => ({ peer })), {}] });
    this.#uplink = this.#switch.ports.at(-1)!;
  }

  run(): WireReport {
    const system = this.#system;
    let workedAtNs = this.#clock();
    while (Atomics.load(system, DEVICE_STOP) === 0) {
      // First the doorbell, then everything that it may have been rung for.
      const bell = Atomics.load(system, DEVICE_DOORBELL);
      const worked = this.#serve();
      const nowNs = this.#clock();
      this.#log?.advance(nowNs);
      if (worked) workedAtNs = nowNs;
      else if (nowNs - workedAtNs >= SPIN_NS) this.#sleep(bell, nowNs);
    }
    this.#log?.advance(Number.POSITIVE_INFINITY);
    return {
      dropped: this.#cables.map(({ dropped }) => dropped),
      transmitted: this.#cables.map(({ sink: { frames, bytes, corrupted } }) => ({ frames, bytes, corrupted })),
      notes: this.#sources.flatMap(({ notes }, index) =>
        notes.map((note) => `${this.#task.scenario.guests[index]!.name}: ${note}`),
      ),
      cpuNs: threadCpuNs(),
      eventsLost: this.#log?.lost ?? 0,
    };
  }

  #serve(): boolean {
    if (!this.#begun && Atomics.load(this.#system, DEVICE_GO) === 1) this.#begin();
    let frames = this.#switch.poll(this.#clock(), BUDGET_FRAMES);
    // Nobody is out there: what is sent to strangers ends here.
    while (this.#uplink.receive(this.#frame)) frames++;
    for (let i = 0; i < this.#sources.length; i++) frames += this.#play(this.#sources[i]!);
    if (frames > 0 && this.#begun) this.#countEnded();
    return frames > 0;
  }

  #play(source: TrafficPort): number {
    const nowNs = this.#clock();
    let frames = 0;
    while (frames < BUDGET_FRAMES && source.receive(this.#frame, nowNs)) {
      // Sent when it was due: the card measures how late it comes.
      this.#uplink.transmit(this.#frame, source.lastScheduledNs);
      frames++;
    }
    return frames;
  }

  #begin(): void {
    this.#begun = true;
    const startNs = this.#system[START_HIGH]! * TWO_TO_32 + (this.#system[START_LOW]! >>> 0);
    for (const source of this.#sources) source.begin(startNs);
    this.#countEnded();
  }

  #countEnded(): void {
    const ended = this.#sources.filter((source) => source.nextArrivalNs() === Number.POSITIVE_INFINITY).length;
    if (ended === this.#system[TRAFFIC_ENDED]) return;
    Atomics.store(this.#system, TRAFFIC_ENDED, ended);
    ringDoorbell(this.#system, HOST_DOORBELL);
  }

  /** Sleeps until shortly before the next frame is due, or until rung. */
  #sleep(bell: number, nowNs: number): void {
    let nextNs = this.#switch.nextDeadlineNs();
    for (let i = 0; i < this.#sources.length; i++) nextNs = Math.min(nextNs, this.#sources[i]!.nextArrivalNs());
    const sleepNs = nextNs - nowNs - this.#task.timerMarginNs;
    if (sleepNs <= SLEEP_MIN_NS) return;
    this.#log?.advance(Number.POSITIVE_INFINITY);
    Atomics.wait(this.#system, DEVICE_DOORBELL, bell, Math.min(sleepNs / 1e6, SLEEP_MAX_MS));
    this.#log?.advance(nowNs);
  }
}

function makeTraffic(scenario: Scenario, guest: GuestSpec, guestIndex: number): TrafficPort {
  const { speed, seed, linkRateBps, durationNs, maxGapNs } = scenario;
  // The scenario was checked: traffic that waits for answers needs an application that gives them.
  const traffic = guest.traffic as OpenLoopTraffic;
  const frames = new DatagramFrames({
    slotBytes: longestFrameBytes(scenario),
    destinationMac: macOf(guestIndex),
    destinationAddress: addressOf(guestIndex),
    seed: seed + guestIndex,
  });
  const source = makeSource(traffic, { speed, seed, linkRateBps, durationNs, maxGapNs, guestIndex });
  return new TrafficPort({ source, frames, sink: new FrameSink(), startNs: NOT_BEGUN, linkRateBps });
}
