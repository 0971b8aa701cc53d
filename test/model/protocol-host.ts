/** The host's thread in the model: ThreadHost and HostVcpu, with a scheduler that decides anything within its bounds. */

import {
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  GUEST_ACTIVE,
  GUEST_IDLE,
  GUEST_PREEMPTED,
  type ProtocolOptions,
  type State,
  type Step,
  USED_BIT,
  VCPU_IDLE,
  VCPU_OFF,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
} from "./protocol-state.ts";
import type { Emit } from "./state-space.ts";

const BELL = 0;
const HEAR_VCPU = 1;
const CLAIM = 2;
const POST_INACTIVE = 3;
const RING_INACTIVE = 4;
const HEAR_WAKE = 5;
const HEAR_AGAIN = 6;
const POST_ACTIVE = 7;
const RING_ACTIVE = 8;
const INJECT = 9;
const STORE_ASK = 10;
const STORE_STATUS = 11;
const RING_VCPU = 12;
const DECIDE = 13;
const RING_ASK = 14;
const SLEEP = 15;
const BELL_LATE = 16;

export const hostStep: Step = (s, emit, options) => {
  const { variant } = options;
  const bellLate = variant === "host reads its doorbell after looking";
  const injects = variant === "host injects the notification";
  switch (s.host) {
    case BELL: // play(): const bell = Atomics.load(control, HOST_DOORBELL)
      emit("host: reads its doorbell", (n) => {
        if (!bellLate) n.bellHost = 0;
        n.host = s.hostActive === 1 ? HEAR_VCPU : HEAR_WAKE;
      });
      return;
    case HEAR_VCPU: // ThreadHost.#hearVcpu: guest.vcpu.status
      emit("host: looks at VCPU_STATUS", (n) => {
        n.host = HEAR_WAKE;
        if (s.status === VCPU_PREEMPTED) leave(n, GUEST_PREEMPTED);
        else if (s.status === VCPU_IDLE) n.host = CLAIM;
      });
      return;
    case CLAIM: // HostVcpu.claimIdle: compareExchange(VCPU_STATUS, VCPU_IDLE, VCPU_OFF)
      emit("host: claims the idle vCPU", (n) => {
        n.host = HEAR_WAKE;
        if (s.status !== VCPU_IDLE) return;
        n.status = VCPU_OFF;
        leave(n, GUEST_IDLE);
      });
      return;
    case POST_INACTIVE: // ThreadHost.#left → HostVcpu.postState: Atomics.store(words, STATE, …)
      emit("host: posts 0", (n) => {
        n.word = nextWord(s, s.hostArg);
        n.hostArg = 0;
        n.host = RING_INACTIVE;
      });
      return;
    case RING_INACTIVE: // ThreadHost.#post: this.#ringDevice()
      emit("host: rings the device", (n) => {
        n.bellDevice = 1;
        n.host = HEAR_WAKE;
      });
      return;
    case HEAR_WAKE: // ThreadHost.#hearWake → HostVcpu.takeWake: Atomics.load(words, WAKE_SEQ)
      emit("host: looks at WAKE_SEQ", (n) => {
        n.wakes = 0;
        n.host = decideOrSleep(n, options);
        // "The device raised it before it knew of the activation, which has answered it."
        if (s.wakes > 0 && s.hostActive === 0) {
          n.host = HEAR_AGAIN;
          n.hostAnswersWake = injects ? 1 : 0;
        }
      });
      return;
    case HEAR_AGAIN: // ThreadHost.activate: this.#hearWake(index), before the post
      for (const ask of [ASK_RUN, ASK_PARK_WHEN_DRAINED]) {
        if (options.asks !== "both" && (ask === ASK_RUN) !== (options.asks === "natural")) continue;
        emit(`host: looks at WAKE_SEQ again, activates with ask ${ask}`, (n) => {
          if (s.wakes > 0 && injects) n.hostAnswersWake = 1;
          n.wakes = 0;
          n.hostArg = ask;
          n.host = variant === "host unparks before it posts 1" ? STORE_ASK : POST_ACTIVE;
        });
      }
      return;
    case POST_ACTIVE: // ThreadHost.activate: this.#post(index, GUEST_ACTIVE, …)
      emit("host: posts 1", (n) => {
        n.hostActive = 1;
        n.word = nextWord(s, GUEST_ACTIVE);
        // normaliseWords forgets it unless this is a wake slice.
        n.owedFrames = s.used;
        n.owedConfig = s.config;
        n.host = RING_ACTIVE;
      });
      return;
    case RING_ACTIVE: // ThreadHost.#post: this.#ringDevice()
      emit("host: rings the device", (n) => {
        n.bellDevice = 1;
        n.host = STORE_ASK;
        if (variant === "host unparks before it posts 1") n.host = decideOrSleep(n, options);
        if (s.hostAnswersWake === 1) n.host = INJECT;
        n.hostAnswersWake = 0;
      });
      return;
    case INJECT:
      emit("host: sets PENDING", (n) => {
        n.pending |= USED_BIT;
        n.host = STORE_ASK;
      });
      return;
    case STORE_ASK: // HostVcpu.unpark: Atomics.store(words, ASK, …)
      emit("host: stores the ask", (n) => {
        n.ask = s.hostArg;
        n.hostArg = 0;
        n.host = STORE_STATUS;
      });
      return;
    case STORE_STATUS: // HostVcpu.unpark: Atomics.store(words, VCPU_STATUS, VCPU_RUNNING)
      emit("host: stores RUNNING", (n) => {
        n.status = VCPU_RUNNING;
        n.host = RING_VCPU;
      });
      return;
    case RING_VCPU: // HostVcpu.unpark: ringDoorbell(words, VCPU_DOORBELL)
      emit("host: rings the vCPU", (n) => {
        n.bellVcpu = 1;
        n.host = variant === "host unparks before it posts 1" ? POST_ACTIVE : decideOrSleep(n, options);
      });
      return;
    case DECIDE: // ThreadHost.turn: this.scheduler.expire(…)
      decide(s, emit, options);
      emit("host: decides nothing", (n) => {
        n.host = endOfTurn(options);
      });
      return;
    case RING_ASK: // HostVcpu.#ask: ringDoorbell(words, VCPU_DOORBELL)
      emit("host: rings the vCPU", (n) => {
        n.bellVcpu = 1;
        n.host = decideOrSleep(n, options);
        if (variant === "host posts 0 before the vCPU has parked" && s.ask === ASK_PARK) leave(n, GUEST_PREEMPTED);
      });
      return;
    case BELL_LATE:
      emit("host: reads its doorbell", (n) => {
        n.bellHost = 0;
        n.host = SLEEP;
      });
      return;
    case SLEEP: // play(): Atomics.wait(control, HOST_DOORBELL, bell, …)
      // normaliseHost ends it when the doorbell is rung. Its time-out is the scheduler's next deadline; that it also ends
      // every few ms for signals is no part of this.
      if (mayDecide(s, options)) {
        const wake = (n: State): void => {
          n.host = BELL;
        };
        emit("host: wakes by its clock", wake, true);
      }
      return;
  }
};

function decide(s: State, emit: Emit<State>, options: ProtocolOptions): void {
  if (s.hostActive === 0) {
    if (s.slicesLeft === 0) return;
    const begin = "host: a natural slice begins";
    emit(
      begin,
      (n) => {
        n.slicesLeft--;
        n.host = HEAR_AGAIN;
      },
      true,
    );
    return;
  }
  // ThreadHost.park → HostVcpu.askToPark: Atomics.store(words, ASK, ASK_PARK); asked once per span.
  if (s.parksLeft > 0 && s.ask !== ASK_PARK) {
    emit(
      "host: asks the vCPU to park",
      (n) => {
        n.parksLeft--;
        n.ask = ASK_PARK;
        n.host = RING_ASK;
      },
      true,
    );
  }
  // ThreadHost.replan: the wake slice became a natural one.
  if (options.replans && s.ask === ASK_PARK_WHEN_DRAINED) {
    emit(
      "host: replans to a natural slice",
      (n) => {
        n.ask = ASK_RUN;
        n.host = RING_ASK;
      },
      true,
    );
  }
}

function decideOrSleep(n: State, options: ProtocolOptions): number {
  return mayDecide(n, options) ? DECIDE : endOfTurn(options);
}

function endOfTurn({ variant }: ProtocolOptions): number {
  return variant === "host reads its doorbell after looking" ? BELL_LATE : SLEEP;
}

function mayDecide(s: State, { replans }: ProtocolOptions): boolean {
  if (s.hostActive === 0) return s.slicesLeft > 0;
  return (s.parksLeft > 0 && s.ask !== ASK_PARK) || (replans && s.ask === ASK_PARK_WHEN_DRAINED);
}

function leave(n: State, state: number): void {
  n.hostActive = 0;
  n.hostArg = state;
  n.host = POST_INACTIVE;
}

function nextWord(s: State, state: number): number {
  return (((s.word >>> 2) + 1) << 2) | state;
}

/** A sleeper whose doorbell was rung does nothing but wake up. */
export function normaliseHost(n: State): void {
  if (n.host === SLEEP && n.bellHost === 1) n.host = BELL;
}
