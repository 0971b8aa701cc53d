import { setImmediate } from "node:timers/promises";
import {
  ASK,
  ASK_PARK,
  DEVICE_GO,
  HOST_DOORBELL,
  START_HIGH,
  START_LOW,
  SYSTEM_BLOCK_WORDS,
  VCPU_BLOCK_WORDS,
} from "../../../device/spec/control-block.ts";
import type { LinuxCounts } from "../../report/result.ts";
import type { CardCounts, ReaderCounts } from "../guest-result.ts";
import { HostVcpu } from "./host-vcpu.ts";
import type { RunClock } from "./run-clock.ts";

const TWO_TO_32 = 2 ** 32;

/** The threads of a run, their memory, and the words that they share: whatever kind of guests they run. */
export interface ThreadMachine {
  readonly clock: RunClock;
  /** The system block. */
  readonly control: Int32Array;
  readonly vcpus: readonly HostVcpu[];
  readonly eventRings: readonly SharedArrayBuffer[];
  readonly notes: readonly string[];
  /** What a governor reckons with until it has measured, ns: a wake, and the first buffers given back after it. */
  readonly wakeLatencyGuessNs: number;
  readonly firstRefillNs: number;
  /** How much longer than to settle a run may take until every ring is drained, ns. */
  readonly drainMaxNs: number;
  /** Rings whoever has the card of this guest: a state was posted. */
  readonly ringCard: (guest: number) => void;
  /** All drivers are initialised, and all vCPUs parked; the threads have got their places. */
  whenParked(): Promise<void>;
  /** Every card has taken over its guest's state. */
  whenStateTaken(): Promise<void>;
  /** The traffic may begin. */
  go(startNs: number): void;
  /** No guest has anything more to send of its own accord. */
  sendersDone(): boolean;
  /** Throws if a thread has failed, or if the vCPU of this index does not leave its CPU; -1 = all do. */
  check(stuckVcpu: number): void;
  /** The run is over: no vCPU runs, and no card does anything, from here on. */
  halt(): Promise<void>;
  /** What the halted threads have to say. */
  report(): Promise<MachineReport>;
  /** Ends whatever still runs. */
  destroy(): Promise<void>;
}

/** What the threads of a run have counted and measured; lists have an entry for each guest. */
export interface MachineReport {
  readonly cards: readonly CardCounts[];
  readonly readers: readonly ReaderCounts[];
  /** What each guest's own kernel counted; null for guests that are none. */
  readonly linux: readonly LinuxCounts[] | null;
  readonly stateChangeNs: Float64Array;
  readonly latenessNs: Float64Array;
  readonly trafficLatenessNs: Float64Array;
  readonly notes: readonly string[];
  /** Of the threads that do the host's work beside the scheduler's own; null where it is not known. */
  readonly cpuNs: number | null;
  readonly eventsLost: number;
}

/** The control blocks of a run, in one shared buffer. All vCPUs are asked to park from the beginning. */
export class ControlMemory {
  readonly buffer: SharedArrayBuffer;
  readonly system: Int32Array;
  /** Where each vCPU's block begins, in words. */
  readonly blockWords: readonly number[];
  readonly vcpus: readonly HostVcpu[];

  constructor(guests: number) {
    this.buffer = new SharedArrayBuffer(4 * (SYSTEM_BLOCK_WORDS + guests * VCPU_BLOCK_WORDS));
    this.system = new Int32Array(this.buffer, 0, SYSTEM_BLOCK_WORDS);
    this.blockWords = Array.from({ length: guests }, (_, index) => SYSTEM_BLOCK_WORDS + index * VCPU_BLOCK_WORDS);
    this.vcpus = this.blockWords.map((word) => {
      const block = new Int32Array(this.buffer, 4 * word, VCPU_BLOCK_WORDS);
      block[ASK] = ASK_PARK;
      return new HostVcpu(block);
    });
  }

  /** The traffic's time 0 is `startNs`. The caller rings whoever waits for it. */
  go(startNs: number): void {
    this.system[START_LOW] = startNs % TWO_TO_32;
    this.system[START_HIGH] = Math.floor(startNs / TWO_TO_32);
    Atomics.store(this.system, DEVICE_GO, 1);
  }
}

/** Settles once `condition` holds; throws if it does not within `timeoutNs`, or if a thread fails meanwhile. */
export async function until(
  machine: ThreadMachine,
  condition: () => boolean,
  what: string,
  timeoutNs: number,
): Promise<void> {
  const deadlineNs = machine.clock() + timeoutNs;
  while (!condition()) {
    machine.check(-1);
    if (machine.clock() > deadlineNs) throw new Error(`the guests did not ${what} within ${timeoutNs / 1e9} s`);
    Atomics.wait(machine.control, HOST_DOORBELL, Atomics.load(machine.control, HOST_DOORBELL), 1);
    await setImmediate();
  }
}
