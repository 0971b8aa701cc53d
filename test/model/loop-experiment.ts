/**
 * The real loop of a vCPU under the explorer: VcpuLoop, Vcpu, the driver's receive queue, the host's end of the control
 * block, the card's receive path and its throttle are the project's code. Typed again here, for they sit inside larger
 * classes, are the takeover of a state (CardBlock), the device's loop (ServiceLoop) and the host's turn (ThreadHost).
 */

import { Frame } from "../../src/device/link/frame-port.ts";
import { FeatureNegotiation } from "../../src/device/net/features.ts";
import { negotiated } from "../../src/device/net/negotiated.ts";
import { ReceivePath } from "../../src/device/net/receive.ts";
import { CAUSE_KIND_RX } from "../../src/device/observer.ts";
import {
  ASK,
  ASK_RUN,
  DEVICE_DOORBELL,
  HOST_DOORBELL,
  PENDING,
  STATE,
  STATE_ECHO,
  VCPU_DOORBELL,
  VCPU_IDLE,
  VCPU_PREEMPTED,
  WAKE_SEQ,
} from "../../src/device/spec/control-block.ts";
import { GUEST_ACTIVE, GUEST_IDLE, GUEST_PREEMPTED } from "../../src/device/spec/throttle-registers.ts";
import type { Application } from "../../src/guest/applications/application.ts";
import { MmioTransport } from "../../src/guest/mmio-transport.ts";
import type { NetDriver } from "../../src/guest/net-driver.ts";
import { ReceiveQueue } from "../../src/guest/receive-queue.ts";
import type { ReceivedFrame } from "../../src/guest/received-frame.ts";
import { Vcpu } from "../../src/guest/vcpu.ts";
import { VcpuLoop } from "../../src/guest/vcpu-loop.ts";
import { HostVcpu } from "../../src/hypervisor/engine/threads/host-vcpu.ts";
import { ringDoorbell } from "../../src/hypervisor/machine/doorbell.ts";
import type { Experiment } from "./preemption.ts";
import {
  BUFFERS,
  DeviceEnd,
  driverRing,
  MEMORY_BYTES,
  type RingOptions,
  ramOf,
  SIZE_MAX,
  sideOf,
} from "./ring-world.ts";

// Only the doorbells of the system block, and of the vCPU's block all but the exits, which nothing here makes.
const SYSTEM_WORDS = 32;
const VCPU_WORDS = 80;
const RAM_OFFSET = 4 * (SYSTEM_WORDS + VCPU_WORDS);
const BUFFER_BYTES = 16;
const FRAME_BYTES = 4;
const BUDGET = 64;
const NO_PROGRAM = { latencyNs: 0, overflowNs: 0, freeMin: 0, sliceEndNs: Number.POSITIVE_INFINITY };

export interface LoopOptions extends RingOptions {
  readonly load: "busy" | "idle";
  readonly frames: number;
  /** Times that the host takes the CPU away. */
  readonly parks: number;
  /** A woken guest gets a wake slice, or else a natural one. */
  readonly wakeSlices: boolean;
}

/** Byte offset of a word of the vCPU's control block. */
export function controlOffset(word: number): number {
  return 4 * (SYSTEM_WORDS + word);
}

export interface LoopOutcomes {
  readonly experiment: Experiment;
  /** Most wakes that any interleaving raised. */
  wakesMax: number;
}

export function loopExperiment(chosen: LoopOptions): LoopOutcomes {
  const options = { ...chosen, ramOffset: RAM_OFFSET };
  let card: Card | null = null;
  let guest: Guest | null = null;
  const outcomes: LoopOutcomes = {
    wakesMax: 0,
    experiment: {
      memoryBytes: RAM_OFFSET + MEMORY_BYTES,
      sides: [
        sideOf("host", (buffer) => new Host(buffer, options)),
        sideOf("guest", (buffer) => {
          guest = new Guest(buffer, options);
          return guest.loop;
        }),
        sideOf("card", (buffer) => {
          card = new Card(buffer, options);
          return card;
        }),
      ],
      check: () => {
        const { read } = guest!;
        const { delivered } = card!;
        if (`${read}` !== `${delivered}`) throw new Error(`delivered were ${delivered}, read ${read}: all sleep`);
        outcomes.wakesMax = Math.max(outcomes.wakesMax, card!.wakes);
      },
    },
  };
  return outcomes;
}

/** ThreadHost with a scheduler that takes the CPU away as early as it may, and gives it only to a guest that is woken. */
class Host {
  readonly #system: Int32Array;
  readonly #vcpu: HostVcpu;
  readonly #wakeSlices: boolean;
  #active = true;
  #parksLeft: number;

  constructor(buffer: SharedArrayBuffer, options: LoopOptions) {
    this.#system = new Int32Array(buffer, 0, SYSTEM_WORDS);
    const words = wordsOf(buffer);
    this.#vcpu = new HostVcpu(words);
    this.#wakeSlices = options.wakeSlices;
    this.#parksLeft = options.parks;
    words[ASK] = ASK_RUN;
    this.#vcpu.postState(GUEST_ACTIVE, NO_PROGRAM, 0);
  }

  run(): void {
    const system = this.#system;
    for (;;) {
      const bell = Atomics.load(system, HOST_DOORBELL);
      this.#hearVcpu();
      if (this.#vcpu.takeWake() && !this.#active) this.#activate();
      if (this.#active && this.#parksLeft > 0) {
        this.#parksLeft--;
        this.#vcpu.askToPark();
      }
      Atomics.wait(system, HOST_DOORBELL, bell);
    }
  }

  #hearVcpu(): void {
    if (!this.#active) return;
    const { status } = this.#vcpu;
    if (status === VCPU_PREEMPTED) this.#left(GUEST_PREEMPTED);
    else if (status === VCPU_IDLE && this.#vcpu.claimIdle()) this.#left(GUEST_IDLE);
  }

  #left(state: number): void {
    this.#active = false;
    this.#post(state);
  }

  #activate(): void {
    this.#vcpu.takeWake();
    this.#active = true;
    this.#post(GUEST_ACTIVE);
    this.#vcpu.unpark(this.#wakeSlices);
  }

  #post(state: number): void {
    this.#vcpu.postState(state, NO_PROGRAM, 0);
    ringDoorbell(this.#system, DEVICE_DOORBELL);
  }
}

class Guest {
  readonly loop: VcpuLoop;
  readonly read: number[] = [];

  constructor(buffer: SharedArrayBuffer, options: LoopOptions & RingOptions) {
    const ram = ramOf(buffer, options);
    const ring = driverRing(ram, options);
    const transport = new MmioTransport({ read: () => 0, write: () => {} });
    const settings = {
      queue: 0,
      buffersAddress: BUFFERS,
      bufferBytes: BUFFER_BYTES,
      mergeable: false,
      refillBatch: options.size,
    };
    const receive = new ReceiveQueue(ring, ram, transport, settings, null);
    receive.fill();
    const handler = {
      frame: ({ u8, segmentAddress }: ReceivedFrame): number => {
        const id = u8[segmentAddress[0]!]!;
        this.read.push(id);
        return id;
      },
    };
    // What VcpuLoop and Vcpu use of a NetDriver; a whole one cannot be brought up without a card that answers.
    const driver = {
      sent: 0,
      get polling(): boolean {
        return receive.polling;
      },
      get foundEmpty(): boolean {
        return receive.foundEmpty;
      },
      get received(): number {
        return receive.received;
      },
      interrupt: (bits: number): void => {
        if (bits !== 0) receive.startPolling();
      },
      poll: (budget: number): number => receive.poll(budget, handler),
      pollDone: (): boolean => receive.pollDone(),
      unreadBuffers: (): number => ring.refreshUsed(),
      hasUnread: (): boolean => ring.hasUsed(),
      flush: (): void => {},
    } satisfies Partial<NetDriver>;
    const application = { intake: { readNs: 0, readState: 0 }, done: true, unsent: 0, work: () => 0 };
    const vcpu = new Vcpu(driver as unknown as NetDriver, application as unknown as Application);
    const system = new Int32Array(buffer, 0, SYSTEM_WORDS);
    let ns = 0;
    const nowNs = (): number => {
      // The idle loop gives up after one round of looks.
      ns += 1e6;
      return ns;
    };
    const { load } = options;
    this.loop = new VcpuLoop(wordsOf(buffer), system, vcpu, { load, budgetFrames: BUDGET, nowNs, events: null });
  }
}

class Card {
  readonly delivered: number[] = [];
  wakes = 0;
  readonly #end: DeviceEnd;
  readonly #path: ReceivePath;
  readonly #system: Int32Array;
  readonly #words: Int32Array;
  readonly #frame = new Frame(new Uint8Array(FRAME_BYTES));
  #framesLeft: number;
  #nowNs = 0;
  #takenState: number;

  constructor(buffer: SharedArrayBuffer, options: LoopOptions) {
    this.#system = new Int32Array(buffer, 0, SYSTEM_WORDS);
    this.#words = wordsOf(buffer);
    this.#framesLeft = options.frames;
    this.#frame.lengthBytes = FRAME_BYTES;
    this.#end = new DeviceEnd(buffer, CAUSE_KIND_RX, false, options, {
      // DeviceGuest.#interruptSink
      notify: (vector) => {
        Atomics.or(this.#words, PENDING, 1 << vector);
        ringDoorbell(this.#words, VCPU_DOORBELL);
      },
      wake: () => {
        // As in the protocol's model: what waits raises one wake, unless the CPU was taken away meanwhile.
        if (++this.wakes > options.frames + options.parks) throw new Error("wakes are raised again and again");
        Atomics.add(this.#words, WAKE_SEQ, 1);
        ringDoorbell(this.#system, HOST_DOORBELL);
      },
    });
    this.#path = new ReceivePath(this.#end.context, SIZE_MAX);
    this.#path.configure(negotiated(new FeatureNegotiation(), 1500));
    // The run begins when the device has taken over that the guest is active.
    this.#takenState = Atomics.load(this.#words, STATE);
    Atomics.store(this.#words, STATE_ECHO, this.#takenState);
  }

  /** ServiceLoop.run: states first, then a frame, then what is due; asleep when there is nothing. */
  run(): void {
    const { throttle } = this.#end;
    for (;;) {
      const bell = Atomics.load(this.#system, DEVICE_DOORBELL);
      this.#nowNs++;
      this.#takeState();
      if (this.#framesLeft > 0) {
        this.#deliver();
        continue;
      }
      const dueNs = throttle.nextDeadlineNs();
      if (dueNs < Number.POSITIVE_INFINITY) {
        this.#nowNs = Math.max(this.#nowNs, dueNs);
        throttle.expire(this.#nowNs);
        continue;
      }
      Atomics.wait(this.#system, DEVICE_DOORBELL, bell);
    }
  }

  #deliver(): void {
    const { statistics } = this.#end.context;
    const before = statistics.frames;
    const id = this.delivered.length + 1;
    this.#frame.bytes.fill(id);
    this.#framesLeft--;
    this.#path.accept(this.#frame, this.#nowNs);
    this.#path.finish(this.#nowNs);
    if (statistics.frames > before) this.delivered.push(id);
  }

  /** CardBlock.takeState. */
  #takeState(): void {
    const word = Atomics.load(this.#words, STATE);
    if (word === this.#takenState) return;
    const state = word & 3;
    const wasActive = (this.#takenState & GUEST_ACTIVE) !== 0;
    const active = (state & GUEST_ACTIVE) !== 0;
    if (wasActive === active) this.#applyState(active ? GUEST_PREEMPTED : GUEST_ACTIVE);
    this.#applyState(state);
    this.#takenState = word;
    Atomics.store(this.#words, STATE_ECHO, word);
  }

  /** DeviceGuest.#applyState. */
  #applyState(state: number): void {
    const { throttle } = this.#end;
    const active = (state & GUEST_ACTIVE) !== 0;
    if (!active && Atomics.exchange(this.#words, PENDING, 0) !== 0) throttle.returned(0, false);
    throttle.setGuestState(0, state, 0, this.#nowNs);
  }
}

function wordsOf(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 4 * SYSTEM_WORDS, VCPU_WORDS);
}
