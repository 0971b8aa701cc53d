/**
 * The device status field (virtio 1.4 §2.1, §3.1, §3.4): which bits a write may set, and what follows from it. It holds
 * no more than the register; the card carries out the transition that `write` names.
 */

import { FAULT_NONE, FAULT_STATUS } from "../faults.ts";
import { byte } from "../saved-value.ts";
import {
  F_SUSPEND,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  STATUS_SUSPEND,
} from "../spec/virtio.ts";
import type { FeatureNegotiation } from "./features.ts";

export const TRANSITION_NONE = 0;
/** The device was reset. */
export const TRANSITION_RESET = 1;
/** DRIVER_OK: buffers may be used. */
export const TRANSITION_START = 2;
export const TRANSITION_SUSPEND = 3;
export const TRANSITION_RESUME = 4;
/** The driver has given up. */
export const TRANSITION_STOP = 5;

/** Bits that the driver may not take back. SUSPEND and DRIVER_OK are taken back by the device. */
const LASTING_BITS = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_FAILED;

export class DeviceStatus {
  /** As the driver reads it. */
  value = 0;
  /** Fault of the last write, FAULT_NONE if it was in order. */
  fault: number = FAULT_NONE;
  /** False while the platform lets the device reach no memory. */
  reachesMemory = true;
  readonly #features: FeatureNegotiation;

  constructor(features: FeatureNegotiation) {
    this.#features = features;
  }

  /** True while buffers may be used: the driver is ready, and memory can be reached. */
  get live(): boolean {
    return this.reachesMemory && this.driverReady;
  }

  /** DRIVER_OK, and nothing that speaks against it. */
  get driverReady(): boolean {
    return (this.value & (STATUS_DRIVER_OK | STATUS_FAILED | STATUS_DEVICE_NEEDS_RESET)) === STATUS_DRIVER_OK;
  }

  get suspended(): boolean {
    return (this.value & STATUS_SUSPEND) !== 0;
  }

  /** True from DRIVER_OK on, in SUSPEND too. */
  get wasReady(): boolean {
    return (this.value & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
  }

  /** True while rings stand still although the driver is ready. */
  get halted(): boolean {
    return this.suspended || !this.reachesMemory;
  }

  get featuresOk(): boolean {
    return (this.value & STATUS_FEATURES_OK) !== 0;
  }

  /** STATUS-3: DEVICE_NEEDS_RESET has to be told to a driver that has set DRIVER_OK. */
  get owesResetNotice(): boolean {
    const both = STATUS_DEVICE_NEEDS_RESET | STATUS_DRIVER_OK;
    return (this.value & both) === both;
  }

  /** @throws RangeError if no driver can have brought the register there, with the features that are negotiated */
  restoreState(value: number): void {
    byte("status", value);
    const running = value & (STATUS_DRIVER_OK | STATUS_SUSPEND);
    const settled = (value & STATUS_FEATURES_OK) !== 0;
    const suspends = (value & STATUS_SUSPEND) === 0 || this.#features.has(F_SUSPEND);
    if (
      settled !== this.#features.settled ||
      (running !== 0 && !settled) ||
      running === (STATUS_DRIVER_OK | STATUS_SUSPEND) ||
      !suspends
    ) {
      throw new RangeError(`saved state: status is ${value}, which its features do not allow`);
    }
    this.value = value;
  }

  needReset(): void {
    this.value |= STATUS_DEVICE_NEEDS_RESET;
  }

  /** The driver writes the register; returns one of TRANSITION_*. Writes that are out of order set no bit. */
  write(written: number): number {
    this.fault = FAULT_NONE;
    if (written === 0) {
      this.value = 0;
      return TRANSITION_RESET;
    }
    if ((this.value & LASTING_BITS & ~written) !== 0) this.fault = FAULT_STATUS;
    const added = written & ~this.value;
    if ((added & STATUS_FAILED) !== 0) {
      this.value |= STATUS_FAILED;
      return TRANSITION_STOP;
    }
    // After FAILED or DEVICE_NEEDS_RESET only a reset leads on.
    if ((this.value & (STATUS_FAILED | STATUS_DEVICE_NEEDS_RESET)) !== 0) return TRANSITION_NONE;
    this.#set(added, STATUS_ACKNOWLEDGE, 0);
    this.#set(added, STATUS_DRIVER, STATUS_ACKNOWLEDGE);
    this.#setFeaturesOk(added);
    if (this.suspended) return this.#resume(added);
    if ((added & STATUS_SUSPEND) !== 0 && this.#suspend()) return TRANSITION_SUSPEND;
    const wasOk = (this.value & STATUS_DRIVER_OK) !== 0;
    if (wasOk && (written & STATUS_DRIVER_OK) === 0) this.fault = FAULT_STATUS;
    this.#set(added, STATUS_DRIVER_OK, STATUS_FEATURES_OK);
    return !wasOk && (this.value & STATUS_DRIVER_OK) !== 0 ? TRANSITION_START : TRANSITION_NONE;
  }

  /** Sets `bit` if it was added and all of `needed` is set (§3.1.1). */
  #set(added: number, bit: number, needed: number): void {
    if ((added & bit) === 0) return;
    if ((this.value & needed) === needed) this.value |= bit;
    else this.fault = FAULT_STATUS;
  }

  /** FEAT-3: the bit stays clear if the set of features is refused; the driver reads it back. */
  #setFeaturesOk(added: number): void {
    if ((added & STATUS_FEATURES_OK) === 0) return;
    if ((this.value & STATUS_DRIVER) === 0) {
      this.fault = FAULT_STATUS;
      return;
    }
    const refused = this.#features.settle();
    if (refused === FAULT_NONE) this.value |= STATUS_FEATURES_OK;
    else this.fault = refused;
  }

  /** SUSPEND-1: the bit is ignored, and the rest of the write is not, unless the device runs and the feature is on. */
  #suspend(): boolean {
    if ((this.value & STATUS_DRIVER_OK) === 0 || !this.#features.has(F_SUSPEND)) {
      this.fault = FAULT_STATUS;
      return false;
    }
    this.value = (this.value | STATUS_SUSPEND) & ~STATUS_DRIVER_OK;
    return true;
  }

  /** The driver resumes by setting DRIVER_OK, whether or not it repeats SUSPEND (§3.4). */
  #resume(added: number): number {
    if ((added & STATUS_DRIVER_OK) === 0) return TRANSITION_NONE;
    this.value = (this.value | STATUS_DRIVER_OK) & ~STATUS_SUSPEND;
    return TRANSITION_RESUME;
  }
}
