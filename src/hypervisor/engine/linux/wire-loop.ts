import { Frame } from "../../../device/index.ts";
import { VCPU_BLOCK_WORDS, VCPU_DOORBELL } from "../../../device/spec/control-block.ts";
import { LearningSwitch } from "../../network/learning-switch.ts";
import { RingPort } from "../../network/ring-port.ts";
import type { SwitchPort } from "../../network/switch-port.ts";
import type { GuestSpec, Scenario } from "../../scenario/scenario.ts";
import { DatagramFrames } from "../../traffic/datagram-frames.ts";
import { FrameSink } from "../../traffic/frame-sink.ts";
import { makeSource, type OpenLoopTraffic } from "../../traffic/make-source.ts";
import { TrafficPort } from "../../traffic/traffic-port.ts";
import { type Service, ServiceLoop } from "../threads/service-loop.ts";
import { threadCpuNs } from "../threads/thread-cpu.ts";
import { longestFrameBytes, macOf } from "../wire.ts";
import { GuestCable } from "./guest-cable.ts";
import { addressOf } from "./guest-setup.ts";
import type { WireReport, WireTask } from "./linux-task.ts";

/** Frames of one guest, or of one source, before the others get their turn. */
const BUDGET_FRAMES = 64;
/** The thread does not sleep if the next frame is due sooner than this. */
const SLEEP_MIN_NS = 100_000;
/** Until the run begins, no frame of the traffic is due. */
const NOT_BEGUN = Number.POSITIVE_INFINITY;

/** The wires of all Linux guests, and what lies between them: a learning switch, with the traffic's sources at one of its ports. */
export class WireLoop implements Service {
  readonly #task: WireTask;
  readonly #loop: ServiceLoop;
  readonly #cables: readonly GuestCable[];
  readonly #sources: readonly TrafficPort[];
  readonly #switch: LearningSwitch;
  /** The last port of the switch: where the sources are, and where frames for strangers end. */
  readonly #uplink: SwitchPort;
  readonly #frame = new Frame(new Uint8Array(0));

  constructor(task: WireTask) {
    const { scenario, control, cables } = task;
    this.#task = task;
    this.#loop = new ServiceLoop(task, SLEEP_MIN_NS);
    const { clock, log } = this.#loop;
    this.#cables = cables.map(({ rings, vcpuBlockWord }, index) => {
      const words = new Int32Array(control, vcpuBlockWord * 4, VCPU_BLOCK_WORDS);
      const ring = new RingPort({ rings, end: "wire", doorbell: { words, index: VCPU_DOORBELL } });
      return new GuestCable(ring, clock, log, index);
    });
    this.#sources = scenario.guests.map((guest, index) => makeTraffic(scenario, guest, index));
    this.#switch = new LearningSwitch({ ports: [...this.#cables.map((peer) => ({ peer })), {}] });
    this.#uplink = this.#switch.ports.at(-1)!;
  }

  run(): WireReport {
    this.#loop.run(this);
    return {
      dropped: this.#cables.map(({ dropped }) => dropped),
      transmitted: this.#cables.map(({ sink: { frames, bytes, corrupted } }) => ({ frames, bytes, corrupted })),
      notes: this.#sources.flatMap(({ notes }, index) =>
        notes.map((note) => `${this.#task.scenario.guests[index]!.name}: ${note}`),
      ),
      cpuNs: threadCpuNs(),
      eventsLost: this.#loop.log?.lost ?? 0,
    };
  }

  begin(startNs: number): void {
    for (const source of this.#sources) source.begin(startNs);
  }

  serve(): boolean {
    let frames = this.#switch.poll(this.#loop.clock(), BUDGET_FRAMES);
    // Nobody is out there: what is sent to strangers ends here.
    while (this.#uplink.receive(this.#frame)) frames++;
    for (let i = 0; i < this.#sources.length; i++) frames += this.#play(this.#sources[i]!);
    return frames > 0;
  }

  nextDeadlineNs(): number {
    let nextNs = this.#switch.nextDeadlineNs();
    for (let i = 0; i < this.#sources.length; i++) nextNs = Math.min(nextNs, this.#sources[i]!.nextArrivalNs());
    return nextNs;
  }

  sourcesEnded(): number {
    return this.#sources.filter((source) => source.nextArrivalNs() === Number.POSITIVE_INFINITY).length;
  }

  #play(source: TrafficPort): number {
    const nowNs = this.#loop.clock();
    let frames = 0;
    while (frames < BUDGET_FRAMES && source.receive(this.#frame, nowNs)) {
      // Sent when it was due: the card measures how late it comes.
      this.#uplink.transmit(this.#frame, source.lastScheduledNs);
      frames++;
    }
    return frames;
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
