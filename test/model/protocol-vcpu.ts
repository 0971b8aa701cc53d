/** The vCPU's thread in the model: VcpuLoop, Vcpu.step, and of the driver the ring and its polling. */

import {
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  CONFIG_BIT,
  isActive,
  type ProtocolOptions,
  RING,
  RUNS_OFF,
  SLICE_WASTED,
  type State,
  type Step,
  TAKEN_INACTIVE,
  type Variant,
  VCPU_IDLE,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
} from "./protocol-state.ts";

const LOOK_ASK = 0;
const LOOK_PENDING = 1;
const TAKE_PENDING = 2;
const START_POLLING = 3;
const DISABLE = 4;
const LOOK_USED = 5;
const REFILL = 6;
const ENABLE = 7;
const LOOK_AGAIN = 8;
const DISABLE_AGAIN = 9;
const DUE_ECHO = 10;
const DUE_STATE = 11;
const DUE_PENDING = 12;
const DUE_USED = 13;
const SPIN_PENDING = 14;
const SPIN_ASK = 15;
const PARK = 16;
const SLEEP_IDLE = 17;
const RING_HOST = 18;
const BELL = 19;
const SLEEP_STATUS = 20;
const SLEEP_PENDING = 21;
const TAKE_BACK = 22;
const WAIT = 23;
const BELL_LATE = 24;
const STORE_RUNNING = 25;
const SPIN_ECHO = 26;
const SPIN_STATE = 27;
const LOOK_KNOWN = 28;

// STEP_* of vcpu.ts, as far as the loop distinguishes them.
const IDLE = 0;
const POLLED = 1;
const DRAINED = 2;

const EARLY_PENDING: ReadonlySet<Variant> = new Set<Variant>([
  "vCPU looks at PENDING before STATE_ECHO when it idles",
  "vCPU idles without looking at STATE_ECHO",
]);

export const vcpuStep: Step = (s, emit, options) => {
  const { variant, eventIdx } = options;
  const bellLate = variant === "vCPU reads its doorbell after looking";
  switch (s.vcpu) {
    case LOOK_ASK: // VcpuLoop.run: const ask = Atomics.load(words, ASK)
      emit("vcpu: looks at ASK", (n) => {
        runs(n);
        n.vcpuAsk = s.ask === ASK_PARK_WHEN_DRAINED ? s.ask : 0;
        n.vcpu = s.ask === ASK_PARK ? PARK : LOOK_KNOWN;
      });
      return;
    case LOOK_KNOWN: // VcpuLoop.#step: driver.unreadBuffers(): only what is known now is read in this step
      emit("vcpu: looks at used.idx, before the step", (n) => {
        n.vcpuKnown = s.used;
        n.vcpu = LOOK_PENDING;
      });
      return;
    case LOOK_PENDING: // VcpuLoop.#step: Atomics.load(words, PENDING) !== 0
      emit("vcpu: looks at PENDING", (n) => {
        if (s.pending !== 0) n.vcpu = TAKE_PENDING;
        else n.vcpu = s.polling === 1 ? DISABLE : after(n, IDLE, options);
      });
      return;
    case TAKE_PENDING: // VcpuLoop.#step: Atomics.exchange(words, PENDING, 0)
      emit("vcpu: takes PENDING", (n) => {
        runs(n);
        if (s.pending !== 0 && !isActive(s.word)) n.violation = TAKEN_INACTIVE;
        n.pending = 0;
        if ((s.pending & CONFIG_BIT) !== 0) {
          n.configsTaken++;
          n.owedConfig = 0;
        }
        // NetDriver.interrupt: no bits, no interrupt; otherwise polling starts, whatever it was for.
        if (s.pending !== 0) n.vcpu = START_POLLING;
        else n.vcpu = s.polling === 1 ? DISABLE : after(n, IDLE, options);
      });
      return;
    case START_POLLING: // ReceiveQueue.startPolling: disableNotifications; `poll` does it once more, which changes nothing
      emit("vcpu: starts polling, notifications off", (n) => {
        n.polling = 1;
        n.event = eventIdx ? s.read : 1;
        n.vcpu = LOOK_USED;
      });
      return;
    case DISABLE: // ReceiveQueue.poll: disableNotifications
      emit("vcpu: polls, notifications off", (n) => {
        n.event = eventIdx ? s.read : 1;
        n.vcpu = LOOK_USED;
      });
      return;
    case LOOK_USED: // ReceiveQueue.poll: refreshUsed, then all that the budget allows is read
      emit("vcpu: looks at used.idx", (n) => {
        n.read = s.vcpuKnown;
        if (s.used === s.read) n.vcpu = s.avail - RING < s.read ? REFILL : ENABLE;
        // The budget is spent and more is there: not found empty. Otherwise it looks again.
        else if (s.used > s.vcpuKnown || s.vcpuKnown === s.read) n.vcpu = after(n, POLLED, options);
      });
      return;
    case REFILL: // ReceiveQueue.#refill → SplitRingDriver.publish: Atomics.store(avail.idx)
      emit("vcpu: gives buffers back", (n) => {
        n.avail = RING + s.read;
        n.vcpu = ENABLE;
      });
      return;
    case ENABLE: // ReceiveQueue.pollDone → enableNotifications: Atomics.store(used_event or avail.flags)
      emit("vcpu: notifications on", (n) => {
        n.event = eventIdx ? s.read + 1 : 0;
        n.vcpu = LOOK_AGAIN;
      });
      return;
    case LOOK_AGAIN: // enableNotifications: refreshUsed
      emit("vcpu: looks at used.idx again", (n) => {
        if (s.used > s.read) {
          n.vcpu = DISABLE_AGAIN;
          return;
        }
        n.polling = 0;
        n.vcpu = after(n, DRAINED, options);
      });
      return;
    case DISABLE_AGAIN: // ReceiveQueue.pollDone: disableNotifications
      emit("vcpu: notifications off again", (n) => {
        n.event = eventIdx ? s.read : 1;
        n.vcpu = after(n, POLLED, options);
      });
      return;

    // --- VcpuLoop.#nothingDue, at the beginning of a wake slice
    case DUE_ECHO: // Atomics.load(words, STATE_ECHO)
      emit("vcpu: looks at STATE_ECHO", (n) => {
        n.vcpuSeen = s.echo;
        n.vcpu = DUE_STATE;
      });
      return;
    case DUE_STATE: // … !== Atomics.load(words, STATE)
      emit("vcpu: looks at STATE", (n) => {
        n.vcpuSeen = 0;
        if (variant === "vCPU looks at PENDING before STATE_ECHO") n.vcpu = DUE_USED;
        else n.vcpu = DUE_PENDING;
        if (s.vcpuSeen !== s.word) n.vcpu = goOn(n, options);
      });
      return;
    case DUE_PENDING: // Atomics.load(words, PENDING) === 0
      emit("vcpu: looks whether PENDING is 0", (n) => {
        n.vcpu = DUE_USED;
        if (variant === "vCPU looks at PENDING before STATE_ECHO") n.vcpu = DUE_ECHO;
        if (s.pending !== 0) n.vcpu = goOn(n, options);
        else if (variant === "vCPU parks without looking at STATE_ECHO and the ring") leave(n, options);
      });
      return;
    case DUE_USED: // driver.hasUnread(): SplitRingDriver.hasUsed
      emit("vcpu: looks whether frames are unread", (n) => {
        if (s.used > s.read) n.vcpu = goOn(n, options);
        else leave(n, options);
      });
      return;

    // --- idling, and leaving the CPU
    case SPIN_PENDING: // VcpuLoop.#idle: Atomics.load(words, PENDING) !== 0, the last look
      emit("vcpu: looks at PENDING, idle", (n) => {
        n.vcpu = EARLY_PENDING.has(variant) ? SPIN_ASK : SLEEP_IDLE;
        if (s.pending !== 0) n.vcpu = LOOK_ASK;
      });
      return;
    case SPIN_ASK: // VcpuLoop.#idle: Atomics.load(words, ASK) !== ASK_RUN
      emit("vcpu: looks at ASK, idle", (n) => {
        n.vcpu = SPIN_ECHO;
        if (variant === "vCPU idles without looking at STATE_ECHO") n.vcpu = SLEEP_IDLE;
        if (s.ask !== ASK_RUN) n.vcpu = LOOK_ASK;
      });
      return;
    case SPIN_ECHO: // VcpuLoop.#idle: Atomics.load(words, STATE_ECHO)
      emit("vcpu: looks at STATE_ECHO, idle", (n) => {
        n.vcpuSeen = s.echo;
        n.vcpu = SPIN_STATE;
      });
      return;
    case SPIN_STATE: // … !== Atomics.load(words, STATE); that it looks about for some time first changes nothing
      emit("vcpu: looks at STATE, idle", (n) => {
        n.vcpuSeen = 0;
        n.vcpu = EARLY_PENDING.has(variant) ? SLEEP_IDLE : SPIN_PENDING;
        if (s.vcpuSeen !== s.word) n.vcpu = idle(options);
      });
      return;

    // --- leaving the CPU
    case PARK: // VcpuLoop.#park: Atomics.store(words, VCPU_STATUS, VCPU_PREEMPTED)
      emit("vcpu: parks", (n) => {
        n.status = VCPU_PREEMPTED;
        n.vcpu = RING_HOST;
      });
      return;
    case SLEEP_IDLE: // VcpuLoop.#sleepIdle: Atomics.store(words, VCPU_STATUS, VCPU_IDLE)
      emit("vcpu: says that it is idle", (n) => {
        n.status = VCPU_IDLE;
        n.vcpu = RING_HOST;
      });
      return;

    // --- VcpuLoop.#sleep
    case RING_HOST: // ringDoorbell(system, HOST_DOORBELL)
      emit("vcpu: rings the host", (n) => {
        n.bellHost = 1;
        n.vcpu = BELL;
      });
      return;
    case BELL: // const bell = Atomics.load(words, VCPU_DOORBELL)
      emit("vcpu: reads its doorbell", (n) => {
        if (!bellLate) n.bellVcpu = 0;
        n.vcpu = SLEEP_STATUS;
      });
      return;
    case SLEEP_STATUS: // const status = Atomics.load(words, VCPU_STATUS)
      emit("vcpu: looks at VCPU_STATUS", (n) => {
        n.vcpu = bellLate ? BELL_LATE : WAIT;
        if (s.status === VCPU_RUNNING) n.vcpu = LOOK_ASK;
        if (s.status === VCPU_IDLE) n.vcpu = SLEEP_PENDING;
      });
      return;
    case SLEEP_PENDING: // status === VCPU_IDLE && Atomics.load(words, PENDING) !== 0
      emit("vcpu: looks at PENDING, asleep", (n) => {
        n.vcpu = bellLate ? BELL_LATE : WAIT;
        if (s.pending !== 0) n.vcpu = TAKE_BACK;
      });
      return;
    case TAKE_BACK: // Atomics.compareExchange(words, VCPU_STATUS, VCPU_IDLE, VCPU_RUNNING)
      emit("vcpu: takes itself back", (n) => {
        n.vcpu = bellLate ? BELL_LATE : WAIT;
        if (s.status !== VCPU_IDLE) return;
        n.vcpu = STORE_RUNNING;
        if (variant === "vCPU takes itself back without compareExchange") return;
        n.status = VCPU_RUNNING;
        n.vcpu = LOOK_ASK;
      });
      return;
    case STORE_RUNNING:
      emit("vcpu: stores RUNNING", (n) => {
        n.status = VCPU_RUNNING;
        n.vcpu = LOOK_ASK;
      });
      return;
    case BELL_LATE:
      emit("vcpu: reads its doorbell", (n) => {
        n.bellVcpu = 0;
        n.vcpu = WAIT;
      });
      return;
    case WAIT: // Atomics.wait(words, VCPU_DOORBELL, bell): normaliseVcpu ends it
      return;
  }
};

/** VcpuLoop.run, after a step: whether a wake slice is over, then `goOn`. Returns where the vCPU goes. */
function after(n: State, result: number, options: ProtocolOptions): number {
  n.vcpuKnown = 0;
  n.vcpuIdles = result === IDLE ? 1 : 0;
  if (n.vcpuAsk !== ASK_PARK_WHEN_DRAINED) return goOn(n, options);
  if (result === DRAINED && options.variant === "vCPU leaves its wake slice as soon as its ring is drained") {
    leave(n, options);
    return n.vcpu;
  }
  if (n.polling === 1) return goOn(n, options);
  switch (options.variant) {
    case "vCPU parks without looking at STATE_ECHO":
    case "vCPU parks without looking at STATE_ECHO and the ring":
    case "vCPU looks at PENDING before STATE_ECHO":
      return DUE_PENDING;
    default:
      return DUE_ECHO;
  }
}

/** VcpuLoop.run: poll on, run the background load, or idle. */
function goOn(n: State, options: ProtocolOptions): number {
  const idles = n.vcpuIdles === 1 && options.load === "idle";
  n.vcpuAsk = 0;
  n.vcpuIdles = 0;
  return idles ? idle(options) : LOOK_ASK;
}

/** The looks at PENDING while it spins are left out: they lead where the next turn of the loop leads. */
function idle({ variant }: ProtocolOptions): number {
  return EARLY_PENDING.has(variant) ? SPIN_PENDING : SPIN_ASK;
}

/** VcpuLoop.#leaveWakeSlice. A wake slice is for what waited when it was given, so that must be done. */
function leave(n: State, { load }: ProtocolOptions): void {
  n.vcpuAsk = 0;
  n.vcpuIdles = 0;
  if (n.read < n.owedFrames || n.owedConfig === 1) n.violation = SLICE_WASTED;
  n.vcpu = load === "idle" ? SLEEP_IDLE : PARK;
}

function runs(n: State): void {
  if (!isActive(n.word)) n.violation = RUNS_OFF;
}

/** A sleeper whose doorbell was rung does nothing but wake up. */
export function normaliseVcpu(n: State): void {
  if (n.vcpu === WAIT && n.bellVcpu === 1) n.vcpu = BELL;
}
