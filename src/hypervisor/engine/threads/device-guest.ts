import { GuestMemory, type InterruptSink, MmioTransport, NetCard } from "../../../device/index.ts";
import {
  EXIT_ANSWER,
  EXIT_OFFSET,
  EXIT_REQUEST,
  EXIT_VALUE,
  EXIT_WIDTH,
  INTERRUPT_STATUS,
  PENDING,
  POST_ENTRIES,
  POST_ENTRY_WORDS,
  POST_HEAD,
  POST_RING,
  POST_TAIL,
  VCPU_DOORBELL,
} from "../../../device/spec/control-block.ts";
import { INTERRUPT_CONFIG_CHANGE } from "../../../device/spec/virtio.ts";
import type { EventLog } from "../../events/event.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { copyWithinOf } from "../../machine/shared-ram.ts";
import { SampleLog } from "../../report/percentiles.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import { CardRecorder } from "../card-recorder.ts";
import { cardMtu, sendStagingBytes } from "../guest-settings.ts";
import { macOf, makeWire, stagingBytesFor, type Wire } from "../wire.ts";
import { CardBlock } from "./card-block.ts";
import type { DeviceGuestTask } from "./device-task.ts";

const VECTOR = 0;

/** What the device thread measures beside the card's own counters, over all guests. */
export interface DeviceSamples {
  readonly stateChangeNs: SampleLog;
  readonly latenessNs: SampleLog;
  readonly trafficLatenessNs: SampleLog;
}

/**
 * One guest's card in the device thread: takes over states, answers register accesses, moves frames. It waits for
 * nobody; what it has to say it stores, and rings.
 */
export class DeviceGuest {
  readonly card: NetCard;
  readonly wire: Wire;
  readonly notifyNs = new SampleLog();
  readonly #words: Int32Array;
  readonly #mmio: MmioTransport;
  readonly #block: CardBlock;
  readonly #samples: DeviceSamples;
  #answered = 0;
  #postTail = 0;

  constructor(
    scenario: Scenario,
    index: number,
    task: DeviceGuestTask,
    system: Int32Array,
    words: Int32Array,
    samples: DeviceSamples,
    log: EventLog | null,
  ) {
    this.#words = words;
    this.#samples = samples;
    const { ram } = task;
    const spec = scenario.guests[index]!;
    const region = { guestAddress: 0, sizeBytes: ram.ramBytes, byteOffset: 0 };
    const memory = new GuestMemory(ram.buffer, [region], copyWithinOf(ram.memory));
    const stagingBytes = stagingBytesFor(scenario);
    const staging = { bytes: memory.u8, startOffset: ram.stagingOffset, lengthBytes: stagingBytes };
    this.wire = makeWire(scenario, spec, index, staging);
    const recorder = new LateRecorder(log, index, this.notifyNs, this.wire, samples.trafficLatenessNs);
    recorder.begin(false);
    this.card = new NetCard({
      memory,
      port: this.wire.port,
      interrupts: this.#interruptSink(recorder),
      observer: recorder,
      mac: macOf(index),
      mtu: cardMtu(scenario, spec),
      queueSizeMax: spec.ring,
      txStaging: {
        bytes: memory.u8,
        offset: ram.stagingOffset + stagingBytes,
        lengthBytes: sendStagingBytes(scenario),
      },
    });
    this.#mmio = new MmioTransport(this.card);
    this.#block = new CardBlock({
      words,
      system,
      card: this.card,
      recorder,
      scenario,
      stateChangeNs: samples.stateChangeNs,
      clockOffsetNs: 0,
      takeBack: () => this.#takeBack(),
    });
  }

  /** Register accesses first, for a vCPU waits for them; then the state. True if there was any. */
  serve(nowNs: number): boolean {
    let served = this.#servePosts(nowNs);
    served = this.#serveExit(nowNs) || served;
    if (!this.#block.takeState(nowNs)) return served;
    this.wire.port.stateWord = this.#block.takenState;
    return true;
  }

  /** Moves frames, at most `budgetFrames`, and fires what is due; returns how many. */
  poll(nowNs: number, budgetFrames: number): number {
    const moved = this.card.poll(nowNs, budgetFrames);
    this.#block.showArrivals(this.wire.port.taken);
    return moved;
  }

  #interruptSink(recorder: CardRecorder): InterruptSink {
    const words = this.#words;
    const sampleLateness = (): void => {
      const { latenessNs } = this.card.throttle;
      if (latenessNs > 0) this.#samples.latenessNs.push(latenessNs);
    };
    return {
      notify: (vector, why, nowNs) => {
        sampleLateness();
        recorder.notified(vector, why, nowNs);
        Atomics.store(words, INTERRUPT_STATUS, this.card.interruptStatus.value);
        Atomics.or(words, PENDING, 1 << vector);
        ringDoorbell(words, VCPU_DOORBELL);
      },
      wake: (_vcpu, why, nowNs) => {
        sampleLateness();
        recorder.woken(why, nowNs);
        this.#block.raiseWake(why, nowNs);
      },
    };
  }

  #servePosts(nowNs: number): boolean {
    const words = this.#words;
    const head = Atomics.load(words, POST_HEAD);
    if (head === this.#postTail) return false;
    while (this.#postTail !== head) {
      const slot = POST_RING + (this.#postTail & (POST_ENTRIES - 1)) * POST_ENTRY_WORDS;
      this.#mmio.write(words[slot]!, words[slot + 1]!, words[slot + 2]! >>> 0, nowNs);
      this.#postTail = (this.#postTail + 1) | 0;
    }
    Atomics.store(words, POST_TAIL, head);
    Atomics.store(words, INTERRUPT_STATUS, this.card.interruptStatus.value);
    return true;
  }

  #serveExit(nowNs: number): boolean {
    const words = this.#words;
    const request = Atomics.load(words, EXIT_REQUEST);
    if (request === this.#answered) return false;
    this.#answered = request;
    // Writes that were posted before this read are before it in the ring, which may have grown since it was looked at.
    this.#servePosts(nowNs);
    words[EXIT_VALUE] = this.#mmio.read(words[EXIT_OFFSET]!, words[EXIT_WIDTH]!, nowNs);
    Atomics.store(words, EXIT_ANSWER, request);
    ringDoorbell(words, VCPU_DOORBELL);
    return true;
  }

  /** Sent and not taken: causes again. */
  #takeBack(): void {
    if (Atomics.exchange(this.#words, PENDING, 0) === 0) return;
    this.card.throttle.returned(VECTOR, (this.card.interruptStatus.value & INTERRUPT_CONFIG_CHANGE) !== 0);
  }
}

/** Also measures how late frames are taken off the wire. */
class LateRecorder extends CardRecorder {
  readonly #wire: Wire;
  readonly #trafficLatenessNs: SampleLog;

  constructor(log: EventLog | null, guest: number, notifyNs: SampleLog, wire: Wire, trafficLatenessNs: SampleLog) {
    super(log, guest, notifyNs);
    this.#wire = wire;
    this.#trafficLatenessNs = trafficLatenessNs;
  }

  override arrived(frameId: number, queue: number, lengthBytes: number, nowNs: number): void {
    this.#trafficLatenessNs.push(nowNs - this.#wire.port.lastScheduledNs);
    super.arrived(frameId, queue, lengthBytes, nowNs);
  }
}
