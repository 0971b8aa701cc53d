import { GuestMemory, type InterruptSink, MmioTransport, NetCard } from "../../../device/index.ts";
import {
  EXIT_ANSWER,
  EXIT_OFFSET,
  EXIT_REQUEST,
  EXIT_VALUE,
  EXIT_WIDTH,
  HOST_DOORBELL,
  INTERRUPT_STATUS,
  PENDING,
  POST_ENTRIES,
  POST_ENTRY_WORDS,
  POST_HEAD,
  POST_RING,
  POST_TAIL,
  PROGRAM_FREE_MIN,
  PROGRAM_LATENCY,
  PROGRAM_OVERFLOW,
  PROGRAM_SLICE_END_HIGH,
  PROGRAM_SLICE_END_LOW,
  SEEN_ARRIVED,
  SEEN_DELIVERED,
  SEEN_FREE,
  SEEN_WAKE_LATENCY,
  STATE,
  STATE_ECHO,
  STATE_POSTED_HIGH,
  STATE_POSTED_LOW,
  VCPU_DOORBELL,
  WAKE_REASON,
  WAKE_SEQ,
} from "../../../device/spec/control-block.ts";
import { GUEST_ACTIVE, GUEST_PREEMPTED } from "../../../device/spec/throttle-registers.ts";
import { INTERRUPT_CONFIG_CHANGE } from "../../../device/spec/virtio.ts";
import type { EventLog } from "../../events/event.ts";
import type { ThrottleProgram } from "../../governor/observation.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { copyWithinOf } from "../../machine/shared-ram.ts";
import { SampleLog } from "../../report/percentiles.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import { CardRecorder } from "../card-recorder.ts";
import { cardMtu, sendStagingBytes } from "../guest-settings.ts";
import { ThrottleProgrammer } from "../throttle-programmer.ts";
import { macOf, makeWire, stagingBytesFor, type Wire } from "../wire.ts";
import type { DeviceGuestTask } from "./device-task.ts";

const TWO_TO_32 = 2 ** 32;
const VECTOR = 0;
const RECEIVE_QUEUE = 0;

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
  readonly #system: Int32Array;
  readonly #mmio: MmioTransport;
  readonly #throttle: ThrottleProgrammer;
  readonly #samples: DeviceSamples;
  readonly #program: ThrottleProgram = {
    latencyNs: 0,
    overflowNs: 0,
    freeMin: 0,
    sliceEndNs: Number.POSITIVE_INFINITY,
  };
  #takenState = 0;
  #answered = 0;
  #postTail = 0;
  #wokenAtNs = Number.NaN;
  #framesReported = 0;

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
    this.#system = system;
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
    this.#throttle = new ThrottleProgrammer(this.card.throttle, recorder);
    this.#throttle.setUrgent(scenario.urgent, 0);
  }

  /** Register accesses first, for a vCPU waits for them; then the state. True if there was any. */
  serve(nowNs: number): boolean {
    let served = this.#servePosts(nowNs);
    served = this.#serveExit(nowNs) || served;
    return this.#takeState(nowNs) || served;
  }

  /** Moves frames, at most `budgetFrames`, and fires what is due; returns how many. */
  poll(nowNs: number, budgetFrames: number): number {
    const moved = this.card.poll(nowNs, budgetFrames);
    const arrived = this.wire.port.taken;
    if (arrived !== this.#framesReported) {
      this.#framesReported = arrived;
      this.#words[SEEN_ARRIVED] = arrived;
      this.#words[SEEN_FREE] = this.card.freeReceiveBuffers;
      this.#words[SEEN_DELIVERED] = this.card.statistics.queues[RECEIVE_QUEUE]!.frames;
    }
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
        this.#wokenAtNs = nowNs;
        words[WAKE_REASON] = why;
        Atomics.add(words, WAKE_SEQ, 1);
        ringDoorbell(this.#system, HOST_DOORBELL);
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

  #takeState(nowNs: number): boolean {
    const words = this.#words;
    const word = Atomics.load(words, STATE);
    if (word === this.#takenState) return false;
    const state = word & 3;
    const seq = word >>> 2;
    const wasActive = (this.#takenState & GUEST_ACTIVE) !== 0;
    const active = (state & GUEST_ACTIVE) !== 0;
    // Two changes since the last poll leave the same state, but the span in between was real: a wake ended with it.
    const postedAtNs = words[STATE_POSTED_HIGH]! * TWO_TO_32 + (words[STATE_POSTED_LOW]! >>> 0);
    if (wasActive === active) this.#applyState(active ? GUEST_PREEMPTED : GUEST_ACTIVE, seq - 1, postedAtNs, nowNs);
    this.#applyState(state, seq, postedAtNs, nowNs);
    this.#takeProgram(nowNs);
    this.#takenState = word;
    this.wire.port.stateWord = word;
    words[SEEN_FREE] = this.card.freeReceiveBuffers;
    // Last: a vCPU that reads its own state here knows that PENDING is up to date.
    Atomics.store(words, STATE_ECHO, word);
    return true;
  }

  #applyState(state: number, seq: number, postedAtNs: number, nowNs: number): void {
    const words = this.#words;
    const active = (state & GUEST_ACTIVE) !== 0;
    if (!active && Atomics.exchange(words, PENDING, 0) !== 0) {
      // Sent and not taken: causes again.
      this.card.throttle.returned(VECTOR, (this.card.interruptStatus.value & INTERRUPT_CONFIG_CHANGE) !== 0);
    }
    if (active && this.#wokenAtNs <= nowNs) {
      Atomics.store(words, SEEN_WAKE_LATENCY, Math.min(nowNs - this.#wokenAtNs, 0x7fffffff));
      this.#wokenAtNs = Number.NaN;
    }
    this.#samples.stateChangeNs.push(nowNs - postedAtNs);
    this.#throttle.setState(state, seq, postedAtNs, nowNs);
  }

  #takeProgram(nowNs: number): void {
    const words = this.#words;
    const program = this.#program;
    program.latencyNs = words[PROGRAM_LATENCY]! >>> 0;
    program.overflowNs = words[PROGRAM_OVERFLOW]! >>> 0;
    program.freeMin = words[PROGRAM_FREE_MIN]! >>> 0;
    const sliceEndHigh = words[PROGRAM_SLICE_END_HIGH]!;
    const sliceEndNs = sliceEndHigh * TWO_TO_32 + (words[PROGRAM_SLICE_END_LOW]! >>> 0);
    program.sliceEndNs = sliceEndHigh === -1 ? Number.POSITIVE_INFINITY : sliceEndNs;
    this.#throttle.setProgram(program, nowNs);
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
