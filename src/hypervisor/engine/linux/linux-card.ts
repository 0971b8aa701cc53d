import type { V86 } from "v86";
import { DEVICE_DOORBELL } from "../../../device/spec/control-block.ts";
import type { EventLog } from "../../events/event.ts";
import { RingPort } from "../../network/ring-port.ts";
import { SampleLog } from "../../report/percentiles.ts";
import { attachVirtioNet } from "../../v86/attach.ts";
import type { AttachedCard } from "../../v86/attached-card.ts";
import type { CardCounts } from "../guest-result.ts";
import { CardBlock } from "../threads/card-block.ts";
import { macOf } from "../wire.ts";
import { CardPort } from "./card-port.ts";
import { LinuxRecorder } from "./linux-recorder.ts";
import type { LinuxTask } from "./linux-task.ts";
import { ReadTracker } from "./read-tracker.ts";

const RECEIVE_QUEUE = 0;

/** The card of a Linux guest, in the guest's own thread: its control block, its ring to the switch, and what it records. */
export class LinuxCard {
  readonly attached: AttachedCard;
  readonly port: CardPort;
  readonly tracker: ReadTracker;
  readonly samples = {
    notifyNs: new SampleLog(),
    stateChangeNs: new SampleLog(),
    latenessNs: new SampleLog(),
    trafficLatenessNs: new SampleLog(),
  };
  readonly #recorder: LinuxRecorder;
  readonly #block: CardBlock;
  /** What was counted before the run, and up to its end. */
  #before: CardCounts | null = null;
  #after: CardCounts | null = null;

  /** `clockOffsetNs` is the run's clock less the emulator's. */
  constructor(
    emulator: V86,
    task: LinuxTask,
    words: Int32Array,
    system: Int32Array,
    clockOffsetNs: number,
    log: EventLog | null,
  ) {
    const { scenario, setup, rings } = task;
    const { guestIndex } = setup;
    const { ring: queueSize } = scenario.guests[guestIndex]!;
    this.tracker = new ReadTracker(log, guestIndex, queueSize);
    const recorder = new LinuxRecorder(log, guestIndex, this.samples.notifyNs, clockOffsetNs, this.tracker);
    this.#recorder = recorder;
    const ring = new RingPort({ rings, end: "card", doorbell: { words: system, index: DEVICE_DOORBELL } });
    this.port = new CardPort(ring, (nowNs) => recorder.toRunNs(nowNs));
    this.attached = attachVirtioNet(emulator, {
      port: this.port,
      mac: macOf(guestIndex),
      mtu: scenario.mtu,
      queueSizeMax: queueSize,
      // The policy programs the interval; the card is not to find one itself.
      latencyIntervalNs: 0,
      observer: recorder,
      onNotify: (vector, why, nowNs) => {
        this.#sampleLateness();
        recorder.notified(vector, why, nowNs);
      },
      onWake: (_vcpu, why, nowNs) => {
        this.#sampleLateness();
        recorder.woken(why, nowNs);
        this.#block.raiseWake(why, nowNs);
      },
    });
    this.#block = new CardBlock({
      words,
      system,
      card: this.attached.card,
      recorder,
      scenario,
      stateChangeNs: this.samples.stateChangeNs,
      clockOffsetNs,
      // What was sent stays with the machine: its line is held until the driver acknowledges it, however long it is off.
      takeBack: () => {},
    });
  }

  /** The run begins: the guest is set up, warm, and has read all that came. */
  start(): void {
    this.attached.enter();
    this.tracker.begin(this.attached.card);
    this.#before = this.#counts();
    this.#recorder.start();
    this.port.measure(this.samples.trafficLatenessNs);
  }

  /** The run is over: what the guest does from here on does not count. */
  stop(): void {
    this.#after = this.#counts();
    this.#recorder.stop();
  }

  /** Takes over what the host has posted. */
  takeState(): void {
    if (this.#block.takeState(this.attached.enter())) this.#recorder.stateWord = this.#block.takenState;
  }

  /** Looks what the driver has read; to be called before new frames may come, at `nowNs` of the card's clock. */
  lookAtDriver(nowNs: number): void {
    if (this.#after !== null) return;
    this.attached.enter();
    this.tracker.look(this.attached.card, this.#block.takenState, this.#recorder.toRunNs(nowNs));
  }

  /** Shows the host what has come. */
  showArrivals(): void {
    this.attached.enter();
    this.#block.showArrivals(this.attached.card.framesArrived);
  }

  /** True if the driver has nothing to do: it has read all frames, and has acknowledged its interrupt. */
  get isDrained(): boolean {
    const { card } = this.attached;
    this.attached.enter();
    return card.interruptStatus.value === 0 && !card.queues.mayHaveUnread(RECEIVE_QUEUE);
  }

  /** Frames of the run that the driver has read, and those from before it: as the card counts delivered ones. */
  get framesRead(): number {
    return this.tracker.read + (this.#before?.delivered ?? 0);
  }

  /** What was counted in the run. */
  counts(): CardCounts {
    const now = this.#after ?? this.#counts();
    const before = this.#before ?? now;
    const since = (list: "notifications" | "wakes"): number[] => now[list].map((count, i) => count - before[list][i]!);
    const delivered = now.delivered - before.delivered;
    const dropped = now.dropped - before.dropped;
    return {
      ...now,
      arrived: delivered + dropped,
      delivered,
      dropped,
      notifications: since("notifications"),
      wakes: since("wakes"),
      wakesCoalesced: now.wakesCoalesced - before.wakesCoalesced,
    };
  }

  #counts(): CardCounts {
    const { card } = this.attached;
    const { frames, dropped } = card.statistics.queues[RECEIVE_QUEUE]!;
    // With INTx there is one vector.
    const { counters } = card.throttle.vectors[0]!;
    return {
      arrived: frames + dropped,
      delivered: frames,
      dropped,
      notifications: [...counters.notifications],
      wakes: [...counters.wakes],
      wakesCoalesced: counters.wakesCoalesced,
      notifyNs: this.samples.notifyNs.toArray(),
      transmitted: { frames: 0, bytes: 0, corrupted: 0 },
    };
  }

  #sampleLateness(): void {
    const { latenessNs } = this.attached.card.throttle;
    if (latenessNs > 0 && this.#before !== null) this.samples.latenessNs.push(latenessNs);
  }
}
