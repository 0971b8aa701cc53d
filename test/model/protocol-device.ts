/**
 * The device's thread in the model: ServiceLoop, DeviceGuest, and as much of ReceivePath and Throttle as decides about
 * interrupts. Time is free: wherever an interval may or may not be over, both happen. So the guard, urgent frames and
 * coalescing need no transitions of their own: they send earlier what may be sent early here anyway.
 */

import {
  CONFIG_BIT,
  isActive,
  type ProtocolOptions,
  SECOND_WAKE,
  type State,
  type Step,
  USED_BIT,
  WAKE_STORM,
} from "./protocol-state.ts";

const BELL = 0;
const LOOK_STATE = 1;
const EXCHANGE = 2;
const LOOK_UNREAD = 3;
const LOOK_WANTED_ON = 4;
const STORE_ECHO = 5;
const POLL = 6;
const LOOK_AVAIL = 7;
const PUBLISH = 8;
const LATCH = 9;
const EVALUATE = 10;
const LOOK_STILL_WANTED = 11;
const SET_PENDING = 12;
const RING_VCPU = 13;
const WAKE = 14;
const RING_HOST = 15;
const SET_CONFIG_PENDING = 16;
const RING_CONFIG = 17;
const SLEEP = 18;
const BELL_LATE = 19;
const ECHO_EARLY = 20;

export const deviceStep: Step = (s, emit, options) => {
  const { variant } = options;
  switch (s.device) {
    case BELL: // ServiceLoop.run: const bell = Atomics.load(system, DEVICE_DOORBELL)
      emit("device: reads its doorbell", (n) => {
        if (variant !== "device reads its doorbell after looking") n.bellDevice = 0;
        n.device = LOOK_STATE;
      });
      return;
    case LOOK_STATE: // CardBlock.takeState: const word = Atomics.load(words, STATE)
      emit("device: looks at STATE", (n) => {
        n.device = POLL;
        if (s.word === s.taken) return;
        n.taking = s.word;
        const skips = variant === "device skips the state in between";
        n.between = isActive(s.word) === isActive(s.taken) && !skips ? 1 : 0;
        if (variant === "device stores STATE_ECHO before it acts") n.device = ECHO_EARLY;
        else takeOver(n, options);
      });
      return;
    case ECHO_EARLY:
      emit("device: stores STATE_ECHO", (n) => {
        n.echo = s.taking;
        takeOver(n, options);
      });
      return;
    case EXCHANGE: // DeviceGuest.#applyState: Atomics.exchange(words, PENDING, 0), then Throttle.returned
      emit("device: takes PENDING back", (n) => {
        if (variant !== "device leaves PENDING on taking over 0") {
          n.pending = 0;
          if (s.pending !== 0 && s.notified === 1) n.cause = 1; // QueueCause.restore
          if (s.pending !== 0) n.notified = 0;
          if ((s.pending & CONFIG_BIT) !== 0) n.config = 1;
        }
        n.active = 0;
        if (n.cause === 0) n.device = LOOK_UNREAD;
        else deactivated(n, 1, options);
      });
      return;
    case LOOK_UNREAD: // Throttle.#deactivated: cause.source.mayHaveUnread()
      emit("device: looks whether frames may be unread", (n) => {
        // SplitQueue.mayHaveUnread: nothing was ever used, or used_event !== usedIdx, or notifications are off.
        const unread = s.used > 0 && (options.eventIdx ? s.event - 1 !== s.used : s.event === 1);
        deactivated(n, unread ? 1 : 0, options);
      });
      return;
    case LOOK_WANTED_ON: // Throttle.#activated: cause.stillWanted()
      emit("device: looks whether the cause is wanted (activation)", (n) => {
        if (!wanted(s, s.latch, options)) n.cause = 0;
        activated(n, options);
      });
      return;
    case STORE_ECHO: // CardBlock.takeState: Atomics.store(words, STATE_ECHO, word)
      emit("device: stores STATE_ECHO", (n) => {
        n.taken = s.taking;
        n.echo = s.taking;
        n.taking = 0;
        n.device = POLL;
      });
      return;
    case POLL: // NetCard.poll: a frame is on the wire, or none; setLinkUp
      if (s.wire > 0) {
        emit("device: takes a frame off the wire", (n) => {
          n.wire--;
          n.device = LOOK_AVAIL;
        });
      }
      if (s.configsLeft > 0) {
        emit("device: its configuration changes", (n) => {
          n.configsLeft--;
          n.config = 1;
          n.after = endOfTurn(options);
          if (s.active === 1) n.device = SET_CONFIG_PENDING;
          else n.device = s.wakeOutstanding === 0 ? WAKE : endOfTurn(options);
        });
      }
      // Throttle.expire
      if (s.deadline === 1) {
        emit("device: a deadline has come", (n) => {
          n.after = endOfTurn(options);
          n.deadline = 0;
          n.device = s.active === 1 ? LOOK_STILL_WANTED : WAKE;
          if (s.active === 1 ? s.cause === 0 : s.waiting === 0 || s.wakeOutstanding === 1) goOn(n, options);
        });
      }
      emit("device: finds nothing to do", (n) => {
        n.device = endOfTurn(options);
      });
      return;
    case LOOK_AVAIL: // SplitQueue.take → refresh: loadAcquireU16(avail.idx)
      emit("device: looks at avail.idx", (n) => {
        n.device = PUBLISH;
        if (s.avail > s.used) return;
        // ReceivePath.#dropForWant: dropped, and Throttle.starved evaluates.
        n.after = endOfTurn(options);
        evaluate(n, options);
      });
      return;
    case PUBLISH: // SplitQueue.publish: storeReleaseU16(used.idx)
      emit("device: stores used.idx", (n) => {
        n.used++;
        n.after = endOfTurn(options);
        if (s.active === 0) n.waiting = 1; // Throttle.published, R9: whether or not it is suppressed
        if (s.cause === 0) n.device = LATCH;
        else evaluate(n, options); // Throttle.#latch: coalesced
      });
      return;
    case LATCH: // Throttle.#latch: source.wantsInterrupt(fromUsedIdx)
      emit("device: looks whether an interrupt is wanted", (n) => {
        if (wanted(s, s.used - 1, options)) {
          n.cause = 1;
          n.latch = s.used - 1;
          n.notified = 0; // QueueCause.latch
        }
        evaluate(n, options);
      });
      return;
    case EVALUATE: // Throttle.#evaluate: dueNs <= nowNs, or a deadline
      emit("device: an interrupt is due", (n) => {
        n.device = s.active === 1 ? LOOK_STILL_WANTED : WAKE;
      });
      emit("device: sets a deadline", (n) => {
        n.deadline = 1;
        goOn(n, options);
      });
      return;
    case LOOK_STILL_WANTED: // InterruptDelivery.notify: cause.stillWanted()
      emit("device: looks whether the cause is still wanted", (n) => {
        n.cause = 0;
        n.notified = wanted(s, s.latch, options) ? 1 : 0;
        n.device = SET_PENDING;
        if (n.notified === 0) goOn(n, options);
      });
      return;
    case SET_PENDING: // DeviceGuest.#interruptSink.notify: Atomics.or(words, PENDING, 1 << vector)
      emit("device: sets PENDING", (n) => {
        n.pending |= USED_BIT;
        n.device = RING_VCPU;
      });
      return;
    case RING_VCPU: // ringDoorbell(words, VCPU_DOORBELL)
      emit("device: rings the vCPU", (n) => {
        n.bellVcpu = 1;
        goOn(n, options);
      });
      return;
    case WAKE: // DeviceGuest.#interruptSink.wake: Atomics.add(words, WAKE_SEQ, 1)
      emit("device: raises a wake", (n) => {
        if (s.wakeOutstanding === 1) n.violation = SECOND_WAKE;
        n.wakeOutstanding = 1;
        n.deadline = 0;
        n.wakes++;
        if (options.countWakes) n.wakesRaised++;
        // One for each frame and change, and one more for each time that the CPU was taken away with work undone.
        if (n.wakesRaised > options.frames + options.configChanges + options.parks) n.violation = WAKE_STORM;
        if (variant === "wake clears the cause") {
          n.cause = 0;
          n.waiting = 0;
        }
        n.device = RING_HOST;
      });
      return;
    case RING_HOST: // ringDoorbell(system, HOST_DOORBELL)
      emit("device: rings the host", (n) => {
        n.bellHost = 1;
        goOn(n, options);
      });
      return;
    case SET_CONFIG_PENDING: // InterruptDelivery.notifyConfig, then the sink
      emit("device: sets PENDING for the configuration", (n) => {
        n.config = 0;
        n.pending |= CONFIG_BIT;
        n.device = RING_CONFIG;
      });
      return;
    case RING_CONFIG:
      emit("device: rings the vCPU", (n) => {
        n.bellVcpu = 1;
        evaluate(n, options);
      });
      return;
    case BELL_LATE:
      emit("device: reads its doorbell", (n) => {
        n.bellDevice = 0;
        n.device = SLEEP;
      });
      return;
    case SLEEP: // Atomics.wait(system, DEVICE_DOORBELL, bell, …): normaliseDevice ends it
      return;
  }
};

/** DeviceGuest.#applyState of the state at hand, or of the one in between. */
function takeOver(n: State, options: ProtocolOptions): void {
  if (isActive(n.taking) === (n.between === 1)) {
    n.device = EXCHANGE;
    return;
  }
  // Throttle.setGuestState and #activated
  n.endsWake = n.wakeOutstanding;
  n.wakeOutstanding = 0;
  n.active = 1;
  n.waiting = 0;
  n.deadline = 0;
  if (n.cause === 1) n.device = LOOK_WANTED_ON;
  else activated(n, options);
}

/** The rest of Throttle.#activated: R13, then R6. */
function activated(n: State, options: ProtocolOptions): void {
  n.after = STORE_ECHO;
  if (n.cause === 0) n.latch = 0;
  if (n.endsWake === 1 && options.variant === "host injects the notification" && n.cause === 1) {
    n.cause = 0;
    n.notified = 1;
  }
  if (n.config === 1) n.device = SET_CONFIG_PENDING;
  else evaluate(n, options);
}

/** The rest of Throttle.#deactivated: R13, then R7. */
function deactivated(n: State, waiting: number, options: ProtocolOptions): void {
  n.after = STORE_ECHO;
  n.waiting = waiting;
  n.deadline = 0;
  if (n.config === 1 && n.wakeOutstanding === 0) n.device = WAKE;
  else evaluate(n, options);
}

/** Throttle.#evaluate: R1 and R2 say whether there is anything to decide. */
function evaluate(n: State, options: ProtocolOptions): void {
  n.deadline = 0;
  const endsWake = n.endsWake === 1;
  n.endsWake = 0;
  if (n.active === 1 ? n.cause === 0 : n.waiting === 0 || n.wakeOutstanding === 1) goOn(n, options);
  else n.device = endsWake ? LOOK_STILL_WANTED : EVALUATE;
}

function endOfTurn({ variant }: ProtocolOptions): number {
  return variant === "device reads its doorbell after looking" ? BELL_LATE : SLEEP;
}

function goOn(n: State, options: ProtocolOptions): void {
  n.device = n.after;
  n.after = 0;
  if (n.device !== STORE_ECHO || n.between === 0) return;
  n.between = 0;
  takeOver(n, options);
}

/** SplitQueue.wantsInterrupt: the event is among the entries since `latch`, or notifications are on. */
function wanted(s: State, latch: number, { eventIdx }: ProtocolOptions): boolean {
  return eventIdx ? latch < s.event && s.event <= s.used : s.event === 0;
}

/** Makes equal what can make no difference any more. */
export function normaliseDevice(n: State): void {
  // A sleeper whose doorbell was rung, or whose time has come, does nothing but wake up.
  if (n.device === SLEEP && n.bellDevice + n.deadline + n.wire + n.configsLeft > 0) n.device = BELL;
  if (n.cause === 0) n.latch = 0;
  // QueueCause.#notified is asked for only when PENDING is found set; a configuration change can set it alone.
  const changes = n.configsLeft + n.config > 0 || n.device === SET_CONFIG_PENDING;
  if (n.pending === 0 && n.device !== SET_PENDING && !changes) n.notified = 0;
}
