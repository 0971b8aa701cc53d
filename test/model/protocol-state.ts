/** The words and private variables of the thread protocol's model (protocol-model.ts), all small integers. */

import {
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  VCPU_IDLE,
  VCPU_OFF,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
} from "../../src/device/spec/control-block.ts";
import { GUEST_ACTIVE, GUEST_IDLE, GUEST_PREEMPTED } from "../../src/device/spec/throttle-registers.ts";
import type { Emit } from "./state-space.ts";

/** What is explored: the environment's bounds, and the variant. */
export interface ProtocolOptions {
  readonly load: "busy" | "idle";
  readonly eventIdx: boolean;
  readonly frames: number;
  /** Times that the host may take the CPU away. */
  readonly parks: number;
  /** A woken guest gets a natural slice, a wake slice that ends when its ring is drained, or either. */
  readonly asks: "natural" | "wake" | "both";
  /** A wake slice may become a natural one. */
  readonly replans: boolean;
  /** Times that it may give the CPU without being woken. */
  readonly slices: number;
  readonly configChanges: number;
  /** Wakes are counted: what waits may raise only one, unless the CPU is taken away. */
  readonly countWakes: boolean;
  readonly variant: Variant;
}

/** `none` is what the code does; the others are mistakes, one each, but for the last, which is a remedy. */
export type Variant =
  | "none"
  | "host injects the notification"
  | "host posts 0 before the vCPU has parked"
  | "host unparks before it posts 1"
  | "host reads its doorbell after looking"
  | "wake clears the cause"
  | "device leaves PENDING on taking over 0"
  | "device stores STATE_ECHO before it acts"
  | "device skips the state in between"
  | "device reads its doorbell after looking"
  | "vCPU leaves its wake slice as soon as its ring is drained"
  | "vCPU parks without looking at STATE_ECHO"
  | "vCPU parks without looking at STATE_ECHO and the ring"
  | "vCPU looks at PENDING before STATE_ECHO"
  | "vCPU idles without looking at STATE_ECHO"
  | "vCPU takes itself back without compareExchange"
  | "vCPU reads its doorbell after looking"
  | "vCPU looks at PENDING before STATE_ECHO when it idles";

export interface State {
  [name: string]: number;
  // --- the control block
  /** `seq << 2 | GUEST_STATE`. */
  word: number;
  echo: number;
  /** PENDING: 1 = used buffers, 2 = a configuration change, which the code keeps in InterruptStatus. */
  pending: number;
  ask: number;
  status: number;
  /** Wakes that the host has not taken: WAKE_SEQ less the newest handled. */
  wakes: number;
  // Doorbells: 1 = rung since the sleeper read it. That is all that a wait on the value read can tell.
  bellVcpu: number;
  bellHost: number;
  bellDevice: number;
  // --- the ring, of two entries; indices are counts
  avail: number;
  used: number;
  /** used_event + 1, or without EVENT_IDX: 1 = VIRTQ_AVAIL_F_NO_INTERRUPT. */
  event: number;
  // --- the environment
  wire: number;
  configsLeft: number;
  parksLeft: number;
  slicesLeft: number;
  // --- host
  host: number;
  /** HostedGuest.active. */
  hostActive: number;
  /** GUEST_* to be posted, or the ASK_* of an activation under way. */
  hostArg: number;
  hostAnswersWake: number;
  // --- device
  device: number;
  taken: number;
  taking: number;
  /** The first of two changes at once is being applied. */
  between: number;
  /** The activation at hand ends a wake. */
  endsWake: number;
  active: number;
  /** QueueCause: pending, latched at, notified and not known to be taken; a frame waits. */
  cause: number;
  latch: number;
  notified: number;
  waiting: number;
  config: number;
  wakeOutstanding: number;
  deadline: number;
  /** Where the device goes on when an interrupt is sent. */
  after: number;
  // --- vCPU and driver
  vcpu: number;
  vcpuAsk: number;
  vcpuSeen: number;
  /** used.idx before the step. */
  vcpuKnown: number;
  /** The step found nothing to do. */
  vcpuIdles: number;
  polling: number;
  read: number;
  configsTaken: number;
  // --- what only the checker knows
  wakesRaised: number;
  /** What the activation under way found to be done: frames published, and 1 = a configuration change. */
  owedFrames: number;
  owedConfig: number;
  violation: number;
}

export const RING = 2;
export const USED_BIT = 1;
export const CONFIG_BIT = 2;

export const VIOLATIONS = [
  "none",
  "a notification is taken by an inactive guest",
  "a vCPU runs that the host holds to be off its CPU",
  "a second wake is outstanding",
  "a wake slice is left although what it was given for is not done",
  "wakes are raised again and again for the same frames",
] as const;
export const TAKEN_INACTIVE = 1;
export const RUNS_OFF = 2;
export const SECOND_WAKE = 3;
export const SLICE_WASTED = 4;
export const WAKE_STORM = 5;

export {
  ASK_PARK,
  ASK_PARK_WHEN_DRAINED,
  ASK_RUN,
  GUEST_ACTIVE,
  GUEST_IDLE,
  GUEST_PREEMPTED,
  VCPU_IDLE,
  VCPU_OFF,
  VCPU_PREEMPTED,
  VCPU_RUNNING,
};

export type Step = (s: State, emit: Emit<State>, options: ProtocolOptions) => void;

/** The guest runs, everyone knows it, and the ring is empty. */
export function initialState(options: ProtocolOptions): State {
  const word = (1 << 2) | GUEST_ACTIVE;
  return {
    word,
    echo: word,
    pending: 0,
    ask: ASK_RUN,
    status: VCPU_RUNNING,
    wakes: 0,
    bellVcpu: 0,
    bellHost: 0,
    bellDevice: 0,
    avail: RING,
    used: 0,
    event: options.eventIdx ? 1 : 0,
    wire: options.frames,
    configsLeft: options.configChanges,
    parksLeft: options.parks,
    slicesLeft: options.slices,
    host: 0,
    hostActive: 1,
    hostArg: 0,
    hostAnswersWake: 0,
    device: 0,
    taken: word,
    taking: 0,
    between: 0,
    endsWake: 0,
    active: 1,
    cause: 0,
    latch: 0,
    notified: 0,
    waiting: 0,
    config: 0,
    wakeOutstanding: 0,
    deadline: 0,
    after: 0,
    vcpu: 0,
    vcpuAsk: 0,
    vcpuSeen: 0,
    vcpuKnown: 0,
    vcpuIdles: 0,
    polling: 0,
    read: 0,
    configsTaken: 0,
    wakesRaised: 0,
    owedFrames: 0,
    owedConfig: 0,
    violation: 0,
  };
}

export function isActive(word: number): boolean {
  return (word & GUEST_ACTIVE) !== 0;
}
